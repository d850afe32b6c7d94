"""`./run demo`, but for making the environment: the first thing that anybody runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tinymldelta.interpreter import find_interpreter

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(find_interpreter() is None, reason="no interpreter: requirements/demo.txt")
def test_the_demo_ends_well_and_the_readme_has_its_figures() -> None:
    demo = [sys.executable, ROOT / "samples" / "host" / "demo.py"]
    done = subprocess.run(demo, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("| model | base | target | patch |") :]
    for patch_bytes in ("1,342", "343"):
        assert f" {patch_bytes} " in done.stdout
        assert f"| {patch_bytes} |" in table[: table.index("and shows three")]
