"""The README's commands do what it says, in a checkout that has nothing built."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path


def blocks(text: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [content for name, content in fenced if name == language]


def test_the_first_look_prints_what_the_readme_shows(root: Path, tmp_path: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    commands = blocks(readme, "sh")[0]
    script = commands.replace("pip install .\n", "")
    assert script != commands
    shutil.copytree(root / "samples", tmp_path / "samples")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (shown,) = [block for block in blocks(readme, "") if block.startswith("PASS")]
    assert shown in done.stdout
    assert "the power failed during the update" in done.stderr
    # After the update, the start, the confirmation, and once more for whoever asks.
    states = re.findall(r"│ state +│ (\w+)", done.stdout)
    assert done.stdout.count("slot 1, 6,432 bytes") == 4
    assert states[-4:] == ["on", "on", "confirmed", "confirmed"]
    assert re.search(r"sent [1-9]\d* of 1,3\d\d bytes, from byte [1-9]", done.stdout)


def test_signed_updates(root: Path, tmp_path: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    (commands,) = [block for block in blocks(readme, "sh") if "tmd keygen" in block]
    shutil.copytree(root / "samples", tmp_path / "samples")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"mkdir -p build/readme\n{commands}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    models, made = tmp_path / "samples" / "host" / "models" / "digits", tmp_path / "build/readme"
    applied = (made / "applied.tflite").read_bytes()
    assert applied == (models / "target.tflite").read_bytes()
    # A signature, its signer, and the whole digest of the target instead of the half.
    (added,) = re.findall(r"With a public key it adds (\d+) bytes", readme)
    assert int(added) == 64 + 9 + 16


def test_a_device_that_is_a_file_takes_a_patch(root: Path, tmp_path: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    (session,) = [block for block in blocks(readme, "sh") if "tmd sim serve" in block]
    init, serve, push = (line.split("#")[0].split() for line in session.splitlines())
    assert (serve[5], push[-1]) == ("127.0.0.1:1337", "127.0.0.1")  # the port that push knows
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        serve[5] = push[-1] = f"127.0.0.1:{free.getsockname()[1]}"
    tmd = [sys.executable, "-c", "from tinymldelta.cli.main import main; main()"]
    models = root / "samples" / "host" / "models" / "digits"
    shutil.copy(models / "base.tflite", tmp_path)
    for words in (
        ["codegen", "digits=base.tflite", "--out", ".", "--slot", "16384"],
        ["patch", "base.tflite", str(models / "target.tflite"), "-o", "update.tmd",
         "--contract", "contract.json"],
        init[1:],
    ):  # fmt: skip
        subprocess.run([*tmd, *words], cwd=tmp_path, check=True, capture_output=True)
    with subprocess.Popen(
        [*tmd, *serve[1:]], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as device:
        try:
            assert device.stdout is not None
            assert device.stdout.readline()  # it answers now
            done = subprocess.run([*tmd, *push[1:]], cwd=tmp_path, capture_output=True, text=True)
        finally:
            device.terminate()
    assert done.returncode == 0, done.stderr
    assert "slot 1" in done.stdout
    assert "on trial" in done.stdout


def test_its_c_compiles_against_the_generated_header(root: Path, tmp_path: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    code = blocks(readme, "c")[0]
    top, body = code.split("int err = ")
    generated = tmp_path / "generated"
    subprocess.run(
        [sys.executable, "-c", "from tinymldelta.cli.main import main; main()", "codegen",
         f"digits={root / 'samples/host/models/digits/base.tflite'}", "--out", generated,
         "--slot", "16384"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    top = top.replace(
        "static const struct tmd_store_config",
        '#include "tmd_model_digits.h"\nextern const struct tmd_flash flash;\n'
        "static const struct tmd_store_config",
    )
    program = f"{top}const void *use(const void *piece, size_t n);\n"
    program += f"const void *use(const void *piece, size_t n) {{\nint err = {body}\n"
    program += "return err == TMD_OK ? model.at : 0; }\n"
    source = tmp_path / "readme.c"
    source.write_text(program)
    subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{root / 'zephyr_module/include'}",
         f"-I{generated}", "-c", source, "-o", tmp_path / "readme.o"],
        check=True,
    )  # fmt: skip


def test_its_figures_are_those_that_the_benchmark_recorded(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    recorded = (root / "benchmarks" / "footprint.md").read_text(encoding="utf-8")
    code = re.search(r"code on Cortex-M33, streamed, with store: ([\d,]+) of", recorded)
    memory = re.search(r"working memory on Cortex-M33, streamed or staged: ([\d,]+) of", recorded)
    both = next(line for line in recorded.splitlines() if "decoder and guardrails: both" in line)
    assert code
    assert memory
    assert f"decoder with guardrails and digests is {both.split('|')[4].strip()};" in readme
    assert f"are {code[1]} bytes of code and constants" in readme
    assert f"Working memory is {memory[1]} bytes" in readme
