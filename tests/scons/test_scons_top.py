"""The repository's own SConstruct: targets, help, and words where something is missing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from sconskit import ROOT, Project, copy_tree, needs_scons

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


# In place of a board's compiler and of QEMU: files without content, and what a run was told.
COMPILER = '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n: > "$2"\n'
RAN = """
if __name__ == "__main__":
    out = Path(sys.argv[sys.argv.index("--out") + 1])
    for name in ("run.log", "run.json"):
        (out / name).write_text(json.dumps(sys.argv[1:]))
"""


def test_a_checkout_with_a_space_in_its_path_builds_and_runs_a_board(tmp_path: Path) -> None:
    """With one model; the firmware is empty, and acceptance.py only says how it was called."""
    folder = copy_tree(tmp_path / "a checkout")
    for name in ("SConstruct", "pyproject.toml"):
        shutil.copyfile(ROOT / name, folder / name)
    for part in ("boards", "samples/bare_metal", "samples/host/models/digits",
                 "zephyr_module/ports/conformance"):  # fmt: skip
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    script = folder / "boards" / "emulated" / "acceptance.py"
    text = script.read_text().partition('\nif __name__ == "__main__":')[0]
    models = '"sst": ROOT', '"thermo": ROOT'
    lines = [line for line in text.splitlines() if not line.strip().startswith(models)]
    script.write_text("\n".join(lines) + RAN)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("arm-none-eabi-gcc", "qemu-system-arm"):
        (tools / name).write_text(COMPILER)
        (tools / name).chmod(0o755)
    project = Project(folder, {"PATH": f"{tools}:{os.environ['PATH']}"})
    project.built("BOARD=mps2_an505")
    build = folder / "build" / "scons" / "mps2_an505"
    said = json.loads((build / "run.json").read_text())
    assert said[:3] == ["mps2_an505", "--firmware", "build/scons/mps2_an505/firmware.elf"]
    assert said[-2:] == ["--out", "build/scons/mps2_an505"]
    assert "QEMU" not in project.built("BOARD=mps2_an505").out


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
