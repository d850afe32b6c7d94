"""docs/porting.md, followed to the letter: its commands, its code, and what comes of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
DEVICE = ROOT / "zephyr_module"
TEMPLATE = DEVICE / "ports" / "template"
GUIDE = ROOT / "docs" / "porting.md"
IN_CI = os.environ.get("CI") == "true"
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
INCLUDES = (f"-I{DEVICE / 'include'}", f"-I{DEVICE / 'ports'}")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CONFORMANCE = (*sorted((DEVICE / "ports/conformance").glob("*.c")), DEVICE / "core/digest.c")


def need(there: bool, packages: str) -> None:
    """Skip without a tool; in CI, where nothing is to be skipped, fail."""
    if not there:
        text = f"needs a tool that is not here: apt install {packages}"
        if IN_CI:
            pytest.fail(text)
        pytest.skip(text)


def run(command: Sequence[str | Path], cwd: Path | None = None, code: int = 0) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == code, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def blocks(language: str) -> list[str]:
    text = GUIDE.read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [content for name, content in fenced if name == language]


def code_of(name: str) -> str:
    """The guide's block that begins with this file's name."""
    head = f"/* {name} */\n"
    (block,) = [block for block in blocks("c") if block.startswith(head)]
    return block.removeprefix(head)


def fill_in(port_h: Path, lines: str) -> None:
    """Set the macros as a reader does; each has to be there."""
    text = port_h.read_text(encoding="utf-8")
    for line in lines.splitlines():
        name = line.split()[1]
        text, count = re.subn(rf"^#define {name} .*$", line, text, flags=re.MULTILINE)
        assert count == 1, name
    port_h.write_text(text, encoding="utf-8")


def shell(script: str, cwd: Path, code: int = 0) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "warning" not in done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("zephyr_module", "samples"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_followed_from_top_to_bottom(checkout: Path) -> None:
    need(shutil.which("arm-none-eabi-gcc") is not None, "gcc-arm-none-eabi")
    copy, on_pc, link, generate, first_update = blocks("sh")
    _broken, prints = blocks("")
    shell(copy, checkout)
    fill_in(checkout / "myport" / "port.h", code_of("myport/port.h"))
    said = shell(on_pc, checkout).splitlines()
    assert said[0].startswith("not checked: ")
    assert set(said[0].split()[2:]) == {"REWRITE", "OUTSIDE"}
    assert said[-1] == "PASSED"
    (checkout / "myport" / "hardware.c").write_text(code_of("myport/hardware.c"), encoding="utf-8")
    assert "(TOTALS)" in shell(link, checkout)
    shell(generate, checkout)
    assert shell(first_update, checkout) == prints


def test_the_message_that_it_shows(checkout: Path) -> None:
    """The manual says 8 bytes, port.h says 4."""
    copy, on_pc, *_ = blocks("sh")
    shown, _prints = blocks("")
    shell(copy, checkout)
    port_h = checkout / "myport" / "port.h"
    fill_in(port_h, code_of("myport/port.h"))
    fill_in(port_h, "#define PORT_WRITE_BYTES 4u\n")
    assert shell(on_pc, checkout, code=1).startswith(shown)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("#define PORT_ERASE_BYTES 4096u", "ERASE"),
        ("#define PORT_ERASE_BYTES 1024u", "ERASE"),
        ("#define PORT_ERASED 0x00", "ERASED_VALUE"),
        ("#define PORT_WRITE_BYTES 24u", "GEOMETRY"),
        ("#define PORT_FLAGS TMD_FLASH_NO_ERASE", "WRITE"),
    ],
)
def test_a_number_that_is_typed_wrong_shows(checkout: Path, line: str, rule: str) -> None:
    copy, on_pc, *_ = blocks("sh")
    shell(copy, checkout)
    fill_in(checkout / "myport" / "port.h", code_of("myport/port.h"))
    fill_in(checkout / "myport" / "port.h", line)
    said = shell(on_pc, checkout, code=1).splitlines()
    assert said[0].startswith(f"{rule} at "), said
    assert "FAILED" in said


def test_erase_units_of_several_sizes(checkout: Path) -> None:
    """The guide's second layout, through all of its steps on the PC."""
    copy, on_pc, _link, generate, first_update = blocks("sh")
    sizes = "16384x2,65536x1,131072x2"
    assert f"`{sizes}`" in GUIDE.read_text(encoding="utf-8")
    shell(copy, checkout)
    port_h = checkout / "myport" / "port.h"
    fill_in(port_h, code_of("myport/port.h, with sectors of 16, 64 and 128 KB"))
    conform = on_pc.replace("conform 2048 8 0xFF once", f"conform {sizes} 4")
    assert conform != on_pc
    said = shell(conform, checkout).splitlines()
    assert said[-2].startswith("5 erase units, 11 erases, ")
    assert said[-1] == "PASSED"
    sized = generate.replace("24576 --erase 2048 --write 8", "131072 --erase 131072 --write 4")
    assert sized != generate
    shell(sized, checkout)
    update = first_update.replace("update 2048 8 0xFF once", f"update {sizes} 4")
    assert update != first_update
    said = shell(update, checkout).splitlines()
    assert said[:5] == ["mount: OK", "update: OK", "mount: OK", "start: OK", "confirm: OK"]
    # A size that is not the manual's shows here as well.
    fill_in(port_h, "#define PORT_RUNS {16384u, 6u}, {131072u, 2u}")
    said = shell(conform, checkout, code=1).splitlines()
    assert said[0].startswith("ERASE at 0x00008000, 16384 bytes: returned an error"), said


