"""Rounding by rate and distortion: its two ends, its bounds, its feedback, and its bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slimkit import Array

from tinymldelta.slim.network import Unsupported
from tinymldelta.slim.rounding import (
    best_scale,
    bits_of,
    feedback_factor,
    first_bits,
    round_layer,
)

PLAIN = {"weight": np.ones(6), "bits": first_bits()}


def layer(seed: int, channels: int = 6, size: int = 24) -> tuple[Array, Array, Array, Array]:
    """What is wanted, the base's integers, the scales, and a covariance with neighbours alike."""
    random = np.random.default_rng(seed)
    scale = random.uniform(0.01, 0.03, channels)
    base = random.integers(-127, 128, (channels, size)).astype(np.int32)
    wanted = (base + random.normal(0, 4, base.shape)) * scale[:, None]
    near = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    return wanted, base, scale, 0.9**near


def distortion(q: Array, wanted: Array, scale: Array, covariance: Array) -> float:
    error = q * scale[:, None] - wanted
    return float(np.einsum("ok,kl,ol->", error, covariance, error))


def nearest(wanted: Array, scale: Array) -> Array:
    return np.clip(np.rint(wanted / scale[:, None]), -127, 127).astype(np.int32)


@pytest.mark.parametrize("seed", range(5))
def test_bits_that_cost_nothing_give_the_nearest_values(seed: int) -> None:
    wanted, base, scale, _ = layer(seed)
    factor = feedback_factor(np.eye(base.shape[1]))  # no input tells of another: no feedback
    q, cost = round_layer(wanted, base, scale, factor, price=0.0, **PLAIN)
    np.testing.assert_array_equal(q, nearest(wanted, scale))
    damped = (q * scale[:, None] - wanted) ** 2 * 1.01
    np.testing.assert_allclose(cost, damped.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_target_at_its_own_scale_is_kept_if_bits_cost_nothing(seed: int) -> None:
    wanted, base, scale, covariance = layer(seed)
    target = nearest(wanted, scale)
    q, cost = round_layer(
        target * scale[:, None], base, scale, feedback_factor(covariance), price=0.0, **PLAIN
    )
    np.testing.assert_array_equal(q, target)
    assert np.all(cost < 1e-20)


@pytest.mark.parametrize("seed", range(5))
def test_bits_beyond_price_leave_the_base(seed: int) -> None:
    wanted, base, scale, covariance = layer(seed)
    q, cost = round_layer(wanted, base, scale, feedback_factor(covariance), price=1e6, **PLAIN)
    np.testing.assert_array_equal(q, base)
    # The error of each column, as far as the later ones could not have made up for it.
    assert np.all(cost > 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1e-2), st.sampled_from([1.0, 0.3, 3.0]))
def test_a_value_lies_between_the_base_s_and_the_nearest(
    seed: int, price: float, coarser: float
) -> None:
    """Without feedback; with it, the nearest is that of what is left to make up for."""
    wanted, base, scale, _ = layer(seed)
    scale = scale * coarser
    factor = feedback_factor(np.eye(base.shape[1]))
    q, _ = round_layer(wanted, base, scale, factor, price=price, **PLAIN)
    near = nearest(wanted, scale)
    assert np.all(q >= np.minimum(base, near)) and np.all(q <= np.maximum(base, near))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1e-2))
def test_values_are_int8_and_symmetric_whatever_the_base(seed: int, price: float) -> None:
    wanted, base, scale, covariance = layer(seed)
    q, _ = round_layer(5 * wanted, base, scale, feedback_factor(covariance), price=price, **PLAIN)
    assert np.all(np.abs(q) <= 127)


def test_the_whole_range_of_int8_has_bits() -> None:
    """Other quantisers than TensorFlow's use -128; from there to 127 are 255 steps."""
    base = np.array([[-128, 127, -128]], np.int32)
    wanted = np.array([[127.0, -127.0, -128.0]])
    factor = feedback_factor(np.eye(3))
    scale = np.ones(1)
    q, _ = round_layer(wanted, base, scale, factor, np.ones(1), 0.0, first_bits())
    assert q.tolist()[0][:2] == [127, -127]
    assert np.all(np.isfinite(bits_of(q - base)))


