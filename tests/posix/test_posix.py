"""The POSIX port, and samples/linux: a store in a file, natively and for aarch64 under QEMU.

Patches are real ones, of both formats. A process that is killed stands for one that dies in the
middle of an update; what a power cut leaves is the campaign's matter (benchmarks/powercut).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
DEVICE = ROOT / "zephyr_module"
SAMPLE = ROOT / "samples" / "linux"
MODELS = ROOT / "samples" / "host" / "models"
IN_CI = os.environ.get("CI") == "true"
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZE = (
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer",
)  # fmt: skip
INCLUDES = (f"-I{DEVICE / 'include'}", f"-I{DEVICE / 'ports'}")
PORTS = (
    DEVICE / "ports/posix/posix.c",
    *sorted((DEVICE / "ports/conformance").glob("*.c")),
)
CORE = (*sorted((DEVICE / "core").glob("*.c")), *sorted((DEVICE / "store").glob("*.c")))
WRAP = "-Wl," + ",".join(
    f"--wrap={name}" for name in ("pread64", "pwrite64", "fdatasync", "posix_fadvise64", "fcntl64")
)
AARCH64 = ("clang", "--target=aarch64-linux-gnu", "-isystem", "/usr/aarch64-linux-gnu/include")
QEMU = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")
BUILDS = {
    "sanitized": ("gcc", "-O1", "-g", *SANITIZE),
    "clang": ("clang", "-O2"),
    "32 bits": ("gcc", "-m32", "-Os"),
    "aarch64": (*AARCH64, "-O2"),
}
PACKAGES = {
    "sanitized": "gcc libasan8 libubsan1",
    "clang": "clang",
    "32 bits": "gcc-multilib",
    "aarch64": "clang binutils-aarch64-linux-gnu libc6-dev-arm64-cross libgcc-12-dev-arm64-cross "
    "qemu-user",
}


def need(there: bool, packages: str) -> None:
    """Skip without a tool; in CI, where nothing is to be skipped, fail."""
    if not there:
        text = f"needs a tool that is not here: apt install {packages}"
        if IN_CI:
            pytest.fail(text)
        pytest.skip(text)


def run(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def runner_of(build: str) -> tuple[str, ...]:
    return QEMU if build == "aarch64" else ()


def works(folder: Path, build: str) -> bool:
    """Can programs of this kind be built and run here?"""
    probe = folder / "probe.c"
    probe.write_text("#include <stdlib.h>\nint main(void) { return 0; }\n")
    needed = (BUILDS[build][0], *runner_of(build)[:1])
    if any(shutil.which(tool) is None for tool in needed):
        return False
    built = subprocess.run([*BUILDS[build], probe, "-o", folder / "probe"], capture_output=True)
    return (
        built.returncode == 0
        and subprocess.run([*runner_of(build), folder / "probe"], capture_output=True).returncode
        == 0
    )


# ---- the port ----


@pytest.mark.parametrize("build", [*BUILDS, "macOS's branch"])
def test_the_port(tmp_path: Path, build: str) -> None:
    """posix_port.c. macOS's branch is compiled against Linux's headers, and falls back to fsync."""
    apple = build == "macOS's branch"
    name = "sanitized" if apple else build
    need(works(tmp_path, name), PACKAGES[name])
    flags = [*BUILDS[name], *STRICT, *INCLUDES, f"-I{ROOT / 'tests/core'}"]
    if apple:
        port = tmp_path / "posix.o"
        run([*flags, "-D__APPLE__", "-DF_FULLFSYNC=51", "-D_POSIX_C_SOURCE=200809L", "-c",
             PORTS[0], "-o", port])  # fmt: skip
    else:
        port = PORTS[0]
    program = tmp_path / "posix_port"
    core = [DEVICE / "core" / "digest.c", DEVICE / "core" / "status.c"]
    run([*flags, HERE / "posix_port.c", port, *PORTS[1:], *core, WRAP, "-o", program])
    files = tmp_path / "files"
    files.mkdir()
    done = subprocess.run(
        [*runner_of(name), program, files], capture_output=True, text=True, timeout=300
    )
    if apple:
        # Flushes do not go by fdatasync, so those that count or break it cannot hold.
        failed = re.findall(r"^(test_\w+): \d+ of", done.stdout, re.MULTILINE)
        assert failed == [
            "test_every_write_and_erase_is_flushed", "test_failures_are_reported_and_stay",
            "test_what_is_read_is_on_the_medium",
        ]  # fmt: skip
    else:
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.endswith("11 passed, 0 failed\n")


# ---- the sample ----


@dataclass(frozen=True)
class Pair:
    """A model pair, with what was generated for its base and the patches of both formats."""

    name: str
    base: bytes
    target: bytes
    generated: Path
    patches: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    runner: tuple[str, ...]
    path: Path
    folder: Path

    def words(self, command: str, store: str = "store.bin") -> list[str | Path]:
        return [*self.runner, self.path, command, self.folder / store]

    def ask(self, command: str, data: bytes = b"", code: int = 0) -> bytes:
        done = subprocess.run(self.words(command), input=data, capture_output=True, timeout=120)
        assert done.returncode == code, (command, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def new_store(self) -> Program:
        (self.folder / "store.bin").unlink(missing_ok=True)
        return self

    def store(self) -> bytes:
        return (self.folder / "store.bin").read_bytes()


def tmd(*words: str | Path) -> str:
    return run([sys.executable, "-c", "from tinymldelta.cli.main import main; main()", *words])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    made = {}
    for name in ("digits", "sst"):
        folder = tmp_path_factory.mktemp(name)
        base, target = MODELS / name / "base.tflite", MODELS / name / "target.tflite"
        sizes = ("--slot", "16384", "--erase", "4096", "--write", "256")
        tmd("codegen", f"app={base}", "--out", folder, *sizes)
        patches = {}
        for number in (1, 2):
            out = folder / f"{number}.tmd"
            tmd(
                "patch", base, target, "-o", out, "--contract", folder / "contract.json",
                "--format", str(number),
            )  # fmt: skip
            patches[number] = out.read_bytes()
        made[name] = Pair(name, base.read_bytes(), target.read_bytes(), folder, patches)
    return made


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    return {}


def program_of(
    programs: dict[tuple[str, str], Path], pair: Pair, build: str, folder: Path
) -> Program:
    need(works(folder, build), PACKAGES[build])
    if (pair.name, build) not in programs:
        path = pair.generated / build.replace(" ", "_")
        sources = [SAMPLE / "main.c", pair.generated / "tmd_model_app.c", *PORTS, *CORE]
        run([*BUILDS[build], *STRICT, *INCLUDES, f"-I{pair.generated}", *sources, "-o", path])
        programs[pair.name, build] = path
    return Program(runner_of(build), programs[pair.name, build], folder)


CASES = [
    ("sanitized", "digits"), ("sanitized", "sst"), ("clang", "digits"), ("32 bits", "digits"),
    ("aarch64", "digits"),
]  # fmt: skip


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("build", "name"), CASES)
def test_an_update(
    tmp_path: Path,
    pairs: dict[str, Pair],
    programs: dict[tuple[str, str], Path],
    build: str,
    name: str,
    number: int,
) -> None:
    pair = pairs[name]
    program = program_of(programs, pair, build, tmp_path)
    assert program.ask("status").startswith(b"model of the program, ")
    assert program.ask("model") == pair.base
    assert b"on trial: 0 of 3 starts" in program.ask("update", pair.patches[number])
    assert program.ask("model") == pair.target
    assert b"on trial: 1 of 3 starts" in program.ask("status")
    assert b"TRIAL" in program.ask("update", pair.patches[number], code=1)
    assert b"trial" not in program.ask("confirm")
    assert b"STATE" in program.ask("confirm", code=1)
    before = program.store()
    assert b"BASE" in program.ask("update", pair.patches[number], code=1)
    assert program.store() == before
    assert program.ask("model") == pair.target


def test_a_trial_ends(
    tmp_path: Path, pairs: dict[str, Pair], programs: dict[tuple[str, str], Path]
) -> None:
    pair = pairs["digits"]
    program = program_of(programs, pair, "sanitized", tmp_path)
    program.ask("update", pair.patches[2])
    assert program.ask("revert").startswith(b"model of the program, ")
    assert program.ask("model") == pair.base
    assert b"REVERTED" in program.ask("update", pair.patches[2], code=1)
    program.new_store().ask("update", pair.patches[2])
    assert [program.ask("model") for _ in range(4)] == [pair.target] * 3 + [pair.base]


def wait_until_idle(process: subprocess.Popen[bytes], until: float = 30) -> None:
    """Until it has read what was sent, and waits for more."""
    assert process.stdin is not None
    seen, end = 0, time.monotonic() + until
    while seen < 3:
        assert time.monotonic() < end
        left = struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)))[0]
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii")
        sleeps = stat.rpartition(")")[2].split()[0] == "S"
        seen = seen + 1 if left == 0 and sleeps else 0
        time.sleep(0.005)


def killed_after(program: Program, data: bytes) -> None:
    """An update whose sender stalls after these bytes; then SIGKILL."""
    with subprocess.Popen(
        program.words("update"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.flush()
        wait_until_idle(process)
        process.kill()
        assert process.wait() == -9


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("build", ["sanitized", "aarch64"])
def test_killed_in_the_middle_it_goes_on(
    tmp_path: Path,
    pairs: dict[str, Pair],
    programs: dict[tuple[str, str], Path],
    build: str,
    number: int,
) -> None:
    pair = pairs["digits"]
    program = program_of(programs, pair, build, tmp_path)
    patch = pair.patches[number]
    written = []
    for part in range(1, 9):
        program.new_store()
        killed_after(program, patch[: len(patch) * part // 8])  # at last, all but the end
        written.append(sum(byte != 0xFF for byte in program.store()[: 2 * 16384]))
        assert program.ask("model") == pair.base
        program.ask("update", patch)
        assert program.ask("model") == pair.target
    assert written == sorted(written)
    assert written[0] < written[-1]
    assert written[-1] > 1024  # it was killed while the slot was being filled, not before
    # Again and again on the same store, and then to the end.
    program.new_store()
    for part in (7, 2, 6, 8):
        killed_after(program, patch[: len(patch) * part // 8])
        assert program.ask("status").startswith(b"model of the program, ")
    program.ask("update", patch)
    assert program.ask("model") == pair.target


def test_one_process_at_a_time(
    tmp_path: Path, pairs: dict[str, Pair], programs: dict[tuple[str, str], Path]
) -> None:
    pair = pairs["digits"]
    program = program_of(programs, pair, "sanitized", tmp_path)
    with subprocess.Popen(program.words("update"), stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(pair.patches[2][:700])
        process.stdin.flush()
        wait_until_idle(process)
        before = program.store()
        assert b"in use by another process" in program.ask("status", code=1)
        assert b"in use by another process" in program.ask("update", pair.patches[2], code=1)
        assert program.store() == before
        process.kill()
    program.ask("update", pair.patches[2])
    assert program.ask("model") == pair.target


def test_a_pipe_that_does_not_block(
    tmp_path: Path, pairs: dict[str, Pair], programs: dict[tuple[str, str], Path]
) -> None:
    """As ssh and event loops leave standard input: an empty pipe is not the patch's end."""
    pair = pairs["digits"]
    program = program_of(programs, pair, "sanitized", tmp_path)
    patch = pair.patches[2]
    taken, sent = os.pipe()
    os.set_blocking(taken, False)
    with subprocess.Popen(
        program.words("update"), stdin=taken, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.close(taken)
        for piece in (patch[:300], patch[300:700], patch[700:]):
            time.sleep(0.3)
            with contextlib.suppress(BrokenPipeError):
                os.write(sent, piece)
        os.close(sent)
        said, failed = process.communicate(timeout=60)
    assert (process.returncode, failed) == (0, b"")
    assert b"on trial: 0 of 3 starts" in said


def test_a_full_disk_is_named(
    tmp_path: Path, pairs: dict[str, Pair], programs: dict[tuple[str, str], Path]
) -> None:
    """Where the model goes to, not the store."""
    program = program_of(programs, pairs["digits"], "sanitized", tmp_path)
    for command in ("model", "status"):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                program.words(command), stdout=full, stderr=subprocess.PIPE, text=True
            )
        expected = "standard output: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, expected), command


