"""How coverage is counted, and, in CI, that tests and corpora reach what they have to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import coverage

SHOWN = f"""{coverage.DEVICE}/core/sealed.c:
    1|       |/* what it is */
    2|      3|static int f(int a, int b)
    3|      3|{{
    4|      3|	if (a != 0 && b != 0) {{
  ------------------
  |  Branch (4:6): [True: 2, False: 1]
  |  Branch (4:16): [True: 0, False: 2]
  |  Branch (4:20): [Folded - Ignored]
  ------------------
    5|      0|		return 1;
    6|      0|#if X
    7|  1.20k|	}}
"""


def _shown() -> coverage.Reached:
    files: dict[str, coverage.Reached] = {}
    coverage.read_show(SHOWN, files)
    assert list(files) == ["core/sealed.c"]
    return files["core/sealed.c"]


def test_lines_and_outcomes_count() -> None:
    reached = _shown()
    assert reached.lines == {2: True, 3: True, 4: True, 5: False, 7: True}
    assert reached.branches == {
        (4, 6, True): True,
        (4, 6, False): True,
        (4, 16, True): False,
        (4, 16, False): True,
    }
    assert reached.share() == (4, 5, 3, 4)


def test_what_one_configuration_reaches_is_reached() -> None:
    files = {"core/sealed.c": _shown()}
    coverage.read_show(SHOWN.replace("5|      0|", "5|      1|"), files)
    coverage.read_show(SHOWN, files)
    assert files["core/sealed.c"].lines[5]


def test_what_is_left_out_has_a_place_and_is_not_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "sealed.c").write_text(
        "/* what it is */\nstatic int f(int a, int b)\n{\n"
        "\tif (a != 0 && b != 0) {\n\t\treturn 1;\n#if X\n\t}\n"
    )
    reached = _shown()
    monkeypatch.setattr(coverage, "DEVICE", tmp_path)
    listed = tmp_path / "list.txt"
    listed.write_text(
        "# a remark\n"
        "core/sealed.c :: line :: return 1; :: cannot be\n"
        "core/sealed.c :: true :: b != 0 :: cannot be either\n"
        "core/sealed.c :: false :: a != 0 :: is reached\n"
    )
    exclusions = coverage.read_exclusions(listed)
    wrong = coverage.leave_out({"core/sealed.c": reached}, exclusions)
    assert [line.split("'")[1] for line in wrong] == ["a != 0"]
    assert reached.share() == (4, 4, 3, 3)
    assert "cannot be either" in coverage.report({"core/sealed.c": reached}, exclusions)


def test_tests_and_corpora_reach_what_they_have_to(tmp_path: Path) -> None:
    if os.environ.get("CI") != "true":
        pytest.skip("takes about a minute; ./run coverage --limits does it")
    command = [sys.executable, str(coverage.ROOT / "benchmarks" / "coverage.py"), "--limits"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
