"""The models of format 2 for 8-bit weights and for words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tinymldelta.container.coder2 import WORD_MASK, Coder, Context, clamp, fresh, started
from tinymldelta.wire.constants import (
    F2_CHANNELS,
    F2_COLUMN_ZERO,
    F2_COLUMNS,
    F2_DECISIONS,
    F2_HALVE_FROM,
    F2_LEVEL_MIN,
    F2_LEVEL_START,
    F2_LEVELS,
    F2_LEVELS_TABLE,
    F2_PARTS,
    F2_SCALES,
    F2_SCALES_TABLE,
    F2_SIZE_MAX,
    F2_TOP_START_TABLE,
    F2_UNARY_MAX,
    Number,
    Plan,
)

Dimensions = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an element stands in its tensor."""

    index: Dimensions
    dimensions: Dimensions

    @property
    def row(self) -> int:
        """The slowest index."""
        return self.index[0]

    @property
    def place(self) -> int:
        """The number of the element within its row."""
        return self.index[1] * self.dimensions[2] + self.index[2]

    @property
    def line(self) -> int:
        """How often the element's channel has come before in this tensor."""
        return self.index[0] * self.dimensions[1] + self.index[1]

    @property
    def channel(self) -> int:
        """The fastest index."""
        return self.index[2]


def approach(level: int, n: int, most: int, value: int) -> int:
    """The level, moved towards a value: the n-th one that it sees."""
    return level + ((value - level) >> min((n + 1).bit_length() - 1, most))


def weights_of_mixer(count: int) -> list[list[int]]:
    """Weights for that many kinds of decision."""
    return [[0, 0, 0] for _ in range(count)]


