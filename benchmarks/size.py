"""How large TinyMLDelta's patches are beside those of others, over a folder of model pairs.

    python benchmarks/size.py [FOLDER] [--out benchmarks/size]

FOLDER has one folder for each pair, with base.tflite and target.tflite. Writes size.md, size.tsv
and size.svg. Wants requirements/peers.txt, xdelta3 and zstd; what is absent is listed, with how to
get it. Exit status: 0; or 1 if there is no pair, a patch could not be made, or one did not rebuild
its target; 2 if called wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import rich.console
import rich.progress

from measure.pairs import REPOSITORY, SAMPLES, command_of, find_pairs
from peers import PEERS, plot, report
from peers.measuring import measure
from peers.ours import FORMATS, Format
from peers.peer import Absent, Peer

DEFAULT_OUT = REPOSITORY / "benchmarks" / "size"
PLOT = "size.svg"


def fail(message: str) -> int:
    print(f"size: {message}", file=sys.stderr)
    return 1


def main(
    arguments: Sequence[str] | None = None,
    peers: Sequence[Peer] = PEERS,
    formats: Sequence[Format] = FORMATS,
) -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench size", description="Patch sizes of TinyMLDelta and of others."
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=SAMPLES,
        metavar="FOLDER",
        help="has FOLDER/<pair>/{base,target}.tflite (default: the models of samples/host)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        metavar="DIR",
        help="folder to write size.md, size.tsv and size.svg into (default: benchmarks/size)",
    )
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        return fail(f"{options.folder} is no folder")
    folders = find_pairs(options.folder)
    if not folders:
        return fail(f"no <pair>/base.tflite with a target.tflite in {options.folder}")

    console = rich.console.Console(stderr=True)
    try:
        with rich.progress.Progress(console=console, transient=True) as progress:
            task = progress.add_task("pairs", total=len(folders))
            bench = measure(folders, peers, formats, lambda name: progress.advance(task))
    except Absent as absent:
        return fail(str(absent))

    options.out.mkdir(parents=True, exist_ok=True)
    drawn: str | None = PLOT
    try:
        plot.draw(bench, options.out / PLOT)
    except Absent as absent:
        # An old picture would show figures of another run.
        (options.out / PLOT).unlink(missing_ok=True)
        drawn = None
        print(f"absent: matplotlib, so no {PLOT}: {absent}", file=sys.stderr)
    markdown = report.render_markdown(bench, command_of("size", options.folder), drawn)
    (options.out / "size.md").write_text(markdown, encoding="utf-8")
    (options.out / "size.tsv").write_text(report.render_tsv(bench), encoding="utf-8")

    print(*report.summary_lines(bench), sep="\n")
    for line in report.missing_lines(bench):
        print(f"absent: {line}", file=sys.stderr)
    faults = report.fault_lines(bench)
    for line in faults:
        print(f"FAULT: {line}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
