"""From two models to the smallest body of a format-2 patch that the encoder finds."""

from __future__ import annotations

from collections.abc import Callable

from tinymldelta.delta.hints import Hint, Limits, Planner
from tinymldelta.errors import Refusal
from tinymldelta.model import read_model
from tinymldelta.native import encode_body
from tinymldelta.wire import constants as wire

# Above this many bytes of target, a plan that knows the models is not tried against one that does
# not: it hardly ever loses, and the search for matches takes long.
_PLAIN_UP_TO = 64 << 10

# How far the encoding has come, from 0 to 1.
Progress = Callable[[float], None]


def encode(
    base: bytes, target: bytes, *, lean: bool = False, progress: Progress | None = None
) -> bytes:
    """The body from `base` to `target`, both of at least one byte. Same inputs, same bytes.

    Any two files will do; if both are .tflite models, what they say of their bytes is made use of.
    """
    plans = _plans(base, target)
    bodies = []
    for i, hints in enumerate(plans):
        report = None
        if progress is not None:
            report = _part_of(progress, i, len(plans), len(target))
        bodies.append(encode_body(base, target, hints, lean=lean, progress=report))
    if progress is not None:
        progress(1.0)
    return min(bodies, key=len)


def _part_of(progress: Progress, part: int, parts: int, length: int) -> Callable[[int], None]:
    return lambda done: progress((part + done / length) / parts)


def _plans(base: bytes, target: bytes) -> list[list[Hint]]:
    """What the encoder is told, in several ways; which is best shows when they are tried."""
    try:
        planner = Planner(base, target, read_model(base, "base"), read_model(target, "target"))
    except Refusal:  # not models that we can read: any other file
        return [[]]
    limits = Limits(ranges=wire.F2_RANGES, pool=wire.F2_POOL)
    early, late = (planner.hints(limits, early=early) for early in (True, False))
    plans = [early] if early == late else [early, late]
    if len(target) <= _PLAIN_UP_TO:
        plans.append([])
    return plans
