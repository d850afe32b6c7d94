"""How small `tmd slim` makes updates, and what it costs in accuracy on data that no step has seen.

    python benchmarks/slim.py [--only PAIR ...] [--way WAY ...] [--jobs N] [--build DIR] [--out DIR]
    python benchmarks/slim.py --from slim.tsv [--only PAIR ...] [--way WAY ...] [--out DIR]

Pairs of models are made (slimming/pairs.py; some minutes of training, wants requirements/train.txt)
and kept in build/slim, where finished runs are kept too until code or pairs change. Writes slim.md,
slim.tsv and slim.svg; with --only or --way, into --out DIR alone. --from: the report and the plot
anew from recorded runs; with --only or --way, these runs anew and all others as they are recorded.
Wants requirements/demo.txt for TensorFlow Lite Micro, and
requirements/peers.txt.

Exit status: 0; 1 if something failed, a slimmed model is not what a device with the base expects,
or a limit is missed; 2 if called wrongly.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import rich.console
import rich.progress

from peers.peer import Absent
from slimming import plot, report, store
from slimming.data import is_made
from slimming.kinds import NAMES, is_held_out, is_large
from slimming.runs import BUDGETS, TOOLS, Run, Task, one_thread, perform
from slimming.ways import DISTILLED, PATHS, TITLES
from tinymldelta.errors import Refusal

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD = REPOSITORY / "build" / "slim"
OUT = REPOSITORY / "benchmarks"


def fail(message: str) -> int:
    print(f"slim: {message}", file=sys.stderr)
    return 1


def tasks_for(names: Sequence[str], ways: Sequence[str], build: Path) -> list[Task]:
    """The long ones first, so that no process is left alone with one at the end."""
    tasks = []
    for name in names:
        folder = str(build / name)
        if is_large(name):
            # For its time: the larger budget takes longer.
            tasks += [Task(folder, way, BUDGETS[:1]) for way in ways if way == DISTILLED]
            continue
        for way in ways:
            if is_held_out(name) and way != DISTILLED:
                continue  # these pairs are there for the promise, which is of this one
            if way == DISTILLED:
                tasks += [Task(folder, way, (budget,)) for budget in BUDGETS]
            else:
                tasks.append(Task(folder, way, BUDGETS))
    return sorted(tasks, key=lambda task: task.way != DISTILLED)


def make_pairs(names: Sequence[str], build: Path, jobs: int, console: rich.console.Console) -> None:
    """Those that are not there. In processes of their own, because TensorFlow fills the memory.

    Raises Absent, or CalledProcessError with what was said.
    """
    missing = [name for name in names if not is_made(build / name)]
    if not missing:
        return
    build.mkdir(parents=True, exist_ok=True)

    def make(name: str) -> None:
        command = [sys.executable, "-m", "slimming.pairs", "--out", str(build), name]
        paths = os.pathsep.join([str(OUT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": paths}
        subprocess.run(command, check=True, capture_output=True, text=True, env=environment)

    progress = rich.progress.Progress(console=console, transient=True)
    with progress, ThreadPoolExecutor(jobs) as pool:
        bar = progress.add_task("training", total=len(missing))
        for done in as_completed([pool.submit(make, name) for name in missing]):
            done.result()
            progress.advance(bar)


def run_all(
    tasks: Sequence[Task], finished: store.Finished, jobs: int, console: rich.console.Console
) -> list[Run]:
    """All runs, those that are kept and the others. Raises Absent, RuntimeError."""
    runs: list[Run] = []
    left = []
    for task in tasks:
        kept = finished.get(task)
        if kept is None:
            left.append(task)
        else:
            runs += kept
    one_thread()
    # Started anew and not forked: a fork of a process with threads may hang.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    with rich.progress.Progress(console=console, transient=True) as progress, pool:
        bar = progress.add_task("slimming", total=len(tasks), completed=len(tasks) - len(left))
        futures = {pool.submit(_perform, task): task for task in left}
        try:
            for future in as_completed(futures):
                found = future.result()
                finished.put(futures[future], found)
                for run in found:
                    console.print(
                        report.run_line(run), highlight=False, markup=False, soft_wrap=True
                    )
                runs += found
                progress.advance(bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return runs


def _perform(task: Task) -> list[Run]:
    """A refusal names a file of samples, of which every pair has one: the pair is said with it."""
    try:
        return perform(task)
    except Refusal as refusal:
        raise RuntimeError(f"{Path(task.folder).name}: {refusal}") from None


def versions() -> list[str]:
    """What the figures depend on. Raises Absent for what is not there."""
    packages = ("tinymldelta", "numpy", "tflite-micro")
    try:
        own = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    except importlib.metadata.PackageNotFoundError as error:
        raise Absent(f"{error.name}: pip install -r requirements/demo.txt") from error
    tools = []
    for peers in TOOLS.values():
        found = peers[0].tool.version()
        tools.append(found if found.startswith(peers[0].tool.name) else f"HPatchLite: {found}")
    return [*own, f"Python {platform.python_version()}, {os.cpu_count()} cores", *tools]


def write(bench: store.Bench, out: Path) -> int:
    out.mkdir(parents=True, exist_ok=True)
    drawn: str | None = "slim.svg"
    try:
        plot.draw(bench, out / "slim.svg")
    except Absent as absent:
        # An old picture would show figures of another run.
        (out / "slim.svg").unlink(missing_ok=True)
        drawn = None
        print(f"absent: matplotlib, so no slim.svg: {absent}", file=sys.stderr)
    (out / "slim.md").write_text(report.render_markdown(bench, drawn), encoding="utf-8")
    (out / "slim.tsv").write_text(store.render_tsv(bench), encoding="utf-8")
    return summary(bench)


def summary(bench: store.Bench) -> int:
    print(*report.summary_lines(bench), sep="\n")
    wrong = [*report.fault_lines(bench), *report.missed_lines(bench)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench slim", description="Updates within an accuracy budget."
    )
    parser.add_argument("--only", nargs="+", metavar="PAIR", help=f"of {', '.join(NAMES)}")
    parser.add_argument(
        "--way", nargs="+", choices=tuple(TITLES), metavar="WAY", help=f"of {', '.join(TITLES)}"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--build", type=Path, default=BUILD, metavar="DIR")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: benchmarks")
    parser.add_argument("--from", dest="recorded", type=Path, metavar="TSV")
    given = parser.parse_args(arguments)
    if given.jobs < 1:
        parser.error("--jobs is a number from 1 up")
    part = given.only is not None or given.way is not None
    out = given.out or (None if part else OUT)
    recorded = None
    if given.recorded is not None:
        if not given.recorded.is_file():
            return fail(f"no file {given.recorded}")
        recorded = store.read_tsv(given.recorded.read_text(encoding="utf-8"))
        out = given.out or given.recorded.parent
        if not part:
            return write(recorded, out)
    names = given.only or NAMES
    unknown = [name for name in names if name not in NAMES and not is_made(given.build / name)]
    if unknown:
        parser.error(f"no pairs {', '.join(unknown)}")
    ways = given.way or (DISTILLED, *PATHS)

    console = rich.console.Console(stderr=True)
    try:
        said = versions()
        if recorded is not None and list(recorded.versions) != said:
            return fail(
                f"{given.recorded} was recorded with other versions than these: "
                + ", ".join(sorted({*recorded.versions} ^ {*said}))
            )
        make_pairs(names, given.build, given.jobs, console)
        finished = store.Finished(given.build / "runs", store.library_digest())
        found = run_all(tasks_for(names, ways, given.build), finished, given.jobs, console)
    except subprocess.CalledProcessError as error:
        return fail(error.stderr.strip() or str(error))
    except (Absent, RuntimeError) as error:
        return fail(str(error))
    # Recorded figures have as many places as the file, so that --from gives the same report.
    found = store.in_order(store.instead(recorded, found), tuple(dict.fromkeys((*NAMES, *names))))
    bench = store.read_tsv(store.render_tsv(store.Bench(found, said)))
    return summary(bench) if out is None else write(bench, out)


if __name__ == "__main__":
    sys.exit(main())
