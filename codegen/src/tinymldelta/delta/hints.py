"""What the encoder is told of two models: where tensors and scales lie, and how they depend.

The device gets the same in the patch; it never reads a `.tflite`.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum

import numpy as np

from tinymldelta.delta.pairs import pair_tensors
from tinymldelta.model import Layout, Span, Tensor
from tinymldelta.wire import constants as wire


class Kind(IntEnum):
    """As TMD_HINT_* in codegen/native/encoder.h."""

    TENSOR = 0
    WORDS = 1
    RANGE = 2


# As TMD_F2_* in patch.h, and bytes of an element. Tensors of other types are copied or edited.
ELEMENTS = {
    "INT8": (0, 1),
    "UINT8": (1, 1),
    "INT16": (2, 2),
    "INT32": (3, 4),
    "INT64": (4, 8),
    "FLOAT32": (5, 4),
    "FLOAT16": (6, 2),
}
_NUMPY_TYPES = {"INT8": "<i1", "UINT8": "<u1", "INT16": "<i2", "FLOAT32": "<f4", "FLOAT16": "<f2"}
_NEVER = 1 << 32  # an offset that is behind every file's end
_PLACES_MAX = 64  # of a flattened picture; larger ones are taken as one row
_WHOLE_NUMBERS = ("INT32", "INT64")

# Operators whose inputs are (data, weights, bias), with bias scale = data scale * weight scale.
_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")

_CHANGED, _PRODUCT, _LIMITS = (
    1 << part for part in (wire.RangePart.CHANGED, wire.RangePart.PRODUCT, wire.RangePart.LIMITS)
)

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Hint:
    """One line of what the encoder is told; see `struct tmd_hint`. Offsets are in bytes.

    range: index of the hint that describes the tensor's scales, or -1
    parts: of a range: bits by RangePart
    """

    kind: Kind
    target_at: int
    base_at: int
    n: int = 0
    type: int = 0
    by_channel: bool = False
    range: int = -1
    shape: Shape = (1, 1, 1)
    base_shape: Shape = (1, 1, 1)
    parts: int = 0
    product: int = 0
    factor: int = 0
    factor_to: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What the decoder holds: ranges of changed scales, and words in the pool."""

    ranges: int
    pool: int


class Way(Enum):
    """When scales are sent that something depends on."""

    EARLY = "before the weights that they scale, as far as they fit; else as LATE"
    LATE = "just before their place; those of the biases follow from them"
    NEAR = "the same, where no other layer's come between; limits follow from them"


@dataclass(frozen=True, slots=True)
class _Pair:
    target: Tensor
    base: Tensor
    data: Span
    base_data: Span
    shape: Shape
    base_shape: Shape
    by_channel: bool


@dataclass(frozen=True, slots=True)
class _Layer:
    """The scales of a layer that depend on each other: bias scale = data scale * weight scale."""

    data: Tensor
    weights: Tensor
    bias: Tensor


@dataclass(slots=True)
class _Live:
    """A range that the decoder holds: its place in the pool and how long it is needed."""

    slot: int
    pool: tuple[int, int]
    until: int


@dataclass(slots=True)
class _Plan:
    """Hints with the offset of the target before which they are needed.

    Follows the decoder's ring of ranges and its pool, so that nothing is overwritten that is still
    needed.
    """

    limits: Limits
    hints: list[tuple[int, int, Hint]] = field(default_factory=list)
    # Scales in the target -> when they are known, and by which range.
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    live: list[_Live] = field(default_factory=list)
    slot: int = 0
    used: int = 0

    def add(self, before: int, hint: Hint) -> None:
        self.hints.append((before, len(self.hints), hint))

    def send(self, before: int, hint: Hint, until: int) -> bool:
        """Send a range that is needed until then. False if there is no room for it."""
        words = hint.n if hint.parts & _CHANGED else 0
        used = 0 if words > self.limits.pool - self.used else self.used
        pool = (used, used + words)
        if words > self.limits.pool:
            return False
        for live in self.live:
            crosses = live.pool[0] < pool[1] and pool[0] < live.pool[1]
            if live.until > before and (live.slot == self.slot or crosses):
                return False
        self.live.append(_Live(self.slot, pool, until))
        self.slot = (self.slot + 1) % self.limits.ranges
        if words:
            self.used = used + words
        self.add(before, hint)
        return True


