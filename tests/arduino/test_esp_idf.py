"""The ESP-IDF component and its sample: Kconfig, CMake with a stand-in of ESP-IDF's build, and the
sample's own code on a PC."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from arduinokit import DIGITS, IN_CI, ROOT, STANDIN, TMD, need, run, running

COMPONENT = ROOT / "zephyr_module" / "ports" / "esp_idf" / "tinymldelta"
SAMPLE = ROOT / "samples" / "esp_idf"
TARGET = hashlib.sha256((DIGITS / "target.tflite").read_bytes()).hexdigest()


def sdkconfig(folder: Path, **values: str) -> str:
    """What ESP-IDF makes of the component's Kconfig, with these values set."""
    try:
        import kconfiglib
    except ImportError:
        (pytest.fail if IN_CI else pytest.skip)("needs kconfiglib: requirements/module.txt")
    kconfig = kconfiglib.Kconfig(str(COMPONENT / "Kconfig"), warn_to_stderr=False)
    for name, value in values.items():
        assert kconfig.syms[name].set_value(value), name
    assert kconfig.warnings == []
    path = folder / "sdkconfig.h"
    kconfig.write_autoconf(str(path))
    return path.read_text(encoding="utf-8")


def options(folder: Path, text: str) -> dict[str, str]:
    """The core's options with this configuration; `text` None: with none at all."""
    names = "DECODER TRIAL SELF_TEST RESUME STAGING WITH_FORMAT_1 VERIFY DECRYPT WRITE_BUFFER"
    lines = "".join(f"{name}=TMD_{name}\n" for name in [*names.split(), "META_KEPT"])
    flags = [f"-I{ROOT / 'zephyr_module' / 'include'}", f"-I{COMPONENT}", f"-I{folder}"]
    if text:
        (folder / "sdkconfig.h").write_text(text, encoding="utf-8")
        flags.append('-DTMD_CONFIG_FILE="tmd_config_esp_idf.h"')
    source = folder / "options.c"
    source.write_text(f"#include <tinymldelta/config.h>\n{lines}", encoding="utf-8")
    said = run(["gcc", "-E", "-P", *flags, source])
    return dict(re.findall(r"^([A-Z_0-9]+)=(\w+)$", said, re.MULTILINE))


def test_kconfigs_defaults_are_those_of_the_core(tmp_path: Path) -> None:
    need("gcc")
    found = options(tmp_path, sdkconfig(tmp_path))
    assert len(found) == 10
    assert found == options(tmp_path, "")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"TMD_DECODER_LEAN": "y"}, {"DECODER": "1"}),
        ({"TMD_DECODER_NONE": "y"}, {"DECODER": "0", "WITH_FORMAT_1": "1"}),
        ({"TMD_TRIAL": "n"}, {"TRIAL": "0", "SELF_TEST": "0"}),
        ({"TMD_RESUME": "n"}, {"RESUME": "0", "STAGING": "0"}),
        ({"TMD_FORMAT_1": "n", "TMD_VERIFY": "y"}, {"WITH_FORMAT_1": "0", "VERIFY": "1"}),
        ({"TMD_WRITE_BUFFER": "128", "TMD_META_KEPT": "64"},
         {"WRITE_BUFFER": "128", "META_KEPT": "64"}),
    ],
)  # fmt: skip
def test_kconfig_sets_options(
    values: dict[str, str], wanted: dict[str, str], tmp_path: Path
) -> None:
    need("gcc")
    defaults = options(tmp_path, "")
    assert options(tmp_path, sdkconfig(tmp_path, **values)) == {**defaults, **wanted}


def configure(folder: Path, config: str, main: Path | None, minor: int = 4) -> str:
    """Configure and build component and sample; returns what they require."""
    need("cmake", "gcc", "g++")
    project = folder / "project"
    project.mkdir()
    (folder / "given.h").write_text(config, encoding="utf-8")
    text = (STANDIN / "esp" / "component.cmake.in").read_text(encoding="utf-8")
    for name, value in (
        ("STANDIN", STANDIN), ("COMPONENT", COMPONENT), ("CONFIG", folder / "given.h"),
        ("MAIN", main or ""), ("MINOR", minor),
    ):  # fmt: skip
        text = text.replace(f"@{name}@", str(value))
    (project / "CMakeLists.txt").write_text(text, encoding="utf-8")
    run(["cmake", "-S", project, "-B", folder / "made", "-DCMAKE_BUILD_TYPE=Debug"])
    run(["cmake", "--build", folder / "made"])
    return (folder / "made" / "needs.txt").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    text = (SAMPLE / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line) for line in block.splitlines() if line and not line.startswith("#")]


