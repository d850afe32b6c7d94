"""The conformance test of flash ports: every simulated flash passes, every seeded fault is named.

seeded.c runs all of them in one go; here stands what must come of it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
DEVICE = ROOT / "zephyr_module"
PORT = DEVICE / "ports" / "conformance"
IN_CI = os.environ.get("CI") == "true"
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
INCLUDES = (f"-I{DEVICE / 'include'}", f"-I{DEVICE / 'ports'}")
SANITIZE = (
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer",
)  # fmt: skip
DIGEST = DEVICE / "core/digest.c"
TEST = tuple(path for path in sorted(PORT.glob("*.c")) if path.name != "report.c")
REPORT = PORT / "report.c"
SOURCES = (HERE / "seeded.c", *TEST, REPORT, DEVICE / "ports/sim/sim.c", DIGEST)

# The first rule that is broken: that is what a person looks at.
EXPECTED = {
    "erase_small": "ERASE_WHOLE",
    "erase_large": "ERASE_ONLY",
    "erase_next": "ERASE_DONE",
    "erase_lies": "ERASE_DONE",
    "erase_lies_even": "ERASE_DONE",
    "erase_stops": "ERASE_WHOLE",
    "erase_error": "ERASE",
    "erase_swallowed": "ERASE_DONE",
    "erase_inverted": "ERASED_VALUE",
    "erase_skips": "ERASE_DONE",
    "write_wraps": "WRITE_LENGTH",
    "write_cut": "WRITE_LENGTH",
    "write_lies": "WRITE_DONE",
    "write_swallowed": "WRITE_DONE",
    "write_error": "WRITE",
    "write_half": "WRITE_WHOLE",
    "write_swapped": "WRITE_BYTES",
    "write_long_only": "WRITE_UNIT",
    "write_once": "WRITE_UNIT",
    "write_lost": "WRITE_UNIT",
    "write_pads": "WRITE_UNIT",
    "write_neighbour": "WRITE_ONLY",
    "write_far": "WRITE_ONLY",
    "write_unaligned": "WRITE_BUFFER",
    "write_crypts": "MEMORY",
    "address_high": "ADDRESS",
    "address_low": "ADDRESS",
    "address_write": "ADDRESS",
    "address_erase": "ERASE_DONE",
    "address_outside": "OUTSIDE",
    "read_error": "READ",
    "read_swallowed": "READ_WHOLE",
    "read_words": "READ_ANY",
    "read_buffer": "MEMORY",
    "read_refuses": "READ_ANY",
    "read_tail": "READ_WHOLE",
    "read_bound": "READ_WHOLE",
    "read_overruns": "MEMORY",
    "read_line": "READ_FRESH",
    "read_cache": "READ_FRESH",
    "read_erase_cache": "READ_FRESH",
    "map_cache": "MAP",
    "map_start": "MAP",
    "map_device": "MAP",
    "volatile": "PERSIST",
    "volatile_last": "PERSIST",
    "volatile_erase": "PERSIST",
    "needs_erase": "REWRITE",
    "geometry_write": "GEOMETRY",
    "geometry_runs": "GEOMETRY",
    "geometry_shifted": "GEOMETRY",
    "geometry_small": "GEOMETRY",
    "geometry_erase": "GEOMETRY",
}
# On flash that needs no erase the place is already overwritten in vain when it is emptied.
WITHOUT_ERASE = {"address_write": "WRITE_DONE"}
NO_ERASE = ("rram", "eeprom")
GEOMETRIES = (
    "stm32u5", "nrf52", "rram", "rp2350", "esp32", "stm32h7", "ra4m1", "stm32l0", "eeprom",
    "unequal",
)  # fmt: skip
BUILDS = {
    "gcc, sanitized": ("gcc", "-O1", *SANITIZE),
    "clang, sanitized": ("clang", "-O1", *SANITIZE),
    "gcc -m32": ("gcc", "-O2", "-m32"),
}


@dataclass(frozen=True)
class Row:
    """A line of seeded.c. Offsets are relative to the region."""

    geometry: str
    fault: str
    rule: str
    offset: int
    bytes: int
    origin: int  # of ADDRESS: where the bytes belong
    rules: tuple[str, ...]
    checked: int
    erases: int
    units: int
    phases: str  # what two phases with a reset between them say


def run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def need(there: bool, packages: str) -> None:
    """Skip without a tool; in CI, where nothing is to be skipped, fail."""
    if not there:
        text = f"needs a tool that is not here: apt install {packages}"
        if IN_CI:
            pytest.fail(text)
        pytest.skip(text)


def compiles(folder: Path, *command: str) -> bool:
    probe = folder / "probe.c"
    probe.write_text("#include <stdlib.h>\nint main(void) { return 0; }\n")
    if shutil.which(command[0]) is None:
        return False
    built = subprocess.run([*command, probe, "-o", folder / "probe"], capture_output=True)
    return built.returncode == 0


def build(folder: Path, name: str) -> Path:
    flags = BUILDS[name]
    packages = {"clang": "clang libclang-rt-14-dev", "gcc": "gcc gcc-multilib libasan8 libubsan1"}
    need(compiles(folder, *flags), packages[flags[0]])
    program = folder / "seeded"
    run([*flags, "-g", *STRICT, *INCLUDES, *SOURCES, "-o", program])
    return program


def rows_of(output: str) -> list[Row]:
    rows = []
    for line in output.splitlines():
        words = line.split()
        rows.append(
            Row(
                *words[:3],
                int(words[3]),
                int(words[4]),
                int(words[5]),
                tuple(words[6].split(",")),
                int(words[8], 16),
                int(words[10]),
                int(words[12]),
                words[14],
            )  # fmt: skip
        )
    return rows


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("seeded"), "gcc, sanitized")


@pytest.fixture(scope="module")
def output(program: Path) -> str:
    return run([program])


@pytest.fixture(scope="module")
def rows(output: str) -> list[Row]:
    return rows_of(output)


def names_of_rules() -> list[str]:
    header = (PORT / "conformance.h").read_text(encoding="utf-8")
    enum = header[header.index("enum tmd_conformance_rule {") :]
    return re.findall(r"TMD_CONFORMANCE_(\w+),", enum[: enum.index("};")])


def test_every_fault_has_an_expectation_and_every_rule_a_fault(rows: list[Row]) -> None:
    assert {row.fault for row in rows} == {*EXPECTED, "none"}
    assert set(EXPECTED.values()) == set(names_of_rules())


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_simulated_flash_passes(rows: list[Row], geometry: str) -> None:
    (row,) = [row for row in rows if (row.geometry, row.fault) == (geometry, "none")]
    assert (row.rule, row.rules, row.phases) == ("-", ("-",), "-")
    names = names_of_rules()
    unchecked = {name for bit, name in enumerate(names) if not row.checked >> bit & 1}
    if geometry in NO_ERASE:
        of_erases = {name for name in names if name.startswith("ERASE")}
        assert (unchecked, row.erases) == (of_erases, 0)
    else:
        assert (unchecked, row.erases) == ({"REWRITE"}, 2 * row.units + 1)


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_seeded_fault_is_found_and_named(rows: list[Row], fault: str) -> None:
    found = [row for row in rows if row.fault == fault]
    assert found
    for row in found:
        expected = EXPECTED[fault]
        if row.geometry in NO_ERASE:
            expected = WITHOUT_ERASE.get(fault, expected)
        assert row.rule == expected, row


def test_findings_have_the_place(rows: list[Row]) -> None:
    by_name = {(row.geometry, row.fault): row for row in rows}
    # The third unit of 4,096 bytes is where the chip refuses.
    for fault in ("erase_swallowed", "write_swallowed", "write_error"):
        assert by_name["nrf52", fault].offset == 2 * 4096
    # Where the second half of a unit begins that was not erased, and a neighbour that was.
    assert by_name["stm32u5", "erase_small"].offset == 4096
    assert by_name["stm32u5", "erase_large"].offset == 8192
    # What the chip programs at once, when four times as much as the port says.
    for fault in ("write_long_only", "write_once", "write_lost"):
        assert by_name["nrf52", fault].bytes == 16
    assert by_name["rram", "write_pads"].bytes == 64
    # The upper half of the region is a mirror of the lower one.
    for fault in ("address_high", "address_write"):
        row = by_name["nrf52", fault]
        assert (row.offset, row.origin) == (2 * 4096, 0)
    assert by_name["nrf52", "address_low"].origin == by_name["nrf52", "address_low"].offset - 64
    # The last write waits in a buffer, and the erase of the last unit with it, whose first half
    # held erased bytes before.
    assert by_name["nrf52", "volatile_last"].offset == 3 * 4096 + 2048
    assert by_name["nrf52", "erase_skips"].offset == 3 * 4096 + 2048


def test_two_phases_with_a_reset_find_what_is_volatile(rows: list[Row]) -> None:
    for row in rows:
        if row.fault.startswith("volatile"):
            assert row.phases == "PERSIST", row
        elif row.fault.startswith("geometry") or row.fault == "needs_erase":
            assert row.phases == "first", row
        else:
            assert row.phases == "-", row


@pytest.mark.parametrize("name", [name for name in BUILDS if name != "gcc, sanitized"])
def test_other_builds_find_the_same(output: str, tmp_path: Path, name: str) -> None:
    assert run([build(tmp_path, name)]) == output


def test_the_report_says_it_in_words(program: Path) -> None:
    passed = run([program, "report", "none", "nrf52"]).splitlines()
    assert passed[0] == "not checked: REWRITE"
    assert re.fullmatch(r"4 erase units, 9 erases, \d+ writes of 32768 bytes, \d+ reads", passed[1])
    assert passed[2:] == ["PASSED"]
    failed = run([program, "report", "write_lost", "nrf52"]).splitlines()
    assert failed[0] == (
        "WRITE_UNIT at 0x00004004, 16 bytes are what flash programs at once: 0xff instead of 0xd8"
    )
    assert failed[1].startswith("  promised: each write unit")
    assert failed[2].startswith("  look at:  write_bytes is smaller")
    assert failed[-1] == "FAILED"
    geometry = run([program, "report", "geometry_write", "nrf52"])
    assert "GEOMETRY at 0x00004000, 16384 bytes: write_bytes is 0, or TMD_WRITE_BUFFER" in geometry


def test_it_fits_the_smallest_part(tmp_path: Path) -> None:
    """Cortex-M0: little code, nothing but constants in flash, nothing static, a small stack."""
    need(shutil.which("arm-none-eabi-gcc") is not None, "gcc-arm-none-eabi")
    frames = []
    for source in TEST:
        part = tmp_path / f"{source.stem}.o"
        run([
            "arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb", "-Os", "-fstack-usage", *STRICT,
            f"-I{DEVICE / 'include'}", "-c", source, "-o", part,
        ])  # fmt: skip
        frames += [
            int(line.split("\t")[1])
            for line in part.with_suffix(".su").read_text(encoding="utf-8").splitlines()
        ]
    parts = [tmp_path / f"{source.stem}.o" for source in TEST]
    out = tmp_path / "all.o"
    run(["arm-none-eabi-ld", "-r", *parts, "-o", out])
    text, data, bss = (
        int(word) for word in run(["arm-none-eabi-size", out]).splitlines()[1].split()[:3]
    )
    assert (data, bss) == (0, 0)
    assert text <= 6500
    assert sum(sorted(frames)[-8:]) < 800  # no chain of calls is deeper than that
    undefined = {
        line.split()[-1] for line in run(["arm-none-eabi-nm", "-u", out]).splitlines() if line
    }
    assert {name for name in undefined if not name.startswith("__")} <= {
        "memset", "memcpy", "memmove", "tmd_crc32",
    }  # fmt: skip


def emulated_boards() -> ModuleType:
    """boards/emulated/emulated.py, which is no package."""
    name = "emulated"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "boards/emulated/emulated.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.mark.parametrize("name", ["microbit", "mps2_an505", "mps2_an521"])
def test_it_runs_on_a_cortex_m(tmp_path: Path, name: str) -> None:
    """In two phases, on the flash that boards/emulated gives its boards; a start is a power-on."""
    emulated = emulated_boards()
    board = emulated.board(name)
    need(not board.missing(), " ".join(board.missing().values()))
    own = (HERE / "on_board.c", *TEST, REPORT, DIGEST)
    sources = (*own, *board.sources, *board.flash_sources)
    objects = []
    for number, source in enumerate(sources):
        out = tmp_path / f"{number}.o"
        run([
            board.compiler, "-std=c11", "-Os", "-Wall", "-Wextra", "-ffunction-sections",
            *board.compile_flags, *board.flash_flags, *INCLUDES, "-c", source, "-o", out,
        ])  # fmt: skip
        objects.append(out)
    elf = tmp_path / "on_board.elf"
    run([board.compiler, *objects, *board.link_flags, *board.flash_link_flags, "-o", elf])
    emulated.new_flash(board, tmp_path)
    first = emulated.run(board, elf, folder=tmp_path, flash=True, counted=False)
    lines = first.output.split("\n")
    assert first.status == 0, first.output
    assert int(lines[0].removeprefix("stack ")) < 700  # with the emulated flash's own
    unchecked = {"REWRITE", "PERSIST"} | (set() if board.flash.mapped else {"MAP"})
    assert set(lines[1].split()[2:]) == unchecked
    again = emulated.run(board, elf, ("reset",), folder=tmp_path, flash=True, counted=False)
    assert (again.status, again.output.split("\n")[-2]) == (0, "PASSED")
    flash = tmp_path / emulated.FLASH_FILE
    content = bytearray(flash.read_bytes())
    content[2 * board.flash.erase + 100] ^= 1
    flash.write_bytes(content)
    torn = emulated.run(board, elf, ("reset",), folder=tmp_path, flash=True, counted=False)
    assert torn.status == 1
    assert f"PERSIST at 0x{2 * board.flash.erase + 100:08x}" in torn.output
