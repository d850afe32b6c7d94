"""Flash and RAM of the module in a Zephyr firmware: `./run bench zephyr [BOARD ...]`.

Builds samples/thermo for each board in the west workspace around ZEPHYR_BASE, with the toolchain
that the environment names as for any Zephyr build, and reads the linker's map: what of it is the
module. --zephyr and --cmake go on to the build. The report is written if no board is named. Exit
status: 0; 1 if a build failed; 2 if called wrongly or without a workspace.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rich.console

from measure import linkmap, tables

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(__file__).with_name("zephyr.md")
MODULE = ROOT / "zephyr_module"
# As Zephyr calls them from 3.7 on, and before.
BOARDS = {
    "b_u585i_iot02a": "b_u585i_iot02a",
    "nrf52840dk/nrf52840": "nrf52840dk_nrf52840",
    "nrf5340dk/nrf5340/cpuapp": "nrf5340dk_nrf5340_cpuapp",
    "arduino_nano_33_ble": "arduino_nano_33_ble",
    "stm32h747i_disco/stm32h747xx/m7": "stm32h747i_disco_m7",
}
NOT_LOADED = (".debug", ".comment", ".stab", ".ARM.attributes", "/DISCARD/")
RAM = 0x20000000  # Cortex-M: what is writable lies here or above
ROOMS = ("core", "store", "smp", "ports/zephyr")
STORES = "stores and contract"


@dataclass(frozen=True)
class Use:
    """Bytes of flash, and of RAM that is there all the time."""

    flash: Counter[str]
    ram: Counter[str]


def room_of(section: linkmap.InputSection) -> str | None:
    """Which part of the module an input section belongs to; None: none."""
    found = re.search(r"(\w+\.a)\((\w+\.c)\.o(?:bj)?\)$", section.file)
    if found is None:
        return None
    if found[2] == "tmd_models.c":
        return STORES  # generated: the application's own, but for the module
    if found[1] != "libtinymldelta.a":
        return None
    return next((room for room in ROOMS if (MODULE / room / found[2]).is_file()), None)


def use_of(text: str) -> Use:
    """What the module takes, from the text of a link map."""
    use = Use(Counter(), Counter())
    for section in linkmap.parse(text).sections:
        room = room_of(section)
        if room is None or section.output.startswith(NOT_LOADED):
            continue
        in_ram = section.address >= RAM
        if in_ram:
            use.ram[room] += section.size
        if not in_ram or not section.name.startswith((".bss", ".noinit", "COMMON")):
            use.flash[room] += section.size
    return use


def zephyr_version(base: Path) -> str:
    found = re.findall(r"^(?:VERSION_MAJOR|VERSION_MINOR|PATCHLEVEL) *= *(\d+)", (base / "VERSION")
                       .read_text(encoding="utf-8"), re.MULTILINE)  # fmt: skip
    return ".".join(found)


def build(board: str, folder: Path, base: Path, cmake: Sequence[str]) -> str | None:
    """Build the sample for a board; the map's text, or None with the end of the log on stderr."""
    run = subprocess.run(
        [
            "west", "build", "-p", "always", "-b", board, str(ROOT / "samples" / "thermo"),
            "-d", str(folder), "--", f"-DZEPHYR_EXTRA_MODULES={ROOT}", *cmake,
        ],
        cwd=base.parent, capture_output=True, text=True,
    )  # fmt: skip
    if run.returncode != 0:
        print("\n".join((run.stdout + run.stderr).splitlines()[-20:]), file=sys.stderr)
        return None
    return (folder / "zephyr" / "zephyr.map").read_text(encoding="utf-8", errors="replace")


def report(uses: dict[str, Use]) -> list[tables.Table]:
    found = []
    for name, field in (("Flash", "flash"), ("RAM", "ram")):
        table = tables.Table(f"{name} of the module, in bytes", ["", *uses])
        for room in (*ROOMS, STORES):
            table.add(room, *(getattr(use, field)[room] for use in uses.values()))
        table.add("all", *(sum(getattr(use, field).values()) for use in uses.values()))
        found.append(table)
    found[0].note = (
        "samples/thermo: staging region, trials, self-test, SMP, the default decoder, format 2; "
        "without TensorFlow Lite Micro, the model, mcumgr and zcbor themselves."
    )
    found[1].note = "Stacks not counted: `./run bench` has them."
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench zephyr", description=__doc__)
    parser.add_argument("boards", nargs="*", metavar="BOARD")
    parser.add_argument("--cmake", action="append", default=[], metavar="-DNAME=VALUE")
    options = parser.parse_args(arguments)
    console = rich.console.Console()
    base = Path(os.environ.get("ZEPHYR_BASE", "/nowhere"))
    if not (base / "VERSION").is_file() or shutil.which("west") is None:
        print("set ZEPHYR_BASE to a Zephyr tree with a west workspace around it, and have west "
              "on the PATH", file=sys.stderr)  # fmt: skip
        return 2
    version = zephyr_version(base)
    old = tuple(map(int, version.split("."))) < (3, 7)
    boards = options.boards or list(BOARDS.values() if old else BOARDS)
    uses: dict[str, Use] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, board in enumerate(boards, 1):
            console.print(f"{number}/{len(boards)} {board}", highlight=False)
            text = build(board, Path(folder) / str(number), base, options.cmake)
            if text is None:
                return 1
            uses[board] = use_of(text)
    found = report(uses)
    tables.print_all(found)
    if not options.boards:
        command = " ".join(["./run bench zephyr", *(f"--cmake={c}" for c in options.cmake)])
        head = f"# The module in a Zephyr firmware\n\nZephyr {version}, `{command}`.\n\n"
        OUT.write_text(head + "".join(map(tables.markdown, found)), encoding="utf-8")
        console.print(f"wrote {OUT.relative_to(ROOT)}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
