"""A firmware around one decoder: built as any other of ours, and weighed by its link map."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from measure import linkmap, toolchain

from .cores import Core
from .decoder import HERE, PARTS, Decoder

LIBRARY = "library"
BENCH = "bench"  # what is not weighed
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
COMPILE_FLAGS = toolchain.COMPILE_FLAGS  # as the footprint is measured with

_RELOCATIONS = re.compile(r"^Relocation section '\.rela?(\.[\w.]+)'")
_RELOCATION = re.compile(r"^([0-9a-f]+)\s+[0-9a-f]+\s+R_\S+\s+([0-9a-f]+)\s")
_CODE, _DATA, _ZERO = ".text", ".data", ".bss"


@dataclass(frozen=True)
class Firmware:
    """code: bytes by part, of PARTS and LIBRARY; static: RAM of the decoder's own variables."""

    elf: Path
    code: Mapping[str, int]
    static: int


def build(decoder: Decoder, core: Core, folder: Path) -> Firmware:
    """Into `folder`, which is for this decoder and core alone. Raises toolchain.ToolError."""
    board = core.board
    heap, heap_bytes = core.heap
    places = (
        f"-DBENCH_JOB={core.job:#x}u", f"-DBENCH_HEAP={heap:#x}u",
        f"-DBENCH_HEAP_BYTES={heap_bytes:#x}u",
    )  # fmt: skip
    wanted: list[tuple[str, Path, tuple[str, ...]]] = [
        (BENCH, file, (*STRICT, *places)) for file in (*board.sources, HERE / "main.c")
    ]
    wanted.append((BENCH, decoder.glue, (*STRICT, f"-I{HERE}", *decoder.flags)))
    wanted += [(source.part, source.file, ("-w", *decoder.flags)) for source in decoder.sources]
    objects = []
    for number, (part, file, flags) in enumerate(wanted):
        # The part stands in the link map, as the name of a folder.
        out = Path(part) / f"{number}_{file.stem}.o"
        (folder / part).mkdir(parents=True, exist_ok=True)
        command = [board.compiler, *COMPILE_FLAGS, *board.compile_flags, *flags]
        toolchain.run([*command, "-c", file, "-o", out], folder)
        objects.append(out)
    # With its relocations the firmware still says who needs what.
    extra = ("-Wl,--emit-relocs", "-Wl,-Map=firmware.map")
    toolchain.run(
        [board.compiler, *board.link_flags, *extra, *objects, "-o", "firmware.elf"], folder
    )
    return _weigh(folder, board.compiler.removesuffix("gcc"))


def _weigh(folder: Path, prefix: str) -> Firmware:
    linked = linkmap.parse((folder / "firmware.map").read_text(encoding="utf-8"))
    relocations = toolchain.run([f"{prefix}readelf", "-rW", "firmware.elf"], folder)
    needed = _needed_members(linked, relocations)
    code = dict.fromkeys((*PARTS, LIBRARY), 0)
    static = 0
    for section in linked.sections:
        part = LIBRARY if section.file in needed else _part(section)
        if part not in code:
            continue
        if section.output in (_CODE, _DATA):
            code[part] += section.size
        if section.output in (_DATA, _ZERO):
            static += section.size
    return Firmware(folder / "firmware.elf", code, static)


def _part(section: linkmap.InputSection) -> str:
    return section.file.split("/", 1)[0]


def _needed_members(linked: linkmap.LinkMap, relocations: str) -> set[str]:
    """The members of libraries that the decoder's code calls, and those that they call.

    The firmware around it has some of them as well; they are counted all the same.
    """
    outputs = (_CODE, _DATA, _ZERO)
    owners = _Owners(section for section in linked.sections if section.output in outputs)
    calls: dict[str, set[str]] = {}
    within = ""
    for line in relocations.splitlines():
        if header := _RELOCATIONS.match(line):
            within = header[1]
        elif within in outputs and (found := _RELOCATION.match(line)):
            caller, callee = owners.at(int(found[1], 16)), owners.at(int(found[2], 16) & ~1)
            if caller is not None and callee is not None:
                calls.setdefault(caller, set()).add(callee)
    reached: set[str] = set()
    left = [file for file in calls if file.split("/", 1)[0] in PARTS]
    while left:
        for callee in calls.get(left.pop(), ()):
            if callee.endswith(")") and callee not in reached:
                reached.add(callee)
                left.append(callee)
    return reached


class _Owners:
    """Whose section lies at an address."""

    def __init__(self, sections: Iterable[linkmap.InputSection]) -> None:
        self._sections = sorted(sections, key=lambda section: section.address)

    def at(self, address: int) -> str | None:
        for section in self._sections:
            if section.address <= address < section.address + section.size:
                return section.file
        return None
