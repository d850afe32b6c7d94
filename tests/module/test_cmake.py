"""tmd_add_model() in a build without Zephyr: what is made again when, and what is said when not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from firmwarekit import (
    DIGITS,
    MODULE,
    ROOT,
    SST,
    Zephyr,
    contents,
    make_python,
    make_zephyr,
    model,
    request,
)
from publickeys import ED25519, P256, X25519

HARNESS = Path(__file__).parent / "harness"

pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"needs {tool}")
    for tool in ("cmake", "ninja", "gcc")
]

GENERATED = "Generating contract and code from the models of app"
ONE_CALL = "tmd_add_model(app NAME digits MODEL digits.tflite)"


@dataclass
class Firmware:
    """The harness in a folder, with copies of all that a build is made from."""

    folder: Path
    zephyr: Zephyr
    calls: str = ONE_CALL
    enabled: str = "y"
    build: Path = field(init=False)

    def __post_init__(self) -> None:
        self.build = self.folder / "build"
        shutil.copytree(HARNESS, self.folder, ignore=shutil.ignore_patterns("*.in"))
        module = self.folder / "module"
        shutil.copytree(MODULE / "cmake", module / "zephyr_module" / "cmake")
        shutil.copytree(MODULE / "include", module / "zephyr_module" / "include")
        shutil.copytree(
            ROOT / "codegen" / "src" / "tinymldelta",
            self.package,
            ignore=shutil.ignore_patterns("__pycache__", "*.so"),
        )
        for name, source in (("digits", DIGITS), ("sst", SST)):
            shutil.copy(source / "base.tflite", self.folder / f"{name}.tflite")
        (self.folder / "labels.txt").write_text("good\nbad\n")
        make_python(self.folder / "python")
        self.write()

    @property
    def package(self) -> Path:
        return self.folder / "module" / "codegen" / "src" / "tinymldelta"

    @property
    def out(self) -> Path:
        return self.build / "tinymldelta"

    def write(self) -> None:
        """The CMakeLists.txt, after its parts have changed."""
        text = (HARNESS / "CMakeLists.txt.in").read_text()
        parts = {
            "enabled": self.enabled,
            "edt": self.zephyr.edt,
            "zephyr_base": self.zephyr.base,
            "python": self.folder / "python",
            "calls": self.calls,
        }
        for name, value in parts.items():
            text = text.replace(f"@{name}@", str(value))
        (self.folder / "CMakeLists.txt").write_text(text)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        # Flags of the machine are no part of the test.
        clean = {k: v for k, v in os.environ.items() if k not in ("CFLAGS", "NINJA_STATUS")}
        return subprocess.run(command, cwd=self.folder, env=clean, capture_output=True, text=True)

    def configure(self) -> subprocess.CompletedProcess[str]:
        return self.run("cmake", "-G", "Ninja", "-S", ".", "-B", "build")

    def make(self) -> subprocess.CompletedProcess[str]:
        return self.run("cmake", "--build", "build")

    def first_build(self) -> None:
        for step in (self.configure(), self.make()):
            assert step.returncode == 0, step.stdout + step.stderr

    def rebuild(self) -> tuple[bool, set[str]]:
        """Build: did the generator run, and which sources were compiled?"""
        done = self.make()
        assert done.returncode == 0, done.stdout
        objects = re.findall(r"Building C object (?:\S|\\ )*/([^/]+)\.o\b", done.stdout)
        assert done.stderr == ""
        return GENERATED in done.stdout, set(objects)

    def configure_error(self) -> str:
        """What CMake says, as one line."""
        done = self.configure()
        assert done.returncode != 0
        (said,) = re.findall(r"CMake Error at [^\n]*\n(.*?)\nCall Stack", done.stderr, re.DOTALL)
        return " ".join(said.split())

    def build_error(self) -> str:
        """The generator's sentence. It is the only one, and nothing is compiled."""
        done = self.make()
        assert done.returncode != 0
        assert "Building" not in done.stdout
        assert "Traceback" not in done.stdout
        said = re.findall(r"^error: (.*)$", done.stdout, re.MULTILINE)
        assert len(said) == 1, done.stdout + done.stderr
        return said[0]


