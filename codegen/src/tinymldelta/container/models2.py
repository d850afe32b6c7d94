"""What format 2 expects of weights and words; see "Weights" and "Words" in `SPEC.md`."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from tinymldelta.container.coder2 import WORD, Coder, Context, clamp, contexts, mixer_weights
from tinymldelta.wire.constants import (
    F2_CHANNELS,
    F2_COLUMN_ZERO,
    F2_COLUMNS,
    F2_DECISIONS,
    F2_HALVE_FROM,
    F2_LEVEL_START,
    F2_LEVELS,
    F2_LEVELS_TABLE,
    F2_PARTS,
    F2_SCALES,
    F2_SCALES_TABLE,
    F2_TOP_START_TABLE,
    F2_UNARY_MAX,
    Number,
)

_IS_ZERO = 0
_IS_POSITIVE = 1
_SEEN_MAX = 256
_CLASS_MAX = 31


def approach(level: int, seen: int, most: int, value: int) -> int:
    """A running average: fast at first, by 1/2^most at last."""
    return level + (value - level >> min((seen + 1).bit_length() - 1, most))


@dataclass(slots=True)
class Place:
    """Where in a tensor an element stands: its index in the target's dimensions d."""

    d: tuple[int, int, int] = (1, 1, 1)
    i: list[int] = field(default_factory=lambda: [0, 0, 0])

    @property
    def in_row(self) -> int:
        return self.i[1] * self.d[2] + self.i[2]

    @property
    def row_starts(self) -> bool:
        return self.i[1] == 0 and self.i[2] == 0

    def advance(self) -> bool:
        """On to the next element; False if that was the last."""
        for k in (2, 1, 0):
            self.i[k] += 1
            if self.i[k] < self.d[k]:
                return True
            self.i[k] = 0
        return False


class Columns:
    """Levels by column, which weights and words share."""

    def __init__(self) -> None:
        self._levels = [0] * F2_COLUMNS

    def at(self, place: Place) -> int:
        return self._levels[place.in_row % F2_COLUMNS]

    def put(self, place: Place, level: int) -> None:
        self._levels[place.in_row % F2_COLUMNS] = level


@dataclass(slots=True)
class _Outlook:
    """What is expected of the next residual, by its whole size and by four others."""

    size: int
    part: int
    local: int
    row: int
    column: int
    channel: int


class Weights:
    def __init__(self, coder: Coder, columns: Columns) -> None:
        self._coder = coder
        self._columns = columns
        self._channels = [0] * F2_CHANNELS
        self._shape = contexts(F2_DECISIONS * F2_SCALES * F2_PARTS)
        self._near = contexts(F2_DECISIONS * F2_LEVELS * F2_LEVELS)
        self._far = contexts(F2_DECISIONS * F2_LEVELS * F2_LEVELS)
        self._trend = contexts(20)
        self._cut = contexts(8)
        self._mixers = [mixer_weights() for _ in range(F2_DECISIONS)]
        self._level = F2_LEVEL_START * 4096
        self._seen = 1
        self._row_level = 0
        self._drift = 0
        self._last = 0
        self._before = 0
        self._sign = 0

    def begin_tensor(self) -> None:
        self._seen = min(self._seen, 24)
        self._row_level = self._level >> 8

    def begin_row(self) -> None:
        self._row_level = (self._row_level + (self._level >> 8)) // 2
        self._drift = 0
        self._sign = 1
        self._last = self._before = min(self._row_level >> 4, 65535)

    def _look_out(self, t: int, place: Place) -> _Outlook:
        whole = self._level >> 12
        row = self._row_level >> 4
        local = (2 * self._last + self._before) * 85 >> 8
        column = whole
        if place.i[0] > 0:
            column = self._columns.at(place) >> 4
            if place.i[0] == 1:
                column = (column + whole) // 2
        channel = whole
        if place.i[0] * place.d[1] + place.i[1] > 1:
            channel = self._channels[place.i[2] % F2_CHANNELS] >> 4
        part = (t + 128) % 256 * F2_PARTS >> 8
        if self._coder.lean:
            size = 179 * row + 38 * channel + 39 * local >> 8
        else:
            size = 102 * row + 77 * column + 38 * channel + 39 * local >> 8
        return _Outlook(size, part, local, row, column, channel)

    def _leaning(self) -> int:
        level = self._row_level >> 4
        little, much = 20 * level >> 8, 77 * level >> 8
        return sum(self._drift >= bound for bound in (-much, -little, little, much))

    def _decide(self, which: int, part: int, o: _Outlook) -> int:
        w = min(which, F2_DECISIONS - 1)
        scale = bisect_right(F2_SCALES_TABLE, o.size)
        opinions = [self._shape[(w * F2_SCALES + scale) * F2_PARTS + part]]
        if w == _IS_POSITIVE:
            lean = self._leaning()
            opinions += [self._trend[lean * 3 + self._sign], self._trend[15 + lean]]
        else:
            local, row, column, channel = (
                bisect_right(F2_LEVELS_TABLE, v) for v in (o.local, o.row, o.column, o.channel)
            )
            opinions.append(self._near[(w * F2_LEVELS + local) * F2_LEVELS + row])
            opinions.append(self._far[(w * F2_LEVELS + column) * F2_LEVELS + channel])
        return self._coder.mixed(opinions, self._mixers[w])

    def weight(self, t: int, place: Place) -> int:
        """A number from -128 to 127, where t is expected, in 1/256."""
        coder = self._coder
        o = self._look_out(t, place)
        halved = 0
        while o.size >> 8 + halved >= F2_HALVE_FROM:
            halved += 1
        high, positive = self._high(o)
        low = 0
        if halved > 0:
            context = self._cut[min(halved, 4) * 2 - (1 if high > 0 else 2)]
            low = coder.bit(context) << halved - 1
            low += coder.even(halved - 1)
            if high == 0 and low > 0:
                positive = coder.even(1)
        size = ((high << halved) + low) & WORD
        nearest = t + 128 >> 8
        value = (nearest + (size if positive else -size) + 128) % 256 - 128
        self._sign = 1 if size == 0 else 2 if positive else 0
        self._note(value * 256 - t, place)
        return value

    def _high(self, o: _Outlook) -> tuple[int, int]:
        """The upper part of a residual's size, and whether it is positive."""
        if self._decide(_IS_ZERO, o.part, o):
            return 0, 0
        positive = self._decide(_IS_POSITIVE, o.part, o)
        part = o.part if positive else F2_PARTS - 1 - o.part
        high = 1
        while high < F2_UNARY_MAX and self._decide(1 + high, part, o):
            high += 1
        if high == F2_UNARY_MAX:
            high += self._coder.number(Number.ESCAPE)
        return high, positive

    def _note(self, distance: int, place: Place) -> None:
        """What an element teaches; distance is from what was expected, in 1/256."""
        seen = place.in_row + 1
        self._drift = approach(self._drift, seen, 5, distance)
        x = abs(distance)
        self._row_level = approach(self._row_level, seen, 5, 16 * x)
        self._level = approach(self._level, self._seen, 8, 4096 * x)
        self._seen = min(self._seen + 1, _SEEN_MAX)
        self._before, self._last = self._last, x % 65536
        y = 16 * min(x, 4095)
        channel = place.i[2] % F2_CHANNELS
        seen = place.i[0] * place.d[1] + place.i[1]
        self._channels[channel] = approach(self._channels[channel], seen, 4, y)
        if not self._coder.lean:
            self._columns.put(place, approach(self._columns.at(place), place.i[0], 4, y))


