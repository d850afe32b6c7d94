"""Ways to slim that `tmd slim` is held to: candidates, each farther from the target than before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from slimming.data import Pair
from tinymldelta.accuracy.data import Feed
from tinymldelta.slim.between import Between
from tinymldelta.slim.maker import Maker
from tinymldelta.slim.network import Network

THRESHOLD, DIAGONAL, FEEDBACK, DISTILLED = "threshold", "diagonal", "feedback", "distilled"
TITLES: Final = {
    THRESHOLD: "small differences dropped",
    DIAGONAL: "rate and distortion, each weight by itself",
    FEEDBACK: "the same with error feedback",
    DISTILLED: "the same, then distilled: `tmd slim`",
}
PATHS: Final = (THRESHOLD, DIAGONAL, FEEDBACK)

_STEPS: Final = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 127)
# Prices of a bit, as wide as those of the library.
_FIRST_PRICE, _RISE, _PRICES = 3e-8, 1.7, 24
_CALIBRATION_MAX: Final = 1024


def candidates(way: str, pair: Pair, seed: int) -> Iterator[bytes]:
    """Models between base and target, by one of PATHS."""
    if way == THRESHOLD:
        yield from _thresholds(pair)
        return
    networks = Network(pair.base, "base"), Network(pair.target, "target")
    given = Feed(pair.calibration, networks[1].model).real()[:_CALIBRATION_MAX]
    between = Between(*networks, given)
    maker = Maker(between, seed)
    for n in range(_PRICES):
        numbers = maker.make(_FIRST_PRICE * _RISE**n, feedback=way == FEEDBACK)
        yield between.write(numbers)


def _thresholds(pair: Pair) -> Iterator[bytes]:
    """The target, where a weight that differs by so many steps or fewer is the base's.

    Both are counted in the target's steps, and the target's scales, biases and quantisation of
    computed tensors stay.
    """
    base, target = Network(pair.base, "base"), Network(pair.target, "target")
    for steps in _STEPS:
        out = bytearray(pair.target)
        for i, layer in target.layers.items():
            was = base.layers[i].q * (base.layers[i].scale / layer.scale)[:, None]
            was = np.clip(np.rint(was), -127, 127).astype(np.int32)
            raw = layer.in_file(np.where(np.abs(layer.q - was) <= steps, was, layer.q))
            if layer.weights.data is not None:
                at = layer.weights.data.offset
                out[at : at + len(raw)] = raw
        yield bytes(out)
