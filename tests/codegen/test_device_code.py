"""Rules for the device's C: no writable static data, nothing of a platform, usable from C++."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
ROOMS = ("core", "store")


def sources(root: Path) -> list[Path]:
    found = [p for room in ROOMS for p in sorted((root / "zephyr_module" / room).glob("*.c"))]
    assert len(found) >= 9
    return found


def writable_data(source: Path, root: Path, folder: Path) -> list[str]:
    """Names of what lies in .data or .bss (or is common) of a compiled source."""
    out = folder / f"{source.stem}.o"
    subprocess.run(
        [
            "cc",
            "-std=c11",
            *STRICT,
            "-Os",
            f"-I{root / 'zephyr_module' / 'include'}",
            "-c",
            source,
            "-o",
            out,
        ],
        check=True,
    )
    symbols = subprocess.run(["nm", out], check=True, capture_output=True, text=True).stdout
    return re.findall(r"^\S* +[bBdDgGsScC] (\S+)$", symbols, re.MULTILINE)


def test_core_and_store_have_no_writable_static_data(root: Path, tmp_path: Path) -> None:
    for source in sources(root):
        assert writable_data(source, root, tmp_path) == [], source.name


def test_the_check_finds_writable_static_data(root: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.c"
    bad.write_text(
        "extern int f(void);\nint f(void) { static int calls; return ++calls; }\nint seen = 3;\n"
    )
    assert len(writable_data(bad, root, tmp_path)) == 2


def test_core_and_store_include_nothing_of_a_platform(root: Path) -> None:
    allowed = re.compile(r'<(stdbool|stddef|stdint|string)\.h>|<tinymldelta/\w+\.h>|"[\w./]+\.h"')
    for room in ROOMS:
        for file in sorted((root / "zephyr_module" / room).glob("*.[ch]")):
            text = file.read_text(encoding="utf-8")
            for name in re.findall(r"^#include (.*)$", text, re.MULTILINE):
                assert allowed.fullmatch(name), f"{file.name} includes {name}"
            assert "CONFIG_" not in text, file.name
            if room == "core":
                assert "store/" not in text, f"{file.name}: core includes store"


def test_public_headers_compile_as_cpp17(root: Path, tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler: apt install g++")
    include = root / "zephyr_module" / "include"
    for header in sorted((include / "tinymldelta").glob("*.h")):
        user = tmp_path / "user.cpp"
        user.write_text(
            f"#include <tinymldelta/{header.name}>\n"
            f"#include <tinymldelta/{header.name}>\nint main() {{ return 0; }}\n"
        )
        subprocess.run(
            ["c++", "-std=c++17", *STRICT, f"-I{include}", "-c", user, "-o", tmp_path / "user.o"],
            check=True,
        )


def test_cpp_links_with_the_core(root: Path, tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler: apt install g++")
    include = f"-I{root / 'zephyr_module' / 'include'}"
    objects = []
    for source in sources(root):
        objects.append(tmp_path / f"{source.stem}.o")
        subprocess.run(["cc", "-std=c11", include, "-c", source, "-o", objects[-1]], check=True)
    user = tmp_path / "user.cpp"
    user.write_text(
        "#include <tinymldelta/tinymldelta.h>\n#include <cstring>\n"
        'int main() { return std::strcmp(tmd_status_name(TMD_ERR_ARENA), "ARENA"); }\n'
    )
    program = tmp_path / "user"
    subprocess.run(
        ["c++", "-std=c++17", *STRICT, include, user, *objects, "-o", program], check=True
    )
    assert subprocess.run([program]).returncode == 0
