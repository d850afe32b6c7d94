"""Firmware that SCons builds with env.TmdModel, env.TmdCore and env.TmdPatch.

The projects, and the copy of the tree that the tool is loaded from, have a space in their paths.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from sconskit import (
    DIGITS,
    HERE,
    ROOT,
    SST,
    Done,
    Project,
    copy_tree,
    needs_gcc,
    needs_scons,
    tmd,
)

pytestmark = [needs_scons, needs_gcc]

SCONSTRUCT = """
env = Environment(tools=["default", "tmd"], toolpath=[{tool!r}])
env.Append(CCFLAGS=["-Wall", "-Werror"])
options = {{"TMD_DECODER": "TMD_DECODER_LEAN", "TMD_WITH_FORMAT_1": False}}
models = env.TmdModel(
    "generated code",
    {{"app": "base.tflite", "sst": "other.tflite"}},
    slot=16384, erase=4096, write=4,
    options=["--decoder", "lean", "--no-format-1", "--labels=app=labels.txt", "--note", "app=A B"],
)
before = env.Dump()
core = env.TmdCore(options)
assert env.Dump() == before, "TmdCore changed the environment"
env.Append(CPPDEFINES=options)
env.Program("firmware", ["main.c", *models, *core])
patch = env.TmdPatch(
    "update.tmd", "base.tflite", "target.tflite", contract="generated code/contract.json",
    options=["--model-version", "1.2.3", "--model", "app", "--image", "slot.img"],
)
Alias("patch", patch)
Default("firmware")
"""
BY_TIME = """
env = Environment(tools=["default", "tmd"], toolpath=[{tool!r}])
env.Decider("timestamp-newer")
env.TmdModel("out", {{"app": "base.tflite"}}, slot=16384)
"""
GENERATED = "TinyMLDelta: generated code from base.tflite other.tflite"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("a tree") / "tiny ml")


def restore(project: Project, tree: Path) -> None:
    project.write("SConstruct", SCONSTRUCT.format(tool=str(tree / "codegen" / "scons")))
    project.write("labels.txt", "".join(f"digit {n}\n" for n in range(10)))
    project.copy(HERE / "project" / "src" / "main.c", "main.c")
    project.copy(DIGITS / "base.tflite", "base.tflite")
    project.copy(DIGITS / "target.tflite", "target.tflite")
    project.copy(SST / "base.tflite", "other.tflite")


@pytest.fixture
def project(built_once: Project, tree: Path) -> Project:
    """With the models that it was built with at first; not all tests leave it built."""
    restore(built_once, tree)
    return built_once


@pytest.fixture(scope="module")
def built_once(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("a project"))
    restore(project, tree)
    done = project.built()
    assert GENERATED in done.out
    assert done.out.index(GENERATED) < done.out.index("main.c"), (
        "headers come before what wants them"
    )
    return project


def test_the_firmware_takes_the_patch(project: Project) -> None:
    project.built("patch")
    patch, contract = project.folder / "update.tmd", project.folder / "generated code/contract.json"
    checked = tmd("check", patch, "--contract", contract, "--model", "app",
                  "--base", project.folder / "base.tflite")  # fmt: skip
    assert checked.status == 0, checked.text
    assert "TAKEN" in checked.out
    size = (project.folder / "target.tflite").stat().st_size
    said = project.run("firmware", patch, project.folder / "target.tflite")
    assert said == f"slot 0 has the target, {size} bytes"
    assert (project.folder / "slot.img").read_bytes() == (
        project.folder / "target.tflite"
    ).read_bytes()


def test_what_is_generated_has_both_models_and_their_options(project: Project) -> None:
    document = json.loads((project.folder / "generated code/contract.json").read_text())
    assert [model["name"] for model in document["models"]] == ["app", "sst"]
    header = (project.folder / "generated code/tmd_contract.h").read_text()
    assert "#define TMD_SLOT_SST_BYTES 16384u" in header
    assert (
        "digit 7" in json.dumps(document)
        or "digit 7" in header
        or "tmd_contract_app_meta" in header
    )
    # As `tmd codegen` makes it by hand, byte for byte.
    by_hand = project.folder / "by hand"
    made = tmd(
        "codegen", f"app={DIGITS / 'base.tflite'}", f"sst={SST / 'base.tflite'}", "--out", by_hand,
        "--slot", "16384", "--erase", "4096", "--write", "4", "--decoder", "lean", "--no-format-1",
        "--labels", f"app={project.folder / 'labels.txt'}", "--note", "app=A B",
    )  # fmt: skip
    assert made.status == 0, made.text
    for path in sorted(by_hand.iterdir()):
        assert (project.folder / "generated code" / path.name).read_bytes() == path.read_bytes()


def test_nothing_is_done_twice(project: Project) -> None:
    project.built("firmware", "patch")
    for path in ("base.tflite", "labels.txt"):
        (project.folder / path).touch()
    done = project.built("firmware", "patch")
    assert done.out.splitlines() == [
        "scons: `firmware' is up to date.",
        "scons: `patch' is up to date.",
    ]


def test_a_build_that_goes_by_times_comes_to_rest(tmp_path: Path) -> None:
    """Generated files that did not change are as new as what they were generated from."""
    project = Project(tmp_path)
    project.copy(DIGITS / "base.tflite", "base.tflite")
    project.write("SConstruct", BY_TIME.format(tool=str(ROOT / "codegen/scons")))
    project.built()
    assert "up to date" in project.built().out
    now = time.time()
    for path in (project.folder / "out").iterdir():
        os.utime(path, (now - 60, now - 60))
    os.utime(project.folder / "base.tflite", (now - 30, now - 30))
    assert "TinyMLDelta: out from base.tflite" in project.built().out
    assert "up to date" in project.built().out


def test_another_model_is_generated_and_compiled_again(project: Project) -> None:
    project.built()
    contract = project.folder / "generated code/contract.json"
    before = contract.read_bytes()
    project.copy(DIGITS / "target.tflite", "base.tflite")
    done = project.built()
    assert GENERATED in done.out
    assert contract.read_bytes() != before
    compiled = {line.split()[-1] for line in done.out.splitlines() if " -c " in line}
    assert {Path(name.strip("'\"")).name for name in compiled} == {"main.c", "tmd_model_app.c"}


def test_a_file_that_an_option_names_counts(project: Project) -> None:
    project.built()
    assert GENERATED not in project.built("-n").out
    project.write("labels.txt", "".join(f"figure {n}\n" for n in range(10)))
    assert GENERATED in project.built("-n").out


def test_the_generator_counts(project: Project, tree: Path) -> None:
    """Modules, tables, the wire format, and templates; all without a look at the time."""
    project.built()
    package = tree / "codegen" / "src" / "tinymldelta"
    template = package / "templates" / "tmd_contract.h.j2"
    files = (package / "views.py", package / "arena" / "greedy.py",
             package / "tflm" / "operators.yaml", tree / "codegen" / "wire.yaml")  # fmt: skip
    for file in files:
        text = file.read_text()
        file.write_text(text + "# a line more\n")
        assert GENERATED in project.built("-n").out, file.name
        file.write_text(text)
    assert GENERATED not in project.built("-n").out, "all are as they were"
    template.write_text(template.read_text() + "/* a line more */\n")
    project.built()
    header = project.folder / "generated code" / "tmd_contract.h"
    assert header.read_text().endswith("/* a line more */\n")


def test_a_model_that_is_refused_ends_the_build_in_one_line(project: Project) -> None:
    project.built()
    folder = project.folder / "generated code"
    before = {path.name: path.read_bytes() for path in folder.glob("tmd_*.[ch]")}
    project.write("base.tflite", "no model at all, but long enough for one")
    done = project.scons()
    assert done.status == 2
    said = [line for line in done.err.splitlines() if line.strip()]
    assert said == [
        "scons: *** [generated code/contract.json] tmd: base.tflite: not a TFLite model: "
        "bytes 4 to 7 are not TFL3 (give a .tflite model)"
    ]
    assert "Traceback" not in done.text
    assert {path.name: path.read_bytes() for path in folder.glob("tmd_*.[ch]")} == before


def test_an_option_that_codegen_does_not_have_is_one_line(project: Project) -> None:
    other = Project(project.folder)
    text = (project.folder / "SConstruct").read_text()
    other.write("wrong.py", text.replace('"--note", "app=A B"', '"--knote", "x"'))
    done = other.scons("-f", "wrong.py")
    assert done.status == 2
    assert "tmd codegen: No such option" in done.err
    assert len([line for line in done.err.splitlines() if line.strip()]) == 1


def test_a_patch_that_is_refused_leaves_no_file(project: Project) -> None:
    project.built("patch")
    project.copy(DIGITS / "refused_new_operator.tflite", "target.tflite")
    done = project.scons("patch")
    assert done.status == 2
    assert "[update.tmd] tmd: " in done.err
    assert "OPERATORS" in done.err
    assert not (project.folder / "update.tmd").exists()


def without(project: Project, *names: str) -> Project:
    """The same where these packages are not to be had."""
    for name in names:
        text = f"raise ModuleNotFoundError(\"No module named '{name}'\", name={name!r})\n"
        project.write(f"blocked/{name}.py", text)
    return Project(project.folder, {"PYTHONPATH": str(project.folder / "blocked")})


def test_code_is_generated_without_the_native_part(project: Project) -> None:
    project.built()
    (project.folder / "generated code" / "contract.json").unlink()
    plain = without(project, "cffi", "_cffi_backend", "cryptography")
    assert GENERATED in plain.built().out
    assert project.built().out.strip() == "scons: `firmware' is up to date."
    (project.folder / "update.tmd").unlink(missing_ok=True)
    done = plain.scons("patch")
    assert done.status == 2
    assert "tmd patch: " in done.err
    assert "-m pip install " in done.err
    assert "Traceback" not in done.text


def test_a_package_that_is_missing_is_named(project: Project, tree: Path) -> None:
    (project.folder / "generated code" / "contract.json").unlink(missing_ok=True)
    done = without(project, "jinja2").scons()
    assert done.status == 2
    assert "tmd codegen: No module named 'jinja2'" in done.err
    assert f"-m pip install -r {tree / 'requirements' / 'scons.txt'}" in done.err
    assert "Traceback" not in done.text


def test_clean_removes_what_was_made(project: Project) -> None:
    project.built("patch")
    project.built("-c", "firmware", "patch")
    assert not (project.folder / "firmware").exists()
    assert not (project.folder / "update.tmd").exists()
    assert not list((project.folder / "generated code").glob("tmd_*"))


VARIANTS = """
env = Environment(tools=["default", "tmd"], toolpath=[{tool!r}], OBJSUFFIX=".o")
made = []
store = {{"TMD_TRIAL": 0, "TMD_RESUME": 0}}
for options in ({{}}, {{"TMD_DECODER": 0}}, store, store):
    made.append(env.TmdCore(options, smp=options == {{}}))
