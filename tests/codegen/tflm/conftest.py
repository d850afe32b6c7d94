"""The outcomes of a revision's kernels, found out once for all tests here."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from kernel_builds import build_runner, has_revision
from outcomes import WHEEL, Outcomes, run_models, write_models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str]]]:
    folder = tmp_path_factory.mktemp("models")
    return folder, write_models(folder)


@pytest.fixture(scope="session", params=["9156d050", "8d404de7", WHEEL])
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def outcomes(revision: str, models: tuple[Path, list[tuple[str, str]]]) -> Outcomes:
    if revision == WHEEL:
        if find_spec("tflite_micro") is None:
            pytest.skip("no kernels to run: pip install tflite-micro")
        command = [sys.executable, str(Path(__file__).with_name("run_models.py"))]
    else:
        if not {"TFLM_DIR", "TFLM_BUILD"} <= os.environ.keys():
            pytest.skip(
                "no kernels to run: set TFLM_DIR to a clone of Zephyr's tflite-micro with its "
                "history and TFLM_BUILD to a folder to build its kernels in, which takes minutes"
            )
        clone, build = Path(os.environ["TFLM_DIR"]), Path(os.environ["TFLM_BUILD"]) / revision
        if not has_revision(clone, revision):
            pytest.skip(f"no kernels to run: the clone in TFLM_DIR does not have {revision}")
        command = [str(build_runner(clone, revision, build))]
    return run_models(command, *models)