class Planner:
    """Knows two models and their bytes; makes the hints for an encoder in several ways."""

    def __init__(
        self, base: bytes, target: bytes, base_model: Layout, target_model: Layout
    ) -> None:
        self._base = base
        self._target = target
        self._pairs = pair_tensors(base_model, target_model)
        self._model = target_model
        self._data = self._data_pairs()
        self._layers = self._layers_of()
        self._scales = self._scale_spans()

    def hints(self, limits: Limits, way: Way) -> list[Hint]:
        """Hints in the order of the target."""
        plan = _Plan(limits)
        self._plan_ranges(plan, way)
        for at, (base_at, n) in self._scales.items():
            if self._changed(at, base_at, 4 * n):
                # If they have been sent ahead, this only says where they lie.
                plan.add(at, Hint(Kind.WORDS, at, base_at, n))
        for pair in self._data:
            if self._bytes(pair.data) != self._base_bytes(pair.base_data):
                self._add_tensor(plan, pair)
        plan.hints.sort(key=lambda entry: entry[:2])
        return _numbered([hint for _, _, hint in plan.hints])

    # ---- what the models say

    def _bytes(self, span: Span) -> bytes:
        return self._target[span.offset : span.offset + span.length]

    def _base_bytes(self, span: Span) -> bytes:
        return self._base[span.offset : span.offset + span.length]

    def _changed(self, at: int, base_at: int, length: int) -> bool:
        return self._target[at : at + length] != self._base[base_at : base_at + length]

    def _data_pairs(self) -> list[_Pair]:
        """Tensors with constant data that can be predicted from the base, in the target's order."""
        pairs: dict[int, _Pair] = {}
        depthwise = {
            node.inputs[1]
            for node in self._model.nodes
            if self._model.operators[node.operator].name == "DEPTHWISE_CONV_2D"
        }
        for target in self._model.tensors:
            base = self._pairs.get(target.index)
            if base is None or base.data is None or target.data is None:
                continue
            if target.type not in ELEMENTS or not _is_tensor_data(target):
                continue
            shapes = _shapes(target, base, target.index in depthwise)
            if shapes is None or target.data.length == 0 or base.data.length == 0:
                continue
            shape, base_shape, by_channel = shapes
            pair = _Pair(target, base, target.data, base.data, shape, base_shape, by_channel)
            if shape != base_shape:
                pair = self._unflattened(pair)
            pairs.setdefault(target.data.offset, pair)
        ordered: list[_Pair] = []
        for pair in sorted(pairs.values(), key=lambda p: p.data.offset):
            if not ordered or ordered[-1].data.offset + ordered[-1].data.length <= pair.data.offset:
                ordered.append(pair)
        return ordered

    def _unflattened(self, pair: _Pair) -> _Pair:
        """A dense layer behind a flattened one: its inputs are places * channels, not one row.

        Takes the number of places with which the weights that are left agree best.
        """
        (rows, one, columns), (base_rows, base_one, base_columns) = pair.shape, pair.base_shape
        dtype = _NUMPY_TYPES.get(pair.target.type)
        if dtype is None or one != 1 or base_one != 1 or columns == base_columns:
            return pair
        ours = np.frombuffer(self._bytes(pair.data), dtype).reshape(rows, columns)
        theirs = np.frombuffer(self._base_bytes(pair.base_data), dtype)
        theirs = theirs.reshape(base_rows, base_columns)
        kept = min(rows, base_rows)

        def agreement(places: int) -> float:
            c, b = columns // places, base_columns // places
            x = ours[:kept].reshape(kept, places, c)[:, :, : min(b, c)].astype(np.float64)
            y = theirs[:kept].reshape(kept, places, b)[:, :, : min(b, c)].astype(np.float64)
            return float((x * y).sum())

        possible = [
            p for p in range(1, _PLACES_MAX + 1) if not columns % p and not base_columns % p
        ]
        places = max(possible, key=agreement)
        return replace(
            pair,
            shape=(rows, places, columns // places),
            base_shape=(base_rows, places, base_columns // places),
        )

    def _layers_of(self) -> list[_Layer]:
        layers = []
        tensors = self._model.tensors
        for node in self._model.nodes:
            if self._model.operators[node.operator].name not in _LAYERS or len(node.inputs) < 3:
                continue
            if min(node.inputs[:3]) < 0:
                continue
            data, weights, bias = (tensors[i] for i in node.inputs[:3])
            if self._is_product(data, weights, bias):
                layers.append(_Layer(data, weights, bias))
        return layers

    def _is_product(self, data: Tensor, weights: Tensor, bias: Tensor) -> bool:
        spans = [_scale_span(t) for t in (data, weights, bias)]
        bases = [self._pairs.get(t.index) for t in (data, weights, bias)]
        base_spans = [None if b is None else _scale_span(b) for b in bases]
        if any(s is None for s in spans + base_spans):
            return False
        lengths = [s.length for s in spans if s is not None]
        base_lengths = [s.length for s in base_spans if s is not None]
        if lengths[0] != 4 or lengths[1] != lengths[2]:
            return False
        if base_lengths[0] != 4 or base_lengths[1] != base_lengths[2]:
            return False
        if any(s.offset % 4 for s in base_spans if s is not None):
            return False
        a, w, b = (self._floats(s) for s in spans if s is not None)
        close = sum(math.isclose(a[0] * x, y, rel_tol=1e-5) for x, y in zip(w, b, strict=True))
        return close * 2 > len(b)

    def _floats(self, span: Span) -> tuple[float, ...]:
        return struct.unpack(f"<{span.length // 4}f", self._bytes(span))

    def _scale_spans(self) -> dict[int, tuple[int, int]]:
        """Vectors of scales and ranges: offset in target -> (offset in base, words)."""
        spans: dict[int, tuple[int, int]] = {}
        for target in self._model.tensors:
            base = self._pairs.get(target.index)
            if base is None or base.quantisation is None or target.quantisation is None:
                continue
            for name in ("scale_span", "min_span", "max_span"):
                ours, theirs = getattr(target.quantisation, name), getattr(base.quantisation, name)
                if ours is not None and theirs is not None and ours.length and theirs.length:
                    n = min(ours.length, theirs.length) // 4
                    spans.setdefault(ours.offset, (theirs.offset, n))
        return spans

    # ---- ranges

    def _plan_ranges(self, plan: _Plan, way: Way) -> None:
        """Plan, in the order in which they are sent, the scales that something depends on."""
        wanted: list[tuple[int, int, Tensor, _Layer | None]] = []
        data_at = {pair.target.index: pair.data.offset for pair in self._data}
        in_layer: set[int] = set()
        starts = sorted(_offset(layer.weights) for layer in self._layers)
        for layer in self._layers:
            scales = min(_offset(layer.weights), _offset(layer.bias))
            first = min(data_at.get(t.index, scales) for t in (layer.weights, layer.bias))
            in_layer |= {layer.weights.index, layer.bias.index}
            far = any(_offset(layer.weights) < at < _offset(layer.bias) for at in starts)
            owner = None if way is Way.NEAR and far else layer
            at = first if way is Way.EARLY else scales
            if owner is not None or self._limits_at(layer.weights):
                wanted.append((at, scales, layer.weights, owner))
        if way is Way.EARLY:
            for pair in self._data:
                tensor = pair.target
                changed = self._bytes(pair.data) != self._base_bytes(pair.base_data)
                if tensor.index not in in_layer and ELEMENTS[tensor.type][0] <= 1 and changed:
                    wanted.append((pair.data.offset, pair.data.offset, tensor, None))
        wanted.sort(key=lambda w: w[0])
        later: list[tuple[int, int, Tensor, _Layer | None]] = []
        for entry in wanted:
            at, scales, tensor, owner = entry
            if not self._send(plan, at, tensor, owner) and scales > at:
                later.append((scales, scales, tensor, owner))
        for at, _, tensor, owner in sorted(later, key=lambda w: w[0]):
            if at >= max((b for b, _, _ in plan.hints), default=0):
                self._send(plan, at, tensor, owner)

    def _send(self, plan: _Plan, at: int, tensor: Tensor, layer: _Layer | None) -> bool:
        """Send the scales of a tensor, and those of its bias as their product. True if done, or if
        there is nothing to do.
        """
        span = _scale_span(tensor)
        if span is None or span.offset not in self._scales:
            return True
        if span.offset in plan.ranges:
            return True
        base_at, n = self._scales[span.offset]
        hint = Hint(Kind.RANGE, span.offset, base_at, n)
        # Until all of its parts have been written. The factor is one word, which is remembered.
        until = span.offset + 4
        if self._changed(span.offset, base_at, 4 * n):
            limits = self._limits_at(tensor)
            hint = replace(hint, parts=_CHANGED | (_LIMITS if limits else 0))
            until = max([until, *(at + 4 for at in limits)])
        bias = None if layer is None else _scale_span(layer.bias)
        if layer is not None and bias is not None and bias.offset not in plan.ranges:
            product, words = self._scales[bias.offset]
            if words == n and self._changed(bias.offset, product, 4 * n):
                factor_to = _offset(layer.data)
                hint = replace(
                    hint,
                    parts=hint.parts | _PRODUCT,
                    product=product,
                    factor=self._scales[factor_to][0],
                    factor_to=factor_to,
                )
                until = max(until, bias.offset + 4)
        if not hint.parts:
            return True
        known = at
        if hint.parts & _CHANGED and n > plan.limits.pool:
            if at < span.offset:
                return False
            # Just before their place, some are better than none. No weights are predicted by them.
            hint = replace(hint, n=plan.limits.pool, parts=hint.parts & ~_LIMITS)
            known = _NEVER
        if base_at % 4 or not plan.send(at, hint, until):
            return False
        plan.ranges[span.offset] = (known, span.offset)
        if bias is not None and hint.parts & _PRODUCT:
            plan.ranges[bias.offset] = (known, span.offset)
        return True

    def _limits_at(self, tensor: Tensor) -> list[int]:
        """Where minima and maxima stand right behind the scales, as converters used to write them.

        Empty if they do not, or did not change.
        """
        base = self._pairs.get(tensor.index)
        if tensor.quantisation is None or base is None or base.quantisation is None:
            return []
        ours, theirs = tensor.quantisation, base.quantisation
        spans = []
        for a, b in ((ours.min_span, theirs.min_span), (ours.max_span, theirs.max_span)):
            if a is None or b is None or a.length != b.length:
                return []
            spans.append((b.offset, a))
        scales = theirs.scale_span
        if scales is None:
            return []
        places = [scales.offset + k * (scales.length + 4) for k in (1, 2)]
        if sorted(offset for offset, _ in spans) != places:
            return []
        changed = [self._changed(a.offset, offset, a.length) for offset, a in spans]
        return [a.offset for _, a in spans] if any(changed) else []

    def _add_tensor(self, plan: _Plan, pair: _Pair) -> None:
        span = _scale_span(pair.target)
        sent = None if span is None else plan.ranges.get(span.offset)
        plan.add(
            pair.data.offset,
            Hint(
                Kind.TENSOR,
                pair.data.offset,
                pair.base_data.offset,
                type=ELEMENTS[pair.target.type][0],
                by_channel=pair.by_channel,
                shape=pair.shape,
                base_shape=pair.base_shape,
                range=sent[1] if sent is not None and sent[0] <= pair.data.offset else -1,
            ),
        )


def _is_tensor_data(tensor: Tensor) -> bool:
    """Whole numbers that no scale goes with are shapes, axes and the like: not worth a model."""
    quantised = tensor.quantisation is not None and bool(tensor.quantisation.scale)
    return quantised or tensor.type not in _WHOLE_NUMBERS


def _scale_span(tensor: Tensor) -> Span | None:
    return None if tensor.quantisation is None else tensor.quantisation.scale_span


def _offset(tensor: Tensor) -> int:
    span = _scale_span(tensor)
    return -1 if span is None else span.offset


def _shapes(target: Tensor, base: Tensor, depthwise: bool) -> tuple[Shape, Shape, bool] | None:
    """Rows, places and channels of both, and whether scales go by channel; None if too unlike."""
    if len(target.shape) != len(base.shape):
        if target.data is None or base.data is None or target.data.length != base.data.length:
            return None
        flat = (1, 1, target.elements)
        return flat, flat, False
    if not target.shape or 0 in target.shape or 0 in base.shape:
        return None
    # Of a depthwise layer, the first dimension is always 1.
    skip = int(depthwise and len(target.shape) == 4 and target.shape[0] == base.shape[0] == 1)
    quantisation = target.quantisation
    by_channel = (
        quantisation is not None
        and len(quantisation.scale) > 1
        and quantisation.axis == len(target.shape) - 1
    )
    return _three(target.shape[skip:]), _three(base.shape[skip:]), by_channel


def _three(shape: tuple[int, ...]) -> Shape:
    if len(shape) == 1:
        return 1, 1, shape[0]
    return shape[0], math.prod(shape[1:-1]), shape[-1]


def without_ranges(hints: list[Hint]) -> list[Hint]:
    """For a decoder that does not know them."""
    return [replace(h, range=-1) for h in hints if h.kind is not Kind.RANGE]


def _numbered(hints: list[Hint]) -> list[Hint]:
    """Tensors name their range by the offset of its scales; from here on, by its index."""
    index = {h.target_at: i for i, h in enumerate(hints) if h.kind is Kind.RANGE}
    return [
        replace(h, range=index[h.range]) if h.kind is Kind.TENSOR and h.range >= 0 else h
        for h in hints
    ]
