"""The decoders on an emulated Cortex-M33: right to the byte, and within their limits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import speed
from measure import toolchain
from measure.pairs import SAMPLES, Pair


@pytest.fixture(autouse=True)
def tools() -> None:
    """Skip without the tools; in CI, where nothing is to be skipped, fail."""
    for there, hint in (
        (toolchain.is_installed(toolchain.ARM), toolchain.ARM.install_hint),
        (shutil.which(speed.BOARD.qemu) is not None, "sudo apt install qemu-system-arm"),
    ):
        if not there:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs: {hint}")


@pytest.fixture(scope="module")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[speed.Decoder], Path]:
    folder, build = tmp_path_factory.mktemp("speed"), speed.build
    return cache(lambda decoder: build(folder, decoder))


@pytest.fixture(autouse=True)
def build(build_once: Callable[[speed.Decoder], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each firmware once for all tests here."""
    monkeypatch.setattr(speed, "build", lambda folder, decoder: build_once(decoder))


def test_the_samples_decode_within_the_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speed.main(["--out", str(tmp_path / "speed.md")]) == 0
    text = (tmp_path / "speed.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert "| digits | 6,432 | 6,432 |" in text
    assert "most of a fine-tune" in text
    assert str(tmp_path) not in text


def test_a_limit_that_is_exceeded_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "MOST_FINE_TUNE", 10)
    assert speed.main(["--out", str(tmp_path / "speed.md")]) == 1
    assert "exceeded: default decoder, most of a fine-tune" in capsys.readouterr().err


def test_a_wrong_target_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair.read(SAMPLES / "digits")
    decoder = speed.DECODERS[0]
    elf = speed.build(tmp_path, decoder)
    patch = speed.make_patch(pair, decoder)
    other = Pair(pair.name, pair.base, pair.target[:-1] + b"\xff")
    with pytest.raises(RuntimeError, match="status 0, 1 mismatches"):
        speed.run(elf, other, patch, decoder, tmp_path)
    with pytest.raises(RuntimeError, match="status -"):
        speed.run(elf, pair, patch[:-9], decoder, tmp_path)


def test_a_folder_without_pairs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        assert speed.main([str(folder)]) == 1
        assert "no folder with base.tflite" in capsys.readouterr().err
