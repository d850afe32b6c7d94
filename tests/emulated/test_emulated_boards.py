"""The emulated boards: what `scons boards` shows on each, and that it would notice a fault."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import acceptance
import emulated
import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "scons"
IN_CI = os.environ.get("CI") == "true"
NAMES = [board.name for board in emulated.BOARDS]
STRICT = (
    "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-Os",
    "-ffunction-sections",
)  # fmt: skip
INCLUDES = (f"-I{ROOT}/zephyr_module/include", f"-I{ROOT}/zephyr_module/ports")


def missing() -> str:
    """What is not there, with what brings it."""
    packages = [p for board in emulated.BOARDS for p in board.missing().values()]
    if importlib.util.find_spec("SCons") is None:
        packages.append("requirements/scons.txt")
    return ", ".join(sorted(set(packages)))


if not IN_CI and missing():
    pytest.skip(f"needs {missing()}", allow_module_level=True)


def scons(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "SCons", "-Q", f"-j{os.cpu_count() or 1}", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def built() -> Path:
    """All boards, built and run: a build that is up to date runs nothing."""
    scons("boards")
    return BUILD


def device_on(name: str, folder: Path, elf: Path | None = None) -> acceptance.Device:
    elf = elf or BUILD / name / "firmware.elf"
    return acceptance.Device(emulated.board(name), elf, BUILD / "patches", folder / name)


# ---- what was shown ----


@pytest.mark.parametrize("name", NAMES)
def test_a_board_shows_what_it_has_to(built: Path, name: str) -> None:
    figures = json.loads((built / name / "run.json").read_text())
    board = emulated.board(name)
    log = (built / name / "run.log").read_text()
    assert "FAILED" not in log
    for number in (1, 2):
        for pair in acceptance.pairs():
            assert f"# {pair.name}.{number}.tmd by {acceptance.TAKEN_IN[pair.name]}\n" in log
        for patch, region in (
            ("digits", "write, slot"), ("digits", "erase, slot"), ("digits", "write, records"),
            ("sst", "write, staging"), ("sst", "erase, staging"), ("sst", "write, slot"),
        ):  # fmt: skip
            cuts = [line for line in log.splitlines() if f"({region})" in line]
            assert any(line.startswith(f"# {patch}.{number}.tmd by") for line in cuts)
    assert log.count("up on base") + log.count("up on target") == figures["cuts"] >= 16
    # A switch that was complete when the power went counts.
    assert "100 %: up on target" in log and "50 %: up on base" in log
    assert log.count("and flash is as it was") == figures["refused"] == 12
    # Eight updates that nothing disturbs, and one after each cut.
    assert figures["patches"] == 8 + figures["cuts"]
    assert 4000 < figures["ram"] + figures["stack"] <= board.ram[1] / 2
    if board.code[1] < 1 << 20:
        assert figures["image"] <= board.flash.at
    assert figures["models"] == (0 if name == "mps2_an521" else 14248)


def test_the_boards_have_different_flash() -> None:
    kinds = {(b.flash.erase, b.flash.write, b.flash.ecc, b.flash.mapped) for b in emulated.BOARDS}
    assert len(kinds) == len(NAMES)
    assert len({board.flash.write for board in emulated.BOARDS}) == 5


def test_nothing_is_built_again(built: Path) -> None:
    assert "QEMU:" not in scons("boards", f"BOARD={NAMES[0]}")


def test_a_board_that_is_none(built: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "SCons", "-Q", "BOARD=nowhere"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "BOARD=nowhere: no emulated board; there are microbit, " in done.stderr


def test_every_board_has_its_folder() -> None:
    for board in emulated.BOARDS:
        folder = ROOT / "boards" / board.name
        assert f'bare_metal("{board.name}"' in (folder / "SConscript").read_text()
        notes = (folder / "README.md").read_text()
        flash = board.flash
        assert flash.like in notes
        unit = f"{flash.erase // 1024} KB"
        assert f"erase units of {unit}, write units of {flash.write} bytes" in notes


# ---- the flash of the boards ----


def link(name: str, folder: Path, sources: list[Path], objects: list[Path]) -> Path:
    """A firmware of `sources`, which are compiled, and objects."""
    board = emulated.board(name)
    made = []
    for number, source in enumerate(sources):
        made.append(folder / f"{number}_{source.stem}.o")
        subprocess.run(
            [board.compiler, *STRICT, *board.compile_flags, *board.flash_flags, *INCLUDES,
             f"-I{BUILD / name / 'generated'}", "-c", str(source), "-o", str(made[-1])],
            check=True,
        )  # fmt: skip
    elf = folder / f"{name}.elf"
    subprocess.run(
        [board.compiler, *board.link_flags, *board.flash_link_flags, *map(str, made + objects),
         "-o", str(elf)], check=True,
    )  # fmt: skip
    return elf


ILLEGAL = {
    "a": "write to what is not erased at 0,",
    "c": "unaligned write at 0,",
    "d": "write across erase units at ",
    "e": "write out of bounds at ",
    "f": "unaligned write at 0,",
    "g": "erase of what is not one erase unit at ",
    "h": "erase of what is not one erase unit at 0,",
    "i": "read out of bounds at ",
}


@pytest.mark.parametrize("name", NAMES)
def test_flash_refuses_what_flash_cannot(built: Path, name: str, tmp_path: Path) -> None:
    board = emulated.board(name)
    objects = [
        file for file in (built / name).glob("*.o")
        if file.name.startswith("emulated_") or file.stem.endswith("_flash")
    ]  # fmt: skip
    elf = link(name, tmp_path, [HERE / "strict.c"], objects)

    def run(case: str) -> emulated.Ended:
        return emulated.run(board, elf, [case], folder=tmp_path, flash=True, counted=False)

    emulated.new_flash(board, tmp_path)
    assert run("w") == emulated.Ended(0, "")
    for case, message in (ILLEGAL | {"b": "unaligned write at "}).items():
        emulated.new_flash(board, tmp_path)
        ended = run(case)
        assert ended.status == emulated.STATUS_ILLEGAL, (case, ended)
        assert f"illegal flash operation: {message}" in ended.output
    # Programmed to read as erased it is not erased, which flash in RAM knows.
    emulated.new_flash(board, tmp_path)
    ended = run("j")
    assert ended.status == (emulated.STATUS_ILLEGAL if board.flash.states else 0), ended
    assert ("unit programmed twice at 0," in ended.output) == board.flash.states
    # A unit that was left half-written faults where there is ECC, and reads as something elsewhere.
    emulated.new_flash(board, tmp_path)
    assert run("t").status == emulated.STATUS_CUT
    assert run("r").output == ("fault\nread\n" if board.flash.ecc else "read\nread\n")
    torn = (tmp_path / emulated.FLASH_FILE).read_bytes()[: board.flash.write]
    assert torn not in (b"\xff" * board.flash.write, b"\x5a" * board.flash.write)
    # A file of another length is no flash of this board.
    (tmp_path / emulated.FLASH_FILE).write_bytes(torn)
    assert run("w").status != 0


# ---- it would be noticed ----


@dataclass(frozen=True)
class Fault:
    """A change to the source that has to be noticed, by which of the shows, and how."""

    name: str
    source: str
    before: str
    after: str
    shows: str
    message: str


FAULTS = (
    Fault("flash forgets", "boards/emulated/flash_ram.c",
          "keep(&cells[offset], bytes);\n\tmark(offset, bytes, UNIT_PROGRAMMED);",
          "mark(offset, bytes, UNIT_PROGRAMMED);", "show_updates", "exit 1, not 0"),
    Fault("an erase is half", "boards/emulated/flash_ram.c",
          "FLASH_ERASED, FLASH_ERASE);", "FLASH_ERASED, FLASH_ERASE / 2u);",
          "show_cuts", "illegal flash operation: write to what is not erased"),
    Fault("no cut", "boards/emulated/flash.c",
          "return state.counts.operations == state.cut_at;", "return false;",
          "show_cuts", "exit 0, not 88"),
    Fault("another model is given out", "samples/bare_metal/main.c",
          "!board_file_write(file, at, piece, n)", "!board_file_write(file, at, piece, n - 1u)",
          "show_updates", "is not what was read"),
    Fault("a refused patch leaves a trace", "samples/bare_metal/main.c",
          "int err = tmd_update_begin(&update, &store);",
          "int err = flash_port.erase(NULL, config.slot[1].offset, FLASH_ERASE) != 0\n"
          "\t\t\t  ? TMD_ERR_FLASH_ERASE : tmd_update_begin(&update, &store);\n"
          "\tmemset(piece, 0, sizeof(piece));\n"
          "\t(void)flash_port.write(NULL, config.slot[1].offset, piece, FLASH_WRITE);",
          "show_refusals", "refused, and flash has changed"),
    Fault("a trial without end", "samples/bare_metal/main.c",
          "config.trial_starts = 3;", "config.trial_starts = 9;",
          "show_trial", "after its starts, it is there"),
    Fault("records are not looked at", "zephyr_module/store/store.c",
          "tmd_records_load(store);", "memset(store->record, 0, sizeof(store->record));\n"
          "\tstore->newest = UINT32_MAX;", "show_updates", "exit 1, not 0"),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_is_noticed(built: Path, fault: Fault, tmp_path: Path) -> None:
    name = "mps2_an385"
    source = ROOT / fault.source
    text = source.read_text()
    assert text.count(fault.before) == 1
    # Beside its neighbours, whose headers it includes.
    room = tmp_path / source.parent.name
    for folder in {source.parent, source.parent.parent / "core"}:
        if folder.is_dir():
            shutil.copytree(folder, tmp_path / folder.name, dirs_exist_ok=True)
    (room / source.name).write_text(text.replace(fault.before, fault.after))
    stem = f"{source.parent.name}_{source.stem}"
    objects = [
        file for file in (built / name).rglob("*.o")
        if file.stem != stem and file.name != f"{source.stem}.o"
        and "conform" not in file.name and "conformance" not in file.name
    ]  # fmt: skip
    elf = link(name, tmp_path, [room / source.name], objects)
    with pytest.raises(acceptance.Failed) as failed:
        getattr(acceptance, fault.shows)(device_on(name, tmp_path, elf))
    assert fault.message in str(failed.value)


def test_another_target_is_noticed(built: Path, tmp_path: Path) -> None:
    device = device_on("mps2_an385", tmp_path)
    pair = acceptance.pairs()[1]
    target = bytearray(pair.target.read_bytes())
    target[-1] ^= 1
    with pytest.raises(acceptance.Failed, match="is not the target"):
        acceptance.take(device, pair, "sst.2.tmd", "update", bytes(target))


# ---- QEMU is killed ----


@pytest.mark.parametrize("name", ["microbit", "mps2_an505", "riscv32_virt"])
def test_killed_while_it_writes(built: Path, name: str, tmp_path: Path) -> None:
    """Wherever that comes, the device has base or target, and takes the patch."""
    device = device_on(name, tmp_path)
    script = acceptance.Script(acceptance.pairs()[0], "digits.1.tmd", "update")
    words = emulated.command(
        device.board, device.elf, script.words, flash=True, counted=False
    )  # fmt: skip
    for delay in (0, 0.01, 0.03):
        device.cells = device.fresh
        with subprocess.Popen(
            words, cwd=device.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            end = time.monotonic() + 60
            while device.cells == device.fresh and process.poll() is None:
                assert time.monotonic() < end, "nothing was ever written"
            time.sleep(delay)
            process.kill()
        acceptance.recover(device, script)
