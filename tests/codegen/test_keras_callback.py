"""StayClose: its rules on a stand-in for Keras, and a real training where Keras is there."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]
NAME = "tinymldelta.keras"


class Variable:
    def __init__(self, value: Array) -> None:
        self._value = np.array(value, np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    def numpy(self) -> Array:
        return self._value.copy()

    def assign(self, value: Array) -> None:
        assert value.dtype == np.float32 and value.shape == self._value.shape
        self._value = value.copy()


class Conv2D(SimpleNamespace):
    pass


class DepthwiseConv2D(SimpleNamespace):
    pass


class Model:
    """Two layers with kernel and bias, one in a model of its own, and one that is frozen."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        shapes = [(3, 3, 2, 4), (4,), (3, 3, 4, 2), (8,), (5, 6), (6,)]
        self.weights = [Variable(random.standard_normal(shape)) for shape in shapes]
        self.trainable_variables = self.weights[:4]
        inner = SimpleNamespace(layers=[DepthwiseConv2D(weights=self.weights[2:4])])
        self.layers = [Conv2D(weights=self.weights[:2]), inner, Conv2D(weights=self.weights[4:])]

    def get_weights(self) -> list[Array]:
        return [variable.numpy() for variable in self.weights]


@pytest.fixture
def close(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, with a stand-in for Keras."""
    stand_in = ModuleType("keras")
    stand_in.callbacks = SimpleNamespace(  # type: ignore[attr-defined]
        Callback=type("Callback", (), {"__init__": lambda self: None})
    )
    monkeypatch.setitem(sys.modules, "keras", stand_in)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    yield importlib.import_module(NAME)
    sys.modules.pop(NAME, None)


def train(
    callback: Any, model: Model, *, epochs: int = 3, steps: int | None = 4, seed: int = 9
) -> None:
    """What `fit` calls, with steps that are drawn."""
    random = np.random.default_rng(seed)
    callback.model, callback.params = model, {"epochs": epochs, "steps": steps}
    callback.on_train_begin()
    for epoch in range(epochs):
        for batch in range(steps or 4):
            for variable in model.trainable_variables:
                variable.assign(
                    (variable.numpy() + random.normal(0, 0.02, variable.shape)).astype(np.float32)
                )
            callback.on_train_batch_end(batch)
        callback.on_epoch_end(epoch)
    callback.on_train_end()


@pytest.mark.parametrize("steps", [4, None])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_no_more_than_the_share_differs(close: Any, share: float, steps: int | None) -> None:
    base, model = Model(0), Model(0)
    callback = close.StayClose(base, share, keep_scales=False)
    train(callback, model, steps=steps)
    same, of = callback.kept()
    assert of == 72 + 72
    assert of - same == int(share * of)
    counted = sum(
        np.count_nonzero(v.numpy() == w.numpy())
        for v, w in zip(model.weights[:4:2], base.weights[:4:2], strict=True)
    )
    assert counted == same
    # Biases are let go.
    assert np.all(model.weights[1].numpy() != base.weights[1].numpy())


def test_those_are_let_go_that_went_farthest_in_steps_of_their_channel(close: Any) -> None:
    base, model = Model(0), Model(0)
    base.weights[0].assign(base.weights[0].numpy() * np.float32(100))
    model.weights[0].assign(base.weights[0].numpy())
    callback = close.StayClose(base, 0.25, keep_scales=False)
    callback.model, callback.params = model, {"epochs": 3, "steps": 1}
    callback.on_train_begin()
    moved = model.weights[0].numpy()
    moved.ravel()[:30] += 1.0  # an int8 step or two of a hundredfold kernel
    model.weights[0].assign(moved)
    model.weights[2].assign(model.weights[2].numpy() + np.float32(0.2))
    callback.on_train_batch_end(0)
    assert np.array_equal(model.weights[0].numpy(), base.weights[0].numpy())
    assert np.count_nonzero(model.weights[2].numpy() != base.weights[2].numpy()) == 36


def test_a_third_of_the_batches_is_free(close: Any) -> None:
    base, model = Model(0), Model(0)
    callback = close.StayClose(base, 0.1, keep_scales=False)
    callback.model, callback.params = model, {"epochs": 3, "steps": 3}
    callback.on_train_begin()
    counts = []
    for batch in range(9):
        for variable in model.trainable_variables:
            step = np.random.default_rng(batch).normal(0, 0.1, variable.shape)
            variable.assign((variable.numpy() + step).astype(np.float32))
        callback.on_train_batch_end(batch)
        same, of = callback.kept()
        counts.append(of - same)
    assert counts == [144, 144, *[14] * 7]


def test_scales_are_the_base_s(close: Any) -> None:
    """Of each channel of a quantiser: along the last axis, of a depthwise kernel the last two."""
    base, model = Model(0), Model(0)
    train(close.StayClose(base.get_weights(), 1.0), model)
    for n, axes in ((0, (0, 1, 2)), (2, (0, 1))):
        own, its = model.weights[n].numpy(), base.weights[n].numpy()
        np.testing.assert_array_equal(np.abs(own).max(axis=axes), np.abs(its).max(axis=axes))
        assert np.mean(own != its) > 0.5


def test_what_is_not_trained_is_not_touched(close: Any) -> None:
    base, model = Model(0), Model(0)
    other = Model(1).weights[4].numpy()
    model.weights[4].assign(other)
    train(close.StayClose(base, 0.1), model)
    np.testing.assert_array_equal(model.weights[4].numpy(), other)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(close: Any, share: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        close.StayClose(Model(0), share)


def test_another_structure_is_refused(close: Any) -> None:
    callback = close.StayClose(Model(0).get_weights()[:-1], 0.1)
    callback.model, callback.params = Model(0), {"epochs": 1, "steps": 1}
    with pytest.raises(ValueError, match="the base's weights have the shapes"):
        callback.on_train_begin()


def test_without_keras_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    with pytest.raises(ImportError, match=r"pip install 'tinymldelta\[keras\]'"):
        importlib.import_module(NAME)


def test_nothing_else_imports_it() -> None:
    code = (
        "import sys, tinymldelta.cli\n"
        "assert not {'keras', 'tensorflow', 'tinymldelta.keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- Keras itself ----

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "slim"
SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import retrain
from tinymldelta.slim.network import Network

retrain.EPOCHS = 2
base = retrain.DEPLOYED.read_bytes()
deployed = Network(base, "base")
rows = {}
for share in (None, 0.1):
    model, (same, of) = retrain.retrain(base, share)
    made = Network(model, "made")
    layers = list(zip(made.layers.values(), deployed.layers.values(), strict=True))
    rows[str(share)] = {
        "same": same,
        "of": of,
        "int8": sum(int((a.q == b.q).sum()) for a, b in layers),
        "scales": [bool(np.allclose(a.scale, b.scale, rtol=1e-6)) for a, b in layers],
        "away": sum(float(np.abs(a.q * a.scale[:, None] - b.q * b.scale[:, None]).sum())
                    for a, b in layers),
    }
print(json.dumps(rows))
"""


def test_a_fine_tune_stays_close_down_to_its_int8_file() -> None:
    missing = [n for n in ("tensorflow", "sklearn") if importlib.util.find_spec(n) is None]
    if missing:
        word = f"needs {' and '.join(missing)}: pip install -r requirements/train.txt"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(word)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(SAMPLE)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(done.stdout.splitlines()[-1])
    free, close = rows["None"], rows["0.1"]
    assert free["of"] == close["of"] == 2856
    assert free["same"] < 100
    assert close["same"] >= 0.9 * close["of"]
    # What is the base's exactly is so in the file too, and so are all scales of weights.
    assert close["int8"] >= close["same"] and all(close["scales"])
    assert close["int8"] > 2 * free["int8"]
    assert close["away"] < 0.5 * free["away"]
