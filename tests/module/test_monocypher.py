"""Where the module's build finds Monocypher, and what it says if it does not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from firmwarekit import MODULE

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")

SCRIPT = f"""
cmake_minimum_required(VERSION 3.20)
include({MODULE}/cmake/tmd_monocypher.cmake)
tmd_monocypher(sources folders)
message("${{sources}}|${{folders}}")
"""
REPOSITORY = ("src/monocypher.c", "src/optional/monocypher-ed25519.c")
SIDE_BY_SIDE = ("monocypher.c", "monocypher-ed25519.c")


def find(folder: Path, **variables: Path | str) -> subprocess.CompletedProcess[str]:
    script = folder / "find.cmake"
    script.write_text(SCRIPT)
    defines = [f"-D{name}={value}" for name, value in variables.items()]
    return subprocess.run(
        ["cmake", *defines, "-P", str(script)], capture_output=True, text=True, cwd=folder
    )


def put(folder: Path, files: tuple[str, ...]) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(run: subprocess.CompletedProcess[str]) -> tuple[list[str], list[str]]:
    assert run.returncode == 0, run.stderr
    sources, folders = run.stderr.strip().split("|")
    return sources.split(";"), folders.split(";")


@pytest.mark.parametrize("files", [REPOSITORY, SIDE_BY_SIDE])
@pytest.mark.parametrize(
    ("variable", "below"),
    [
        ("TMD_MONOCYPHER_DIR", "some where"),
        ("ZEPHYR_MONOCYPHER_MODULE_DIR", "module"),
        ("WEST_TOPDIR", "west/modules/crypto/monocypher"),
    ],
)
def test_found(variable: str, below: str, files: tuple[str, ...], tmp_path: Path) -> None:
    folder = put(tmp_path / below, files)
    named = tmp_path / "west" if variable == "WEST_TOPDIR" else folder
    sources, folders = found(find(tmp_path, **{variable: named}))
    assert [Path(source) for source in sources] == [folder / name for name in files]
    assert {Path(name) for name in folders} == {(folder / name).parent for name in files}
    assert len(folders) == len(set(folders))


def test_a_folder_relative_to_the_application(tmp_path: Path) -> None:
    put(tmp_path / "lib", SIDE_BY_SIDE)
    (tmp_path / "app").mkdir()
    run = find(tmp_path, TMD_MONOCYPHER_DIR="../lib", APPLICATION_SOURCE_DIR=tmp_path / "app")
    assert found(run)[1] == [str(tmp_path / "lib")]


def test_a_named_folder_excludes_the_others(tmp_path: Path) -> None:
    put(tmp_path / "west/modules/crypto/monocypher", REPOSITORY)
    run = find(tmp_path, TMD_MONOCYPHER_DIR=tmp_path / "other", WEST_TOPDIR=tmp_path / "west")
    assert run.returncode != 0


@pytest.mark.parametrize(
    ("files", "missing"), [((), "monocypher.c"), (REPOSITORY[:1], "monocypher-ed25519.c")]
)
def test_not_found(files: tuple[str, ...], missing: str, tmp_path: Path) -> None:
    put(tmp_path / "west/modules/crypto/monocypher", files)
    run = find(tmp_path, WEST_TOPDIR=tmp_path / "west")
    said = " ".join(run.stderr.split())
    assert run.returncode != 0
    assert f"CONFIG_TMD_CRYPTO_MONOCYPHER: no {missing} in: {tmp_path}" in said
    assert "run `west update`; or name its folder: -DTMD_MONOCYPHER_DIR=<folder>" in said
