"""A quantised network as numpy runs it: forward and backward, a batch at a time.

Values are real numbers: an int8 tensor is what it stands for, scale * (q - zero_point). Each result
is rounded to what its tensor can say, so that a run differs from a device's by single steps here
and there, and where rounding cannot be told. Gradients go straight through the rounding, and not
through what was clipped.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinymldelta.model import Node, Tensor, read_model
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
from tinymldelta.slim.windows import Array, Windows

Ints = npt.NDArray[np.int32]
Reals = npt.NDArray[np.float64]

# Of the schema: Padding.SAME; ActivationFunctionType, and what each lets through.
_SAME: Final = 0
_ACTIVATIONS: Final = {1: (0.0, np.inf), 3: (0.0, 6.0)}
_NO_ACTIVATION: Final = 0
_LOW, _HIGH = -128, 127

# Operators whose output has the quantisation of their input, in TFLM's kernels or by what it is.
_TIED: Final = frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "RELU6", "RESHAPE"})
_ELEMENTS_MAX: Final = 1 << 22  # of a computed tensor: beyond what a microcontroller holds
_SCALES: Final = (1e-12, 1e12)  # between which products stay within binary32
_REACH_MAX: Final = 1 << 10  # of a filter or a padding, in places
_BATCH: Final = 256  # samples that are run at once, unless layers see more than this of them:
_SEEN_MAX: Final = 1 << 26  # numbers, four bytes each
LAYERS: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_KNOWN: Final = frozenset(
    {*LAYERS, *_TIED, "MEAN", "ADD", "RELU", "QUANTIZE", "SOFTMAX", "LOGISTIC"}
)


class Unsupported(Exception):  # noqa: N818 - a property of the model, not an error
    """The network has something that is not run here; `str()` names it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A node with weights of its own, as the file has them.

    q: int8 weights (channels, weights of a channel). scale, bias: of each channel. per_channel: has
    the file a scale for each? weights, biases: the tensors; a layer may have no biases.
    """

    node: int
    kind: str
    q: Ints
    scale: Reals
    bias: npt.NDArray[np.int64]
    per_channel: bool
    weights: Tensor
    biases: Tensor | None

    def in_file(self, q: Ints) -> bytes:
        """Such weights, as the file has them."""
        if self.kind == "DEPTHWISE_CONV_2D":
            q = q.T  # channels last
        return q.astype("<i1").tobytes()


@dataclass(frozen=True, slots=True)
class Step:
    """One of the two operators is there, as the node has weights or not."""

    node: int
    inputs: tuple[int, ...]
    output: int
    weighted: Weighted | None
    plain: Operator | None
    limits: tuple[float, float] | None  # of the fused activation


class Network:
    """The first subgraph of a model with one input and one output.

    activations: scale and zero point of each tensor that is computed; may be replaced. steps,
    layers: by the numbers of their nodes. Raises Unsupported, and Refusal as read_model does.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.model = read_model(data, where)
        m = self.model
        if len(m.graphs) > 1 or len(m.inputs) > 1 or len(m.outputs) > 1:
            raise Unsupported("several subgraphs, inputs or outputs")
        self.input, self.output = m.inputs[0], m.outputs[0]
        self.layers: dict[int, Layer] = {}
        self.steps: list[Step] = []
        self.activations: dict[int, tuple[float, int]] = {}
        for t in m.tensors:
            if t.data is None:
                self.activations[t.index] = self._quantisation(t)
        for i in m.graphs[0].nodes:
            self.steps.append(self._step(i, m.nodes[i], m.operators[m.nodes[i].operator].name))
        if not self.layers:
            raise Unsupported("no layer with int8 weights")
        self._check_apart()
        self._check_runs()

    # ---- whether it can be run and written ----

    def _check_apart(self) -> None:
        """What may be written has to have a place of its own in the file."""
        written = []
        for layer in self.layers.values():
            written += [t.data for t in (layer.weights, layer.biases) if t is not None]
        own = {t.index for x in self.layers.values() for t in (x.weights, x.biases) if t}
        kept = {t.data for t in self.model.tensors if t.data and t.index not in own}
        for t in self.model.tensors:
            if t.quantisation is not None and (t.index in own or t.data is None):
                written += [t.quantisation.scale_span, t.quantisation.zero_point_span]
        spans = [(s.offset, s.length) for s in (*written, *kept) if s is not None and s.length]
        spans.sort()
        for (start, length), (behind, _) in itertools.pairwise(spans):
            if start + length > behind and any(
                s is not None and s.offset in (start, behind) for s in written
            ):
                raise Unsupported("weights, biases or scales that two tensors share")

    def _check_runs(self) -> None:
        """Whether one sample goes through, in the shapes that the file has."""
        for i in self.activations:
            t = self.model.tensors[i]
            if t.elements > _ELEMENTS_MAX:
                raise Unsupported(f"the tensor {t.name!r}, which is larger than a device")
        for step in self.steps:
            one, out = (self.model.tensors[i] for i in (step.inputs[0], step.output))
            if one.shape[:1] != (1,) or out.shape[:1] != (1,):
                raise Unsupported("tensors of more than one sample")
            of = (self.activations.get(i) for i in (step.inputs[0], step.output))
            if self.name_of(step) in _TIED and len(set(of)) > 1:
                raise Unsupported(f"{self.name_of(step)} that changes the quantisation")
        given = np.zeros((1, *self.model.tensors[self.input].shape[1:]), np.float32)
        try:
            values = self.run(given, self.parameters())
            found = {i: value.shape for i, value in values.items()}
        except (LookupError, ValueError) as error:
            raise Unsupported("tensors whose shapes or order do not fit its operators") from error
        if (
            self.output not in found
            or self.steps[-1].output != self.output
            or any(shape != self.model.tensors[i].shape for i, shape in found.items())
        ):
            raise Unsupported("tensors whose shapes or order do not fit its operators")

    # ---- what the file says ----

    @staticmethod
    def _quantisation(tensor: Tensor) -> tuple[float, int]:
        q = tensor.quantisation
        if tensor.type != "INT8" or q is None or len(q.scale) != 1:
            raise Unsupported(f"the tensor {tensor.name!r}, which is {tensor.type.lower()}")
        zero = q.zero_point[0] if q.zero_point else 0
        if not _SCALES[0] < q.scale[0] < _SCALES[1] or not _LOW <= zero <= _HIGH:
            raise Unsupported(
                f"the tensor {tensor.name!r} with the scale {q.scale[0]:g}, zero point {zero}"
            )
        return q.scale[0], zero

    def constant(self, tensor: Tensor, dtype: str) -> npt.NDArray[Any]:
        """What a constant tensor holds. Raises Unsupported if it holds nothing."""
        if tensor.data is None:
            raise Unsupported(f"the tensor {tensor.name!r}, which is no constant")
        span = tensor.data
        raw = self.data[span.offset : span.offset + span.length]
        return np.frombuffer(raw, dtype).reshape(tensor.shape)

    def _layer(self, index: int, node: Node, kind: str) -> Layer:
        w = self.model.tensors[node.inputs[1]]
        if w.type != "INT8" or w.quantisation is None or any(w.quantisation.zero_point):
            raise Unsupported(f"{kind} with weights that are not symmetric int8")
        if len(w.shape) != (2 if kind == "FULLY_CONNECTED" else 4) or 0 in w.shape:
            raise Unsupported(f"{kind} with weights of the shape {list(w.shape)}")
        q = self.constant(w, "<i1").astype(np.int32)
        q = q.reshape(-1, q.shape[-1]).T if kind == "DEPTHWISE_CONV_2D" else q.reshape(len(q), -1)
        scale = np.asarray(w.quantisation.scale, np.float64)
        axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
        inside = (scale > _SCALES[0]) & (scale < _SCALES[1])
        along = len(scale) == 1 or (len(scale) == len(q) and w.quantisation.axis == axis)
        if len(scale) == 0 or not inside.all() or not along:
            raise Unsupported(f"{kind} with other scales than one above 0, or one for each channel")
        biases = None
        bias = np.zeros(len(q), np.int64)
        if len(node.inputs) > 2 and node.inputs[2] >= 0:
            biases = self.model.tensors[node.inputs[2]]
            if biases.type != "INT32" or biases.elements != len(q):
                raise Unsupported(f"{kind} with biases that are not int32, one for each channel")
            bias = self.constant(biases, "<i4").astype(np.int64).ravel()
        return Layer(
            index, kind, q, np.broadcast_to(scale, len(q)).copy(), bias, len(scale) > 1, w, biases
        )

    def _step(self, index: int, node: Node, name: str) -> Step:
        inputs = node.inputs[:1]
        if name not in _KNOWN:
            raise Unsupported(name if name.isprintable() else repr(name))
        needs = 2 if name in (*LAYERS, "ADD", "MEAN", "PAD") else 1
        if len(node.inputs) < needs or min(node.inputs[:needs]) < 0 or len(node.outputs) != 1:
            raise Unsupported(f"{name} without its tensors")
        code = _NO_ACTIVATION
        weighted: Weighted | None = None
        plain: Operator | None = None
        if (
            name in (*LAYERS, "AVERAGE_POOL_2D", "MAX_POOL_2D", "ADD", "SOFTMAX")
            and not node.options
        ):
            raise Unsupported(f"{name} without options")
        if name in LAYERS:
            self.layers[index] = self._layer(index, node, name)
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            _, height, width, _ = self.model.tensors[node.inputs[1]].shape
            padding, *stride, code = node.options[:4]
            windows = Windows(
                (height, width),
                (stride[0], stride[1]),
                (node.options[4], node.options[5]),
                padding == _SAME,
            )
            weighted = (
                Convolution(windows) if name == "CONV_2D" else Depthwise(windows, node.options[6])
            )
        elif name == "FULLY_CONNECTED":
            code, layout = node.options
            if layout:
                raise Unsupported("FULLY_CONNECTED with shuffled weights")
            weighted = Dense(self.layers[index].q.shape[1])
        elif name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            padding, *stride, code = node.options[:4]
            windows = Windows(
                (node.options[4], node.options[5]), (stride[0], stride[1]), (1, 1), padding == _SAME
            )
            plain = MaxPool(windows) if name == "MAX_POOL_2D" else AveragePool(windows)
        elif name == "MEAN":
            axes = self.constant(self.model.tensors[node.inputs[1]], "<i4").ravel().tolist()
            if sorted(axes) != [1, 2] or len(self.model.tensors[inputs[0]].shape) != 4:
                raise Unsupported("MEAN over other axes than height and width")
            plain = Mean()
        elif name == "PAD":
            widths = self.constant(self.model.tensors[node.inputs[1]], "<i4").tolist()
            if np.shape(widths) != (len(self.model.tensors[inputs[0]].shape), 2) or not all(
                0 <= width <= _REACH_MAX for row in widths for width in row
            ):
                raise Unsupported("PAD by widths that are none")
            plain = Pad(tuple((int(before), int(behind)) for before, behind in widths))
        elif name == "ADD":
            inputs, code = node.inputs[:2], node.options[0]
            if any(self.model.tensors[i].data is not None for i in inputs):
                raise Unsupported("ADD with a constant")
            if len({self.model.tensors[i].shape for i in inputs}) > 1:
                raise Unsupported("ADD of different shapes")
            plain = Add()
        elif name in ("RELU", "RELU6"):
            plain, code = Same(), 1 if name == "RELU" else 3
        elif name in ("RESHAPE", "QUANTIZE"):
            plain = Same()
        elif name == "SOFTMAX":
            (beta,) = struct.unpack("<f", struct.pack("<I", *node.options))
            if beta != 1:
                raise Unsupported(f"SOFTMAX with the beta {beta:g}, which is not 1")
            plain = Softmax()
        else:
            plain = Logistic()
        windows_of = getattr(weighted or plain, "windows", None)
        if windows_of is not None:
            self._check_windows(windows_of, name)
        if code != _NO_ACTIVATION and code not in _ACTIVATIONS:
            raise Unsupported(f"{name} with the fused activation {code}")
        return Step(index, inputs, node.outputs[0], weighted, plain, _ACTIVATIONS.get(code))

    @staticmethod
    def _check_windows(windows: Windows, name: str) -> None:
        for taps, stride, dilation in zip(
            windows.filter, windows.stride, windows.dilation, strict=True
        ):
            if min(taps, stride, dilation) < 1 or max(taps * dilation, stride) > _REACH_MAX:
                raise Unsupported(f"{name} with a filter, stride or dilation that is none")

    def name_of(self, step: Step) -> str:
        return self.model.operators[self.model.nodes[step.node].operator].name

    def tied(self) -> list[set[int]]:
        """Computed tensors that have to have one quantisation, in groups; each is in one."""
        groups = {t: {t} for t in self.activations}
        for step in self.steps:
            if self.name_of(step) in _TIED:
                one = groups[step.inputs[0]] | groups[step.output]
                for t in one:
                    groups[t] = one
        return list({min(g): g for g in groups.values()}.values())

    @property
    def head(self) -> int:
        """Where outputs are compared: what a softmax at the end is given, or the output."""
        return self.steps[-1].inputs[0] if self.ends_in_softmax else self.output

    @property
    def ends_in_softmax(self) -> bool:
        return isinstance(self.steps[-1].plain, Softmax)

    def input_scale(self, layer: int) -> float:
        """Of what the layer is given; its biases are in units of this times the weights' scale."""
        return self.activations[self.model.nodes[layer].inputs[0]][0]

    def parameters(self) -> Parameters:
        """What the file's weights and biases stand for."""
        out = Parameters({}, {})
        for i, layer in self.layers.items():
            out.weights[i] = (layer.q * layer.scale[:, None]).astype(np.float32)
            out.biases[i] = (layer.bias * layer.scale * self.input_scale(i)).astype(np.float32)
        return out

    # ---- running ----

    def rounded(self, tensor: int, real: Array) -> tuple[Array, Array]:
        """What the tensor can say of it, and 1 where that is not clipped, else 0."""
        scale, zero = self.activations[tensor]
        q = np.rint(real * np.float32(1 / scale)) + zero
        inside = ((q >= _LOW) & (q <= _HIGH)).astype(np.float32)
        return ((np.clip(q, _LOW, _HIGH) - zero) * np.float32(scale)).astype(np.float32), inside

    def run(
        self, given: Array, parameters: Parameters, open_at: dict[int, Array] | None = None
    ) -> dict[int, Array]:
        """All computed tensors for a batch of real inputs (samples, ...).

        open_at: takes, for each tensor, 1 where a gradient goes through and 0 where it was clipped.
        """
        values = self.start(given)
        for step in self.steps:
            self.advance(values, step, parameters, open_at)
        return values

    def in_batches(self, given: Array, parameters: Parameters) -> Iterator[dict[int, Array]]:
        """The same for many inputs, some at a time: memory is the network's matter, not theirs."""
        size = self.batch(_BATCH)
        for at in range(0, len(given), size):
            yield self.run(given[at : at + size], parameters)

    def batch(self, most: int) -> int:
        """How many samples to run at once, up to `most`: 1, if one fills the memory."""
        return max(min(most, _SEEN_MAX // max(self._seen_by_layer(), 1)), 1)

    def _seen_by_layer(self) -> int:
        """Numbers that windows of one sample hold, of the layer with the most."""
        most = 0
        for i, layer in self.layers.items():
            shape = self.model.tensors[self.model.nodes[i].outputs[0]].shape
            places = int(np.prod(shape[1:-1]))
            channels = len(layer.q) if layer.kind == "DEPTHWISE_CONV_2D" else 1
            most = max(most, places * layer.q.shape[1] * channels)
        return most

    def start(self, given: Array) -> dict[int, Array]:
        """The input alone, as its tensor can say it."""
        return {self.input: self.rounded(self.input, given)[0]}

    def advance(
        self,
        values: dict[int, Array],
        step: Step,
        parameters: Parameters,
        open_at: dict[int, Array] | None = None,
    ) -> None:
        """Run one step on what is there, and add its output."""
        inputs = [values[i] for i in step.inputs]
        shape = (len(inputs[0]), *self.model.tensors[step.output].shape[1:])
        if step.weighted is not None:
            weights, bias = parameters.weights[step.node], parameters.biases[step.node]
            real = step.weighted.run(inputs[0], weights, bias, shape)
        elif step.plain is not None:
            real = step.plain.run(inputs, shape)
        through = None
        if step.limits is not None:
            through = (real > step.limits[0]) & (real < step.limits[1])
            real = np.clip(real, *step.limits)
        values[step.output], inside = self.rounded(step.output, real)
        if open_at is not None:
            open_at[step.output] = inside if through is None else inside * through

    def gradients(
        self,
        values: Mapping[int, Array],
        open_at: Mapping[int, Array],
        parameters: Parameters,
        at_head: Array,
    ) -> tuple[dict[int, Array], Parameters]:
        """Gradients before each layer's activation, by node, and at weights and biases.

        values, open_at: of a run with these parameters; at_head: the gradient at `head`.
        """
        at = {self.head: at_head}
        before: dict[int, Array] = {}
        out = Parameters({}, {})
        for step in reversed(self.steps):
            if step.output not in at or (self.ends_in_softmax and step is self.steps[-1]):
                continue
            gradient = at[step.output] * open_at[step.output]
            inputs = [values[i] for i in step.inputs]
            backs: list[Array] = []
            if step.weighted is not None:
                weights = parameters.weights[step.node]
                back, out.weights[step.node] = step.weighted.back(gradient, inputs[0], weights)
                out.biases[step.node] = gradient.reshape(-1, len(weights)).sum(axis=0)
                before[step.node] = gradient
                backs.append(back)
            elif step.plain is not None:
                backs = step.plain.back(gradient, inputs, values[step.output])
            for tensor, value in zip(step.inputs, backs, strict=True):
                at[tensor] = at[tensor] + value if tensor in at else value
        return before, out
