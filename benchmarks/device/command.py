"""What a model update costs a device: measured on emulated cores, told for named parts.

    python benchmarks/device.py [FOLDER] [--board NAME ...] [--out FILE]

FOLDER has one folder for each pair, with base.tflite and target.tflite. For each pair, core and
decoder a patch is made and applied by the whole store, streamed and by way of a staging region, on
an emulated board whose flash counts; the new model is read back. device.md has what came of it,
with time and energy on the parts of device/parts.toml and the time to send. Wants the compilers and
QEMU for the cores. The same numbers on every run. Exit status: 0; 1 if a limit is exceeded, or
something failed or is missing; 2 if called wrongly.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rich.console
import rich.progress

from measure import stack, tables, toolchain
from measure.pairs import REPOSITORY, SAMPLES, Pair, command_of, find_pairs
from peers.peer import Absent
from tinymldelta.errors import Refusal

from . import limits, parts, plot, rivals
from .build import DECODER, DECODERS, build
from .cores import CORES, NVMC_PAGE, Core
from .jobs import USUAL, Geometry, Patch, make_patch
from .report import Results, build_tables, flash_differs
from .running import RunError, run

DEFAULT_OUT = REPOSITORY / "benchmarks" / "device.md"
PLOTTED = ("m33", "Cortex-M33")
WORKERS = 2


def fail(message: str) -> int:
    print(f"device: {message}", file=sys.stderr)
    return 1


def choose(names: Sequence[str] | None, parser: argparse.ArgumentParser) -> list[Core]:
    """Cores by their key or their board's name; all without any. Ends with 2 on an unknown one."""
    if not names:
        return list(CORES)
    known = {name: core for core in CORES for name in (core.key, core.board.name)}
    for name in names:
        if name not in known:
            parser.error(f"no core or board is called {name!r}; choose from {', '.join(known)}")
    chosen = {known[name].key for name in names}
    return [core for core in CORES if core.key in chosen]


def hints(cores: Sequence[Core]) -> str:
    """How to get what the cores want; '' if all is there."""
    wants = {package for core in cores for package in core.board.missing().values()}
    return f"sudo apt install {' '.join(sorted(wants))}" if wants else ""


def geometry_of(core: Core) -> Geometry:
    return Geometry(NVMC_PAGE, USUAL.write) if core.nvmc else USUAL


def measure(
    cores: Sequence[Core], pairs: Sequence[Pair], of_parts: Sequence[parts.Part], folder: Path,
    console: rich.console.Console,
) -> Results:  # fmt: skip
    """Raises ToolError, RunError, Refusal, StackError."""
    results = Results(list(cores), [pair.name for pair in pairs], parts=list(of_parts))
    work = [(core, decoder) for core in cores for decoder in DECODERS]
    with ThreadPoolExecutor(WORKERS) as pool:
        built = pool.map(lambda item: build(*item, folder), work)
        for (core, decoder), one in zip(
            work,
            rich.progress.track(built, "building", total=len(work), console=console),
            strict=True,
        ):
            results.built[core.key, decoder.key] = one
    patches: dict[tuple[str, str], Patch] = {}
    for pair in rich.progress.track(pairs, "making patches", console=console):
        for decoder in DECODERS:
            patches[pair.name, decoder.key] = make_patch(pair, decoder)
    jobs = [(core, decoder, pair) for core, decoder in work for pair in pairs]
    for core, decoder, pair in rich.progress.track(jobs, "running", console=console):
        one, patch = results.built[core.key, decoder.key], patches[pair.name, decoder.key]
        try:
            results.runs[core.key, decoder.key, pair.name] = run(
                core, one, decoder, pair, patch, geometry_of(core), folder
            )
        except ValueError as error:
            results.left_out.append(f"{error}, {decoder.name}")
    default = DECODER["default"]
    by_key = {core.key: core for core in cores}
    for part in rich.progress.track(of_parts, "on parts", console=console):
        core = by_key[part.core]
        for pair in pairs:
            try:
                results.on_parts[part.name, pair.name] = run(
                    core, results.built[core.key, default.key], default, pair,
                    patches[pair.name, default.key], part.geometry, folder,
                )  # fmt: skip
            except ValueError as error:
                results.left_out.append(f"{error}, in the units of {part.name}")
    for key in (key for key in limits.TARGETS if key in by_key):
        found = limits.measure(key, folder)
        results.limits += limits.limits_of(key, found, list(results.runs.values()))
    return results


def series_of(results: Results, rows: Sequence[rivals.Row]) -> list[plot.Series]:
    """What is drawn: our decoders from these runs, and others' on the same core."""
    key, _ = PLOTTED
    out = []
    sizes = {}
    for decoder in DECODERS:
        runs = results.all_of(key, decoder.key)
        sizes |= {run.pair: run.target_bytes for run in runs}
        if runs:
            points = tuple((r.patch_bytes / r.target_bytes, r.decode_per_byte) for r in runs)
            out.append(plot.Series(f"ours, {decoder.name}", True, points))
    found_of = rivals.by_key(rows, key)
    for name in rivals.telling(found_of):
        by_pair = found_of[name]
        found = tuple(
            ((row.patch_bytes or 0) / sizes[pair], (row.instructions or 0) / sizes[pair])
            for pair, row in by_pair.items()
            if pair in sizes and row.patch_bytes and row.instructions
        )
        if found:
            out.append(plot.Series(rivals.label(name), False, found))
    return out


