"""Fitting what a candidate changes to the target's outputs. No labels are needed."""

from __future__ import annotations

from typing import Final

import numpy as np

from tinymldelta.slim.between import Between, Numbers
from tinymldelta.slim.operators import Parameters, softmax
from tinymldelta.slim.windows import Array

_BATCH: Final = 64
_RATE: Final = 0.15  # of a weight's step, and of a step of the layer's output for biases
_MOMENTUM, _SQUARES = 0.9, 0.99  # Adam's


class _Adam:
    """Adam (Kingma and Ba, 2015) for one array, with a rate that falls by a half cosine to 0."""

    def __init__(self, unit: float, steps: int) -> None:
        self._unit, self._steps = unit, steps
        self._mean: Array = np.zeros((), np.float32)
        self._square: Array = np.zeros((), np.float32)
        self._n = 0

    def step(self, gradient: Array) -> Array:
        """What to take off."""
        self._n += 1
        mean = _MOMENTUM * self._mean + (1 - _MOMENTUM) * gradient
        square = _SQUARES * self._square + (1 - _SQUARES) * gradient**2
        self._mean, self._square = np.asarray(mean, np.float32), np.asarray(square, np.float32)
        mean = self._mean / (1 - _MOMENTUM**self._n)
        square = self._square / (1 - _SQUARES**self._n)
        rate = _RATE * self._unit * (1 + np.cos(np.pi * self._n / self._steps)) / 2
        return np.asarray(rate * mean / (np.sqrt(square) + 1e-12), np.float32)


def distil(between: Between, numbers: Numbers, steps: int, seed: int) -> Numbers:
    """Fit the biases and those weights that are not the base's; all scales stay.

    Gradients go straight through the rounding of weights and tensors. Deterministic for a seed.
    """
    own, target = between.own, between.target
    runs = target.in_batches(between.given, between.wanted)
    wanted = np.concatenate([values[target.head] for values in runs])
    q = {i: x.astype(np.float32) for i, x in numbers.q.items()}
    free = {i: (x != between.base.layers[i].q) for i, x in numbers.q.items()}
    scale = {i: x[:, None].astype(np.float32) for i, x in numbers.scale.items()}
    bias = between.parameters(numbers).biases
    has_bias = {i: own.layers[i].biases is not None for i in q}
    out_of = {s.node: own.activations[s.output][0] for s in own.steps}
    weight_adam = {i: _Adam(1.0, steps) for i in q}
    bias_adam = {i: _Adam(out_of[i], steps) for i in q}
    random = np.random.default_rng(seed)
    rows = np.zeros(0, np.intp)
    size = min(_BATCH, len(wanted))
    for _ in range(steps):
        if len(rows) < size:
            rows = random.permutation(len(wanted))
        batch, rows = rows[:size], rows[size:]
        parameters = Parameters({i: np.rint(q[i]) * scale[i] for i in q}, bias)
        open_at: dict[int, Array] = {}
        values = own.run(between.given[batch], parameters, open_at)
        head, goal = values[own.head], wanted[batch]
        error = softmax(head) - softmax(goal) if own.ends_in_softmax else head - goal
        at_head = (error / size).astype(np.float32)
        _, gradients = own.gradients(values, open_at, parameters, at_head)
        for i in q:
            step = weight_adam[i].step(gradients.weights[i] * scale[i] * free[i])
            q[i] = np.clip(q[i] - step, -127, 127)
            if has_bias[i]:
                bias[i] = bias[i] - bias_adam[i].step(gradients.biases[i])
    out = Numbers(scale=dict(numbers.scale))
    for i in q:
        out.q[i] = np.where(free[i], np.rint(q[i]), numbers.q[i]).astype(np.int32)
        out.bias[i] = between.bias_of(i, bias[i].astype(np.float64), numbers.scale[i])
    return out
