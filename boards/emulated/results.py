"""Writes results.md beside this file, from what `scons boards cuts` left in build/scons.

python results.py FOLDER
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import emulated

HEAD = """# What the emulated boards show

Written by `scons cuts`, with {compiler} and {qemu}.

## The firmware, and one run

`samples/bare_metal` at `-Os` with every option of the store, both formats and the default decoder.
Image: code, constants and initial values, of which the models that are compiled in. RAM: static, of
which {structs} bytes are the structs of a store, an update and a staging region; stack: the
deepest that was seen. Patches: taken, and what was opened is the target byte for byte.

"""
CUTS = """
## The power cut at each flash operation

Of four updates with the first start and the confirmation: digits streamed, sst by the staging
region, each in both formats. At each write and erase in its middle, and when it was done and
nobody learnt of it. After each the device came up on base or target, byte for byte, and then to
the target.

"""


def version(program: str) -> str:
    """The first line of what it says of itself."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """In Markdown: the first three columns are text, the others numbers."""
    cells = [[f"{c:,}" if isinstance(c, int) else str(c) for c in row] for row in rows]
    lines = [list(head), ["---"] * 3 + ["---:"] * (len(head) - 3), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    return [
        json.loads((folder / board.name / f"{name}.json").read_text()) for board in emulated.BOARDS
    ]


def structs(folder: Path) -> int:
    """Bytes of the caller's structs, as the last board's firmware says."""
    log = (folder / emulated.BOARDS[-1].name / "run.log").read_text()
    found = re.search(r"^memory stack=\d+ store=(\d+) update=(\d+) staging=(\d+)$", log, re.M)
    if found is None:
        raise ValueError(f"{folder}: no memory in the log")
    return sum(int(number) for number in found.groups())


def render(folder: Path) -> str:
    runs, cuts = read(folder, "run"), read(folder, "cuts")
    text = HEAD.format(
        compiler=version(emulated.ARM_COMPILER),
        qemu=version("qemu-system-arm").split(" (")[0],
        structs=f"{structs(folder):,}",
    )
    names = ["board", "core", "flash", "erase", "write", "image", "models", "ram", "stack"]
    names += ["patches", "refused", "cuts", "boots", "operations"]
    said = {"ram": "RAM", "boots": "power-ons", "operations": "flash operations"}
    text += table([said.get(n, n) for n in names], [[run[n] for n in names] for run in runs])
    names = ["board", "core", "flash", "cuts", "on_base", "boots", "operations"]
    said |= {"on_base": "up on base"}
    text += CUTS + table([said.get(n, n) for n in names], [[c[n] for n in names] for c in cuts])
    total = sum(c["cuts"] for c in cuts)
    return f"{text}\n{total:,} cuts in all. {platform.machine()} host.\n"


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: results.py FOLDER", file=sys.stderr)
        return 2
    out = emulated.HERE / "results.md"
    out.write_text(render(Path(sys.argv[1])), encoding="utf-8")
    print(f"wrote {out.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