def test_sample_as_the_readme_says(tmp_path: Path) -> None:
    """Its commands but idf.py, whose place the stand-in takes."""
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "host").symlink_to(ROOT / "samples" / "host")
    (tmp_path / "build").mkdir()
    ignore = shutil.ignore_patterns("tmd_*", "contract.json")
    shutil.copytree(SAMPLE, tmp_path / "samples" / "esp_idf", ignore=ignore)
    main = tmp_path / "samples" / "esp_idf" / "main"
    sends = []
    for command in commands():
        if command[0] == "tmd":
            run([*TMD, *command[1:]], cwd=tmp_path)
        elif command[0] == "python":
            assert command[1] == "samples/arduino/send.py"
            sends.append(command[3:])
        else:
            assert command[:3] == ["idf.py", "-C", "samples/esp_idf"]
    needs = configure(tmp_path, sdkconfig(tmp_path, TMD_SERIAL="y"), main)
    assert "main: tinymldelta;esp_timer;esp_driver_uart" in needs
    assert "tinymldelta: esp_partition bootloader_support;efuse;mbedtls" in needs
    [[what, patch, *rest]] = sends
    variables = {"TMD_PARTITIONS": str(SAMPLE / "partitions.csv")}
    program = tmp_path / "made" / "sample"
    with running(program, tmp_path / "flash", **variables) as board:
        told = board.says(what, tmp_path / patch, *rest)
        assert told.endswith(f"sha256 {TARGET}\n")
    with running(program, tmp_path / "flash", **variables) as board:
        assert TARGET in board.says("status")


def test_sample_without_a_contract_says_what_to_do(tmp_path: Path) -> None:
    need("cmake")
    main = tmp_path / "main"
    shutil.copytree(SAMPLE / "main", main, ignore=shutil.ignore_patterns("tmd_*"))
    done = subprocess.run(["cmake", "-P", main / "CMakeLists.txt"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "run `tmd codegen` first" in done.stderr


def test_component_is_found_before_kconfig_is_read(tmp_path: Path) -> None:
    """ESP-IDF first runs the files in script mode, unconfigured, to learn what they require."""
    need("cmake")
    script = tmp_path / "early.cmake"
    script.write_text(
        "function(idf_component_register)\n"
        "  cmake_parse_arguments(\n"
        '    PARSE_ARGV 0 it "" "" "SRCS;INCLUDE_DIRS;REQUIRES;PRIV_REQUIRES")\n'
        "  foreach(source IN LISTS it_SRCS)\n"
        f"    get_filename_component(source ${{source}} ABSOLUTE BASE_DIR {COMPONENT})\n"
        "    if(NOT EXISTS ${source})\n"
        '      message(FATAL_ERROR "no ${source}")\n'
        "    endif()\n"
        "  endforeach()\n"
        '  message("found ${it_REQUIRES}")\n'
        "endfunction()\n"
        "function(target_compile_definitions)\nendfunction()\n"
        f"set(CMAKE_CURRENT_LIST_DIR {COMPONENT})\n"
        f"include({COMPONENT / 'CMakeLists.txt'})\n",
        encoding="utf-8",
    )
    done = subprocess.run(["cmake", "-P", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "found esp_partition")


def test_component_names_all_sources_and_the_version() -> None:
    text = (COMPONENT / "CMakeLists.txt").read_text(encoding="utf-8")
    for room in ("core", "store", "smp"):
        for path in (ROOT / "zephyr_module" / room).glob("*.c"):
            assert f"${{tmd}}/{room}/{path.name}\n" in text
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    manifest = (COMPONENT / "idf_component.yml").read_text(encoding="utf-8")
    assert f'version: "{version}"\n' in manifest