@pytest.fixture(scope="session")
def zephyr(tmp_path_factory: pytest.TempPathFactory) -> Zephyr:
    return make_zephyr(tmp_path_factory.mktemp("device tree"))


@pytest.fixture
def firmware(tmp_path, zephyr) -> Firmware:
    return Firmware(tmp_path / "firmware", zephyr)


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


# ---- what is made again ----

ALL_SOURCES = {"with_contract.c", "without.c", "tmd_models.c", "tmd_model_digits.c"}


def test_only_what_changed_is_made_again(firmware) -> None:
    firmware.configure()
    assert firmware.rebuild() == (True, ALL_SOURCES)
    assert firmware.make().stdout == "ninja: no work to do.\n"

    # A new time, the same content.
    (firmware.folder / "digits.tflite").touch()
    assert firmware.rebuild() == (True, set())
    assert firmware.make().stdout == "ninja: no work to do.\n"

    # Another model: its array, and its digest in the contract.
    shutil.copy(DIGITS / "target.tflite", firmware.folder / "digits.tflite")
    assert firmware.rebuild() == (True, {"with_contract.c", "tmd_models.c", "tmd_model_digits.c"})
    assert (firmware.out / "digits.tflite").read_bytes() == (DIGITS / "target.tflite").read_bytes()

    # The generator itself.
    append(firmware.package / "templates" / "tmd_models.c.j2", "/* another line */\n")
    assert firmware.rebuild() == (True, {"tmd_models.c"})
    append(firmware.package / "contract.py", "# another line\n")
    assert firmware.rebuild() == (True, set())

    # What it is not made of.
    append(firmware.package / "cli" / "main.py", "# another line\n")
    append(firmware.package / "templates" / "wire.h.j2", "/* another line */\n")
    assert firmware.make().stdout == "ninja: no work to do.\n"

    # The devicetree, and another option.
    firmware.zephyr = make_zephyr(
        firmware.folder / "tree", "&tmd_slot1 { reg = <0x140000 0x40000>; };"
    )
    firmware.write()
    assert firmware.rebuild() == (True, set())
    firmware.calls = ONE_CALL.replace(")", " VERSION 2.0.0)")
    firmware.write()
    assert firmware.rebuild() == (True, {"with_contract.c", "tmd_models.c"})
    assert firmware.make().stdout == "ninja: no work to do.\n"

    # What somebody deleted.
    (firmware.out / "tmd_contract.h").unlink()
    ran, _ = firmware.rebuild()
    assert ran and (firmware.out / "tmd_contract.h").is_file()


def test_an_own_resolver_is_checked_again_when_it_changes(firmware) -> None:
    calls = [f"r.Add{name}();\n" for name in ("Conv2D", "MaxPool2D", "FullyConnected", "Softmax")]
    own = firmware.folder / "inference.cpp"
    own.write_text("".join([*calls, "r.AddReshape();\n"]))
    firmware.calls = ONE_CALL.replace(")", " RESOLVER inference.cpp)")
    firmware.write()
    firmware.first_build()
    own.write_text("".join(calls))
    assert "is linked: AddReshape" in firmware.build_error()
    own.write_text("".join([*calls, "/* more */ r.AddReshape();\n"]))
    assert firmware.rebuild() == (True, set())


def test_labels_and_warnings_are_of_each_run(firmware) -> None:
    labels = firmware.folder / "labels.txt"
    firmware.calls = "set(CONFIG_TMD_WARN_PERCENT 1)\n" + ONE_CALL.replace(
        ")", " LABELS labels.txt)"
    )
    firmware.write()
    firmware.configure()
    said = firmware.make().stdout
    assert re.search(r"^  digits  slot +6,432 of 262,144 bytes,", said, re.MULTILINE)
    assert re.search(r"^warning: digits uses 2% of its slot ", said, re.MULTILINE)
    labels.write_text("good\nworse\n")
    assert firmware.rebuild() == (True, {"with_contract.c", "tmd_models.c"})


TWO_CALLS = f"""{ONE_CALL}
tmd_add_model(app NAME sst MODEL "${{CMAKE_CURRENT_SOURCE_DIR}}/sst.tflite" NODE sst_model
              ARENA 8192 ARENA_NEED 3000 VERSION 1.2.3 LOWEST_VERSION 1.0.0 FACTORY
              EXTRA_OPS TANH CONV_2D NOTE [[run 7; "the \\last\\"]] LABELS labels.txt)
"""


