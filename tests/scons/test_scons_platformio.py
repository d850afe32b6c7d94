"""A PlatformIO project that uses the tool by `extra_scripts`.

PlatformIO cannot build without its registry, so `project/SConstruct` plays its part: it is SCons
that runs the extra script, as PlatformIO does. The project's path has a space in it, and so has a
model's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sconskit import DIGITS, HERE, ROOT, SST, Project, needs_gcc, needs_scons, tmd

pytestmark = [needs_scons, needs_gcc]

BUILD = ".pio/build/host"


def make_project(folder: Path) -> Project:
    shutil.copytree(HERE / "project", folder, dirs_exist_ok=True)
    project = Project(folder)
    ini = (folder / "platformio.ini").read_text()
    project.write("platformio.ini", ini.replace("@TMD@", str(ROOT)))
    project.copy(DIGITS / "base.tflite", "models/base.tflite")
    project.copy(SST / "base.tflite", "models/sst model.tflite")
    project.write("models/labels.txt", "".join(f"digit {n}\n" for n in range(10)))
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("a project"))
    project.built()
    return project


def test_the_program_takes_a_patch_for_its_contract(project: Project, tmp_path: Path) -> None:
    patch, target = tmp_path / "update.tmd", DIGITS / "target.tflite"
    contract = project.folder / BUILD / "tinymldelta" / "contract.json"
    made = tmd("patch", DIGITS / "base.tflite", target, "-o", patch, "--contract", contract,
               "--model", "app")  # fmt: skip
    assert made.status == 0, made.text
    said = project.run(f"{BUILD}/program", patch, target)
    assert said == f"slot 0 has the target, {target.stat().st_size} bytes"
    # And a patch for another base is refused by the device's code.
    other = tmp_path / "other.tmd"
    base = DIGITS / "refused_larger_arena.tflite"
    made = tmd("patch", base, target, "-o", other, "--model", "app", "--decoder", "lean")
    assert made.status == 0, made.text
    assert project.run(f"{BUILD}/program", other, target) == "BASE"


def test_what_the_options_say_is_generated(project: Project) -> None:
    folder = project.folder / BUILD / "tinymldelta"
    assert sorted(path.name for path in folder.iterdir()) == [
        "contract.json",
        "tmd_contract.h",
        "tmd_model_app.c",
        "tmd_model_app.h",
        "tmd_model_sst.c",
        "tmd_model_sst.h",
        "tmd_op_resolver.h",
    ]
    header = (folder / "tmd_contract.h").read_text()
    assert "#define TMD_SLOT_SST_BYTES 16384u" in header
    assert (project.folder / BUILD / "tmd_objects/models/tmd_model_sst.o").is_file()
    assert (project.folder / BUILD / "tmd_objects/core/body.o").is_file()


def test_nothing_is_compiled_twice_and_a_changed_model_is(project: Project) -> None:
    assert "up to date" in project.built().out
    project.copy(DIGITS / "target.tflite", "models/base.tflite")
    done = project.built()
    compiled = {line.split()[-1].strip("'\"") for line in done.out.splitlines() if " -c " in line}
    assert {Path(name).name for name in compiled} == {"main.c", "tmd_model_app.c"}
    project.copy(DIGITS / "base.tflite", "models/base.tflite")


@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        ("custom_tmd_slot = 16384", "", "custom_tmd_slot is missing in platformio.ini"),
        ("    app = models/base.tflite", "    models/base.tflite", "is not <name> = <file>.tflite"),
        ("app = models/base.tflite", "sst = models/base.tflite", "two models are called sst"),
        ("models/base.tflite", "models/none.tflite", "models/none.tflite does not exist"),
        ("models/base.tflite", "platformio.ini", "platformio.ini: not a TFLite model"),
        ("custom_tmd_slot = 16384", "custom_tmd_slot = 1k", "slot='1k': give a whole number"),
        ("--no-format-1", "--no-format-1 '", "custom_tmd_options: No closing quotation"),
        ("custom_tmd_core = yes", "custom_tmd_core = si", "custom_tmd_core = si: write yes or no"),
        ("custom_tmd_core = yes", "custom_tmd_python = none/x", "TMD_PYTHON: none/x cannot be run"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, line: str, instead: str, message: str) -> None:
    project = make_project(tmp_path / "a project")
    text = (project.folder / "platformio.ini").read_text()
    assert line in text
    project.write("platformio.ini", text.replace(line, instead, 1))
    done = project.scons()
    assert done.status == 1
    said = [text for text in done.err.splitlines() if text.strip()]
    assert len(said) == 1, done.err
    assert said[0].startswith("Error: TinyMLDelta: ")
    assert message in said[0]
    assert not list(project.folder.rglob("*.o"))


def test_what_is_wrong_does_not_keep_from_cleaning(tmp_path: Path) -> None:
    """`pio run -t clean` reads pre scripts first, and then removes the build folder itself."""
    project = make_project(tmp_path / "a project")
    text = (project.folder / "platformio.ini").read_text()
    project.write("platformio.ini", text.replace("models/base.tflite", "models/none.tflite", 1))
    done = project.built("-c")
    assert "TinyMLDelta" not in done.text
    assert not (project.folder / BUILD / "tinymldelta").exists()
