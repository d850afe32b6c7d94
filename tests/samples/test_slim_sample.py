"""samples/slim: its parts are apart, its model is the recipe's, and the README has its figures."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tinymldelta.facts import facts_of, io_hash, opset_hash
from tinymldelta.interpreter import TFLM, find_interpreter
from tinymldelta.model import read_model_file

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "slim"
DEPLOYED = ROOT / "samples" / "host" / "models" / "digits" / "base.tflite"


def need(*modules: str) -> None:
    """Skip without them; in CI, where nothing is to be skipped, fail."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        word = f"needs {' and '.join(missing)}: pip install -r requirements/train.txt"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(word)


@pytest.fixture(scope="module")
def field() -> ModuleType:
    need("sklearn")
    spec = importlib.util.spec_from_file_location("slim_field", SAMPLE / "field.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_target_is_for_the_deployed_model_s_firmware() -> None:
    base, target = (
        facts_of(read_model_file(path)) for path in (DEPLOYED, SAMPLE / "target.tflite")
    )
    assert (opset_hash(base), io_hash(base)) == (opset_hash(target), io_hash(target))
    assert base.arena == target.arena and base.sha256 != target.sha256


def test_no_image_is_in_two_parts(field: ModuleType) -> None:
    parts = {name: field.images(name)[0].reshape(-1, 64) for name in field.PARTS}
    known = {part: {image.tobytes() for image in images} for part, images in parts.items()}
    assert [len(images) for images in parts.values()] == [499, 499, 499]
    for name, one in known.items():
        for other_name, other in known.items():
            assert name == other_name or not one & other


def test_what_is_seen_is_dimmed_and_noisy(field: ModuleType) -> None:
    x, y = field.images("test")
    seen, labels = field.seen("test", 2, 5)
    again, _ = field.seen("test", 2, 5)
    np.testing.assert_array_equal(seen, again)
    assert seen.shape == (998, 8, 8, 1) and seen.min() >= 0 and seen.max() <= 1
    np.testing.assert_array_equal(labels, np.concatenate([y, y]))
    assert 0.7 * x.mean() < seen.mean() < x.mean()


def test_the_sample_ends_with_a_smaller_patch_within_the_budget(tmp_path: Path) -> None:
    need("sklearn")
    if find_interpreter() is None:
        need("tflite_micro")
    said = run(SAMPLE / "run_slim.py", "--out", tmp_path)
    rows = {
        line.split()[0]: line.replace("%", "").replace(",", "").split()[1:]
        for line in said[said.rindex("on test samples") :].splitlines()
        if line.startswith(("base ", "target ", "slimmed "))
    }
    base, target, slimmed = ([float(v) for v in rows[n]] for n in ("base", "target", "slimmed"))
    assert slimmed[0] <= 0.6 * target[0]
    assert slimmed[2] <= 1.0  # worse by, on the test samples
    assert base[2] > 4.0
    # The README's figures, as TFLM gives them here.
    interpreter = find_interpreter(TFLM)
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    if interpreter is not None and interpreter.name == TFLM:
        for name, row in rows.items():
            line = next(x for x in readme.splitlines() if x.startswith(f"| {name} |"))
            told = [float(v) for v in line.replace("%", "").replace(",", "").split("|")[2:5]]
            assert told == pytest.approx([float(v) for v in row[:3]], abs=0.3, rel=0.1), name


def test_the_commands_are_those_of_the_readme(tmp_path: Path) -> None:
    need("sklearn")
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    source = (SAMPLE / "run_slim.py").read_text(encoding="utf-8")
    for words in ("tmd slim base.tflite target.tflite", "tmd patch base.tflite target.tflite"):
        assert words in readme
    for option in ("--calibration", "--validation", "--max-drop", "--slimmed", "--slim"):
        assert option in readme and f'"{option}"' in source


def test_the_recipe_makes_such_a_model(tmp_path: Path) -> None:
    need("sklearn", "tensorflow")
    said = run(SAMPLE / "retrain.py", "-o", tmp_path / "made.tflite", "--share", "0.1")
    made, kept = (
        facts_of(read_model_file(path))
        for path in (tmp_path / "made.tflite", SAMPLE / "target.tflite")
    )
    assert (opset_hash(made), io_hash(made), made.arena) == (
        opset_hash(kept), io_hash(kept), kept.arena,
    )  # fmt: skip
    same, of = (int(word.replace(",", "")) for word in said.split() if word[0].isdigit())
    assert of == 2856 and 0.9 * of <= same < of
