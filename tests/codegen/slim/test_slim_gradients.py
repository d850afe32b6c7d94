"""Gradients: transposes where an operator is linear, differences where it is not, and whole
networks whose rounding is switched off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from slimkit import NONE, RELU, RELU6, Array, Sketch, Unrounded

from tinymldelta.slim.network import Network
from tinymldelta.slim.operators import (
    Add,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    Logistic,
    MaxPool,
    Mean,
    Operator,
    Pad,
    Parameters,
    Same,
    Softmax,
    Weighted,
)
from tinymldelta.slim.windows import Windows

WINDOWS = [
    Windows((3, 2), (1, 1), (1, 1), True),
    Windows((3, 2), (2, 3), (1, 1), True),
    Windows((2, 2), (1, 2), (2, 1), False),
]
X = (2, 6, 5, 3)  # of each input here


def whole(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Small whole numbers: products and sums of them are exact in float32."""
    return random.integers(-5, 6, shape).astype(np.float32)


def out_shape(windows: Windows, channels: int) -> tuple[int, ...]:
    return (*windows.split(np.zeros(X, np.float32))[0].shape[:3], channels)


WEIGHTED: list[tuple[Weighted, tuple[int, int], tuple[int, ...]]] = [
    *((Convolution(w), (4, 18 if w.filter == (3, 2) else 12), out_shape(w, 4)) for w in WINDOWS),
    *((Depthwise(w, m), (3 * m, w.filter[0] * w.filter[1]), out_shape(w, 3 * m))
      for w in WINDOWS for m in (1, 2)),
    (Dense(90), (4, 90), (2, 4)),
    (Dense(3), (4, 3), (2, 6, 5, 4)),
]  # fmt: skip


@pytest.mark.parametrize("operator, weights, out", WEIGHTED)
def test_what_a_layer_gives_back_are_transposes(
    operator: Weighted, weights: tuple[int, int], out: tuple[int, ...]
) -> None:
    """Output is bilinear in x and weights: <run(x, w), g> = <x, back> = <w, at weights>."""
    random = np.random.default_rng(0)
    x, w, g = whole(random, X), whole(random, weights), whole(random, out)
    real = operator.run(x, w, np.zeros(weights[0], np.float32), out)
    assert real.shape == out
    at_x, at_w = operator.back(g, x, w)
    assert (at_x.shape, at_w.shape) == (x.shape, w.shape)
    assert (real * g).sum() == (x * at_x).sum() == (w * at_w).sum()
    # And what each output sees, by which a layer's covariance is taken, gives the same outputs.
    columns = operator.columns(x)
    along = "nkc,ck->nc" if isinstance(operator, Depthwise) else "nk,ck->nc"
    np.testing.assert_array_equal(np.einsum(along, columns, w).reshape(out), real)


LINEAR: list[tuple[Operator, int, tuple[int, ...]]] = [
    *((AveragePool(w), 1, out_shape(w, 3)) for w in WINDOWS),
    (Mean(), 1, (2, 3)),
    (Mean(), 1, (2, 1, 1, 3)),
    (Pad(((0, 0), (1, 2), (0, 3), (1, 0))), 1, (2, 9, 8, 4)),
    (Same(), 1, (2, 90)),
    (Add(), 2, X),
]


@pytest.mark.parametrize("operator, inputs, out", LINEAR)
def test_what_a_linear_operator_gives_back_is_its_transpose(
    operator: Operator, inputs: int, out: tuple[int, ...]
) -> None:
    random = np.random.default_rng(0)
    given, g = [whole(random, X) for _ in range(inputs)], whole(random, out)
    real = operator.run(given, out)
    assert real.shape == out
    back = operator.back(g, given, real)
    assert [b.shape for b in back] == [x.shape for x in given]
    total = sum((x * b).sum() for x, b in zip(given, back, strict=True))
    assert total == pytest.approx((real * g).sum(), rel=1e-5)


@pytest.mark.parametrize(
    "operator", [Softmax(), Logistic(), *(MaxPool(w) for w in WINDOWS)], ids=repr
)
def test_what_another_gives_back_is_the_slope(operator: Operator) -> None:
    random = np.random.default_rng(0)
    # All different, and farther apart than a step: none becomes the largest on the way.
    x = (random.permutation(np.prod(X)).reshape(X) / 60).astype(np.float32)
    step = (random.choice([-1.0, 1.0], X) * 2e-3).astype(np.float32)
    shape = out_shape(operator.windows, 3) if isinstance(operator, MaxPool) else X
    real = operator.run([x], shape)
    g = random.standard_normal(shape).astype(np.float32)
    ahead, behind = (operator.run([x + s * step], shape) for s in (1, -1))
    slope = ((ahead - behind).astype(np.float64) * g).sum() / 2
    (back,) = operator.back(g, [x], real)
    assert slope == pytest.approx((back.astype(np.float64) * step).sum(), rel=5e-3)


