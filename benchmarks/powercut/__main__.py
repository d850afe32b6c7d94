"""The power-cut campaign: `./run bench powercut`.

    python -m powercut [--sample] [--jobs N] [--out benchmarks/powercut.md]
    python -m powercut mutants     each of the seeded bugs must be noticed
    python -m powercut wear        erases and bytes of an update, beside the published bound

For every kind of flash, real patches of both formats, and each way to apply them: the power is
cut at every write and erase and inside each, at every write unit, in every torn shape; after each
cut the device boots with noise in its RAM, is checked, comes to the target and back to the base.
The report is written only by the whole campaign. Exit status: 0; 1 if anything failed; 2 if called
wrongly.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rich.console
import rich.progress

from measure import tables
from powercut import mutants, program
from powercut.pairs import last_layer, make_pairs, write_pair
from powercut.program import Tally
from powercut.rows import MODES, REAL, SMALL, Row, full_rows, mutant_rows, sample_rows

OUT = Path(__file__).resolve().parents[1] / "powercut.md"
# Of the table of wear: a model for a slot of 64 KB, and its last layer, in bytes.
MODEL, LAYER = 60000, 2570
TIMES = 7


def _progress() -> rich.progress.Progress:
    return rich.progress.Progress(
        *rich.progress.Progress.get_default_columns(),
        rich.progress.TimeElapsedColumn(),
        console=rich.console.Console(stderr=True),
        transient=True,
    )


def run_rows(built: Path, rows: Sequence[Row], jobs: int) -> list[tuple[Row, Tally]]:
    """All rows, with a line on stderr twice a minute, and one for each row that fails."""
    started = shown = time.monotonic()
    total = Tally()
    finished = 0

    def done(row: Row, tally: Tally) -> None:
        nonlocal shown, finished
        finished += 1
        total.add(tally)
        now = time.monotonic()
        if tally.failures:
            print(f"FAILED {row.text}: {tally.first}", file=sys.stderr, flush=True)
        if now - shown >= 30:
            shown = now
            print(
                f"{now - started:6.0f} s  {finished:,} of {len(rows):,} rows, {total.cuts:,} cuts",
                file=sys.stderr,
                flush=True,
            )

    return program.run(built, rows, jobs, done)


def campaign_tables(results: Sequence[tuple[Row, Tally]]) -> list[tables.Table]:
    columns = ("cuts", "of them second cuts", "further, in rows", "faults", "boots", "failures")
    by_flash = tables.Table("By kind of flash", ("flash", *columns))
    by_mode = tables.Table("By way and format", ("way, patch format", *columns))
    for geometry in (*REAL, *SMALL):
        _add(by_flash, geometry, [t for r, t in results if r.geometry == geometry])
    for f in (1, 2):
        for number, name in enumerate(MODES):
            chosen = [t for r, t in results if r.format == f and r.mode == number]
            _add(by_mode, f"{name}, {f}", chosen)
    _add(by_flash, "all", [t for _, t in results])
    return [by_flash, by_mode]


def _add(table: tables.Table, name: str, tallies: Sequence[Tally]) -> None:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    table.add(
        name, total.cuts, total.seconds, total.in_rows, total.faults, total.boots,
        total.failures,
    )  # fmt: skip


REPORT = """# Power cuts

Written by `./run bench powercut` on {date}: {rows:,} rows, {jobs} processes,
{seconds:,.0f} seconds, {machine}.

**{cuts:,} distinct cuts: {failures:,} failures.**

A cut is distinct by flash, patch, way, place of the base, operation, shape and part; a second cut,
which hits the recovery from the first, by both. After each: boot with noise in RAM; the active
model is exactly one of those that it may be, on cells that hold; no illegal operation, no unit
programmed twice; the update comes to its end, the model is started and confirmed, and a further
update brings back the base. In rows are further cuts, up to 200 at the same operation,
boot after boot. Faults are operations that fail, lie, leave a wrong bit, or are done and reported
as failed; patches with a wrong bit; and bits that turn over at rest.

