"""Sizes of patches, and how ours compare with the smallest of others. No tool is run here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measured:
    """One pair of models. Sizes are bytes, by key of peer or format.

    sizes: only of patches that rebuild the target; of our formats, the bytes that are counted
    parts: of our formats
    faults: by key, why there is no size
    """

    name: str
    base_bytes: int
    target_bytes: int
    sizes: Mapping[str, int]
    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    def smallest(self, keys: Iterable[str]) -> tuple[int, str] | None:
        """The smallest size among `keys` and whose it is, the first of equals; None without any."""
        there = [(self.sizes[key], key) for key in keys if key in self.sizes]
        return min(there, key=lambda entry: entry[0], default=None)


@dataclass(frozen=True)
class Reference:
    """Those of whom the smallest, chosen for each pair, is what one of our formats is held to."""

    key: str
    title: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """One format against one reference: our size ÷ theirs, by pair. Below 1, ours is smaller."""

    format: str
    reference: Reference
    ratios: Mapping[str, float]

    @property
    def mean(self) -> float:
        return geometric_mean(self.ratios.values())

    @property
    def worst(self) -> tuple[str, float]:
        """The pair with the largest ratio, the first of equals."""
        return max(self.ratios.items(), key=lambda entry: entry[1])

    @property
    def best(self) -> tuple[str, float]:
        return min(self.ratios.items(), key=lambda entry: entry[1])

    @property
    def smaller(self) -> int:
        """Pairs for which ours is smaller."""
        return sum(ratio < 1 for ratio in self.ratios.values())


def geometric_mean(values: Iterable[float]) -> float:
    """Of positive values, at least one; else ValueError."""
    logarithms = [math.log(value) for value in values]
    if not logarithms:
        raise ValueError("no values")
    return math.exp(math.fsum(logarithms) / len(logarithms))


def compare(pairs: Sequence[Measured], key: str, reference: Reference) -> Comparison:
    """Over the pairs for which both sides have a patch. The format itself is never a peer."""
    others = [other for other in reference.keys if other != key]
    ratios = {}
    for pair in pairs:
        theirs = pair.smallest(others)
        if key in pair.sizes and theirs is not None:
            ratios[pair.name] = pair.sizes[key] / theirs[0]
    return Comparison(key, reference, ratios)
