"""samples/arena for real: built in a Zephyr workspace, and run in QEMU.

Skipped without $ZEPHYR_BASE, west, QEMU for Arm, or TFLM in the workspace. TMD_ARENA_BUILD names a
build folder to use, and TMD_ARENA_CMAKE more arguments for CMake, separated by spaces.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import arena
from tinymldelta.errors import Refusal
from tinymldelta.measuring import (
    BOARDS,
    STEP,
    EmulatedModel,
    Outcome,
    build_firmware,
    find_minimum,
    find_workspace,
)

BOARD = BOARDS["cortex-m3"]
DIGITS = arena.REPOSITORY / "samples" / "host" / "models" / "digits" / "base.tflite"


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not os.environ.get("ZEPHYR_BASE"):
        pytest.skip("ZEPHYR_BASE is not set: no Zephyr workspace to build samples/arena in")
    for program in ("west", "qemu-system-arm"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}")
    given = os.environ.get("TMD_ARENA_BUILD")
    folder = Path(given) if given else tmp_path_factory.mktemp("arena")
    try:
        return build_firmware(
            BOARD, find_workspace(None), folder, os.environ.get("TMD_ARENA_CMAKE", "").split()
        )
    except Refusal as refusal:
        if "not in this workspace" in refusal.what:
            pytest.skip(str(refusal))
        raise


def test_a_models_minimum_is_found(firmware: Path) -> None:
    model = EmulatedModel(BOARD, firmware, DIGITS.read_bytes(), time_limit=60)
    found = find_minimum(model, "digits")
    assert found.bytes % STEP == 0
    assert found.used <= found.bytes
    enough = model(found.bytes, invoke=True)
    assert enough.outcome is Outcome.DONE
    assert enough.outputs == model(model.largest, invoke=True).outputs
    assert model(found.bytes - STEP, invoke=True).outcome is not Outcome.DONE


def test_a_skeleton_needs_what_its_model_needs(firmware: Path) -> None:
    data = DIGITS.read_bytes()
    whole, bare = (
        find_minimum(EmulatedModel(BOARD, firmware, model), "digits").bytes
        for model in (data, arena.skeleton(data))
    )
    assert whole == bare


def test_a_model_that_is_cut_short_is_refused_by_name(firmware: Path) -> None:
    data = bytearray(DIGITS.read_bytes())
    data[:4] = b"\xff\xff\xff\x7f"  # the root table lies far outside
    with pytest.raises(Refusal, match=r"digits\.tflite: does not run .* fault"):
        find_minimum(EmulatedModel(BOARD, firmware, bytes(data), time_limit=60), "digits.tflite")
