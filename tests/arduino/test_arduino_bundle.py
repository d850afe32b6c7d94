"""The Arduino library: its bytes, its metadata, and that it compiles as Arduino compiles it."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import arduinokit
from arduinokit import (
    PORT,
    ROOT,
    STANDIN,
    assert_stays_in_ram,
    compile_all,
    load_bundle,
    need,
    run,
    unpack,
)

SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
)
# Of the Arduino library specification, revision 2.2, as arduino-lint checks them.
CATEGORIES = {
    "Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing",
    "Data Storage", "Data Processing", "Other",
}  # fmt: skip
REQUIRED = {
    "name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url",
    "architectures",
}  # fmt: skip
OPTIONAL = {"depends", "dot_a_linkage", "includes", "precompiled", "ldflags"}
# Names of platforms, as the boards' packages call their architecture.
ARCHITECTURES = {"renesas_uno", "esp32", "zephyr"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("library"))


def properties_of(text: str) -> dict[str, str]:
    """As Arduino reads them: NAME=VALUE, a line each; # begins a comment."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [line.partition("=") for line in lines]
    assert all(separator for _, separator, _ in found)
    assert len({name for name, _, _ in found}) == len(found)
    return {name.strip(): value.strip() for name, _, value in found}


def faults(properties: dict[str, str]) -> list[str]:
    """What arduino-lint would report in its strict mode, by field."""
    found = sorted(REQUIRED - properties.keys())
    found += sorted(properties.keys() - REQUIRED - OPTIONAL)
    get = properties.get
    checks = {
        "name": re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,62}", get("name", ""))
        and not re.match("arduino", get("name", ""), re.I)
        and not re.search("library|arduino", get("name", ""), re.I),
        "version": SEMVER.fullmatch(get("version", "")),
        "author": get("author"),
        "maintainer": get("maintainer") and "arduino" not in get("maintainer", "").lower(),
        "sentence": get("sentence"),
        "paragraph": get("paragraph") and not get("paragraph", "").startswith(get("sentence", "-")),
        "category": get("category") in CATEGORIES,
        "url": re.fullmatch(r"https?://[^\s/]+/\S*", get("url", "")),
        "architectures": set(get("architectures", "").split(",")) <= ARCHITECTURES,
        "depends": not get("depends"),
        "dot_a_linkage": get("dot_a_linkage", "true") in ("true", "false"),
    }
    return found + [field for field, right in checks.items() if not right]


def test_library_properties_keep_to_arduinos_specification(library: Path) -> None:
    properties = properties_of((library / "library.properties").read_text(encoding="utf-8"))
    assert faults(properties) == []
    assert properties["version"] == load_bundle().version()
    for header in properties["includes"].split(","):
        assert (library / "src" / header).is_file()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Arduino TinyMLDelta"),
        ("name", "TinyML/Delta"),
        ("name", "x" * 64),
        ("version", "0.1"),
        ("version", "01.0.0"),
        ("maintainer", "Arduino"),
        ("category", "Machine Learning"),
        ("url", "URL-OF-THIS-REPOSITORY"),
        ("architectures", "uno_r4"),
        ("paragraph", ""),
        ("licence", "Apache-2.0"),
    ],
)
def test_what_the_specification_forbids_is_found(library: Path, field: str, value: str) -> None:
    properties = properties_of((library / "library.properties").read_text(encoding="utf-8"))
    assert faults({**properties, field: value}) == [field]


def test_library_json_keeps_to_platformios_rules(library: Path) -> None:
    """The fields and limits of PlatformIO's manifest schema."""
    manifest = json.loads((library / "library.json").read_text(encoding="utf-8"))
    known = {
        "name", "version", "description", "keywords", "authors", "license", "frameworks",
        "platforms", "headers", "build",
    }  # fmt: skip
    assert manifest.keys() == known
    assert re.fullmatch(r"[^:;/,@<>]{1,100}", manifest["name"])
    assert SEMVER.fullmatch(manifest["version"])
    assert manifest["version"] == load_bundle().version()
    assert len(manifest["description"]) <= 1000
    assert all(re.fullmatch(r"[a-z\d\-_+. ]{1,50}", word) for word in manifest["keywords"])
    assert all(0 < len(author["name"]) <= 100 for author in manifest["authors"])
    for field in ("platforms", "frameworks"):
        assert all(re.fullmatch(r"[a-z\d\-_]{1,50}", name) for name in manifest[field])
    assert manifest["license"] == "Apache-2.0"
    assert manifest["build"]["srcDir"] == manifest["build"]["includeDir"] == "src"
    assert all((library / "src" / header).is_file() for header in manifest["headers"])


