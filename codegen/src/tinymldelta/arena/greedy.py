"""TFLM's plan of activations and scratch buffers: GreedyMemoryPlanner, greedy_memory_planner.cc."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

ONLINE = -1  # kOnlinePlannedBuffer: no offset of its own


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes that must stay from scope `first` to scope `last`, both included.

    size: a multiple of 16. offset: where an offline plan puts it, or ONLINE.
    """

    size: int
    first: int
    last: int
    offset: int = ONLINE


def plan(buffers: Sequence[Buffer]) -> int:
    """Bytes of the plan (GetMaximumMemorySize())."""
    placed = zip(offsets(buffers), buffers, strict=True)
    return max((offset + buffer.size for offset, buffer in placed), default=0)


def offsets(buffers: Sequence[Buffer]) -> list[int]:
    """Where each buffer goes (CalculateOffsetsIfNeeded()).

    Offline buffers first, in their order; then the largest first, of equals the last one added.
    Each goes into the lowest gap, in the order of offsets, among those that are alive with it.
    """
    order = [i for i, b in enumerate(buffers) if b.offset != ONLINE]
    online = [i for i, b in enumerate(buffers) if b.offset == ONLINE]
    order += sorted(online, key=lambda i: (-buffers[i].size, -i))
    result = [0] * len(buffers)
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last; by offset
    for index in order:
        buffer = buffers[index]
        offset = _lowest_gap(buffer, placed) if buffer.offset == ONLINE else buffer.offset
        at = bisect_right(placed, offset, key=itemgetter(0))
        placed.insert(at, (offset, offset + buffer.size, buffer.first, buffer.last))
        result[index] = offset
    return result


def _lowest_gap(wanted: Buffer, placed: Sequence[tuple[int, int, int, int]]) -> int:
    offset = 0
    for start, end, first, last in placed:
        if first <= wanted.last and wanted.first <= last:
            if start - offset >= wanted.size:
                break
            offset = max(offset, end)
    return offset
