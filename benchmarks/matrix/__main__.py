"""The matrix of compilers and options: `scons matrix`.

    python -m matrix [--sample] [--jobs N] [--out benchmarks/matrix.md]

For each core, gcc and clang, -Os and -O2: core, store and management group with each option at
its default and turned over. For the Cortex-M33 every allowed combination of options. All with the
strict flags of the house: a warning is an error. The objects are weighed; none has data or bss.
--sample is for CI: the same with fewer cores, levels and combinations. Run it from `scons`, or with
benchmarks and codegen/scons on PYTHONPATH. Compilers that are not there are left out and said so;
with CI=true in the environment that fails. Exit status: 0; 1 if anything does not hold; 2 if called
wrongly.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tmd.places import ROOT

from matrix import builds, combinations, report
from matrix.builds import Build
from matrix.combinations import REFUSED, TURNED
from matrix.compilers import LEVELS, M33, Compiler, compilers
from matrix.sections import Sizes
from measure import tables, toolchain

OUT = ROOT / "benchmarks" / "matrix.md"
SAMPLE_OUT = ROOT / "build" / "matrix" / "sample.md"
REMEMBERED = ROOT / "build" / "matrix" / "objects.json"
# Static variables that are known, by source. None of these files may have any.
KNOWN_STATIC: dict[str, Sizes] = {}
SAID_EVERY = 30  # seconds, where stderr is no terminal


@dataclass(frozen=True)
class Plan:
    """turned: builds with each option turned over; combined: those with combinations of them."""

    turned: list[Build]
    combined: list[Build]


def plan(there: Sequence[Compiler], sample: bool) -> Plan:
    """What is compiled. Combinations by clang at one level: its warnings are the same at all.

    A sample: each core and compiler with the defaults at -Os, the Cortex-M33 with each option
    turned over, and a choice of combinations in which any two settings meet.
    """
    turned, combined = [], []
    all_of_them = combinations.all_allowed()
    chosen = combinations.pairwise(all_of_them) if sample else all_of_them
    for compiler in there:
        levels = LEVELS[:1] if sample else LEVELS
        configurations = TURNED if compiler.core == M33 or not sample else TURNED[:1]
        for level in levels:
            turned += [Build(compiler, level, c) for c in configurations]
            if compiler.core == M33 and (compiler.family == "gcc" or level == LEVELS[0]):
                combined += [Build(compiler, level, c) for c in chosen]
    return Plan(turned, combined)


class Teller:
    """Says on stderr how far it is."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._is_terminal:
            end = "\n" if done == total else "\r"
            print(f"{what}: {done:,} of {total:,}", end=end, file=sys.stderr, flush=True)
        elif now - self._shown >= SAID_EVERY:
            self._shown = now
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)


def static_found(objects: builds.Objects) -> list[str]:
    """Files with writable static data that is not known, each once."""
    found = {}
    for build, sizes in objects.items():
        for source, size in sizes.items():
            known = KNOWN_STATIC.get(source, Sizes())
            if size.data > known.data or size.bss > known.bss:
                found[source] = (
                    f"{source}: {size.data} bytes of data and {size.bss} of bss for "
                    f"{build.compiler.core.name}, {build.configuration.name}: all state is the "
                    "caller's"
                )
    return list(found.values())


def not_refused(compiler: Compiler) -> list[str]:
    """Options that must not compile and do, or fail for another reason."""
    wrong = []
    for rule in REFUSED:
        said = builds.refused(compiler, rule.configuration)
        if rule.says not in said:
            what = said.splitlines()[1] if said else "it compiles"
            wrong.append(f"{rule.configuration.name} must be refused with '{rule.says}': {what}")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="matrix", description="Compilers, cores and options.")
    parser.add_argument("--sample", action="store_true", help="a part of it, for CI")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--out", type=Path, metavar="FILE", help="Markdown file to write")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error("--jobs is 1 or more")
    out = options.out or (SAMPLE_OUT if options.sample else OUT)

    there = [compiler for compiler in compilers() if compiler.is_there()]
    skipped = [c for c in compilers() if c not in there]
    lines = [f"left out: {c.family} for {c.core.name}: {c.install_hint}" for c in skipped]
    for line in lines:
        print(line, file=sys.stderr)
    if not there or (skipped and os.environ.get("CI") == "true"):
        print("matrix: compilers are missing", file=sys.stderr)
        return 1

    todo = plan(there, options.sample)
    try:
        objects, compiled = builds.measure(
            [*todo.turned, *todo.combined],
            jobs=options.jobs,
            remembered=builds.Remembered(REMEMBERED),
            progress=Teller(),
        )
    except builds.Failed as failed:
        for message in failed.messages:
            print(f"matrix: {message}", file=sys.stderr)
        print(f"matrix: {len(failed.messages)} files do not compile", file=sys.stderr)
        return 1
    except toolchain.ToolError as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 1
    wrong = [*static_found(objects), *not_refused(there[0])]
    for message in wrong:
        print(f"matrix: {message}", file=sys.stderr)
    if wrong:
        return 1

    made = report.Report(
        objects, todo.turned, todo.combined, compiled, skipped=lines, sample=options.sample
    )
    tables.print_all([made.combination_table()], made.versions())
    out.parent.mkdir(parents=True, exist_ok=True)
    text = made.markdown()
    if not out.exists() or out.read_text(encoding="utf-8") != text:
        out.write_text(text, encoding="utf-8")
    print(f"sizes: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