class WeightModel:
    """Numbers from -128 to 127 near what is predicted."""

    def __init__(self, coder: Coder, columns: list[int]) -> None:
        """The columns are shared with the models for words."""
        self._coder: Final = coder
        self._columns: Final = columns
        self._channels: Final = [0] * F2_CHANNELS
        self._shape: Final = fresh(F2_DECISIONS * F2_SCALES * F2_PARTS)
        self._near: Final = fresh(F2_DECISIONS * F2_LEVELS * F2_LEVELS)
        self._far: Final = fresh(F2_DECISIONS * F2_LEVELS * F2_LEVELS)
        self._cut: Final = fresh(8)
        self._mixer: Final = weights_of_mixer(F2_DECISIONS)
        self._level = F2_LEVEL_START * 4096
        self._seen = 1
        self._row_level = 0
        self._drift = 0
        self._last = 0
        self._before = 0
        self._sign = 1

    def begin_tensor(self) -> None:
        """Before the first row of a tensor."""
        self._seen = min(self._seen, 24)
        self._row_level = self._level >> 8

    def begin_row(self) -> None:
        """Before the first element of a row."""
        self._row_level = (self._row_level + (self._level >> 8)) // 2
        self._drift = 0
        self._sign = 1
        self._last = self._before = min(self._row_level >> 4, 65535)

    def weight(self, t: int, spot: Spot) -> int:
        """The weight where t, in 1/256, is predicted."""
        coder = self._coder
        expected, decision = self._look_around(spot)
        part = (((t + 128) & 255) * F2_PARTS) >> 8
        k = 0
        while expected >> (8 + k) >= F2_HALVE_FROM:
            k += 1
        high = 0
        positive = False
        if not decision(0, part):
            positive = bool(decision(1, part))
            f = part if positive else F2_PARTS - 1 - part
            high = 1
            while high < F2_UNARY_MAX and decision(min(1 + high, F2_DECISIONS - 1), f):
                high += 1
            if high == F2_UNARY_MAX:
                high += coder.number(Number.ESCAPE)
        low = 0
        if k > 0:
            cut = self._cut[min(k, 4) * 2 - (1 if high > 0 else 2)]
            low = coder.bit(cut) << (k - 1)
            low += coder.even(k - 1)
            if high == 0 and low > 0:
                positive = bool(coder.even(1))
        size = ((high << k) + low) & WORD_MASK
        value = ((t + 128) >> 8) + (size if positive else -size)
        value = ((value + 128) & 255) - 128
        self._sign = 1 if size == 0 else 2 if positive else 0
        self._learn(value * 256 - t, spot)
        return value

    def _look_around(self, spot: Spot) -> tuple[int, Callable[[int, int], int]]:
        """The expected size, and what decides: by number of decision and part."""
        coder = self._coder
        whole = self._level >> 12
        row = self._row_level >> 4
        local = ((2 * self._last + self._before) * 85) >> 8
        col = whole
        if spot.row > 0:
            col = self._columns[spot.place % F2_COLUMNS] >> 4
            if spot.row == 1:
                col = (col + whole) // 2
        ch = self._channels[spot.channel % F2_CHANNELS] >> 4 if spot.line > 1 else whole
        if coder.lean:
            expected = shape_size = (179 * row + 38 * ch + 39 * local) >> 8
        else:
            expected = (102 * row + 77 * col + 38 * ch + 39 * local) >> 8
            shape_size = min(row * ((col + ch) // 2) // max(whole, F2_LEVEL_MIN), F2_SIZE_MAX)
        scale = bisect_right(F2_SCALES_TABLE, shape_size)
        near = bisect_right(F2_LEVELS_TABLE, local) * F2_LEVELS + bisect_right(F2_LEVELS_TABLE, row)
        far = bisect_right(F2_LEVELS_TABLE, col) * F2_LEVELS + bisect_right(F2_LEVELS_TABLE, ch)
        trend_b, trend_c = self._trend(row)

        def decision(number: int, part: int) -> int:
            a = self._shape[(number * F2_SCALES + scale) * F2_PARTS + part]
            if number == 1:
                b, c = trend_b, trend_c
            else:
                b = self._near[number * F2_LEVELS * F2_LEVELS + near]
                c = self._far[number * F2_LEVELS * F2_LEVELS + far]
            return coder.mixed(a, b, c, self._mixer[number])

        return expected, decision

    def _trend(self, row: int) -> tuple[Context, Context]:
        little, much = (20 * row) >> 8, (77 * row) >> 8
        lean = sum(self._drift >= bound for bound in (-much, -little, little, much))
        plan = self._coder.plan
        return plan[Plan.TREND + lean * 3 + self._sign], plan[Plan.TREND + 15 + lean]

    def _learn(self, residual: int, spot: Spot) -> None:
        n = spot.place + 1
        self._drift = approach(self._drift, n, 5, residual)
        x = abs(residual)
        self._row_level = approach(self._row_level, n, 5, 16 * x)
        self._level = approach(self._level, self._seen, 8, 4096 * x)
        self._seen = min(self._seen + 1, 256)
        self._before = self._last
        self._last = x & 65535
        y = 16 * min(x, 4095)
        channel = spot.channel % F2_CHANNELS
        self._channels[channel] = approach(self._channels[channel], spot.line, 4, y)
        if not self._coder.lean:
            column = spot.place % F2_COLUMNS
            self._columns[column] = approach(self._columns[column], spot.row, 4, y)


class WordModel:
    """Words of 16 or 32 bits near what is predicted."""

    def __init__(self, coder: Coder, columns: list[int], level: int) -> None:
        """A set of its own; the columns are shared."""
        self._coder: Final = coder
        self._columns: Final = columns
        self._zero: Final = fresh(15)
        self._place: Final = fresh(4 * 11)
        self._after: Final = fresh(5 * 11)
        self._across: Final = fresh(5 * 11)
        self._signs: Final = fresh(3)
        self._top: Final = started(F2_TOP_START_TABLE)
        self._mixer: Final = weights_of_mixer(3)
        self._level = level
        self._seen = 0
        self._last = 0
        self._last_sign = 0

    def word(self, width: int, predicted: int, exponent: int, spot: Spot | None) -> int:
        """The word; spot is where it stands in a tensor, if it does."""
        difference = self._difference(exponent, spot)
        v = 16 * ((self._last if self._last > 0 else -1) + exponent)
        self._level = approach(self._level, self._seen, 4, v)
        self._seen = min(self._seen + 1, 16)
        if spot is not None and not self._coder.lean:
            i = spot.place % F2_COLUMNS
            column = approach(self._columns[i] - F2_COLUMN_ZERO, spot.row, 3, v) + F2_COLUMN_ZERO
            self._columns[i] = clamp(column, 0, 65535)
        return (predicted + difference) & ((1 << width) - 1)

    def _difference(self, exponent: int, spot: Spot | None) -> int:
        coder = self._coder
        near = self._level - 16 * exponent
        far = near
        if spot is not None and spot.row > 0 and not coder.lean:
            far = self._columns[spot.place % F2_COLUMNS] - F2_COLUMN_ZERO - 16 * exponent
        m = clamp((near + 8) >> 4, 0, 31)
        a = ((near + 8) >> 2) & 3
        b = clamp(self._last - m, -2, 2) + 2
        c = clamp((far - near + 4) >> 3, -2, 2) + 2

        def decision(j: int) -> int:
            weights = self._mixer[0 if j == 0 else 1]
            i = 5 * j
            return coder.mixed(
                self._place[4 * j + a], self._after[i + b], self._across[i + c], weights
            )

        zero = self._zero
        idle = zero[8 + (1 if self._last == 0 else 0)]
        if coder.mixed(zero[min(m // 2, 7)], idle, zero[10 + c], self._mixer[2]):
            self._last = 0
            return 0
        above = m == 0 or bool(decision(0))
        most = 31 - m if above else m - 1
        n = 0
        while n < most and decision((1 if above else 6) + min(n, 4)):
            n += 1
        k = m + 1 + n if above else m - n
        self._last = k
        negative = coder.bit(self._signs[self._last_sign])
        self._last_sign = 2 if negative else 1
        u = min(k - 1, 2)
        r = k - 1 - u
        g = (2 if above else 0) + (1 if n > 0 else 0)
        size = ((1 << u) + coder.tree(self._top, 4 * g, u)) << r
        size += coder.even(r)
        return -size if negative else size
