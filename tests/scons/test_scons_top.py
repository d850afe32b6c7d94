"""The repository's own SConstruct: targets, help, and words where something is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sconskit import ROOT, Project, needs_scons

pytestmark = needs_scons

PROGRAM = """
import json, sys
from pathlib import Path
Path({out!r}).write_text(json.dumps(sys.argv[1:]))
if "--out" in sys.argv:
    Path(sys.argv[sys.argv.index("--out") + 1]).write_bytes(b"zip")
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SConstruct with the tool, and nothing else: boards, matrix and bundle are stand-ins."""
    folder = tmp_path_factory.mktemp("a tree")
    shutil.copytree(ROOT / "codegen" / "scons", folder / "codegen" / "scons")
    for name in ("SConstruct", "pyproject.toml"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture
def project(tree: Path) -> Project:
    for folder in ("boards", "benchmarks", "zephyr_module"):
        shutil.rmtree(tree / folder, ignore_errors=True)
    return Project(tree)


def test_help_names_each_target() -> None:
    """Of the repository itself, with its boards, which are not read for it."""
    done = Project(ROOT).built("--help")
    for words in ("scons [boards]", "scons BOARD=", "scons matrix SAMPLE=1", "scons arduino"):
        assert words in done.out
    assert "apt install gcc clang gcc-arm-none-eabi" in done.out


@pytest.mark.parametrize("target", ["boards", "arduino"])
def test_a_part_that_is_not_there_is_said(project: Project, target: str) -> None:
    done = project.scons(target)
    assert done.status == 2
    assert f"scons: *** [{target}] {target}: there is no " in done.err
    assert "Traceback" not in done.text


def test_boards_are_the_default_and_say_what_to_install(project: Project, tree: Path) -> None:
    project.write(
        "boards/SConscript",
        'Import("env", "require")\n'
        'require("arm-none-eabi-gcc", "qemu-system-arm")\n'
        'Alias("boards", env.Command("#build/ran", [], Touch("$TARGET")))\n',
    )
    empty = tree / "empty"
    empty.mkdir(exist_ok=True)
    done = Project(tree, {"PATH": str(empty)}).scons()
    assert done.status == 2
    assert (
        "arm-none-eabi-gcc and qemu-system-arm missing: sudo apt install gcc-arm-none-eabi "
        "libnewlib-arm-none-eabi qemu-system-arm"
    ) in done.err
    assert not (tree / "build" / "ran").exists()
    # Where they are, the default target is boards.
    for name in ("arm-none-eabi-gcc", "qemu-system-arm"):
        (empty / name).write_text("#!/bin/sh\n")
        (empty / name).chmod(0o755)
    done = Project(tree, {"PATH": str(empty)}).scons()
    assert done.status == 0, done.text
    assert (tree / "build" / "ran").exists()


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (("matrix",), ["--jobs", "1"]),
        (("-j3", "matrix", "SAMPLE=1"), ["--jobs", "3", "--sample"]),
        (("matrix", "SAMPLE=0"), ["--jobs", "1"]),
    ],
)
def test_the_matrix_is_run_each_time(
    project: Project, tree: Path, arguments: tuple[str, ...], passed: list[str]
) -> None:
    """Also where there are boards whose compilers are missing: they are not looked at."""
    project.write("boards/SConscript", 'Import("require")\nrequire("no-such-compiler")\n')
    out = tree / "passed.json"
    project.write("benchmarks/matrix/__main__.py", PROGRAM.format(out=str(out)))
    for _ in range(2):
        out.unlink(missing_ok=True)
        project.built(*arguments)
        assert json.loads(out.read_text()) == passed


def test_the_matrix_fails_with_its_status(project: Project) -> None:
    project.write("benchmarks/matrix/__main__.py", "import sys; sys.exit(1)\n")
    assert project.scons("matrix").status == 2


def test_the_library_is_bundled_under_its_version(project: Project, tree: Path) -> None:
    out = tree / "passed.json"
    project.write("zephyr_module/ports/arduino/bundle.py", PROGRAM.format(out=str(out)))
    for _ in range(2):
        out.unlink(missing_ok=True)
        project.built("arduino")
        option, path = json.loads(out.read_text())
        assert option == "--out"
        assert path.startswith("build/arduino/TinyMLDelta-") and path.endswith(".zip")
        assert (tree / path).read_bytes() == b"zip"