def test_two_builds_make_the_same_bytes(tmp_path, zephyr) -> None:
    """In folders with blanks in their names, of which one is deeper than the other."""
    made = []
    for folder in (tmp_path / "one folder", tmp_path / "a" / "deeper folder"):
        firmware = Firmware(folder, zephyr, calls=TWO_CALLS)
        firmware.first_build()
        assert firmware.make().stdout == "ninja: no work to do.\n"
        append(firmware.package / "contract.py", "# another line\n")
        assert firmware.rebuild() == (True, set())
        files = contents(firmware.out)
        made.append(
            {n: data for n, data in files.items() if n not in ("request.json", "codegen.d")}
        )
        assert str(folder).encode() not in b"".join(made[-1].values())
    assert made[0] == made[1]
    assert {"sst.tflite", "tmd_model_digits.c", "contract.json"} < made[0].keys()
    assert "tmd_model_sst.c" not in made[0]


def test_what_cmake_asks_for(firmware) -> None:
    """The same document as the tests of the generator write."""
    firmware.calls = TWO_CALLS
    firmware.write()
    assert firmware.configure().stderr == ""
    folder = firmware.folder
    sst = {
        **{"arena": "8192", "arena_need": "3000", "version": "1.2.3", "lowest_version": "1.0.0"},
        **{"extra_ops": "TANH CONV_2D", "note": 'run 7; "the \\last\\"'},
        "labels": str(folder / "labels.txt"),
    }
    assert json.loads((firmware.out / "request.json").read_text()) == request(
        firmware.zephyr,
        model("digits", folder / "digits.tflite"),
        model("sst", folder / "sst.tflite", node="sst_model", factory="ON", **sst),
        package=str(firmware.package.parent),
    )


@pytest.mark.parametrize("decoder", ["DEFAULT", "LEAN", "NONE"])
def test_what_kconfig_said_is_asked_for(decoder, firmware) -> None:
    options = {
        **dict.fromkeys(("FORMAT_1", "ACCEPT_UNGUARDED", "ACCEPT_NO_DIGEST"), "y"),
        **dict.fromkeys(("OTHER_KERNELS_WARN", "OTHER_KERNELS_TAKE"), "y"),
        **dict.fromkeys(("FREE_QUANTISATION", "COMPARE_TENSOR_NAMES"), "y"),
        f"DECODER_{decoder}": "y",
        "TFLM": "9156d050",
        "META_KEPT": "64",
        "WARN_PERCENT": "70",
        "ERASE_BYTES": "4096",
        "WRITE_BYTES": "8",
        "WRITE_BUFFER": "128",
        **dict.fromkeys(("VERIFY", "ANTI_ROLLBACK", "DECRYPT"), "y"),
        **{"MAC_KEYS": "aes-cmac:1 hmac-sha256", "DEVICE_CLASS": "a_board"},
    }
    sets = "".join(f"set(CONFIG_TMD_{name} [[{value}]])\n" for name, value in options.items())
    firmware.calls = sets + ONE_CALL
    firmware.write()
    assert firmware.configure().stderr == ""
    asked = json.loads((firmware.out / "request.json").read_text())
    del options[f"DECODER_{decoder}"]
    assert asked["decoder"] == decoder
    assert {name: asked[name.lower()] for name in options} == options


@pytest.mark.parametrize("linked", ["y", ""])
def test_what_zephyr_links_is_asked_for(linked, firmware) -> None:
    """The module may be in the workspace without being in the firmware."""
    sets = {
        "CONFIG_TENSORFLOW_LITE_MICRO": linked,
        "ZEPHYR_TFLITE_MICRO_MODULE_DIR": "/work space/tflm",
        "CONFIG_TENSORFLOW_LITE_MICRO_CMSIS_NN_KERNELS": linked,
        "CONFIG_SRAM_SIZE": "64",
    }
    firmware.calls = "".join(f'set({k} "{v}")\n' for k, v in sets.items()) + ONE_CALL
    firmware.write()
    assert firmware.configure().stderr == ""
    asked = json.loads((firmware.out / "request.json").read_text())
    assert asked["tflm_folder"] == ("/work space/tflm" if linked else "")
    assert (asked["cmsis_nn"], asked["sram_size"]) == (linked, "64")


