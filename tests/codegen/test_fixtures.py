"""The recipe behind samples/host/models still makes models with the same facts as the fixtures."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinymldelta.facts import facts_of, io_hash, opset_hash
from tinymldelta.model import read_model_file

PACKAGES = ("tensorflow", "sklearn", "statsmodels", "tflite_micro")
MODELS = ("digits/base", "digits/target", "sst/base", "sst/target")


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in PACKAGES),
    reason="needs TensorFlow: pip install -r requirements/train.txt",
)
def test_the_recipe_makes_models_with_the_same_facts(root: Path, tmp_path: Path) -> None:
    models = root / "samples" / "host" / "models"
    done = subprocess.run(
        [sys.executable, models / "make_models.py", "--quick", "--out", tmp_path],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for name in MODELS:
        made = facts_of(read_model_file(tmp_path / f"{name}.tflite"))
        kept = facts_of(read_model_file(models / f"{name}.tflite"))
        assert (opset_hash(made), io_hash(made), made.arena) == (
            opset_hash(kept),
            io_hash(kept),
            kept.arena,
        ), name


def test_a_base_and_its_target_agree_and_differ(root: Path) -> None:
    models = root / "samples" / "host" / "models"
    for name in ("digits", "sst"):
        base, target = (
            facts_of(read_model_file(models / name / f"{which}.tflite"))
            for which in ("base", "target")
        )
        assert (opset_hash(base), io_hash(base)) == (opset_hash(target), io_hash(target))
        assert base.sha256 != target.sha256