def test_keywords_are_separated_by_tabs_and_exist(library: Path) -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in sorted((library / "src").rglob("*.h"))
    )
    lines = (library / "keywords.txt").read_text(encoding="utf-8").splitlines()
    words = [line.split("\t") for line in lines if line and not line.startswith("#")]
    assert len(words) > 10
    for word, kind in words:
        assert kind in ("KEYWORD1", "KEYWORD2", "LITERAL1")
        assert re.search(rf"\b{word}\b", source), word


def test_same_source_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one.zip", tmp_path / "below" / "two.zip"
    names = load_bundle().assemble(one)
    program = [sys.executable, PORT / "bundle.py", "--out", two]
    run(program, cwd=tmp_path, env={"PYTHONHASHSEED": "1", "TZ": "Pacific/Apia"})
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(two.read_bytes()).digest()
    assert sorted(path.name for path in two.parent.iterdir()) == ["two.zip"]
    with zipfile.ZipFile(one) as bundle:
        entries = bundle.infolist()
    assert [entry.filename for entry in entries] == names == sorted(names)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {stat.S_IMODE(entry.external_attr >> 16) for entry in entries} == {0o644}
    assert len({name.lower() for name in names}) == len(names)
    # What one zlib makes of a file, another one does not: Python has one or the other.
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