"""


def campaign(folder: Path, arguments: argparse.Namespace) -> int:
    pairs = make_pairs(folder)
    rows = sample_rows(pairs) if arguments.sample else full_rows(pairs)
    built = program.build(folder)
    started = time.monotonic()
    results = run_rows(built, rows, arguments.jobs)
    seconds = time.monotonic() - started
    total = Tally()
    for _, tally in results:
        total.add(tally)
    found = campaign_tables(results)
    last = f"{total.cuts:,} distinct cuts, {total.failures:,} failures, {seconds:,.0f} seconds"
    tables.print_all(found, [last])
    if not arguments.sample or arguments.out:
        head = REPORT.format(
            date=datetime.date.today(),
            rows=len(rows),
            jobs=arguments.jobs,
            seconds=seconds,
            machine=platform.machine(),
            cuts=total.cuts,
            failures=total.failures,
        )
        out = arguments.out or OUT
        shown = [*found, *wear_table(folder, built)]
        out.write_text(head + "".join(map(tables.markdown, shown)), encoding="utf-8")
        print(f"wrote {out}")
    return 1 if total.failures else 0


# ---- wear ----


def wear_table(folder: Path, built: Path) -> list[tables.Table]:
    """An update of the last layer, on a device that has had one of its kind."""
    models = [last_layer(MODEL, LAYER, seed) for seed in (2, 3, 4)]
    pair = write_pair(folder, "wear", models[1], models[2], models[0])
    table = tables.Table(
        "Wear of an update",
        ("flash", "way", "erases", "at most", "bytes written", "at most", "copying all: erases",
         "bytes", "bytes read", "time"),
        note=f"The last {LAYER:,} of {MODEL:,} bytes change, as the weights of a last layer do, on "
        "a device that has had an update of the same kind; format 2. Records, notes of progress "
        "every 4,096 bytes and the staging region are counted; of copying all, the slot alone. "
        "Time is the processor's, on this machine, flash not included: the streamed update is 1.",
    )  # fmt: skip
    rows = [Row(geometry, pair, 2, mode, 4) for geometry in REAL for mode in range(len(MODES))]
    streamed = 1
    for row, wear in zip(rows, program.wear(built, rows, TIMES), strict=True):
        if row.mode == 0:
            streamed = wear.nanoseconds
        table.add(
            row.geometry, MODES[row.mode], wear.erases, wear.bound_erases, wear.bytes,
            wear.bound_bytes, wear.copy_erases, wear.copy_bytes, wear.read,
            f"{wear.nanoseconds / streamed:.1f}",
        )  # fmt: skip
    return [table]


def show_wear(folder: Path) -> int:
    tables.print_all(wear_table(folder, program.build(folder)))
    return 0


# ---- seeded bugs ----


def show_mutants(folder: Path, jobs: int) -> int:
    rows = mutant_rows(make_pairs(folder))
    unnoticed = program.first_failure(program.build(folder, flags=mutants.QUICK), rows)
    if unnoticed is not None:
        print(f"powercut: it fails without a seeded bug: {unnoticed}", file=sys.stderr)
        return 1
    with _progress() as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("seeding bugs", total=len(mutants.MUTANTS))
        futures = [
            pool.submit(mutants.judge, mutant, rows, folder / f"mutant-{n}")
            for n, mutant in enumerate(mutants.MUTANTS)
        ]
        verdicts = []
        for future in futures:
            verdicts.append(future.result())
            progress.advance(task)
    lines = []
    for verdict in verdicts:
        mutant = verdict.mutant
        lines += [f"{'noticed' if verdict.found else 'MISSED '} {mutant.file}: {mutant.what}"]
        lines += [f"        by {verdict.found}"] if verdict.found else []
    killed = sum(v.found is not None for v in verdicts)
    lines += [f"{killed} of {len(verdicts)} seeded bugs were noticed"]
    print("\n".join(lines))
    return 0 if killed == len(verdicts) else 1


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench powercut", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("cuts", "mutants", "wear"), default="cuts")
    parser.add_argument("--sample", action="store_true", help="what a test run does")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"report (default: {OUT.name})")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            if arguments.what == "wear":
                return show_wear(folder)
            if arguments.what == "mutants":
                return show_mutants(folder, arguments.jobs)
            return campaign(folder, arguments)
        except program.BuildError as error:
            print(f"powercut: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
