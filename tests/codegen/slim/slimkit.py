"""Small int8 networks with weights, built node by node, and TFLM to run them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelkit import INT32, ModelSpec, NodeSpec, OperatorSpec, TensorSpec, build
from tinymldelta.interpreter import TFLM, Interpreter, find_interpreter
from tinymldelta.slim.between import Numbers
from tinymldelta.slim.network import Network

Array = np.ndarray[Any, Any]

NONE, RELU, RELU6 = 0, 1, 3  # the schema's fused activations
_VERSIONS = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "MEAN": 2, "PAD": 2, "ADD": 2,
    "AVERAGE_POOL_2D": 2, "MAX_POOL_2D": 2, "RELU": 2, "RELU6": 2, "SOFTMAX": 2, "LOGISTIC": 2,
    "QUANTIZE": 2,
}  # fmt: skip


def tflm() -> Interpreter:
    """TFLM's kernels, or skip; in CI, where nothing is to be skipped, fail."""
    found = find_interpreter(TFLM)
    if found is None:
        word = "no interpreter: pip install -r requirements/demo.txt"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(word)
    return found


class Unrounded(Network):
    """A network whose tensors say everything: what it works out is smooth but for its kinks."""

    def rounded(self, tensor: int, real: Array) -> tuple[Array, Array]:
        return real, np.ones_like(real)


