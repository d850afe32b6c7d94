"""Builds the firmware of a kind, weighs it and runs it; and what the core itself has."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import footprint
from measure import linkmap, toolchain
from trust.jobs import job
from trust.kinds import BOARDS, Board, Kind
from trust.libraries import FIRMWARE, HINTS, Library, find_library

DEVICE = Path(__file__).resolve().parents[2] / "zephyr_module"
PORTS = DEVICE / "ports" / "crypto"
QEMU = "qemu-system-arm"


@dataclass
class Weight:
    """Bytes of flash by owner, and of RAM that is there all the time."""

    flash: dict[str, int] = field(default_factory=dict)
    static: int = 0


@dataclass(frozen=True)
class Measured:
    """One call: instructions, stack, heap at its highest, status."""

    instructions: int
    stack: int
    heap: int
    status: int


@dataclass(frozen=True)
class Compared:
    """Ticks of a comparison, each of `calls` calls: for the right tag, and for wrong ones."""

    right: int
    fewest: int
    most: int
    tags: int


@dataclass
class Result:
    weight: Weight | None = None
    calls: dict[str, Measured] = field(default_factory=dict)
    compared: dict[str, Compared] = field(default_factory=dict)
    why_not: str = ""  # nothing was run


# ---- building and running ----


@dataclass
class Builds:
    """Objects that were compiled, by the folder that they lie in: firmwares have them in common."""

    folder: Path
    objects: dict[Path, list[Path]] = field(default_factory=dict)

    def compiled(
        self, board: Board, sources: Sequence[Path], out: Path, flags: Sequence[str]
    ) -> list[Path]:
        if out not in self.objects:

            def compile_one(source: Path) -> Path:
                obj = out / f"{source.stem}.o"
                toolchain.compile_c(board.target, source, obj, self.folder, flags)
                return obj

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                self.objects[out] = list(pool.map(compile_one, sources))
        return self.objects[out]


OPTIONS = ("-DTMD_DECODER=2", "-DTMD_WITH_FORMAT_1=0", "-DTMD_VERIFY=1", "-DTMD_DECRYPT=1")


def build(board: Board, kind: Kind, library: Library | None, builds: Builds, size: bool) -> Path:
    """Link the firmware of a kind, and return the ELF file; the map lies beside it.

    Its objects lie in folders that are called as their owners are, by which they are told apart.
    """
    of_board = builds.folder / board.target.key
    of_kind = of_board / kind.macro
    out = of_kind / ("size" if size else "run")
    out.mkdir(parents=True)
    (out / "trust_job.h").write_text(job(kind, size), encoding="utf-8")
    ours = (f"-I{DEVICE / 'include'}", *OPTIONS)
    of_port = (
        *ours,
        f"-I{PORTS / 'include'}",
        f"-D{kind.macro}",
        *(library.flags if library else ()),
    )
    of_firmware = (*of_port, f"-I{out}", *(("-DTRUST_SIZE",) if size else ()))
    core = sorted((DEVICE / "core").glob("*.c"))
    port = [PORTS / f"{kind.port}.c"] if kind.port else []
    objects = [
        *builds.compiled(board, [FIRMWARE / "trust.c"], out / "firmware", of_firmware),
        *builds.compiled(board, core, of_board / "core", ours),
        *builds.compiled(board, port, of_kind / "port", of_port),
        *builds.compiled(board, library.sources if library else (), of_kind / "crypto", of_port),
    ]
    script = (FIRMWARE / "trust.ld").read_text(encoding="utf-8")
    places = {
        "CODE_AT": board.code[0], "CODE_BYTES": board.code[1], "RAM_AT": board.ram[0],
        "RAM_BYTES": board.ram[1],
    }  # fmt: skip
    for name, value in places.items():
        script = re.sub(rf"= {name}\b", f"= {value:#x}", script)
    (out / "trust.ld").write_text(script, encoding="utf-8")
    elf = out / "trust.elf"
    toolchain.link(board.target, out / "trust.ld", objects, elf)
    return elf


def weigh(elf: Path) -> Weight:
    linked = linkmap.parse(elf.with_suffix(".map").read_text(encoding="utf-8"))
    flash = {owner: linked.sizes.get(f".{owner}", 0) for owner in ("core", "port", "crypto")}
    flash["library"] = linked.sizes.get(".library", 0)
    static = sum(
        section.size
        for section in linked.sections
        if section.output in (".data", ".bss")
        and Path(section.file).parent.name in ("port", "crypto")
    )
    return Weight(flash, static)


def run(board: Board, elf: Path) -> Result:
    """Run on the emulated board, and read what it says."""
    done = subprocess.run(
        [
            QEMU, "-M", board.machine, "-nographic", "-icount", "shift=0",
            "-semihosting-config", "enable=on,target=native", "-kernel", str(elf),
        ],
        capture_output=True, text=True, timeout=600, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    out = Result()
    for line in (done.stdout + done.stderr).splitlines():
        found = re.fullmatch(r"(\w+) (\d+) (\d+) (\d+) (\d+) *", line)
        if found is None:
            continue
        a, b, c, d = map(int, found.groups()[1:])
        if found[1].startswith("compare"):
            out.compared[found[1]] = Compared(a, b, c, d)
        else:
            out.calls[found[1]] = Measured(int(a * board.tick), b, c, d)
    if not out.calls:
        raise RuntimeError(f"{board.machine}: no result: {done.stderr.strip()[:200]}")
    wrong = [name for name, call in out.calls.items() if (call.status != 0) != (name == "wrong")]
    if wrong:
        name = wrong[0]
        raise RuntimeError(f"{board.machine}: {name} ended with {-out.calls[name].status}")
    return out


def measure_kind(board: Board, kind: Kind, builds: Builds) -> Result:
    library = find_library(kind.library) if kind.library else None
    if kind.library and library is None:
        return Result(why_not=f"no {kind.library}: {HINTS[kind.library]}")
    weight = weigh(build(board, kind, library, builds, size=True))
    try:
        result = run(board, build(board, kind, library, builds, size=False))
    except (RuntimeError, toolchain.ToolError) as error:
        if board is BOARDS[0]:
            raise
        result = Result(why_not=str(error).splitlines()[0])
    result.weight = weight
    return result


# ---- the core's own ----

WHOLE = footprint.WHOLE.uses
STORE = (*footprint.DEFAULT, *footprint.FORMAT_2)
CORE_STEPS = (
    footprint.Configuration("plain", "whole store, default decoder, format 2", WHOLE, STORE),
    footprint.Configuration("verify", "+ TMD_VERIFY", WHOLE, (*STORE, "-DTMD_VERIFY=1")),
    footprint.Configuration(
        "decrypt", "+ TMD_DECRYPT", WHOLE, (*STORE, "-DTMD_VERIFY=1", "-DTMD_DECRYPT=1")
    ),
)


def measure_core(board: Board, folder: Path) -> list[tuple[footprint.Code, footprint.Memory]]:
    out = []
    for step in CORE_STEPS:
        path = folder / board.target.key / f"core_{step.key}"
        objects = footprint.compile_device(board.target, path, step.options)
        out.append(footprint.measure_one(board.target, step, path, objects))
    return out