def test_keys_are_files_of_the_application(firmware) -> None:
    """A new key makes the contract anew; the build has no more than its public part."""
    keys = firmware.folder / "keys"
    (keys / "a b").mkdir(parents=True)
    for name, key in (("ed.pem", ED25519), ("a b/p256.pem", P256), ("x.pem", X25519)):
        (keys / name).write_bytes(key.pem())
    settings = {
        **{"VERIFY": "y", "PUBLIC_KEYS": 'keys/ed.pem "keys/a b/p256.pem"'},
        **{"DECRYPT": "y", "DECRYPTION_KEYS": str(keys / "x.pem")},
    }
    sets = "".join(f"set(CONFIG_TMD_{name} [[{value}]])\n" for name, value in settings.items())
    defined = "target_compile_definitions(app PRIVATE TMD_VERIFY=1 TMD_DECRYPT=1)\n"
    firmware.calls = sets + defined + ONE_CALL
    firmware.write()
    firmware.first_build()
    asked = json.loads((firmware.out / "request.json").read_text())
    assert asked["public_keys"] == [str(keys / "ed.pem"), str(keys / "a b" / "p256.pem")]
    assert asked["decryption_keys"] == [str(keys / "x.pem")]
    assert firmware.make().stdout == "ninja: no work to do.\n"
    (keys / "ed.pem").write_bytes(P256.pem())
    assert "is there twice" in firmware.build_error()
    (keys / "a b" / "p256.pem").write_bytes(ED25519.pem())
    assert firmware.rebuild() == (True, {"with_contract.c", "tmd_models.c"})


def test_keys_lie_in_the_application(firmware) -> None:
    (firmware.folder / "app").mkdir()
    (firmware.folder / "app" / "ed.pem").write_bytes(ED25519.pem())
    firmware.calls = (
        "set(APPLICATION_SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR}/app)\n"
        f"set(CONFIG_TMD_PUBLIC_KEYS ed.pem)\n{ONE_CALL}"
    )
    firmware.write()
    assert firmware.configure().returncode == 0
    asked = json.loads((firmware.out / "request.json").read_text())
    assert asked["public_keys"] == [str(firmware.folder / "app" / "ed.pem")]


# ---- what is refused ----

COMPLETE = "tmd_add_model(app NAME <name> MODEL <file.tflite>)"


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ("tmd_add_model(app MODEL digits.tflite)", f"tmd_add_model: NAME is missing: {COMPLETE}"),
        ("tmd_add_model(app NAME digits)", f"tmd_add_model: MODEL is missing: {COMPLETE}"),
        (
            "tmd_add_model(app NAME digits MODEL none.tflite)",
            "tmd_add_model(digits): MODEL @/none.tflite does not exist",
        ),
        (
            "tmd_add_model(app NAME digits MODEL digits.tflite RESOLVER none.cpp)",
            "tmd_add_model(digits): RESOLVER @/none.cpp does not exist",
        ),
        (
            "tmd_add_model(app NAME digits MODEL digits.tflite LABELS none.txt)",
            "tmd_add_model(digits): LABELS @/none.txt does not exist",
        ),
        (
            "tmd_add_model(app NAME digits MODEL digits.tflite AREA 8192)",
            "tmd_add_model: it knows no 'AREA;8192'",
        ),
        (
            "tmd_add_model(application NAME digits MODEL digits.tflite)",
            "tmd_add_model: there is no target 'application': call it behind find_package(Zephyr), "
            "with the target that uses the model: app",
        ),
        (
            "tmd_add_model(app NAME digits MODEL digits.tflite ARENA)",
            "tmd_add_model: ARENA has no value",
        ),
        (
            "tmd_add_model(app NAME digits MODEL digits.tflite EXTRA_OPS)",
            "tmd_add_model: EXTRA_OPS has no value",
        ),
        (
            f"set(CONFIG_TMD_PUBLIC_KEYS none.pem)\n{ONE_CALL}",
            "CONFIG_TMD_PUBLIC_KEYS: @/none.pem does not exist: make a key with `tmd keygen`, and "
            "name the file of its public part, relative to the application",
        ),
        (
            TWO_CALLS.replace("NAME sst", "NAME digits"),
            "tmd_add_model(digits): there is a model of that name already: give each its own NAME",
        ),
    ],
)
def test_configure_errors(calls, said, firmware) -> None:
    firmware.calls = calls
    firmware.write()
    # CMake breaks lines at blanks: the folder has none.
    assert firmware.configure_error() == said.replace("@", str(firmware.folder))
    firmware.calls = ONE_CALL
    firmware.write()
    assert firmware.configure().returncode == 0