@pytest.mark.parametrize("price", [0.0, 1e-4, 1e-3])
def test_feedback_beats_none_where_inputs_are_alike(price: float) -> None:
    """The same price, distortion and bits together; summed over layers that are drawn."""
    totals = np.zeros(2)
    for seed in range(10):
        wanted, base, scale, covariance = layer(seed)
        for n, used in enumerate((covariance, np.eye(len(covariance)))):
            q, _ = round_layer(wanted, base, scale, feedback_factor(used), price=price, **PLAIN)
            bits = first_bits()[q - base + len(first_bits()) // 2].sum()
            totals[n] += distortion(q, wanted, scale, covariance) + price * bits
    assert totals[0] < 0.9 * totals[1], totals


def test_the_cost_is_distortion_and_bits() -> None:
    """With the damped covariance, of which the factor is: sum of squares = error' C error."""
    wanted, base, scale, covariance = layer(0)
    q, cost = round_layer(wanted, base, scale, feedback_factor(covariance), price=1e-4, **PLAIN)
    bits = first_bits()[q - base + len(first_bits()) // 2].sum()
    damped = covariance + 0.01 * np.eye(len(covariance))
    total = distortion(q, wanted, scale, damped) + 1e-4 * bits
    assert cost.sum() == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("by_channel", [False, True])
def test_the_factor_is_that_of_the_inverse(by_channel: bool) -> None:
    _, _, _, covariance = layer(0)
    given = np.stack([covariance, 3 * covariance]) if by_channel else covariance
    factor = feedback_factor(given)
    assert np.allclose(factor, np.triu(factor))
    for c, f in zip(np.atleast_3d(given.T).T, np.atleast_3d(factor.T).T, strict=True):
        damped = c + (0.01 * np.trace(c) / len(c) + 1e-9) * np.eye(len(c))
        np.testing.assert_allclose(np.linalg.inv(f.T @ f), damped, rtol=1e-6, atol=1e-9)


def test_an_input_that_is_always_the_same_does_no_harm() -> None:
    wanted, base, scale, _ = layer(0)
    factor = feedback_factor(np.zeros((24, 24)))
    q, cost = round_layer(wanted, base, scale, factor, price=1e-6, **PLAIN)
    assert np.isfinite(cost).all() and np.all(np.abs(q) <= 127)


# ---- bits ----


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-255, 255), max_size=300))
def test_bits_are_those_of_a_code(changes: list[int]) -> None:
    """Kraft: a code with such lengths exists if the sum of 2^-bits is no more than 1."""
    bits = bits_of(np.array(changes, np.int32))
    assert np.all(bits > 0) and np.all(np.isfinite(bits))
    assert np.sum(0.5**bits) <= 1 + 1e-9


def test_first_bits_are_those_of_a_code_and_like_small_changes() -> None:
    bits = first_bits()
    middle = len(bits) // 2
    assert np.sum(0.5**bits) <= 1 + 1e-9
    assert bits[middle] < 1 < bits[middle + 1]
    assert np.all(np.diff(bits[middle : middle + 20]) > 0)
    np.testing.assert_allclose(bits, bits[::-1])


def test_bits_follow_what_occurs() -> None:
    changes = np.array([0] * 900 + [3] * 90 + [-1] * 10, np.int32)
    bits = bits_of(changes)
    zero = len(bits) // 2
    assert bits[zero] < bits[zero + 3] < bits[zero - 1] < bits[zero + 50]
    spent = bits[changes + zero].mean()
    entropy = -sum(p * np.log2(p) for p in (0.9, 0.09, 0.01))
    assert entropy < spent < entropy + 0.5


# ---- scales ----


@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("by_channel", [False, True])
def test_the_best_scale_is_that_of_a_search(one: bool, by_channel: bool) -> None:
    wanted, base, scale, covariance = layer(3)
    given = covariance
    if by_channel:
        given = np.stack([covariance * (1 + c) + np.diag(np.arange(24.0)) for c in range(6)])
    found = best_scale(wanted, base, given, one=one)
    assert found.shape == (6,)

    def cost(scales: Array) -> Array:
        error = base * scales[:, None] - wanted
        return np.einsum("ok,okl,ol->o", error, np.broadcast_to(given, (6, 24, 24)), error)

    tried = np.linspace(0.2, 3, 2801)[:, None] * scale.mean() * np.ones(6)
    costs = np.array([cost(t) for t in tried])
    if one:
        costs = costs.sum(axis=1, keepdims=True) * np.ones(6)
        assert len(set(found)) == 1
    searched = tried[np.argmin(costs, axis=0), np.arange(6)]
    np.testing.assert_allclose(found, searched, rtol=2e-3)


def test_no_scale_is_best_for_a_base_that_says_nothing_or_the_opposite() -> None:
    wanted, base, _, covariance = layer(3)
    base[0] = 0
    base[1] = -base[1]
    found = best_scale(wanted, base, covariance, one=False)
    assert found[0] == found[1] == 0 and np.all(found[2:] > 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_covariance_that_is_no_number_ends_at_once(value: float) -> None:
    """Damping would never make it one."""
    with pytest.raises(Unsupported, match="binary32"):
        feedback_factor(np.full((2, 2), value))