small = env.Clone(CCFLAGS=["-Os"])
made.append(small.TmdCore({{"TMD_DECODER": 0}}, folder="other"))
given = env.Clone(CPPDEFINES={{"TMD_DECODER": "TMD_DECODER_NONE"}})
made.append(given.TmdCore({{"TMD_DECODER": 0, "TMD_WITH_FORMAT_1": 1}}))
folders = {{str(m[0].dir.dir) for m in made}}
print("FOLDERS", len(folders), [len(m) for m in made], made[2][0] is made[3][0])
print("OTHER", str(made[4][0].dir.dir).split("/")[0])
Default([m[0] for m in made] + [made[0][-1]])
"""


def test_core_is_built_with_several_sets_of_options(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("SConstruct", VARIANTS.format(tool=str(ROOT / "codegen" / "scons")))
    done = project.built()
    assert "FOLDERS 5 [21, 20, 20, 20, 20, 20] True" in done.out
    assert "OTHER other" in done.out
    assert done.steps("gcc") == 6
    assert "warning" not in done.text
    sizes = {path.stat().st_size for path in tmp_path.rglob("body.o")}
    assert len(sizes) >= 2, "without a decoder there is no body"


SLIM = """
env = Environment(tools=["default", "tmd"], toolpath=[{tool!r}])
env.TmdPatch("update.tmd", "base.tflite", "target.tflite", options=[
    "--slim", "--calibration", "c.npz", "--validation", "v.npz", "--max-drop", "{max_drop}",
    "--slimmed", "slimmed.tflite",
])
"""


@pytest.fixture
def slimming(tmp_path: Path) -> Project:
    """Temperatures as bytes, every other window for each file; the base is 7 to 10 % worse."""
    np = pytest.importorskip("numpy")
    project = Project(tmp_path)
    windows = (np.load(SST / "eval.npz")["inputs"].astype(np.float32) + 128) / 255
    np.savez(tmp_path / "c.npz", x=windows[::2])
    np.savez(tmp_path / "v.npz", x=windows[1::2], y=windows[1::2])
    for name in ("base", "target"):
        project.copy(SST / f"{name}.tflite", f"{name}.tflite")
    return project


def slim_by(project: Project, max_drop: int) -> Done:
    project.write("SConstruct", SLIM.format(tool=str(ROOT / "codegen/scons"), max_drop=max_drop))
    return project.scons()


def test_a_slimmed_model_is_made_with_its_patch(slimming: Project) -> None:
    done = slim_by(slimming, 4)
    assert done.status == 0, done.text
    slimmed = (slimming.folder / "slimmed.tflite").read_bytes()
    applied = tmd("apply", slimming.folder / "base.tflite", slimming.folder / "update.tmd",
                  "-o", slimming.folder / "applied.tflite")  # fmt: skip
    assert applied.status == 0, applied.text
    assert (slimming.folder / "applied.tflite").read_bytes() == slimmed
    assert "up to date" in slimming.built().out
    # The data count, by their content.
    data = (slimming.folder / "v.npz").read_bytes()
    slimming.copy(slimming.folder / "c.npz", "v.npz")
    assert "TinyMLDelta: update.tmd" in slimming.scons("-n").out
    (slimming.folder / "v.npz").write_bytes(data)
    assert "up to date" in slimming.built().out


@pytest.mark.parametrize(("max_drop", "missing"), [(20, "update.tmd"), (1, "slimmed.tflite")])
def test_what_slimming_does_not_write_ends_the_build(
    slimming: Project, max_drop: int, missing: str
) -> None:
    """20: no update is needed, so there is no patch. 1: it cannot be slimmed."""
    done = slim_by(slimming, max_drop)
    assert done.status == 2, done.text
    assert f"tmd patch --slim wrote no {missing}, and says why above" in done.err
    assert "no update needed" in done.out or "cannot be slimmed" in done.err
    assert "Traceback" not in done.text
    assert "TinyMLDelta: update.tmd" in slimming.scons("-n").out, "it is not taken for done"


NESTED = """
import os
SConscript("firmware/SConscript", variant_dir="build", duplicate={duplicate})
"""
IN_VARIANT = """
env = Environment(tools=["default", "tmd"], toolpath=[{tool!r}])
env.Command("made.tflite", "base.tflite", Copy("$TARGET", "$SOURCE"))
sources = env.TmdModel(
    "out", [("app", "made.tflite"), ("sst", "sst.tflite")], slot="0x4000",
    options="--decoder none --labels=app=labels.txt", compiled_in={compiled_in},
)
print("SOURCES", *map(str, sources))
env.Append(CPPDEFINES={{"TMD_DECODER": 0}})
env.Object("asks.c")
"""
ASKS = """
#include "tmd_contract.h"
_Static_assert(TMD_SLOT_APP_BYTES == 0x4000, "a slot as it was said");
const struct tmd_contract *contract(void) { return &tmd_contract; }
"""


@pytest.mark.parametrize(("duplicate", "compiled_in"), [(0, False), (1, True)])
def test_in_a_variant_folder_with_a_model_that_is_built(
    tmp_path: Path, duplicate: int, compiled_in: bool
) -> None:
    project = Project(tmp_path)
    tool = str(ROOT / "codegen" / "scons")
    project.write("SConstruct", NESTED.format(duplicate=duplicate))
    project.write("firmware/SConscript", IN_VARIANT.format(tool=tool, compiled_in=compiled_in))
    project.write("firmware/asks.c", ASKS)
    project.copy(DIGITS / "base.tflite", "firmware/base.tflite")
    project.copy(SST / "base.tflite", "firmware/sst.tflite")
    project.write("firmware/labels.txt", "".join(f"digit {n}\n" for n in range(10)))
    done = project.built("build")
    assert (tmp_path / "build" / "out" / "tmd_contract.h").is_file()
    has_array = (tmp_path / "build" / "out" / "tmd_model_app.c").exists()
    assert has_array == compiled_in
    arrays = " out/tmd_model_app.c out/tmd_model_sst.c" if compiled_in else ""
    assert f"SOURCES{arrays}" in done.out.splitlines()
    assert (tmp_path / "build" / "asks.o").is_file()
    assert "up to date" in project.built("build").out
