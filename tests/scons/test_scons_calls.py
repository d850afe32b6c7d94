"""Wrong calls of the tool end in one line that says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sconskit import DIGITS, ROOT, Project, needs_scons

pytestmark = needs_scons

TOOL = ROOT / "codegen" / "scons"

# Call, and what the message has to say.
MODEL = 'env.TmdModel("out", {"app": "base.tflite"}, slot=16384'
WRONG = {
    "env.TmdModel()": 'write TmdModel("<folder>", {"<name>": "<file>.tflite"}, slot=<bytes>)',
    'env.TmdModel("out", {"app": "base.tflite"})': "slot=<bytes>",
    f"{MODEL}, slots=2)": "there is no keyword slots: use slot, erase, write",
    'env.TmdModel("out", {"app": "no.tflite"}, slot=1)': "TmdModel(app): no.tflite does not exist",
    'env.TmdModel("out", {"App": "base.tflite"}, slot=1)': "'App' is no name of a model",
    'env.TmdModel("out", "base.tflite", slot=1)': "is no model by name",
    'env.TmdModel("out", {}, slot=1)': "there is no model",
    'env.TmdModel("out", ["app"], slot=1)': "'app' is no pair of a name and a file",
    'env.TmdModel("out", [("app", "base.tflite")] * 2, slot=1)': "two models are called app",
    'env.TmdModel("out", {"app": "base.tflite"}, slot="64K")': "slot='64K': give a whole number",
    'env.TmdModel("out", {"app": "base.tflite"}, slot=True)': "slot=True: give a whole number",
    f"{MODEL}, erase=-1)": "erase=-1: give a whole number",
    f"{MODEL}, write=1.5)": "write=1.5: give a whole number",
    f'{MODEL}, options=["--out", "x"])': "--out is no option here: the first argument is",
    f'{MODEL}, options="--slot=3")': "--slot is no option here: write slot=<bytes>",
    f'{MODEL}, options=["--public-key", "no.pem"])': "--public-key: no.pem does not exist",
    f'{MODEL}, options=["--labels"])': "--labels names no file",
    'env.TmdCore({"TMD_DECODR": 1})': "there is no option TMD_DECODR: use one of TMD_WRITE_BUFFER",
    'env.TmdCore({"TMD_PAGES_MAX": 1})': "there is no option TMD_PAGES_MAX",
    'env.TmdCore({"TMD_TRIAL": 2})': "TMD_TRIAL is 2: it takes 0, 1",
    'env.TmdCore({"TMD_DECODER": 3})': "TMD_DECODER is 3: it takes 0, 1, 2",
    'env.TmdCore({"TMD_DECODER": "LEAN"})': "TMD_DECODER is 'LEAN', no whole number",
    'env.TmdCore({"TMD_WRITE_BUFFER": -128})': "TMD_WRITE_BUFFER is -128",
    'env.TmdCore({"TMD_META_KEPT": 1.5})': "TMD_META_KEPT is 1.5, no whole number",
    'env.TmdCore(["TMD_TRIAL"])': 'write TmdCore({"TMD_<option>": <number>})',
    "env.TmdCore({}, with_smp=True)": "there is no keyword with_smp: use smp, folder",
    'env.Clone(CPPDEFINES=["TMD_TRIAL"]).TmdCore({"TMD_TRIAL": 0})': (
        "TMD_TRIAL is 0 here and 1 in CPPDEFINES"
    ),
    'env.Clone(CPPDEFINES={"TMD_DECODER": "TMD_DECODER_LEAN"}).TmdCore({"TMD_DECODER": 2})': (
        "TMD_DECODER is 2 here and TMD_DECODER_LEAN in CPPDEFINES"
    ),
    'env.TmdPatch("x.tmd", "base.tflite")': 'write TmdPatch("<out>.tmd", "<base>.tflite"',
    'env.TmdPatch("x.tmd", "base.tflite", "gone.tflite")': "gone.tflite does not exist",
    'env.TmdPatch("x.tmd", "base.tflite", "base.tflite", contract="c.json")': (
        "TmdPatch: contract: c.json does not exist"
    ),
    'env.TmdPatch("x.tmd", "base.tflite", "base.tflite", options=["-o", "y.tmd"])': (
        "-o is no option here: the first argument is the patch"
    ),
    'env.TmdPatch("x.tmd", "base.tflite", "base.tflite", options=["--key", "no.pem"])': (
        "--key: no.pem does not exist"
    ),
    'env.TmdPatch("x.tmd", "base.tflite", "base.tflite", key="k.pem")': (
        "there is no keyword key: use contract, options"
    ),
}
TRY_ALL = """
import json
from SCons.Errors import UserError
env = Environment(tools=["default", "tmd"], toolpath=[{tool!r}])
said = {{}}
for call in json.loads(open("calls.json").read()):
    try:
        eval(call)
    except UserError as error:
        said[call] = str(error)
