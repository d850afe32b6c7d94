"""The options of config.h: which values are tried, and which go together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Setting = tuple[str, int]

# What each option can be, its default first. All their allowed combinations are compiled.
VALUES: Mapping[str, tuple[int, ...]] = {
    "TMD_DECODER": (2, 1, 0),
    "TMD_WITH_FORMAT_1": (1, 0),
    "TMD_VERIFY": (0, 1),
    "TMD_DECRYPT": (0, 1),
    "TMD_TRIAL": (1, 0),
    "TMD_SELF_TEST": (1, 0),
    "TMD_RESUME": (1, 0),
    "TMD_STAGING": (1, 0),
    "TMD_WRITE_BUFFER": (256, 128),
    "TMD_META_KEPT": (192, 64),
}
# For a PC that plays devices, and for a platform that hashes: tried beside the defaults alone.
APART: Mapping[str, tuple[int, ...]] = {
    "TMD_TAKES_LEAN": (0, 1),
    "TMD_SHA256_EXTERNAL": (0, 112),
}


@dataclass(frozen=True)
class Configuration:
    """What is said on the compiler's command line; the rest has its default."""

    settings: tuple[Setting, ...] = ()

    @property
    def name(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.settings) or "defaults"

    @property
    def defines(self) -> tuple[str, ...]:
        return tuple(f"-D{name}={value}" for name, value in self.settings)


# Each option turned over. Where one follows another (TMD_SELF_TEST does TMD_TRIAL), it does here.
TURNED = (
    Configuration(),
    Configuration((("TMD_DECODER", 1),)),
    Configuration((("TMD_DECODER", 0),)),
    Configuration((("TMD_WITH_FORMAT_1", 0),)),
    Configuration((("TMD_VERIFY", 1),)),
    Configuration((("TMD_VERIFY", 1), ("TMD_DECRYPT", 1))),
    Configuration((("TMD_TRIAL", 0),)),
    Configuration((("TMD_SELF_TEST", 0),)),
    Configuration((("TMD_RESUME", 0),)),
    Configuration((("TMD_RESUME", 0), ("TMD_STAGING", 1))),
    Configuration((("TMD_STAGING", 0),)),
    Configuration((("TMD_WRITE_BUFFER", 128),)),
    Configuration((("TMD_META_KEPT", 64),)),
    Configuration((("TMD_META_KEPT", 255),)),
    Configuration((("TMD_TAKES_LEAN", 1),)),
    Configuration((("TMD_SHA256_EXTERNAL", 112),)),
)


@dataclass(frozen=True)
class Refused:
    """What must not compile, and what the compiler then says."""

    configuration: Configuration
    says: str


REFUSED = (
    Refused(Configuration((("TMD_DECODER", 0), ("TMD_WITH_FORMAT_1", 0))), "leaves no format"),
    Refused(Configuration((("TMD_DECRYPT", 1),)), "set TMD_VERIFY"),
    Refused(Configuration((("TMD_DECODER", 0), ("TMD_VERIFY", 1))), "choose a TMD_DECODER"),
    Refused(Configuration((("TMD_TRIAL", 0), ("TMD_SELF_TEST", 1))), "needs TMD_TRIAL"),
    Refused(Configuration((("TMD_WRITE_BUFFER", 64),)), "has to hold a record"),
    Refused(Configuration((("TMD_WRITE_BUFFER", 512),)), "at most the largest write unit"),
    Refused(Configuration((("TMD_META_KEPT", 63),)), "TMD_META_KEPT"),
    Refused(Configuration((("TMD_META_KEPT", 256),)), "TMD_META_KEPT"),
)


def is_allowed(settings: Mapping[str, int]) -> bool:
    """Does config.h take these values of all options of VALUES?"""
    decoder, with_1 = settings["TMD_DECODER"], settings["TMD_WITH_FORMAT_1"]
    return (
        (decoder != 0 or with_1 == 1)
        and (settings["TMD_VERIFY"] == 0 or decoder != 0)
        and settings["TMD_DECRYPT"] <= settings["TMD_VERIFY"]
        and settings["TMD_SELF_TEST"] <= settings["TMD_TRIAL"]
    )


def all_allowed() -> list[Configuration]:
    """Every allowed combination, each with all its settings."""
    out = []
    for values in itertools.product(*VALUES.values()):
        settings = tuple(zip(VALUES, values, strict=True))
        if is_allowed(dict(settings)):
            out.append(Configuration(settings))
    return out


def pairwise(combinations: Sequence[Configuration]) -> list[Configuration]:
    """Some of them, in which any two settings meet that meet in one of all.

    The first of those that bring the most new pairs is taken each time.
    """
    pairs = {c: set(itertools.combinations(c.settings, 2)) for c in combinations}
    missing = set().union(*pairs.values())
    out = []
    while missing:
        best = max(combinations, key=lambda c: len(pairs[c] & missing))
        out.append(best)
        missing -= pairs[best]
    return out