def test_it_is_one_folder_with_what_arduino_wants(library: Path) -> None:
    assert sorted(path.name for path in library.iterdir()) == [
        "LICENSE", "README.md", "examples", "extras", "keywords.txt", "library.json",
        "library.properties", "src",
    ]  # fmt: skip
    assert (library / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    for sketch in (library / "examples").iterdir():
        assert {f"{sketch.name}.ino", "README.md"} <= {path.name for path in sketch.iterdir()}
        # What `tmd codegen` writes beside a sketch is the user's.
        assert not list(sketch.glob("*.[ch]"))


def test_source_is_the_one_source(library: Path) -> None:
    """But for config.h, which includes tmd_options.h."""
    for room in ("core", "store", "smp"):
        for path in (library / "src" / room).iterdir():
            assert path.read_bytes() == (ROOT / "zephyr_module" / room / path.name).read_bytes()
    headers = library / "src" / "tinymldelta"
    changed = [
        path.name
        for path in headers.iterdir()
        if path.read_bytes() != (PORT.parents[1] / "include/tinymldelta" / path.name).read_bytes()
    ]
    assert changed == ["config.h"]
    assert (headers / "config.h").read_text().count('#include "../tmd_options.h"') == 1


def test_options_that_are_none_are_refused() -> None:
    for option in ("TMD_DECODER", "TMD_DECODER=lean", "TMD_F2_INPUT=64", "DECODER=1"):
        done = subprocess.run(
            [sys.executable, PORT / "bundle.py", "--option", option], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert option.partition("=")[0] in done.stderr


# ---- compiled as Arduino does: everything below src/, with src/ alone on the include path ----

COMPILERS = {
    "gcc": (("gcc",), ("g++",)),
    "arm": (
        ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"),
        ("arm-none-eabi-g++", "-mcpu=cortex-m4", "-mthumb"),
    ),
    "riscv": (
        ("riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"),
        None,
    ),
}
# As the cores of UNO R4 and ESP32 compile, and with warnings that they leave off.
AS_C = ("-std=gnu11", "-Os", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
AS_CPP = ("-std=gnu++17", "-Os", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror")


def sources(library: Path, ending: str) -> list[Path]:
    return sorted((library / "src").rglob(f"*.{ending}"))


@pytest.mark.parametrize("name", COMPILERS)
def test_all_c_files_compile(name: str, library: Path, tmp_path: Path) -> None:
    """For no board that it knows: the ports of others are empty then."""
    compiler = COMPILERS[name][0]
    need(compiler[0])
    command = [*compiler, *AS_C, f"-I{library / 'src'}"]
    objects = compile_all(sources(library, "c"), tmp_path, command, library / "src")
    assert len(objects) > 20


@pytest.mark.parametrize("name", ["gcc", "arm"])
def test_all_cpp_files_and_each_header_compile(name: str, library: Path, tmp_path: Path) -> None:
    """Arduino.h alone comes from the stand-in. Each public header can be included first."""
    compiler = COMPILERS[name][1]
    assert compiler is not None
    need(compiler[0])
    command = [*compiler, *AS_CPP, f"-I{library / 'src'}", f"-I{STANDIN}"]
    assert compile_all(sources(library, "cpp"), tmp_path, command, library / "src")
    public = [path.name for path in (library / "src").glob("*.h") if "esp" not in path.name]
    public += [f"tinymldelta/{path.name}" for path in (library / "src/tinymldelta").iterdir()]
    each = tmp_path / "each.cpp"
    for header in sorted(public):
        each.write_text(f"#include <{header}>\n", encoding="utf-8")
        run([*command, "-fsyntax-only", each])


@pytest.mark.parametrize("core", ["-DARDUINO_ARCH_RENESAS_UNO", "-DARDUINO_ARCH_RENESAS"])
def test_ra4m1_port_compiles_for_arm(core: str, library: Path, tmp_path: Path) -> None:
    """The first is Arduino's own; PlatformIO's platform renesas-ra defines the second alone."""
    need("arm-none-eabi-gcc", "arm-none-eabi-g++")
    flags = [core, f"-I{library / 'src'}", f"-I{STANDIN}", "-isystem", "."]
    sketch = tmp_path / "sketch.cpp"
    sketch.write_text("#include <TinyMLDelta.h>\nstatic struct tmd_ra4m1 flash;\n", "utf-8")
    run([*(COMPILERS["arm"][1] or ()), *flags, "-std=gnu++17", "-fsyntax-only", sketch])
    source = library / "src" / "tmd_ra4m1.c"
    for options in (("-Os",), ("-O0",), ("-O2",), ("-Os", "-fno-builtin")):
        command = [*COMPILERS["arm"][0], *AS_C, *options, *flags]
        [made] = compile_all([source], tmp_path, command, library / "src")
        assert_stays_in_ram(made)


@pytest.mark.parametrize("name", ["gcc", "riscv"])
def test_esp_port_compiles(name: str, library: Path, tmp_path: Path) -> None:
    compiler = COMPILERS[name][0]
    need(compiler[0])
    flags = ["-DESP_PLATFORM", f"-I{library / 'src'}", f"-I{STANDIN / 'esp'}"]
    source = library / "src" / "tmd_esp_partition.c"
    compile_all([source], tmp_path, [*compiler, *AS_C, *flags], library / "src")
    new = ["-DESP_IDF_VERSION_MAJOR=6", "-DESP_IDF_VERSION_MINOR=1", "-DESP_IDF_VERSION_PATCH=0"]
    compile_all([source], tmp_path, [*compiler, *AS_C, *flags, *new], library / "src")
    old = [*compiler, *flags, "-DESP_IDF_VERSION_MAJOR=4", "-DESP_IDF_VERSION_MINOR=4"]
    old += ["-DESP_IDF_VERSION_PATCH=3", "-fsyntax-only", source]
    done = subprocess.run(old, capture_output=True, text=True)
    assert done.returncode != 0
    assert "needs ESP-IDF 5.0 or newer" in done.stderr


# ---- options ----

LAYOUT = """
#include <TinyMLDelta.h>
#include <stdio.h>
int main() {
	const struct tmd_library built = tmd_library_built();
	printf("%d %u %u\\n", tmd_library_fits(), (unsigned)built.update_bytes, built.options & 3u);
}
"""


def layout(library: Path, folder: Path, *sketch_flags: str) -> list[int]:
    """What a sketch that is compiled so finds: does it fit, and how was the library compiled?"""
    folder.mkdir()
    main = folder / "main.cpp"
    main.write_text(LAYOUT, encoding="utf-8")
    include = f"-I{library / 'src'}"
    made = folder / "library.o"
    run(["gcc", "-c", include, library / "src" / "tmd_library.c", "-o", made])
    command = ["g++", include, f"-I{STANDIN}", *sketch_flags, main, made, "-o", folder / "main"]
    run(command)
    return [int(word) for word in run([folder / "main"]).split()]


def test_options_of_bundle_reach_library_and_sketch(library: Path, tmp_path: Path) -> None:
    lean = unpack(tmp_path, load_bundle().read_options(["TMD_DECODER=1", "TMD_TRIAL=0"]))
    fits, default_bytes, decoder = layout(library, tmp_path / "one")
    assert (fits, decoder) == (1, 2)
    fits, lean_bytes, decoder = layout(lean, tmp_path / "two")
    assert (fits, decoder) == (1, 1)
    assert lean_bytes < default_bytes - 2000


@pytest.mark.parametrize(
    "option", ["DECODER=1", "TRIAL=0", "RESUME=0", "META_KEPT=64", "WITH_FORMAT_1=0", "VERIFY=1"]
)
def test_a_sketch_with_other_options_is_told(option: str, library: Path, tmp_path: Path) -> None:
    assert layout(library, tmp_path / "one", f"-DTMD_{option}")[0] == 0


def test_ports_name_no_board_in_the_core() -> None:
    """A check of the checks: the port is the only file that reads Arduino's architecture."""
    users = [
        path.name
        for path, _ in load_bundle()._sources()
        if path.suffix in (".c", ".cpp", ".h") and "ARDUINO_ARCH" in path.read_text("utf-8")
    ]
    assert sorted(users) == ["TinyMLDelta.h", "tmd_ra4m1.c"]
    assert arduinokit.BOARDS.keys() == {path.parent.name for path in
                                        (ROOT / "samples" / "arduino").glob("*/*.ino")}  # fmt: skip
