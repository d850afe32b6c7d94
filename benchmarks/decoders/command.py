"""The decoders of patches side by side: bytes sent, instructions, code, RAM and stack.

    python benchmarks/decoders.py [FOLDER ...] [--core KEY ...] [--with FOLDER ...] [--out FILE]

Each FOLDER has one folder for each pair, with base.tflite and target.tflite. For each pair and
core, every decoder gets a patch that was made for it, on an emulated board; the target is compared
byte by byte. All are compiled with the same options, read the base and give the target through the
same functions, and get the patch in pieces of 64 bytes. A plain copy of the model is the floor.

Measured here are ours. Decoders of others, whose sources are not in this repository, are described
in folders given with --with (see decoders/outside.py); what was measured of them before stays in
the table. Wants the compilers and QEMU for the cores. Counts are the same from run to run. Exit
status: 0; 1 if a decoder failed or something is missing; 2 if called wrongly.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import rich.console
import rich.progress

from measure import tables, toolchain
from measure.pairs import REPOSITORY, SAMPLES, Pair, find_pairs
from peers.peer import Absent, NotForThisPair
from tinymldelta.errors import Refusal

from . import firmware, outside, rows, running
from .cores import CORES, RECORDED, Core
from .decoder import Decoder, own_decoders
from .rows import Row

DEFAULT_OUT = REPOSITORY / "benchmarks" / "decoders.tsv"


def fail(message: str) -> int:
    print(f"decoders: {message}", file=sys.stderr)
    return 1


def missing(core: Core) -> str:
    """How to get what the core wants; '' if all is there."""
    packages = core.board.missing()
    wants = sorted({word for text in packages.values() for word in text.split()})
    return f"sudo apt install {' '.join(wants)}" if wants else ""


def compiler(core: Core) -> str:
    name = core.board.compiler
    return f"{name} {toolchain.run([name, '-dumpfullversion'], Path.cwd()).strip()}"


def make_patches(decoder: Decoder, pairs: Sequence[Pair]) -> dict[str, bytes | str]:
    """By pair: the patch, or why there is none. Pairs that such a patch is not for are left out."""
    made: dict[str, bytes | str] = {}
    for pair in pairs:
        try:
            made[pair.name] = decoder.make(pair.base, pair.target)
        except NotForThisPair:
            continue
        except Refusal as error:
            made[pair.name] = f"no patch: {error}"
    return made


def measure(
    decoder: Decoder,
    core: Core,
    pairs: Sequence[Pair],
    patches: dict[str, bytes | str],
    folder: Path,
) -> Iterator[Row]:
    """One row for each pair that has a patch. Raises toolchain.ToolError."""
    built = firmware.build(decoder, core, folder)
    parts = ", ".join(f"{part} {count}" for part, count in built.code.items() if count)
    for pair in pairs:
        patch = patches.get(pair.name)
        if patch is None:
            continue
        head = (pair.name, core.key, decoder.tool, decoder.version, decoder.options)
        if isinstance(patch, str):
            yield Row(*head, None, None, None, None, None, f"failed: {patch}")
            continue
        try:
            counted = running.decode(core, built.elf, pair, patch, folder)
        except running.DecodeError as error:
            yield Row(*head, len(patch), None, None, None, None, f"failed: {error}")
            continue
        code = f"code: {parts}" if parts else "no code counted"
        said = "; ".join(filter(None, (code, decoder.note, compiler(core))))
        yield Row(
            *head, len(patch), counted.instructions, sum(built.code.values()),
            counted.memory + built.static, counted.stack, said,
        )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench decoders", description="Decoders of patches, on emulated cores."
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    usual = ", ".join(core.key for core in RECORDED)
    parser.add_argument("--core", action="append", choices=[core.key for core in CORES],
                        dest="cores", help=f"on this one; without: {usual}")  # fmt: skip
    parser.add_argument("--with", action="append", type=Path, default=[], dest="others",
                        metavar="FOLDER", help="that describes decoders of others")  # fmt: skip
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="the table, .tsv")
    given = parser.parse_args(arguments)
    cores = [core for core in CORES if core.key in given.cores] if given.cores else RECORDED
    for core in cores:
        if how := missing(core):
            return fail(f"{core.name} cannot be measured; {how}")
    pairs = []
    for folder in given.folders or [SAMPLES]:
        found = find_pairs(folder)
        if not found:
            return fail(f"{folder}: no folder with base.tflite and target.tflite in it")
        pairs += [Pair.read(path) for path in found]
    if len({pair.name for pair in pairs}) != len(pairs):
        return fail("two pairs have the same name")
    try:
        before = rows.read(given.out) if given.out.exists() else []
        decoders = [*own_decoders(), *(d for folder in given.others for d in outside.read(folder))]
        measured = _all(decoders, cores, pairs)
    except (Absent, outside.DescriptionError, toolchain.ToolError, ValueError) as error:
        return fail(str(error))
    table = rows.merge(before, measured)
    given.out.write_text(rows.render(table), encoding="utf-8")
    names = {pair.name for pair in pairs}
    shown = [row for row in table if row.pair in names]
    print("".join(tables.markdown(rows.summary(shown, core.key, core.name)) for core in cores))
    failed = [row for row in measured if row.failed]
    for row in failed:
        fail(f"{row.pair}, {row.core}, {row.tool}, {row.options}: {row.note}")
    return 1 if failed else 0


def _all(decoders: Sequence[Decoder], cores: Sequence[Core], pairs: Sequence[Pair]) -> list[Row]:
    out: list[Row] = []
    console = rich.console.Console(stderr=True)
    with tempfile.TemporaryDirectory() as name, rich.progress.Progress(console=console) as progress:
        task = progress.add_task("decoding", total=len(decoders) * len(cores))
        for decoder in decoders:
            patches = make_patches(decoder, pairs)
            for core in cores:
                folder = Path(name) / "one"
                folder.mkdir()
                out += measure(decoder, core, pairs, patches, folder)
                shutil.rmtree(folder)
                progress.advance(task)
    return out