def render(results: Results, rows: Sequence[rivals.Row], command: str, picture: str) -> str:
    chains = {core.board.compiler for core in results.cores}
    compilers = [
        toolchain.describe(chain)
        for chain in (toolchain.ARM, toolchain.RISCV)
        if chain.tool("gcc") in chains
    ]
    lines = [
        "# What an update costs on a device",
        "",
        f"Written by `{command}`. Instructions are counted by QEMU with `-icount shift=0`, on",
        "boards that `boards/emulated` knows; a count is right to one tick of the board's timer",
        "(40 to 62 instructions, one on RISC-V), and the same on every run. The patch comes in",
        "pieces of 64 bytes. Reading flash and writing it are a memcpy, which is counted; what",
        "flash itself takes is in the parts' figures. Sizes are bytes.",
        "",
        *(f"- {text}, {' '.join(toolchain.COMPILE_FLAGS)}" for text in compilers),
        *(f"- {core.name}: {core.note}" for core in results.cores),
        "- Cortex-M0 and Cortex-M0+ have the same instructions (Armv6-M)",
        *(f"- left out: {text}" for text in results.left_out),
        "",
    ]
    if results.limits:
        lines += ["## Limits", ""]
        more = limits.ALLOWED["m0plus"]
        lines += [
            "Those of `footprint.py` and `speed.py` are for the Cortex-M33. None was set for the",
            f"Cortex-M0+: there they hold with {more['code']} % more code, {more['memory']} % more",
            f"RAM and {more['instructions']} % more instructions. Stack: the call graph's bound,",
            f"and {limits.BENCH_STACK} bytes for the bench's own functions.",
            "",
            *(f"- {limit}" for limit in results.limits),
            "",
        ]
    text = "\n".join(lines) + "\n"
    text += "".join(tables.markdown(table) for table in build_tables(results))
    text += rival_section(results, rows)
    if picture:
        text += f"![Bytes sent against instructions, on {PLOTTED[1]}]({picture})\n"
    return text.rstrip("\n") + "\n"


def rival_section(results: Results, rows: Sequence[rivals.Row]) -> str:
    text = ""
    for core in results.cores:
        sizes = {r.pair: r.target_bytes for r in results.runs.values()}
        table = rivals.table(rows, core.key, core.name, sizes)
        if table is not None:
            here = [row for row in rows if row.pair in sizes]
            text += tables.markdown(table)
            text += "".join(f"- {line}\n" for line in rivals.verdicts(here, core.key))
            text += "\n"
    if not text:
        return ""
    return text + (
        "Other tools' decoders decode. None of them compares digests of base and target, has"
        " guardrails or records, or reads back what was written; \"What an update consists of\""
        " says what that takes of ours.\n\n"
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench device", description="What a model update costs on emulated cores."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLES)
    parser.add_argument("--board", nargs="+", metavar="NAME", help="cores or boards; else all")
    parser.add_argument(
        "--out", type=Path, help="Markdown file to write; without --board, device.md"
    )
    given = parser.parse_args(arguments)
    cores = choose(given.board, parser)
    if missing := hints(cores):
        return fail(f"not all that the cores want is there; {missing}")
    out = given.out or (None if given.board else DEFAULT_OUT)
    pairs = [Pair.read(folder) for folder in find_pairs(given.folder)]
    if not pairs:
        return fail(f"{given.folder}: no folder with base.tflite and target.tflite in it")
    console = rich.console.Console(stderr=True)
    keys = {core.key for core in cores}
    try:
        named = [part for part in parts.read_parts() if part.core in keys]
        rows = rivals.read_rows()
        with tempfile.TemporaryDirectory() as name:
            results = measure(cores, pairs, named, Path(name), console)
    except (toolchain.ToolError, stack.StackError, parts.PartsError, RunError, Refusal) as error:
        return fail(str(error))
    except ValueError as error:  # decoders.tsv is broken
        return fail(str(error))
    if differs := flash_differs(results):
        return fail(f"cores do different things to the same flash: {', '.join(differs)}")
    if statics := [" ".join(key) for key, one in results.built.items() if one.static]:
        return fail(f"core and store have static RAM: {', '.join(statics)}")
    picture = ""
    if out is not None and (series := series_of(results, rows)):
        picture = f"{out.stem}/{out.stem}.svg"
        (out.parent / out.stem).mkdir(parents=True, exist_ok=True)
        try:
            plot.draw(series, PLOTTED[1], out.parent / picture)
        except Absent as error:
            console.print(f"no picture: {error}", highlight=False)
            picture = ""
    boards = f" --board {' '.join(given.board)}" if given.board else ""
    command = f"{command_of('device', given.folder)}{boards}"
    text = render(results, rows, command, picture)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    print(text)
    broken = [str(limit) for limit in results.limits if not limit.holds]
    return fail("; ".join(broken)) if broken else 0