def test_flash_without_erase(checkout: Path) -> None:
    """64 KB of FRAM, single bytes: the guide says what its erase unit is."""
    copy, _on_pc, _link, generate, first_update = blocks("sh")
    assert "`PORT_ERASE_BYTES` is then yours to choose, 256 say" in GUIDE.read_text("utf-8")
    shell(copy, checkout)
    lines = (
        "#define PORT_START 0u", "#define PORT_ERASE_BYTES 256u", "#define PORT_ERASE_UNITS 256u",
        "#define PORT_WRITE_BYTES 1u", "#define PORT_FLAGS TMD_FLASH_NO_ERASE",
        "#define PORT_SLOT_UNITS 96u", "#define PORT_RECORD_UNITS 8u",
    )  # fmt: skip
    fill_in(checkout / "myport" / "port.h", "\n".join(lines))
    shell(generate.replace("--erase 2048 --write 8", "--erase 256 --write 1"), checkout)
    update = first_update.replace("update 2048 8 0xFF once", "update 256 1 no-erase")
    said = shell(f"mkdir -p build/myport\n{update}", checkout).splitlines()
    assert said[:5] == ["mount: OK", "update: OK", "mount: OK", "start: OK", "confirm: OK"]
    assert "; 0 erases, " in said[5]


@pytest.mark.parametrize("word", ["onec", "0x1FF", "0xFFonce"])
def test_a_word_that_is_typed_wrong_is_refused(checkout: Path, word: str) -> None:
    copy, on_pc, *_ = blocks("sh")
    shell(copy, checkout)
    fill_in(checkout / "myport" / "port.h", code_of("myport/port.h"))
    shell(on_pc.replace("0xFF once", word), checkout, code=2)
    program = checkout / "build/myport/pc"
    for sizes in ("0", "2048x0", "2048x", "2048,", "x2", "1x1,1x1,1x1,1x1", "0x40000000x4"):
        run([program, "conform", sizes, "8"], code=2)


def compile_guide(folder: Path, *flags: str) -> Path:
    """The example with its HAL's stand-in, the template's port.c, and the guide's own main part."""
    port = folder / "port"
    shutil.copytree(TEMPLATE, port)
    fill_in(port / "port.h", code_of("myport/port.h"))
    (port / "hardware.c").write_text(code_of("myport/hardware.c"), encoding="utf-8")
    (port / "conform_on_device.c").write_text(code_of("conform_on_device.c"), encoding="utf-8")
    program = folder / "guide"
    own = [port / name for name in ("port.c", "hardware.c", "conform_on_device.c")]
    run([
        "gcc", "-g", "-O1", *flags, *STRICT, *INCLUDES, f"-I{port}", f"-I{HERE}", HERE / "guide.c",
        *own, *CONFORMANCE, "-o", program,
    ])  # fmt: skip
    return program


def test_the_example_conforms(tmp_path: Path) -> None:
    program = compile_guide(tmp_path)
    first = run([program], tmp_path).splitlines()
    assert first[0].startswith("not checked: ")
    assert set(first[0].split()[2:]) == {"REWRITE", "OUTSIDE", "PERSIST"}
    assert first[-2].startswith("32 erase units, 65 erases, ")
    assert first[-1] == "PASSED"
    assert run([program, "reset"], tmp_path).splitlines()[-1] == "PASSED"
    # The power took a byte with it.
    flash = tmp_path / "flash.bin"
    content = bytearray(flash.read_bytes())
    content[0x10000 + 4321] ^= 1
    flash.write_bytes(content)
    assert "PERSIST at 0x000010e1" in run([program, "reset"], tmp_path, code=1)
    run([program, "half"], tmp_path)