def test_equal_maxima_share_the_gradient() -> None:
    pool = MaxPool(Windows((2, 2), (2, 2), (1, 1), False))
    x = np.array([[1, 3], [3, 0]], np.float32).reshape(1, 2, 2, 1)
    (back,) = pool.back(np.full((1, 1, 1, 1), 6, np.float32), [x], pool.run([x], (1, 1, 1, 1)))
    assert back.ravel().tolist() == [0, 3, 3, 0]


def _cnn(s: Sketch) -> int:
    x = s.pool(s.conv(s.x, 5), "MAX")
    return s.softmax(s.dense(x, 4))


def _ds_cnn(s: Sketch) -> int:
    x = s.conv(s.x, 4, stride=(2, 1), activation=RELU6)
    y = s.conv(s.depthwise(x, 2), 4, (1, 1), activation=NONE)
    x = s.add(s.pad(x, (0, 0), (0, 0), (0, 0)), y, activation=RELU)
    return s.dense(s.reshape(s.mean(x), 2, 2), 3)


def _autoencoder(s: Sketch) -> int:
    x = s.dense(s.reshape(s.pool(s.x, "AVERAGE", same=True), 24), 7, activation=RELU)
    return s.logistic(s.quantize(s.dense(x, 5), 0.1, 3))


NETWORKS: dict[str, Callable[[Sketch], int]] = {
    "cnn": _cnn, "ds-cnn": _ds_cnn, "autoencoder": _autoencoder,
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_whole_networks_are_slopes(name: str) -> None:
    """At weights, biases and what is before activations, along directions that are drawn."""
    sketch = Sketch(7, 6, 2)
    network = Unrounded(sketch.build(NETWORKS[name](sketch)), "m")
    random = np.random.default_rng(1)
    given = random.standard_normal((16, 7, 6, 2)).astype(np.float32)
    here = network.parameters()
    open_at: dict[int, Array] = {}
    values = network.run(given, here, open_at)
    head = values[network.head]
    at_head = random.standard_normal(head.shape).astype(np.float32)
    before, gradients = network.gradients(values, open_at, here, at_head)
    assert set(before) == set(gradients.weights) == set(gradients.biases) == set(network.layers)
    for i in network.layers:
        for part in ("weights", "biases"):
            value = getattr(here, part)[i]
            size = 2e-3 * (np.abs(value).mean() + 1e-6)
            step = (random.choice([-1.0, 1.0], value.shape) * size).astype(np.float32)
            ends = []
            for sign in (1, -1):
                moved = Parameters(dict(here.weights), dict(here.biases))
                getattr(moved, part)[i] = value + sign * step
                ends.append(network.run(given, moved)[network.head].astype(np.float64))
            slope = ((ends[0] - ends[1]) * at_head).sum() / 2
            gradient = getattr(gradients, part)[i].astype(np.float64)
            scale = np.sqrt((gradient**2).sum()) * size
            assert slope == pytest.approx((gradient * step).sum(), abs=0.05 * scale), (i, part)


def test_no_gradient_goes_through_what_was_clipped() -> None:
    sketch = Sketch(6)
    hidden = sketch.dense(sketch.x, 8, activation=RELU)
    network = Network(sketch.build(sketch.dense(hidden, 3)), "m")
    scale, zero = network.activations[hidden]
    network.activations[hidden] = (scale / 4, zero)  # so that many are beyond it
    given = np.random.default_rng(0).uniform(-4, 4, (50, 6)).astype(np.float32)
    open_at: dict[int, Array] = {}
    values = network.run(given, network.parameters(), open_at)
    top = values[hidden] >= (127 - zero) * scale / 4 * 0.9999
    shut = (values[hidden] == 0) | top
    assert 20 < top.sum() < 0.9 * top.size
    ones = np.ones_like(values[network.head])
    before, _ = network.gradients(values, open_at, network.parameters(), ones)
    first = min(network.layers)
    # A value just inside may be rounded to the last step, and is open.
    assert np.all(before[first][shut & (open_at[hidden] == 0)] == 0)
    assert np.mean(open_at[hidden][shut] == 0) > 0.95
    assert np.all(open_at[hidden][~shut] == 1) and np.any(before[first][~shut] != 0)
