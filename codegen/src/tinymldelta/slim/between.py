"""Models between a base and a target of one structure: what all share, and how one is written."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tinymldelta.model import Span
from tinymldelta.slim.network import Ints, Network, Reals, Unsupported
from tinymldelta.slim.operators import Parameters
from tinymldelta.slim.windows import Array

# A base's scale is kept for a tensor if no more of the target's values than this would be clipped,
# and if its steps are no coarser than so many of the target's.
_CLIPPED_MAX = 0.001
_COARSER_MAX = 2.0


@dataclass
class Numbers:
    """What a model has in its layers, by node: int8 weights, their scales, int32 biases."""

    q: dict[int, Ints] = field(default_factory=dict)
    scale: dict[int, Reals] = field(default_factory=dict)
    bias: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)


class Between:
    """Base and target, and what a model between them is: the base's network, with the quantisation
    of computed tensors that fits the target.

    In and out tensors keep the base's, since the application knows it. given: inputs of
    calibration, real numbers (samples, ...).
    """

    def __init__(self, base: Network, target: Network, given: Array) -> None:
        _check_alike(base, target)
        self.base, self.target, self.given = base, target, given
        self.wanted = target.parameters()
        # The base's file, in which only numbers have to change.
        self.own = Network(_with_constants_of(base, target), base.model.name)
        self._choose_activations()
        layers = base.layers
        self.write(
            Numbers(
                {i: x.q for i, x in layers.items()},
                {i: x.scale for i, x in layers.items()},
                {i: x.bias for i, x in layers.items()},
            )
        )  # what has no place in the base's file shows here

    def _choose_activations(self) -> None:
        inside = self._inside()
        for group in self.own.tied():
            kept = bool(group & {self.own.input, self.own.output}) or all(
                self._fits(t, inside[t]) for t in group
            )
            for t in group:
                self.own.activations[t] = (self.base if kept else self.target).activations[t]

    def _inside(self) -> dict[int, float]:
        """Of each computed tensor, the share of the target's values that the base's can say."""
        count = dict.fromkeys(self.own.activations, 0)
        for values in self.target.in_batches(self.given, self.wanted):
            for t in count:
                _, inside = self.base.rounded(t, values[t])
                count[t] += int(np.count_nonzero(inside))
        sizes = {t: self.own.model.tensors[t].elements * len(self.given) for t in count}
        return {t: count[t] / sizes[t] for t in count}

    def _fits(self, tensor: int, inside: float) -> bool:
        coarser = self.base.activations[tensor][0] / self.target.activations[tensor][0]
        return coarser <= _COARSER_MAX and 1 - inside <= _CLIPPED_MAX

    def parameters(self, numbers: Numbers) -> Parameters:
        """What they stand for."""
        out = Parameters({}, {})
        for i, q in numbers.q.items():
            out.weights[i] = (q * numbers.scale[i][:, None]).astype(np.float32)
            unit = numbers.scale[i] * self.own.input_scale(i)
            out.biases[i] = (numbers.bias[i] * unit).astype(np.float32)
        return out

    def bias_of(self, layer: int, real: Reals, scale: Reals) -> npt.NDArray[np.int64]:
        """Real biases in the kernels' unit: the scale of the weights times that of the input."""
        if self.own.layers[layer].biases is None:
            return np.zeros(len(real), np.int64)
        q = np.rint(real / (scale * self.own.input_scale(layer)))
        return np.clip(q, -(2**31), 2**31 - 1).astype(np.int64)

    def write(self, numbers: Numbers) -> bytes:
        """The base's file with these numbers in it and everything else the same."""
        out = bytearray(self.own.data)

        def put(span: Span | None, raw: bytes) -> None:
            if span is not None and span.length == len(raw):
                out[span.offset : span.offset + span.length] = raw
            elif span is not None or raw:
                raise Unsupported("a layer whose numbers have no place of their own in the base")

        for t, (scale, zero) in self.own.activations.items():
            q = self.own.model.tensors[t].quantisation
            if (scale, zero) != self.base.activations[t] and q is not None:
                put(q.scale_span, struct.pack("<f", scale))
                put(q.zero_point_span, struct.pack("<q", zero))
        for i, layer in self.own.layers.items():
            put(layer.weights.data, layer.in_file(numbers.q[i]))
            scales = numbers.scale[i][: None if layer.per_channel else 1].astype("<f4")
            quantisation = layer.weights.quantisation
            put(quantisation.scale_span if quantisation else None, scales.tobytes())
            if layer.biases is None:
                continue
            put(layer.biases.data, numbers.bias[i].astype("<i4").tobytes())
            if layer.biases.quantisation is not None and layer.biases.quantisation.scale_span:
                was = np.asarray(layer.biases.quantisation.scale, "<f4")
                now = (scales * np.float32(self.own.input_scale(i))).astype("<f4")
                # As the converter rounded it, where it says the same.
                now = np.where(np.isclose(now, was, rtol=3e-7, atol=0), was, now)
                put(layer.biases.quantisation.scale_span, now.astype("<f4").tobytes())
        return bytes(out)


def _check_alike(base: Network, target: Network) -> None:
    """The same operators on tensors of the same types and shapes. Raises Unsupported."""
    one, other = base.model, target.model
    same = [base.name_of(s) for s in base.steps] == [target.name_of(s) for s in target.steps] and [
        (s.inputs, s.output, s.weighted, s.plain, s.limits) for s in base.steps
    ] == [(s.inputs, s.output, s.weighted, s.plain, s.limits) for s in target.steps]
    same = same and [(t.type, t.shape, t.data is None) for t in one.tensors] == [
        (t.type, t.shape, t.data is None) for t in other.tensors
    ]
    same = same and [x.per_channel for x in base.layers.values()] == [
        x.per_channel for x in target.layers.values()
    ]
    if not same:
        raise Unsupported(f"another structure than {one.name} has")


def _with_constants_of(base: Network, target: Network) -> bytes:
    """The base's file, with what constants the target has besides weights and biases."""
    out = bytearray(base.data)
    own = {t.index for x in base.layers.values() for t in (x.weights, x.biases) if t is not None}
    for one, other in zip(base.model.tensors, target.model.tensors, strict=True):
        if one.data is None or other.data is None or one.index in own:
            continue
        if one.data.length != other.data.length:
            raise Unsupported(f"the constant {other.name!r}, which is longer or shorter")
        raw = target.data[other.data.offset : other.data.offset + other.data.length]
        out[one.data.offset : one.data.offset + one.data.length] = raw
    return bytes(out)
