"""What the encoder is told: plans that the decoder can follow, and what they are worth."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit import ModelSpec, build, default_spec, with_tensor
from tinymldelta.container.body2 import decode_body
from tinymldelta.delta.encode import encode
from tinymldelta.delta.hints import Hint, Kind, Limits, Planner, Way, _Plan
from tinymldelta.delta.pairs import pair_tensors
from tinymldelta.errors import Refusal
from tinymldelta.model import read_layout, read_model
from tinymldelta.wire.constants import F2_POOL, F2_RANGES, RangePart

LIMITS = Limits(F2_RANGES, F2_POOL)
CHANGED = 1 << RangePart.CHANGED
PRODUCT = 1 << RangePart.PRODUCT


def _trained(spec: ModelSpec, seed: int = 1, by: float = 1.02) -> ModelSpec:
    """The same model after some training: weights, biases and scales have moved."""
    rng = random.Random(seed)
    for index, tensor in enumerate(spec.tensors):
        grown = by * by if tensor.name == "bias" else by  # a product of two
        changes: dict[str, object] = {"scale": tuple(s * grown for s in tensor.scale)}
        if tensor.data is not None and tensor.scale:
            changes["data"] = bytes(
                (b + rng.choice((0, 0, 1, 255))) % 256 if i % 4 == 0 else b
                for i, b in enumerate(tensor.data)
            )
        spec = with_tensor(spec, index, **changes)
    return spec


def _planner(base: bytes, target: bytes) -> Planner:
    return Planner(base, target, read_layout(base, "base"), read_layout(target, "target"))


# ---- the ring of ranges and the pool


@st.composite
def _sends(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """When a range is sent, how many words it puts into the pool, until when it is needed."""
    steps = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 30))))
    at, sends = 0, []
    for further, words, lasts in steps:
        at += further
        sends.append((at, words, at + lasts))
    return sends


@settings(max_examples=300, deadline=None)
@given(sends=_sends(), ranges=st.integers(1, 4), pool=st.integers(1, 10))
def test_nothing_is_overwritten_that_is_still_needed(
    sends: list[tuple[int, int, int]], ranges: int, pool: int
) -> None:
    plan = _Plan(Limits(ranges, pool))
    accepted = []
    for k, (at, words, until) in enumerate(sends):
        hint = Hint(Kind.RANGE, k, 0, max(words, 1), parts=CHANGED if words else PRODUCT)
        if plan.send(at, hint, until):
            accepted.append((at, words, until))
    # The decoder, which knows nothing of what is needed.
    ring: list[int | None] = [None] * ranges
    places: list[int | None] = [None] * pool
    used = 0
    for k, (at, words, _) in enumerate(accepted):
        gone = {ring[k % ranges]}
        ring[k % ranges] = k
        if used + words > pool:
            used = 0
        for i in range(used, used + words):
            gone.add(places[i])
            places[i] = k
        used += words
        for old in gone - {None, k}:
            assert accepted[old][2] <= at, f"range {old} is needed until {accepted[old][2]}"


# ---- models


def test_a_layer_is_one_range_with_its_product() -> None:
    spec = default_spec()
    base, target = build(spec), build(_trained(spec))
    hints = _planner(base, target).hints(LIMITS, Way.EARLY)
    ranges = [h for h in hints if h.kind is Kind.RANGE]
    layer = next(h for h in ranges if h.parts & PRODUCT)
    assert layer.parts & CHANGED
    assert layer.n == 2
    floats = struct.unpack_from("<2f", target, layer.target_at)
    assert floats == pytest.approx((0.255, 0.51))
    assert struct.unpack_from("<f", target, layer.factor_to)[0] == pytest.approx(0.51)
    assert struct.unpack_from("<2f", base, layer.product) == pytest.approx((0.125, 0.25))
    of_layer = [h for h in hints if h.kind is Kind.TENSOR and h.range == hints.index(layer)]
    assert len(of_layer) == 2, "weights and biases are predicted by it"


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_trained_models_are_rebuilt(seed: int, lean: bool) -> None:
    spec = default_spec()
    base, target = build(spec), build(_trained(spec, seed, 1 + seed / 50))
    body = encode(base, target, lean=lean)
    assert decode_body(base, body, len(target), lean=lean) == target
    assert len(body) < 0.25 * len(target)


def test_knowing_the_models_makes_patches_smaller(root: Path) -> None:
    folder = root / "samples" / "host" / "models" / "digits"
    base, target = ((folder / f"{name}.tflite").read_bytes() for name in ("base", "target"))
    unknown = base.replace(b"TFL3", b"????"), target.replace(b"TFL3", b"????")
    with pytest.raises(Refusal):
        read_layout(unknown[0], "unknown")
    assert len(encode(base, target)) < 0.8 * len(encode(*unknown))


def test_a_row_that_has_grown_costs_little() -> None:
    """As where batch normalisation was folded in: no scale says so."""
    rng = random.Random(5)
    rows = [bytes(rng.choices([b % 256 for b in range(-100, 101)], k=32)) for _ in range(4)]
    factors = (0.9, 1.1, 1.25, 0.75)

    def grown(row: bytes, factor: float) -> bytes:
        signed = [b - 256 if b > 127 else b for b in row]
        return bytes(max(-128, min(127, round(v * factor))) % 256 for v in signed)

    spec = default_spec()
    base = build(with_tensor(spec, 6, data=b"".join(rows)))
    more = b"".join(grown(row, f) for row, f in zip(rows, factors, strict=True))
    target = build(with_tensor(spec, 6, data=more))
    body = encode(base, target)
    assert decode_body(base, body, len(target), lean=False) == target
    assert len(body) < 70, "128 weights, all of which have changed by up to 30"


def test_renamed_tensors_are_paired_in_their_order() -> None:
    spec = default_spec()
    renamed = replace(
        spec, tensors=tuple(replace(t, name=f"other/{i}") for i, t in enumerate(spec.tensors))
    )
    base, target = (read_layout(build(s), "model") for s in (spec, renamed))
    pairs = pair_tensors(base, target)
    assert {i: t.index for i, t in pairs.items()} == {i: i for i in range(len(spec.tensors))}


def test_a_wider_layer_is_mapped_by_index() -> None:
    spec = default_spec()
    rng = random.Random(9)
    weights = spec.tensors[6].data
    assert weights is not None
    wider = with_tensor(spec, 6, shape=(5, 32), data=weights + rng.randbytes(32))
    wider = with_tensor(wider, 7, shape=(1, 5))
    wider = with_tensor(wider, 8, shape=(1, 5))
    base, target = build(spec), build(wider)
    hints = _planner(base, target).hints(LIMITS, Way.EARLY)
    (tensor,) = (h for h in hints if h.kind is Kind.TENSOR)
    assert (tensor.shape, tensor.base_shape) == ((5, 1, 32), (4, 1, 32))
    body = encode(base, target)
    assert decode_body(base, body, len(target), lean=False) == target
    assert len(body) < 32 + 90, "the new row, and the tables that have moved"


def test_models_of_several_subgraphs_are_known_too() -> None:
    spec = replace(default_spec(), subgraphs=2)
    base, target = build(spec), build(_trained(spec))
    assert len(read_model(base, "base").graphs) == 2
    assert len(read_layout(base, "base").tensors) >= len(spec.tensors)
    kinds = {h.kind for h in _planner(base, target).hints(LIMITS, Way.EARLY)}
    assert kinds >= {Kind.RANGE, Kind.TENSOR}
    body = encode(base, target)
    assert decode_body(base, body, len(target), lean=False) == target