class Sketch:
    """A network that is built node by node. Each method adds one and gives its output tensor.

    Weights and biases are drawn, scales of outputs chosen so that few values are clipped. x:
    numbers of tensors; shapes without the batch, which is 1.
    """

    def __init__(self, *shape: int, seed: int = 0, scale: float = 0.04, zero: int = -7) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: list[TensorSpec] = []
        self.operators: list[str] = []
        self.nodes: list[NodeSpec] = []
        self.input = self.x = self.computed("in", shape, scale, zero)  # x: where a test goes on

    # ---- tensors ----

    def computed(self, name: str, shape: Sequence[int], scale: float, zero: int) -> int:
        q = TensorSpec(name, (1, *shape), scale=(scale,), zero_point=(zero,))
        self.tensors.append(q)
        return len(self.tensors) - 1

    def constant(self, name: str, value: Array, scale: Sequence[float] = (), axis: int = 0) -> int:
        scales = tuple(np.asarray(scale, np.float32).tolist())
        kind = INT32 if value.dtype == np.int32 else 9
        self.tensors.append(
            TensorSpec(
                name, value.shape, kind, scales, (0,) * len(scales), axis, value.tobytes()
            )  # fmt: skip
        )
        return len(self.tensors) - 1

    def shape(self, x: int) -> tuple[int, ...]:
        return self.tensors[x].shape[1:]

    def scale(self, x: int) -> float:
        return float(np.float32(self.tensors[x].scale[0]))

    def add_node(
        self, name: str, inputs: Sequence[int], out: int, options: str = "", **fields: int
    ) -> int:
        if name not in self.operators:
            self.operators.append(name)
        operator = self.operators.index(name)
        self.nodes.append(NodeSpec(operator, tuple(inputs), (out,), (), options, fields))
        return out

    # ---- operators with weights ----

    def _weighted(
        self, x: int, q: Array, axis: int, per_channel: bool, shape: Sequence[int],
        activation: int, bias: bool = True,
    ) -> tuple[list[int], int]:  # fmt: skip
        channels = q.shape[axis] if q.ndim > 1 else len(q)
        scales = self.random.uniform(0.004, 0.012, channels if per_channel else 1)
        scales = scales.astype(np.float32).astype(np.float64)
        inputs = [x, self.constant(f"weights {len(self.nodes)}", q, scales, axis)]
        if bias:
            drawn = self.random.integers(-3000, 3000, channels).astype(np.int32)
            units = (scales * self.scale(x)).astype(np.float32)
            inputs.append(self.constant(f"bias {len(self.nodes)}", drawn, units))
        zero = 4 if activation == NONE else -128
        return inputs, self.computed(f"out {len(self.nodes)}", shape, 1.0, zero)

    def _fit(self, out: int) -> int:
        """Give it a scale at which few values are clipped."""
        network = Unrounded(self.build(out), "m")
        shape = (32, *self.shape(self.input))
        given = np.random.default_rng(7).integers(-128, 128, shape) + 7
        real = (given * self.scale(self.input)).astype(np.float32)
        most = np.quantile(np.abs(network.run(real, network.parameters())[out]), 0.998)
        steps = 255 if self.tensors[out].zero_point[0] == -128 else 123
        self.tensors[out] = replace(self.tensors[out], scale=(float(most) / steps,))
        return out

    def conv(
        self, x: int, channels: int, filter: tuple[int, int] = (3, 3), *,
        stride: tuple[int, int] = (1, 1), dilation: tuple[int, int] = (1, 1), same: bool = True,
        activation: int = RELU, per_channel: bool = True, bias: bool = True,
    ) -> int:  # fmt: skip
        *sizes, depth = self.shape(x)
        q = self.random.integers(-127, 128, (channels, *filter, depth)).astype(np.int8)
        shape = (*_places(sizes, filter, stride, dilation, same), channels)
        inputs, out = self._weighted(x, q, 0, per_channel, shape, activation, bias)
        self.add_node(
            "CONV_2D", inputs, out, "Conv2DOptions", Padding=int(not same), StrideH=stride[0],
            StrideW=stride[1], DilationHFactor=dilation[0], DilationWFactor=dilation[1],
            FusedActivationFunction=activation,
        )  # fmt: skip
        return self._fit(out)

    def depthwise(
        self, x: int, multiplier: int = 1, filter: tuple[int, int] = (3, 3), *,
        stride: tuple[int, int] = (1, 1), dilation: tuple[int, int] = (1, 1), same: bool = True,
        activation: int = RELU, per_channel: bool = True, bias: bool = True,
    ) -> int:  # fmt: skip
        *sizes, depth = self.shape(x)
        channels = depth * multiplier
        q = self.random.integers(-127, 128, (1, *filter, channels)).astype(np.int8)
        shape = (*_places(sizes, filter, stride, dilation, same), channels)
        inputs, out = self._weighted(x, q, 3, per_channel, shape, activation, bias)
        self.add_node(
            "DEPTHWISE_CONV_2D", inputs, out, "DepthwiseConv2DOptions", Padding=int(not same),
            StrideH=stride[0], StrideW=stride[1], DilationHFactor=dilation[0],
            DilationWFactor=dilation[1], FusedActivationFunction=activation,
            DepthMultiplier=multiplier,
        )  # fmt: skip
        return self._fit(out)

    def dense(
        self, x: int, channels: int, *, activation: int = NONE, per_channel: bool = False,
        bias: bool = True, whole: bool = True,
    ) -> int:  # fmt: skip
        """whole: of all that x has; else of its last axis, place by place."""
        taps = int(np.prod(self.shape(x))) if whole else self.shape(x)[-1]
        q = self.random.integers(-127, 128, (channels, taps)).astype(np.int8)
        shape = (channels,) if whole else (*self.shape(x)[:-1], channels)
        inputs, out = self._weighted(x, q, 0, per_channel, shape, activation, bias)
        self.add_node(
            "FULLY_CONNECTED", inputs, out, "FullyConnectedOptions",
            FusedActivationFunction=activation, KeepNumDims=int(not whole),
        )  # fmt: skip
        return self._fit(out)

    # ---- without ----

    def _like(self, x: int, shape: Sequence[int], scale: float = 0.0, zero: int = 0) -> int:
        """A tensor with the quantisation of x, or another."""
        q = self.tensors[x]
        return self.computed(
            f"out {len(self.nodes)}", shape, scale or q.scale[0], zero if scale else q.zero_point[0]
        )

    def pool(
        self, x: int, kind: str, filter: tuple[int, int] = (2, 2), *,
        stride: tuple[int, int] = (2, 2), same: bool = False, activation: int = NONE,
    ) -> int:  # fmt: skip
        *sizes, depth = self.shape(x)
        out = self._like(x, (*_places(sizes, filter, stride, (1, 1), same), depth))
        return self.add_node(
            f"{kind}_POOL_2D", [x], out, "Pool2DOptions", Padding=int(not same), StrideH=stride[0],
            StrideW=stride[1], FilterHeight=filter[0], FilterWidth=filter[1],
            FusedActivationFunction=activation,
        )  # fmt: skip

    def mean(self, x: int, *, keep: bool = False, scale: float = 0.0, zero: int = 0) -> int:
        depth = self.shape(x)[-1]
        axes = self.constant("axes", np.array([1, 2], np.int32))
        out = self._like(x, (1, 1, depth) if keep else (depth,), scale, zero)
        return self.add_node("MEAN", [x, axes], out, "ReducerOptions", KeepDims=int(keep))

    def pad(self, x: int, *widths: tuple[int, int]) -> int:
        """Of each axis behind the batch."""
        table = self.constant("widths", np.array([(0, 0), *widths], np.int32))
        sizes = [s + sum(w) for s, w in zip(self.shape(x), widths, strict=True)]
        return self.add_node("PAD", [x, table], self._like(x, sizes), "PadOptions")

    def add(self, x: int, y: int, *, activation: int = NONE) -> int:
        scale = (self.scale(x) + self.scale(y)) * (0.5 if activation == NONE else 0.4)
        sizes = np.broadcast_shapes(self.shape(x), self.shape(y))
        out = self._like(x, sizes, scale, 5 if activation == NONE else -128)
        return self.add_node(
            "ADD", [x, y], out, "AddOptions", FusedActivationFunction=activation
        )  # fmt: skip

    def relu(self, x: int) -> int:
        out = self._like(x, self.shape(x), 0.6 * self.scale(x), -128)
        return self.add_node("RELU", [x], out)

    def relu6(self, x: int, scale: float = 0.0, zero: int = 0) -> int:
        return self.add_node("RELU6", [x], self._like(x, self.shape(x), scale, zero))

    def reshape(self, x: int, *shape: int) -> int:
        size = self.constant("shape", np.array([1, *shape], np.int32))
        return self.add_node("RESHAPE", [x, size], self._like(x, shape))

    def quantize(self, x: int, scale: float, zero: int) -> int:
        return self.add_node("QUANTIZE", [x], self._like(x, self.shape(x), scale, zero))

    def softmax(self, x: int) -> int:
        out = self._like(x, self.shape(x), 1 / 256, -128)
        return self.add_node("SOFTMAX", [x], out, "SoftmaxOptions", Beta=1)

    def logistic(self, x: int) -> int:
        return self.add_node("LOGISTIC", [x], self._like(x, self.shape(x), 1 / 256, -128))

    # ---- the file ----

    def spec(self, out: int, *more: int) -> ModelSpec:
        return ModelSpec(
            tensors=tuple(self.tensors),
            operators=tuple(OperatorSpec(n, _VERSIONS.get(n, 1)) for n in self.operators),
            nodes=tuple(self.nodes),
            inputs=(self.input,),
            outputs=(out, *more),
        )

    def build(self, out: int) -> bytes:
        return build(self.spec(out))


