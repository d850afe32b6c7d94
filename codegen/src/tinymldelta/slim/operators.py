"""The operators that are run here: forward, and backward from gradients.

Values are real numbers, (samples, ...) for each tensor. Weights of a layer are (channels, weights
of a channel), those of one window row by row, its channels last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tinymldelta.slim.windows import Array, Windows


@dataclass
class Parameters:
    """Real weights and biases of each layer, by the number of its node."""

    weights: dict[int, Array]
    biases: dict[int, Array]


class Operator(Protocol):
    """One operator without weights. shape: of its output, samples first."""

    def run(self, inputs: list[Array], shape: tuple[int, ...]) -> Array: ...

    def back(self, gradient: Array, inputs: list[Array], output: Array) -> list[Array]: ...


class Weighted(Protocol):
    """One with weights. `columns`: what each output sees, as `weights` are laid out."""

    def run(self, x: Array, weights: Array, bias: Array, shape: tuple[int, ...]) -> Array: ...

    def back(self, gradient: Array, x: Array, weights: Array) -> tuple[Array, Array]: ...

    def columns(self, x: Array) -> Array: ...


# ---- with weights ----


@dataclass(frozen=True)
class Dense:
    """width: weights of a channel. An input may have several rows of so many."""

    width: int

    def columns(self, x: Array) -> Array:
        """(rows of all samples, weights of a channel)"""
        return x.reshape(-1, self.width)

    def run(self, x: Array, weights: Array, bias: Array, shape: tuple[int, ...]) -> Array:
        return (x.reshape(-1, weights.shape[1]) @ weights.T + bias).reshape(shape)

    def back(self, gradient: Array, x: Array, weights: Array) -> tuple[Array, Array]:
        flat = gradient.reshape(-1, len(weights))
        return (flat @ weights).reshape(x.shape), flat.T @ x.reshape(-1, weights.shape[1])


@dataclass(frozen=True)
class Convolution:
    windows: Windows

    def columns(self, x: Array) -> Array:
        """(places of all samples, weights of a channel)"""
        seen = np.stack(self.windows.split(x), axis=3)
        return seen.reshape(-1, seen.shape[3] * seen.shape[4])

    def run(self, x: Array, weights: Array, bias: Array, shape: tuple[int, ...]) -> Array:
        return (self.columns(x) @ weights.T + bias).reshape(shape)

    def back(self, gradient: Array, x: Array, weights: Array) -> tuple[Array, Array]:
        flat = gradient.reshape(-1, len(weights))
        columns = (flat @ weights).reshape(*gradient.shape[:3], -1, x.shape[3])
        parts = [columns[:, :, :, k] for k in range(columns.shape[3])]
        return self.windows.join(parts, x.shape), flat.T @ self.columns(x)


@dataclass(frozen=True)
class Depthwise:
    windows: Windows
    multiplier: int

    def _seen(self, x: Array) -> list[Array]:
        split = self.windows.split(x)
        if self.multiplier > 1:
            split = [np.repeat(part, self.multiplier, axis=-1) for part in split]
        return split

    def columns(self, x: Array) -> Array:
        """(places of all samples, weights of a channel, channels)"""
        seen = np.stack(self._seen(x), axis=3)
        return seen.reshape(-1, *seen.shape[3:])

    def run(self, x: Array, weights: Array, bias: Array, shape: tuple[int, ...]) -> Array:
        total = np.empty(shape, np.float32)
        total[:] = bias
        for k, seen in enumerate(self._seen(x)):
            total += seen * weights[:, k]
        return total

    def back(self, gradient: Array, x: Array, weights: Array) -> tuple[Array, Array]:
        at_weights = np.empty_like(weights)
        parts = []
        for k, seen in enumerate(self._seen(x)):
            at_weights[:, k] = np.einsum("nhwc,nhwc->c", seen, gradient)
            part = gradient * weights[:, k]
            if self.multiplier > 1:
                part = part.reshape(*part.shape[:3], -1, self.multiplier).sum(axis=-1)
            parts.append(part)
        return self.windows.join(parts, x.shape), at_weights


# ---- without ----


@dataclass(frozen=True)
class MaxPool:
    windows: Windows

    def run(self, inputs: list[Array], shape: tuple[int, ...]) -> Array:
        return np.asarray(np.max(self.windows.split(inputs[0], -np.inf), axis=0))

    def back(self, gradient: Array, inputs: list[Array], output: Array) -> list[Array]:
        seen = self.windows.split(inputs[0], -np.inf)
        top = np.max(seen, axis=0)
        share = gradient / np.sum([part == top for part in seen], axis=0)
        parts = [(share * (part == top)).astype(np.float32) for part in seen]
        return [self.windows.join(parts, inputs[0].shape)]


@dataclass(frozen=True)
class AveragePool:
    windows: Windows

    def _counts(self, x: Array) -> Array:
        """How many places of each window lie in the picture."""
        return np.asarray(np.sum(self.windows.split(np.ones_like(x[:1])), axis=0))

    def run(self, inputs: list[Array], shape: tuple[int, ...]) -> Array:
        (x,) = inputs
        return np.asarray(np.sum(self.windows.split(x), axis=0) / self._counts(x))

    def back(self, gradient: Array, inputs: list[Array], output: Array) -> list[Array]:
        (x,) = inputs
        share = gradient / self._counts(x)
        places = self.windows.filter[0] * self.windows.filter[1]
        return [self.windows.join([share] * places, x.shape)]


@dataclass(frozen=True)
class Mean:
    """Over height and width."""

    def run(self, inputs: list[Array], shape: tuple[int, ...]) -> Array:
        return np.asarray(inputs[0].mean(axis=(1, 2)), np.float32).reshape(shape)

    def back(self, gradient: Array, inputs: list[Array], output: Array) -> list[Array]:
        (x,) = inputs
        share = gradient.reshape(len(x), 1, 1, -1) / (x.shape[1] * x.shape[2])
        return [np.broadcast_to(share, x.shape)]


@dataclass(frozen=True)
class Pad:
    """With zeros. widths: before and behind, for each axis."""

    widths: tuple[tuple[int, int], ...]

    def run(self, inputs: list[Array], shape: tuple[int, ...]) -> Array:
        return np.pad(inputs[0], self.widths)

    def back(self, gradient: Array, inputs: list[Array], output: Array) -> list[Array]:
        inner = tuple(
            slice(before, before + size)
            for (before, _), size in zip(self.widths, inputs[0].shape, strict=True)
        )
        return [gradient[inner]]


@dataclass(frozen=True)
class Same:
    """What changes the shape or the quantisation alone; activations are the network's."""

    def run(self, inputs: list[Array], shape: tuple[int, ...]) -> Array:
        return inputs[0].reshape(shape)

    def back(self, gradient: Array, inputs: list[Array], output: Array) -> list[Array]:
        return [gradient.reshape(inputs[0].shape)]


@dataclass(frozen=True)
class Add:
    def run(self, inputs: list[Array], shape: tuple[int, ...]) -> Array:
        return inputs[0] + inputs[1]

    def back(self, gradient: Array, inputs: list[Array], output: Array) -> list[Array]:
        return [gradient, gradient]


def softmax(x: Array) -> Array:
    """Along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Softmax:
    def run(self, inputs: list[Array], shape: tuple[int, ...]) -> Array:
        return softmax(inputs[0])

    def back(self, gradient: Array, inputs: list[Array], output: Array) -> list[Array]:
        return [output * (gradient - (gradient * output).sum(axis=-1, keepdims=True))]


@dataclass(frozen=True)
class Logistic:
    def run(self, inputs: list[Array], shape: tuple[int, ...]) -> Array:
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * inputs[0]))  # which cannot overflow

    def back(self, gradient: Array, inputs: list[Array], output: Array) -> list[Array]:
        return [gradient * output * (1 - output)]
