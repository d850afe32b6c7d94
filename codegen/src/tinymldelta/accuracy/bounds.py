"""What so many samples can tell: upper bounds, one-sided at 95 %, on how much worse a target is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

CONFIDENCE: Final = 0.95
_Z: Final = 1.6448536269514722  # of the normal distribution, at CONFIDENCE
_HALVINGS: Final = 60  # of an interval no longer than 2: down to rounding
_RESAMPLES: Final = 1000
_SEED: Final = 20240229  # any number, as long as it stays

Rows = npt.NDArray[np.intp]
Resample = Callable[[np.random.RandomState], Rows]


def accuracy_drop_bound(lost: int, gained: int, samples: int) -> float:
    """How much lower the target's accuracy may be than the base's, 0 to 1.

    lost: samples that only the base had right; gained: those that only the target had right. The
    score bound for the difference of paired proportions (Tango, Statistics in Medicine 17, 1998),
    with one sample more taken for lost: without that, its confidence is below 95 % where few
    samples differ. tests/codegen/accuracy works out what it is.
    """
    low, high = (lost - gained) / samples, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _score(middle, lost, gained, samples) > -_Z:
            low = middle
        else:
            high = middle
    return high


def _score(drop: float, lost: int, gained: int, samples: int) -> float:
    """How far the samples are from what a true drop of this size lets expect, in deviations."""
    # The likeliest rate of gains if `drop` is the rate of losses less that of gains: the positive
    # root of the likelihood's derivative, a quadratic equation.
    a = 2 * samples
    b = (a - lost + gained) * drop - (lost + gained)
    c = -gained * drop * (1 - drop)
    gain_rate = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = samples * (2 * gain_rate + drop * (1 - drop))
    distance = lost + 1 - gained - samples * drop
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def bootstrap_bound(drop: Callable[[Rows], float], resample: Resample) -> float | None:
    """The 95 % quantile of `drop` over samples drawn anew from the samples.

    None if the drop is the same in all of them, which then say nothing about other data, or if the
    quantile is infinite.
    """
    # Not default_rng(): numpy promises the same numbers in every version for this one only.
    random = np.random.RandomState(_SEED)
    drops = [drop(resample(random)) for _ in range(_RESAMPLES)]
    bound = sorted(drops)[math.ceil(CONFIDENCE * _RESAMPLES) - 1]
    return bound if min(drops) < max(drops) and math.isfinite(bound) else None


def resample_all(samples: int) -> Resample:
    """Draw as many as there are, with replacement."""

    def draw(random: np.random.RandomState) -> Rows:
        return random.randint(0, samples, samples).astype(np.intp)

    return draw


def resample_within(labels: npt.NDArray[Any]) -> Resample:
    """The same for each label's samples on their own, so that every label stays."""
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def draw(random: np.random.RandomState) -> Rows:
        drawn = [group[random.randint(0, len(group), len(group))] for group in groups]
        return np.concatenate(drawn)

    return draw
