"""What decoding costs on a Cortex-M33: instructions per byte of the target, counted by QEMU.

    python benchmarks/speed.py [FOLDER] [--out benchmarks/speed.md]

FOLDER has one folder for each pair, with base.tflite and target.tflite. For each pair a patch is
made for each decoder, and decoded on QEMU's mps2-an505 by the device's own code, compiled as for
the footprint; the target is compared byte by byte. Wants gcc-arm-none-eabi and qemu-system-arm.
Counts are the same from run to run. Exit status: 0; 1 if a limit is exceeded, or something failed;
2 if called wrongly.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import rich.console
import rich.progress

from measure import boards, tables, toolchain
from measure.boards import emulated
from measure.pairs import REPOSITORY, SAMPLES, Pair, command_of, find_pairs
from tinymldelta import patching
from tinymldelta.errors import Refusal

DEFAULT_OUT = REPOSITORY / "benchmarks" / "speed.md"
FIRMWARE = REPOSITORY / "benchmarks" / "firmware"
DEVICE = REPOSITORY / "zephyr_module"
BOARD = emulated.board("mps2_an505")
PIECE = 64  # bytes of the patch that come at once

JOB = 0x80000000  # speed.c has the same

# Instructions per byte of the target that the default decoder may take at most: where all but a few
# bytes are copied, and where weights have moved by a little. By patch / target; a model that was
# trained again from the start has hardly anything in common with the base, and no limit.
UNCHANGED, MOST_UNCHANGED = 0.006, 60
FINE_TUNE, MOST_FINE_TUNE = 0.5, 1000


@dataclass(frozen=True)
class Decoder:
    name: str
    lean: bool
    define: str


DECODERS = (
    Decoder("default", False, "-DTMD_DECODER=2"),
    Decoder("lean", True, "-DTMD_DECODER=1"),
)


@dataclass(frozen=True)
class Run:
    pair: str
    base: int
    target: int
    patch: int
    decoder: str
    instructions: int
    digest: int

    @property
    def per_byte(self) -> float:
        return self.instructions / self.target

    @property
    def share(self) -> float:
        return self.patch / self.target


def fail(message: str) -> int:
    print(f"speed: {message}", file=sys.stderr)
    return 1


def build(folder: Path, decoder: Decoder) -> Path:
    """The firmware with one decoder, as an ELF file."""
    flags = (
        *BOARD.compile_flags, *toolchain.COMPILE_FLAGS, f"-I{DEVICE / 'include'}", decoder.define,
        "-DTMD_WITH_FORMAT_1=0",
    )  # fmt: skip
    (folder / decoder.name).mkdir()
    objects = []
    core = sorted((DEVICE / "core").glob("*.c"))
    for source in (FIRMWARE / "speed.c", *BOARD.sources, *core):
        out = folder / decoder.name / f"{source.stem}.o"
        toolchain.run([BOARD.compiler, *flags, "-c", source, "-o", out], folder)
        objects.append(out)
    elf = folder / f"{decoder.name}.elf"
    toolchain.run([BOARD.compiler, *BOARD.link_flags, *objects, "-o", elf], folder)
    return elf


def make_patch(pair: Pair, decoder: Decoder) -> bytes:
    options = patching.PatchOptions(lean=decoder.lean, unguarded=True)
    made = patching.make_patch(
        pair.base, pair.target, where="patch", target_where="target", options=options,
        contract=None, index=0,
    )  # fmt: skip
    return made.data


def run(elf: Path, pair: Pair, patch: bytes, decoder: Decoder, folder: Path) -> Run:
    """Decode on the emulated board. Raises RuntimeError if that did not give the target."""
    job = boards.pack((pair.base, pair.target, patch), JOB, PIECE)
    try:
        ended = boards.run(BOARD, elf, job, JOB, folder)
    except boards.NoEnd as error:
        raise RuntimeError(f"{pair.name}, {decoder.name}: {error}") from error
    numbers = [int(word) for word in ended.output.split() if word.isdigit()]
    if len(numbers) != 5:
        raise RuntimeError(
            f"{pair.name}, {decoder.name}: no result from {BOARD.qemu}, which ended with "
            f"{ended.status}: {ended.output.strip()[:200]}"
        )
    status, mismatches, position, instructions, digest = numbers
    if status or mismatches or position != len(pair.target):
        raise RuntimeError(
            f"{pair.name}, {decoder.name}: status {-status}, {mismatches} mismatches, "
            f"{position} of {len(pair.target)} bytes"
        )
    return Run(
        pair.name, len(pair.base), len(pair.target), len(patch), decoder.name, instructions, digest
    )


def limits(runs: Iterable[Run]) -> list[tuple[str, float, int]]:
    """What is limited, its most, and the limit."""
    default = [r for r in runs if r.decoder == "default"]
    unchanged = [r.per_byte for r in default if r.share < UNCHANGED]
    tuned = [r.per_byte for r in default if UNCHANGED <= r.share < FINE_TUNE]
    out = []
    if tuned:
        out.append(("default decoder, most of a fine-tune", max(tuned), MOST_FINE_TUNE))
    if unchanged:
        out.append(("the same, where nearly all is unchanged", max(unchanged), MOST_UNCHANGED))
    return out


def report(runs: Sequence[Run], command: str) -> str:
    pairs = {r.pair: r for r in runs}
    columns = [f"{d.name}: {what}" for d in DECODERS for what in ("patch", "instructions per byte")]
    table = tables.Table("Pairs", ["pair", "base", "target", *columns])
    for name, first in pairs.items():
        cells: list[tables.Cell] = []
        for decoder in DECODERS:
            found = next(r for r in runs if r.pair == name and r.decoder == decoder.name)
            cells += [found.patch, f"{found.per_byte:,.1f}"]
        table.add(name, first.base, first.target, *cells)
    per_byte = {r.digest / r.target for r in runs}
    lines = [
        "# Speed",
        "",
        f"Written by `{command}`: instructions per byte of the target that a Cortex-M33 takes to",
        "decode a patch of format 2, counted by QEMU's mps2-an505 with `-icount shift=0`. The",
        f"patch came in pieces of {PIECE} bytes; reading the base and taking the target are a",
        "memcpy and a memcmp, which are counted too. Sizes are bytes.",
        "",
        f"- {toolchain.describe(toolchain.ARM)}, {' '.join(toolchain.COMPILE_FLAGS)}",
        f"- SHA-256 over the target comes on top, once or twice: {max(per_byte):.0f} per byte",
        "",
        *(f"- {text}: {value:,.1f} of {most:,}" for text, value, most in limits(runs)),
        "",
        tables.markdown(table).rstrip("\n"),
        "",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench speed", description="Instructions of the decoders on a Cortex-M33."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLES)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="Markdown file to write")
    given = parser.parse_args(arguments)
    if not toolchain.is_installed(toolchain.ARM):
        return fail(f"no compiler; {toolchain.ARM.install_hint}")
    if shutil.which(BOARD.qemu) is None:
        return fail(f"no {BOARD.qemu}; sudo apt install qemu-system-arm")
    pairs = [Pair.read(folder) for folder in find_pairs(given.folder)]
    if not pairs:
        return fail(f"{given.folder}: no folder with base.tflite and target.tflite in it")
    runs: list[Run] = []
    console = rich.console.Console(stderr=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            elves = {decoder: build(folder, decoder) for decoder in DECODERS}
            for pair in rich.progress.track(pairs, "decoding", console=console):
                for decoder, elf in elves.items():
                    runs.append(run(elf, pair, make_patch(pair, decoder), decoder, folder))
        except (toolchain.ToolError, RuntimeError, Refusal) as error:
            return fail(str(error))
    text = report(runs, command_of("speed", given.folder))
    given.out.write_text(text, encoding="utf-8")
    print(text)
    broken = [name for name, value, most in limits(runs) if value > most]
    return fail(f"exceeded: {', '.join(broken)}") if broken else 0


if __name__ == "__main__":
    sys.exit(main())
