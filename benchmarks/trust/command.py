"""`./run bench trust`: measures, and writes what came out."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import rich.console
import rich.progress

from measure import tables, toolchain
from tinymldelta.errors import Refusal
from trust.kinds import AGREEMENTS, BOARDS, NOTHING, SIGNATURES
from trust.measuring import QEMU, Builds, Result, build, measure_core, measure_kind, weigh
from trust.report import Results, leaks, render, report

DEFAULT_OUT = Path(__file__).resolve().parent.parent / "trust.md"


def fail(message: str) -> int:
    print(f"trust: {message}", file=sys.stderr)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench trust", description="What signed and encrypted patches cost a device."
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="Markdown file to write")
    given = parser.parse_args(arguments)
    if not toolchain.is_installed(toolchain.ARM):
        return fail(f"no compiler; {toolchain.ARM.install_hint}")
    if shutil.which(QEMU) is None:
        return fail(f"no {QEMU}; sudo apt install qemu-system-arm")
    results: Results = {board: {} for board in BOARDS}
    cores = {}
    console = rich.console.Console(stderr=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        builds = Builds(folder)
        try:
            for board in BOARDS:
                cores[board] = measure_core(board, folder)
                nothing = build(board, NOTHING, None, builds, size=True)
                results[board][NOTHING] = Result(weigh(nothing))
            work = [(board, kind) for board in BOARDS for kind in (*SIGNATURES, *AGREEMENTS)]
            for board, kind in rich.progress.track(work, "measuring", console=console):
                results[board][kind] = measure_kind(board, kind, builds)
        except (toolchain.ToolError, RuntimeError, Refusal) as error:
            return fail(str(error))
    found, lines = report(results, cores)
    broken = leaks(results)
    verdict = (
        f"depends on the MAC: {', '.join(broken)}"
        if broken
        else "comparing a MAC takes the same, wherever and whether it differs"
    )
    given.out.write_text(render(found, lines, verdict), encoding="utf-8")
    tables.print_all(found, [*lines, verdict])
    return fail(verdict) if broken else 0