def test_a_python_without_the_packages(firmware, tmp_path) -> None:
    """Said when CMake configures, not as a traceback of the build."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    (firmware.folder / "python").unlink()
    (firmware.folder / "python").symlink_to(bare / "bin" / "python")
    firmware.write()
    said = firmware.configure().stderr
    assert "lacks a package" in said
    assert "-m pip install -r" in said
    assert "requirements/zephyr.txt" in said


def test_the_module_is_off(firmware) -> None:
    firmware.enabled = ""
    firmware.write()
    said = firmware.configure_error()
    assert said.startswith("tmd_add_model: CONFIG_TINYMLDELTA is off: set CONFIG_TINYMLDELTA=y, ")


def test_build_errors(firmware) -> None:
    """Each says its sentence; the next build after the mistake is corrected passes."""
    mistakes: Mapping[str, str] = {
        ONE_CALL.replace(")", " ARENA 64)"): "digits: an arena of 64 bytes is too small: ",
        ONE_CALL.replace(")", " ARENA 8k)"): "tmd_add_model(digits): ARENA 8k is no size ",
        ONE_CALL.replace(")", " VERSION 1)").replace("1)", "1.0)"): (
            "tmd_add_model(digits): VERSION: '1.0' is no version: "
        ),
        ONE_CALL.replace(")", " EXTRA_OPS Tanh)"): "EXTRA_OPS Tanh: ",
        ONE_CALL.replace(")", " NODE none)"): "devicetree node none: there is no such node ",
        ONE_CALL.replace("digits.tflite", "without.c"): f"{firmware.folder}/without.c: ",
        TWO_CALLS.replace("NODE sst_model", ""): (
            "tmd_add_model(sst): the devicetree node tmd_model belongs to another model "
        ),
        ONE_CALL.replace("NAME digits", "NAME Digits"): "Digits: not a name for a model ",
    }
    firmware.configure()
    for calls, said in mistakes.items():
        firmware.calls = calls
        firmware.write()
        assert firmware.build_error().startswith(said)
    firmware.calls = ONE_CALL
    firmware.write()
    assert firmware.rebuild() == (True, ALL_SOURCES)

    # A model that is gone, and one that comes back.
    (firmware.folder / "digits.tflite").rename(firmware.folder / "gone")
    assert firmware.make().returncode != 0
    (firmware.folder / "gone").rename(firmware.folder / "digits.tflite")
    firmware.rebuild()


# ---- the module as Zephyr finds it ----


def test_module_yml_names_what_exists() -> None:
    document = yaml.safe_load((ROOT / "zephyr" / "module.yml").read_text())
    assert document["name"] == "tinymldelta"
    build = document["build"]
    assert (ROOT / build["cmake"] / "CMakeLists.txt").is_file()
    assert (ROOT / build["kconfig"]).is_file()
    roots = build["settings"]
    assert set(roots) == {"dts_root", "snippet_root"}
    assert (ROOT / roots["dts_root"] / "dts" / "bindings" / "tinymldelta,model.yaml").is_file()
    assert list((ROOT / roots["snippet_root"] / "snippets").glob("*/snippet.yml"))


def test_every_source_that_the_module_builds_exists() -> None:
    text = (MODULE / "CMakeLists.txt").read_text()
    named = re.findall(r"\b((?:core|store|smp|ports/zephyr)/\w+\.c)\b", text)
    there = [
        path.relative_to(MODULE).as_posix()
        for room in ("core", "store", "smp", "ports/zephyr")
        for path in (MODULE / room).glob("*.c")
    ]
    assert sorted(named) == sorted(there)
