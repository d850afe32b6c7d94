"""From two models to the smallest body of a format-2 patch that the encoder finds."""

from __future__ import annotations

from collections.abc import Callable

from tinymldelta.delta.hints import Hint, Limits, Planner, Way, without_ranges
from tinymldelta.errors import Refusal
from tinymldelta.model import read_layout
from tinymldelta.native import PRICE_LISTS, encode_body
from tinymldelta.wire import constants as wire

# Above this many bytes of target, the search for matches takes long, so what hardly ever wins is
# not tried: a plan that does not know the models, and other prices.
_ALL_TRIED_UP_TO = 1 << 20

# How far the encoding has come, from 0 to 1.
Progress = Callable[[float], None]


def encode(
    base: bytes, target: bytes, *, lean: bool = False, progress: Progress | None = None
) -> bytes:
    """The body from `base` to `target`, both of at least one byte. Same inputs, same bytes.

    Any two files will do; if both are .tflite models, what they say of their bytes is made use of.
    """
    thorough = len(target) <= _ALL_TRIED_UP_TO
    plans = _plans(base, target, lean=lean, thorough=thorough)
    parts = len(plans) + (PRICE_LISTS - 1 if thorough else 0)
    done = 0

    def body(hints: list[Hint], prices: int) -> bytes:
        nonlocal done
        report = None if progress is None else _part_of(progress, done, parts, len(target))
        done += 1
        return encode_body(base, target, hints, lean=lean, prices=prices, progress=report)

    tried = [(body(hints, 0), hints) for hints in plans]
    best, hints = min(tried, key=lambda t: len(t[0]))
    while done < parts:
        best = min(best, body(hints, done - len(plans) + 1), key=len)
    if progress is not None:
        progress(1.0)
    return best


def _part_of(progress: Progress, part: int, parts: int, length: int) -> Callable[[int], None]:
    return lambda done: progress((part + done / length) / parts)


def _plans(base: bytes, target: bytes, *, lean: bool, thorough: bool) -> list[list[Hint]]:
    """What the encoder is told, in several ways; which is best shows when they are tried."""
    try:
        planner = Planner(base, target, read_layout(base, "base"), read_layout(target, "target"))
    except Refusal:  # not models that we can read: any other file
        return [[]]
    limits = Limits(ranges=wire.F2_RANGES, pool=wire.F2_POOL)
    plans: list[list[Hint]] = []
    for way in Way:
        hints = planner.hints(limits, way)
        if lean:
            hints = without_ranges(hints)
        if hints not in plans:
            plans.append(hints)
    if thorough:
        plans.append([])
    return plans