def _places(
    sizes: Sequence[int], filter: tuple[int, int], stride: tuple[int, int],
    dilation: tuple[int, int], same: bool,
) -> list[int]:  # fmt: skip
    """What the schema's padding makes of height and width."""
    if same:
        return [-(-size // step) for size, step in zip(sizes, stride, strict=True)]
    return [
        -(-(size - (taps - 1) * apart) // step)
        for size, taps, step, apart in zip(sizes, filter, stride, dilation, strict=True)
    ]


def drawn(sketch: Sketch, samples: int) -> Array:
    """int8 inputs, of all values."""
    shape = (samples, *sketch.shape(sketch.input))
    return np.random.default_rng(99).integers(-128, 128, shape).astype(np.int8)


def by_tflm(data: bytes, inputs: Array) -> Array:
    """int8 outputs, as integers."""
    loaded = tflm().load(data)
    rows = [np.frombuffer(loaded.run(x.tobytes()), np.int8) for x in inputs]
    return np.stack(rows).astype(np.int32)


def by_numpy(data: bytes, inputs: Array) -> Array:
    """The same by the network under test."""
    network = Network(data, "m")
    scale, zero = network.activations[network.input]
    real = ((inputs.astype(np.int32) - zero) * np.float32(scale)).astype(np.float32)
    out = network.run(real, network.parameters())[network.output]
    scale, zero = network.activations[network.output]
    return np.rint(out / scale + zero).astype(np.int32).reshape(len(inputs), -1)


# ---- the digits CNN of samples/host, and its evaluation data seen anew ----


def digit_samples(folder: Path, rows: slice, times: int, seed: int) -> tuple[Array, Array]:
    """Images (samples, 8, 8, 1) from 0 to 1 in another light and with noise, and their classes."""
    kept = np.load(folder / "eval.npz")
    images = ((kept["inputs"][rows].astype(np.float32) + 128) / 255).astype(np.float32)
    random = np.random.default_rng(seed)
    seen = []
    for _ in range(times):
        light = random.uniform(0.8, 1.0, (len(images), 1, 1, 1))
        noise = random.normal(0, 0.05, images.shape)
        seen.append(np.clip(images * light + noise, 0, 1).astype(np.float32))
    return np.concatenate(seen), np.tile(kept["labels"][rows], times)


def digit_pair(folder: Path) -> tuple[bytes, bytes]:
    """Base and target."""
    base, target = ((folder / f"{name}.tflite").read_bytes() for name in ("base", "target"))
    return base, target


def numbers_of(network: Network) -> Numbers:
    """What a file has in its layers."""
    layers = network.layers
    return Numbers(
        {i: x.q.copy() for i, x in layers.items()},
        {i: x.scale.copy() for i, x in layers.items()},
        {i: x.bias.copy() for i, x in layers.items()},
    )
