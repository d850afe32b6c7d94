"""`tmd arena`: predictions, refusals, and what it asks of a workspace to measure in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinymldelta.arena import predict_arena
from tinymldelta.cli.main import main
from tinymldelta.model import read_model_file
from tinymldelta.tflm import parse_kernels

Tmd = Callable[..., Result]


@pytest.fixture
def tmd() -> Tmd:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["arena", *(str(a) for a in arguments)])

    return run


@pytest.fixture
def base(digits: Path) -> Path:
    return digits / "base.tflite"


@pytest.fixture
def zephyr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What looks like a Zephyr tree, and no ZEPHYR_BASE that says so."""
    monkeypatch.delenv("ZEPHYR_BASE", raising=False)
    folder = tmp_path / "zephyr"
    folder.mkdir()
    (folder / "VERSION").write_text("VERSION_MAJOR = 4\nVERSION_MINOR = 1\n")
    (folder / "Kconfig.zephyr").touch()
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these the only programs on the path, each a shell script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(**scripts: str) -> None:
        for name, script in scripts.items():
            file = folder / name.replace("_", "-")
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)

    return make


def test_a_prediction_for_machines(tmd: Tmd, base: Path) -> None:
    result = tmd(base, "--json")
    assert result.exit_code == 0, result.output
    need = predict_arena(read_model_file(base))
    assert json.loads(result.stdout) == {
        "model": str(base),
        "bytes": need.bytes,
        "origin": "predicted",
    }


def test_several_models_are_a_list(tmd: Tmd, base: Path, digits: Path) -> None:
    other = digits / "refused_larger_arena.tflite"
    document = json.loads(tmd(base, other, "--json").stdout)
    assert [row["model"] for row in document] == [str(base), str(other)]
    assert document[0]["bytes"] < document[1]["bytes"]


def test_a_table_for_people(tmd: Tmd, base: Path) -> None:
    result = tmd(base)
    assert result.exit_code == 0
    assert f"{predict_arena(read_model_file(base)).bytes:,}" in result.stdout
    assert "predicted" in result.stdout


def test_another_revision_of_tflm(tmd: Tmd, base: Path) -> None:
    document = json.loads(tmd(base, "--json", "--kernels", "90b983c2").stdout)
    expected = predict_arena(read_model_file(base), parse_kernels("90b983c2"))
    assert document["bytes"] == expected.bytes


def test_an_unknown_revision_is_refused(tmd: Tmd, base: Path) -> None:
    result = tmd(base, "--kernels", "00000000")
    assert result.exit_code == 1
    assert "00000000" in result.stderr
    assert "8d404de7" in result.stderr


@pytest.mark.parametrize("options", [[], ["--measure"]])
def test_no_such_model(tmd: Tmd, zephyr: Path, options: list[str]) -> None:
    where = ["--zephyr-base", zephyr] if options else []
    result = tmd("nowhere.tflite", *options, *where)
    assert result.exit_code == 1
    assert "nowhere.tflite: cannot be read" in result.stderr


@pytest.mark.parametrize("options", [[], ["--measure"]])
def test_no_model(tmd: Tmd, tmp_path: Path, zephyr: Path, options: list[str]) -> None:
    file = tmp_path / "note.txt"
    file.write_text("this is not a model")
    where = ["--zephyr-base", zephyr] if options else []
    result = tmd(file, *options, *where)
    assert result.exit_code == 1
    assert f"{file}: not a TFLite model" in result.stderr


def test_a_refusal_for_machines(tmd: Tmd) -> None:
    result = tmd("nowhere.tflite", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["refused"]["where"] == "nowhere.tflite"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["m.tflite", "--measure", "--kernels", "8d404de7"],
        ["m.tflite", "--processor", "cortex-m3"],
        ["m.tflite", "--measure", "--processor", "cortex-a5"],
        ["m.tflite", "--zephyr-base", "z"],
        ["m.tflite", "--build-dir", "b"],
        ["m.tflite", "--cmake-arg", "-DX=1"],
        ["m.tflite", "--time-limit", "1"],
    ],
)
def test_called_wrongly(tmd: Tmd, arguments: list[str]) -> None:
    assert tmd(*arguments).exit_code == 2


