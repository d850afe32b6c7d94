"""The order of the test files: those that take longest come first.

Several processes share the files (`--dist loadfile`): each takes the next one when it is done, and
a long one at the end leaves the others waiting. pytest-xdist would sort by the number of tests, so
that the files with a single test of a minute came last; tests/everything.py tells it not to.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent

# About by the time that they take in CI. After these come all others by name, so what takes a
# quarter of a minute or more and comes late in the alphabet has to be here.
LONGEST = (
    "fuzz/test_fuzz.py",  # a minute for each harness
    "codegen/differential/test_format2.py",
    "codegen/differential/test_differential.py",
    "posix/test_posix.py",
    "samples/test_ci_workflow.py",
    "codegen/cli/test_slim_cli.py",
    "conformance/test_conformance.py",
    "emulated/test_emulated_boards.py",
    "module/test_cmake.py",
    "module/test_firmware.py",
    "scons/test_scons_tool.py",
    "scons/test_scons_matrix.py",
    "codegen/test_matrix.py",
    "codegen/test_readme.py",
    "samples/test_demo.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    gone = [name for name in LONGEST if not (TESTS / name).is_file()]
    if gone:
        raise pytest.UsageError(f"tests/conftest.py names files that are not there: {gone}")
    rank = {TESTS / name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))
