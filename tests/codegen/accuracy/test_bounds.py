"""The bounds: how often they hold, worked out and not sampled where that can be done."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymldelta.accuracy.bounds import (
    accuracy_drop_bound,
    bootstrap_bound,
    resample_all,
    resample_within,
)

counts = st.integers(2, 2000).flatmap(
    lambda n: st.integers(0, n).flatmap(
        lambda lost: st.tuples(st.just(lost), st.integers(0, n - lost), st.just(n))
    )
)


@given(counts)
def test_the_bound_on_accuracy_is_above_the_drop_and_no_more_than_everything(
    case: tuple[int, int, int],
) -> None:
    lost, gained, n = case
    bound = accuracy_drop_bound(lost, gained, n)
    assert (lost - gained) / n < bound <= 1 or lost == n and bound == 1
    if lost + gained < n:
        assert accuracy_drop_bound(lost + 1, gained, n) >= bound
        assert accuracy_drop_bound(lost, gained + 1, n) <= bound


@pytest.mark.parametrize("n", [4, 12, 40])
def test_the_bound_on_accuracy_holds_as_often_as_it_says(n: int) -> None:
    """Over all outcomes that n samples can have, for many true rates of losses and gains."""
    outcomes = [(lost, gained) for lost in range(n + 1) for gained in range(n + 1 - lost)]
    lost, gained = np.array(outcomes).T
    bound = np.array([accuracy_drop_bound(*outcome, n) for outcome in outcomes])
    log_factorial = np.array([math.lgamma(k + 1) for k in range(n + 1)])
    ways = log_factorial[n] - sum(log_factorial[k] for k in (lost, gained, n - lost - gained))
    for loss_rate in np.linspace(0.004, 0.6, 40):
        for gain_rate in np.linspace(0.002, 0.39, 25):
            rates = np.log([loss_rate, gain_rate, 1 - loss_rate - gain_rate])
            logs = ways + lost * rates[0] + gained * rates[1] + (n - lost - gained) * rates[2]
            holds = np.exp(logs)[bound >= loss_rate - gain_rate].sum()
            assert holds >= 0.95, (loss_rate, gain_rate)


def test_more_samples_tell_more() -> None:
    bounds = [accuracy_drop_bound(n // 100, n // 100, n) for n in (100, 1000, 10000, 100000)]
    assert bounds == sorted(bounds, reverse=True)
    # Three in n is what none of n lets expect at this confidence, and one more was added.
    assert 3 < 1000 * accuracy_drop_bound(0, 0, 1000) < 5
    # Of very many, the normal distribution's.
    normal = 1.6449 * math.sqrt(0.02 / 100000)
    assert bounds[-1] == pytest.approx(normal, rel=0.02)


def test_the_bootstrap_finds_the_bound_of_a_mean() -> None:
    values = np.random.RandomState(1).normal(0, 1, 400)
    bound = bootstrap_bound(lambda rows: float(values[rows].mean()), resample_all(400))
    expected = values.mean() + 1.6449 * values.std() / 20
    assert bound == pytest.approx(expected, abs=0.01)
    again = bootstrap_bound(lambda rows: float(values[rows].mean()), resample_all(400))
    assert again == bound


def test_the_bootstrap_knows_when_it_cannot_tell() -> None:
    assert bootstrap_bound(lambda rows: 1.0, resample_all(10)) is None
    assert bootstrap_bound(lambda rows: math.inf if 0 in rows else 0.0, resample_all(9)) is None


def test_every_label_stays_when_samples_are_drawn_within_labels() -> None:
    labels = np.array([0, 1, 0, 0, 0, 2, 0])
    draw = resample_within(labels)
    random = np.random.RandomState(0)
    for _ in range(20):
        assert sorted(labels[draw(random)]) == sorted(labels)
