"""`tmd codegen` out of this source tree: what tmd/running.py starts. Not for the hand.

The command is the package's own. Only how it is found differs: from this tree, whatever release is
installed, and without the native part, which a firmware build does not have.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "src"


def find_source_tree() -> None:
    """Let this tree come first, also before a package that is installed in editable mode.

    The folder of this file goes: its modules are the tool's.
    """
    sys.path[:] = [str(PACKAGE), *(p for p in sys.path if Path(p).resolve() != HERE)]
    sys.meta_path.insert(0, PathFinder)


if __name__ == "__main__":
    find_source_tree()
    from tinymldelta.cli.codegen import codegen

    codegen.main(prog_name="tmd codegen")