def test_a_broken_example_does_not(tmp_path: Path) -> None:
    """The conformance test judges hardware.c: with the driver's result dropped, say."""
    port = tmp_path / "broken"
    port.mkdir()
    program = compile_guide(port)
    hardware = port / "port" / "hardware.c"
    text = hardware.read_text(encoding="utf-8")
    broken = text.replace("HAL_FLASH_Unlock();", "", 1)
    broken = broken.replace("status == HAL_OK ? 0 : -1;", "(void)status, 0;", 1)
    assert broken != text
    hardware.write_text(broken, encoding="utf-8")
    own = [port / "port" / name for name in ("port.c", "hardware.c", "conform_on_device.c")]
    run([
        "gcc", "-O1", *INCLUDES, f"-I{port / 'port'}", f"-I{HERE}", HERE / "guide.c", *own,
        *CONFORMANCE, "-o", program,
    ])  # fmt: skip
    assert run([program], port, code=1).startswith("WRITE_DONE at 0x00000000, 8 bytes: ")


# ---- the template as it is ----

NOT_YET = """\
#include <stdio.h>
#include <conformance/conformance.h>
#include "port.h"
static uint64_t work[TMD_CONFORMANCE_WORK / 8u];
static void say(void *ctx, const char *line)
{
	(void)ctx;
	puts(line);
}
int main(void)
{
	struct tmd_conformance_result result;
	const struct tmd_conformance_options options = {.work = work};
	const int err = tmd_conformance(&port_all, &options, &result);

	tmd_conformance_report(&result, say, NULL);
	return err == TMD_OK ? 0 : 1;
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(("filled", "rule"), [(False, "GEOMETRY"), (True, "ERASE")])
def test_the_template_compiles_and_fails(
    tmp_path: Path, compiler: str, filled: bool, rule: str
) -> None:
    need(shutil.which(compiler) is not None, compiler)
    port = tmp_path / "port"
    shutil.copytree(TEMPLATE, port)
    if filled:
        fill_in(port / "port.h", code_of("myport/port.h"))
    main = tmp_path / "main.c"
    main.write_text(NOT_YET, encoding="utf-8")
    program = tmp_path / "program"
    run([
        compiler, *STRICT, *SANITIZE, *INCLUDES, f"-I{port}", main, port / "port.c",
        port / "hardware.c", *CONFORMANCE, "-o", program,
    ])  # fmt: skip
    said = run([program], code=1).splitlines()
    assert said[0].startswith(f"{rule} at "), said


@pytest.mark.parametrize("option", ["STAGING=1", "STAGING=0", "TRIAL=0", "RESUME=0"])
@pytest.mark.parametrize("name", ["port", "hardware", "store"])
def test_the_template_compiles_for_the_smallest_part(
    tmp_path: Path, name: str, option: str
) -> None:
    need(shutil.which("arm-none-eabi-gcc") is not None, "gcc-arm-none-eabi")
    port = tmp_path / "port"
    shutil.copytree(TEMPLATE, port)
    fill_in(port / "port.h", code_of("myport/port.h"))
    for header, text in (
        ("tmd_contract.h", "#define TMD_SLOT_APP_BYTES 24576u\n"
         "extern const struct tmd_contract tmd_contract;\n"),
        ("tmd_model_app.h", "#define TMD_MODEL_APP 0\n#define TMD_MODEL_APP_BYTES 1000u\n"
         "extern const unsigned char tmd_model_app[];\n"),
    ):  # fmt: skip
        (tmp_path / header).write_text(text, encoding="utf-8")
    run([
        "arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-mthumb", "-Os", *STRICT, *INCLUDES,
        f"-DTMD_{option}", f"-I{port}", f"-I{tmp_path}", "-c", port / f"{name}.c",
        "-o", tmp_path / "out.o",
    ])  # fmt: skip


def test_the_table_of_mistakes_has_every_rule() -> None:
    header = (DEVICE / "ports/conformance/conformance.h").read_text(encoding="utf-8")
    enum = header[header.index("enum tmd_conformance_rule {") :]
    rules = re.findall(r"TMD_CONFORMANCE_(\w+),", enum[: enum.index("};")])
    text = GUIDE.read_text(encoding="utf-8")
    table = text[text.index("## Common mistakes") :]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == rules