class Words:
    """One of the two sets: `level` is the class that is expected at first, in 1/16."""

    def __init__(self, coder: Coder, columns: Columns, level: int) -> None:
        self._coder = coder
        self._columns = columns
        self._level = level
        self._seen = 0
        self._last = 0
        self._last_sign = 0
        self._zero = contexts(15)
        self._place = contexts(44)
        self._after = contexts(55)
        self._across = contexts(55)
        self._top = [Context(start) for start in F2_TOP_START_TABLE]
        self._signs = contexts(3)
        self._mixers = [mixer_weights() for _ in range(3)]

    def word(self, predicted: int, exponent: int, place: Place | None) -> int:
        """The next word, modulo 2^32. place: of an element of a tensor."""
        in_columns = place is not None and not self._coder.lean
        expected = across = self._level - 16 * exponent
        if place is not None and in_columns and place.i[0] > 0:
            across = self._columns.at(place) - F2_COLUMN_ZERO - 16 * exponent
        difference = self._difference(expected, across)
        value = 16 * ((self._last if self._last > 0 else -1) + exponent)
        self._level = approach(self._level, self._seen, 4, value)
        self._seen = min(self._seen + 1, 16)
        if place is not None and in_columns:
            level = approach(self._columns.at(place) - F2_COLUMN_ZERO, place.i[0], 3, value)
            self._columns.put(place, clamp(level + F2_COLUMN_ZERO, 0, 65535))
        return (predicted + difference) & WORD

    def _difference(self, expected: int, across: int) -> int:
        coder = self._coder
        m = clamp(expected + 8 >> 4, 0, _CLASS_MAX)
        a = (expected + 8 >> 2) % 4
        b = clamp(self._last - m, -2, 2) + 2
        c = clamp(across - expected + 4 >> 3, -2, 2) + 2
        zero = self._zero
        opinions = (zero[min(m // 2, 7)], zero[8 + (self._last == 0)], zero[10 + c])
        if coder.mixed(opinions, self._mixers[2]):
            self._last = 0
            return 0

        def decision(j: int) -> int:
            opinions = (self._place[4 * j + a], self._after[5 * j + b], self._across[5 * j + c])
            return coder.mixed(opinions, self._mixers[0 if j == 0 else 1])

        above = m == 0 or decision(0) == 1
        most = _CLASS_MAX - m if above else m - 1
        n = 0
        while n < most and decision((1 if above else 6) + min(n, 4)):
            n += 1
        k = m + 1 + n if above else m - n
        self._last = k
        negative = coder.bit(self._signs[self._last_sign])
        self._last_sign = 2 if negative else 1
        upper = min(k - 1, 2)
        rest = k - 1 - upper
        group = (2 if above else 0) + (n > 0)
        size = (1 << upper) + coder.tree(self._top[4 * group : 4 * group + 4], upper)
        size = (size << rest) + coder.even(rest)
        return -size if negative else size


def ordinal(word: int, bits: int) -> int:
    """A float of so many bits as a number that stands in the order of floats, modulo 2^32."""
    top = 1 << bits - 1
    return word if word < top else (-1 - (word - top)) & WORD


def from_ordinal(number: int, bits: int) -> int:
    top = 1 << bits - 1
    rest = number % top
    return top + (top - 1 - rest) if number & top else rest