def test_wrong_calls_and_what_is_no_store(
    tmp_path: Path, pairs: dict[str, Pair], programs: dict[tuple[str, str], Path]
) -> None:
    pair = pairs["digits"]
    program = program_of(programs, pair, "sanitized", tmp_path)
    for words in ([], ["status"], ["format", "x"], ["status", "x", "y"]):
        assert subprocess.run([program.path, *words], capture_output=True).returncode == 2
    short = tmp_path / "store.bin"
    short.write_bytes(b"not a store")
    assert b"too short" in program.ask("status", code=1)
    assert b"would be destroyed" in program.ask("conform", code=1)
    assert short.read_bytes() == b"not a store"
    program.new_store()
    lines = program.ask("conform").decode().splitlines()
    assert lines[-1] == "PASSED"
    assert not short.exists()
    # Truncated and damaged patches leave the model as it is.
    patch = pair.patches[2]
    assert b"TRUNCATED" in program.ask("update", patch[:-40], code=1)
    program.ask("update", patch[:200] + bytes([patch[200] ^ 1]) + patch[201:], code=1)
    assert program.ask("model") == pair.base


# ---- README.md ----


def blocks_of(readme: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)


def shell(script: str, cwd: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the commands need of the repository, with nothing built."""
    for name in ("zephyr_module", "samples", "cmake"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "CMakeLists.txt", tmp_path)
    return tmp_path


def test_the_readme_does_what_it_says(checkout: Path) -> None:
    need(shutil.which("cmake") is not None, "cmake")
    native, _gcc, _clang, use = blocks_of((SAMPLE / "README.md").read_text(encoding="utf-8"))
    shell(native, checkout)
    said = shell(use, checkout)
    made = checkout / "build" / "linux"
    assert (made / "running.tflite").read_bytes() == (MODELS / "digits/target.tflite").read_bytes()
    assert "PASSED" in said
    assert not (made / "scratch.bin").exists()
    assert said.count("model in slot 0, 6432 bytes\n") == 2  # confirmed, and then status


# Debian's gcc for aarch64 is in conflict with gcc-multilib, which other tests need: it is looked at
# where it is, and clang always.
CROSS = ("clang", "gcc") if shutil.which("aarch64-linux-gnu-gcc") else ("clang",)


@pytest.mark.parametrize("which", CROSS)
def test_its_cross_builds_run(checkout: Path, tmp_path: Path, which: str) -> None:
    need(shutil.which("cmake") is not None, "cmake")
    need(works(tmp_path, "aarch64"), PACKAGES["aarch64"])
    _native, gcc, clang, _use = blocks_of((SAMPLE / "README.md").read_text(encoding="utf-8"))
    shell(gcc if which == "gcc" else clang, checkout)
    folder = "linux-aarch64" if which == "gcc" else "linux-clang"
    program = checkout / "build" / folder / "tmd-linux"
    kind = program.read_bytes()[18:20]
    assert kind == b"\xb7\x00"  # EM_AARCH64
    assert "model of the program" in run([*QEMU, program, "status", tmp_path / "store.bin"])