def test_measuring_needs_a_workspace(tmd: Tmd, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZEPHYR_BASE", raising=False)
    result = tmd(base, "--measure")
    assert result.exit_code == 1
    assert "ZEPHYR_BASE: is not set" in result.stderr
    assert "--zephyr-base" in result.stderr


def test_a_folder_that_is_not_zephyrs(tmd: Tmd, base: Path, tmp_path: Path) -> None:
    result = tmd(base, "--measure", "--zephyr-base", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path}: is not a zephyr folder" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="stand-in programs are shell scripts")
class TestMissingParts:
    """Each part of a workspace that is missing is named, with what to do about it."""

    @pytest.fixture
    def measure(self, tmd: Tmd, base: Path, zephyr: Path, tmp_path: Path) -> Callable[[], Result]:
        build = ("--build-dir", tmp_path / "build")
        return lambda: tmd(base, "--measure", "--zephyr-base", zephyr, *build)

    def test_qemu(self, measure: Callable[[], Result], programs: Callable[..., None]) -> None:
        programs(west="exit 0")
        result = measure()
        assert result.exit_code == 1
        assert "qemu-system-arm: is not installed" in result.stderr

    def test_west(self, measure: Callable[[], Result], programs: Callable[..., None]) -> None:
        programs(qemu_system_arm="exit 0")
        result = measure()
        assert result.exit_code == 1
        assert "west: is not installed" in result.stderr
        assert "pip install west" in result.stderr

    @pytest.mark.parametrize(
        ("says", "words"),
        [
            (
                "attempt to assign the value 'y' to the undefined symbol TENSORFLOW_LITE_MICRO",
                ["TensorFlow Lite Micro is not in this workspace", "west update tflite-micro"],
            ),
            (
                'Could not find a package configuration file provided by "Zephyr-sdk"',
                ["no toolchain for Arm", "ZEPHYR_TOOLCHAIN_VARIANT"],
            ),
            ("main.cpp:1:1: error: so not", ["does not build", "main.cpp:1:1: error: so not"]),
        ],
    )
    def test_a_build_that_fails(
        self,
        measure: Callable[[], Result],
        programs: Callable[..., None],
        says: str,
        words: list[str],
    ) -> None:
        programs(qemu_system_arm="exit 0", west=f'echo configuring\necho "{says}"\nexit 1')
        result = measure()
        assert result.exit_code == 1
        assert all(word in result.stderr for word in words), result.stderr

    def test_another_firmware_is_not_believed(
        self, measure: Callable[[], Result], programs: Callable[..., None], tmp_path: Path
    ) -> None:
        firmware = tmp_path / "build" / "zephyr" / "zephyr.elf"
        firmware.parent.mkdir(parents=True)
        firmware.touch()
        programs(qemu_system_arm="echo hello; exit 3", west="exit 0")
        result = measure()
        assert result.exit_code == 1
        assert "ended with 3" in result.stderr
        assert "hello" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="stand-in programs are shell scripts")
@pytest.mark.parametrize(
    ("version", "processor", "board"),
    [
        ("3\nVERSION_MINOR = 4", "cortex-m3", "mps2_an385"),
        ("3\nVERSION_MINOR = 4", "cortex-m33", "mps2_an521"),
        ("3\nVERSION_MINOR = 7", "cortex-m3", "mps2/an385"),
        ("4\nVERSION_MINOR = 1", "cortex-m33", "mps2/an521/cpu0"),
    ],
)
def test_the_board_is_spelled_as_this_zephyr_does(
    tmd: Tmd,
    base: Path,
    zephyr: Path,
    programs: Callable[..., None],
    tmp_path: Path,
    version: str,
    processor: str,
    board: str,
) -> None:
    (zephyr / "VERSION").write_text(f"VERSION_MAJOR = {version}\n")
    programs(qemu_system_arm="exit 0", west='echo "error: asked for $*"; exit 1')
    build = ("--build-dir", tmp_path / "build", "--cmake-arg=-DX=1", "--processor", processor)
    result = tmd(base, "--measure", "--zephyr-base", zephyr, *build)
    assert f"build -b {board} -d {tmp_path / 'build'} " in result.stderr
    assert result.stderr.rstrip().count("-- -DX=1") == 1