open("said.json", "w").write(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each wrong call ends with, all in one run of SCons."""
    project = Project(tmp_path_factory.mktemp("wrong"))
    project.write("SConstruct", TRY_ALL.format(tool=str(TOOL)))
    project.write("calls.json", json.dumps(list(WRONG)))
    project.copy(DIGITS / "base.tflite", "base.tflite")
    project.built()
    result: dict[str, str] = json.loads((project.folder / "said.json").read_text())
    return result


@pytest.mark.parametrize("call", list(WRONG))
def test_a_wrong_call_says_what_to_do(said: dict[str, str], call: str) -> None:
    assert call in said, "it was taken"
    assert WRONG[call] in said[call]
    assert "\n" not in said[call]


TWICE = """
env = Environment(tools=["default", "tmd"], toolpath=[{tool!r}])
{lines}
"""


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            'env.TmdModel("a", {"app": "base.tflite"}, slot=16384)\n'
            'env.TmdModel("b", {"other": "base.tflite"}, slot=16384)',
            "TmdModel(other): this environment has the contract of app already: name all models of "
            "a firmware in one call, or Clone() the environment before the first",
        ),
        (
            "second = env.Clone()\n"
            'env.TmdModel("a", {"app": "base.tflite"}, slot=16384)\n'
            'second.TmdModel("a", {"app": "base.tflite"}, slot=16384)',
            "TmdModel(app): the contract of app is in a already: give each firmware a folder",
        ),
    ],
)
def test_two_contracts_in_one_place_are_refused(tmp_path: Path, lines: str, message: str) -> None:
    project = Project(tmp_path)
    project.copy(DIGITS / "base.tflite", "base.tflite")
    project.write("SConstruct", TWICE.format(tool=str(TOOL), lines=lines))
    done = project.scons()
    assert done.status == 2
    assert f"scons: *** {message}" in done.err
    assert "Traceback" not in done.text
    assert not (tmp_path / "a").exists()


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.copy(DIGITS / "base.tflite", "base.tflite")
    lines = (
        'env["TMD_PYTHON"] = "no/such/python"\nenv.TmdModel("a", {"app": "base.tflite"}, slot=9999)'
    )
    project.write("SConstruct", TWICE.format(tool=str(TOOL), lines=lines))
    done = project.scons()
    assert done.status == 2
    assert "TMD_PYTHON: no/such/python cannot be run" in done.err
    assert "Traceback" not in done.text


def test_config_h_and_the_tool_agree() -> None:
    """Every option that config.h lets a build set is known, and nothing else."""
    pytest.importorskip("SCons")
    import sconskit  # noqa: F401 - puts the tool on the path
    from tmd import config

    text = (ROOT / "zephyr_module/include/tinymldelta/config.h").read_text()
    settable = set(re.findall(r"^#ifndef (TMD_\w+)$", text, re.MULTILINE))
    assert set(config.options()) == settable
    switches = {name for name, option in config.options().items() if option.values == (0, 1)}
    assert switches == {
        "TMD_TRIAL", "TMD_SELF_TEST", "TMD_RESUME", "TMD_STAGING", "TMD_TAKES_LEAN",
        "TMD_WITH_FORMAT_1", "TMD_VERIFY", "TMD_DECRYPT",
    }  # fmt: skip
    assert config.decoders() == {
        "TMD_DECODER_NONE": 0, "TMD_DECODER_LEAN": 1, "TMD_DECODER_DEFAULT": 2,
    }  # fmt: skip


def test_every_source_is_in_the_list() -> None:
    pytest.importorskip("SCons")
    from tmd import places

    there = {
        f"{room}/{path.name}"
        for room in ("core", "store", "smp")
        for path in (ROOT / "zephyr_module" / room).glob("*.c")
    }
    assert set(places.CORE_SOURCES) | set(places.SMP_SOURCES) == there


def test_every_option_with_a_file_is_known() -> None:
    """What `tmd codegen` and `tmd patch` read as files is a dependency of what they make."""
    pytest.importorskip("SCons")
    import click
    from tmd import arguments

    from tinymldelta.cli.codegen import codegen
    from tinymldelta.cli.patch import patch

    def files(command: click.Command) -> set[str]:
        return {
            option
            for parameter in command.params
            if isinstance(parameter, click.Option)
            and (isinstance(parameter.type, click.Path) or "FILE" in str(parameter.metavar))
            for option in parameter.opts
        }

    assert files(codegen) - {"--out"} == set(arguments.CODEGEN_FILES)
    known = {*arguments.PATCH_FILES, *arguments.PATCH_OUTPUTS}
    assert files(patch) - {"-o", "--out", "--contract"} - set(arguments.PATCH_FUNCTIONS) == known
    assert set(arguments.PATCH_FUNCTIONS) < {o for p in patch.params for o in p.opts}


def test_requirements_are_those_of_base() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        return {line for line in text.splitlines() if line and not line.startswith("#")}

    others = {pin for pin in pins("scons") if not pin.startswith("scons==")}
    assert others < pins("base")
