"""What the device of this sample sees: scikit-learn's digits, under the light of the field."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sklearn.datasets import load_digits

Array = np.ndarray[Any, Any]

PARTS: Final = ("training", "validation", "test")
_DEPLOYED_ON = 300  # images that the deployed model was trained on: samples/host/models


def images(part: str) -> tuple[Array, Array]:
    """Images (n, 8, 8, 1) from 0 to 1 and their classes, of one of the parts.

    Each part has every third of those images that the deployed model was not trained on, so no
    image is in two of them.
    """
    digits = load_digits()
    order = np.arange(len(digits.images))
    known = order[order % 9 != 4][:_DEPLOYED_ON]  # every ninth was held out for that sample's test
    rows = np.setdiff1d(order, known)[PARTS.index(part) :: len(PARTS)]
    x = (digits.images[rows] / 16.0).astype(np.float32)[..., np.newaxis]
    return x, digits.target[rows].astype(np.uint8)


def seen(part: str, times: int, seed: int) -> tuple[Array, Array]:
    """Each image of the part `times` times: dimmed, and with a sensor's noise."""
    x, y = images(part)
    random = np.random.default_rng(seed)
    views = []
    for _ in range(times):
        light = random.uniform(0.5, 1.0, (len(x), 1, 1, 1))
        noise = random.normal(0.0, 0.06, x.shape)
        views.append(np.clip(x * light + noise, 0, 1).astype(np.float32))
    return np.concatenate(views), np.tile(y, times)
