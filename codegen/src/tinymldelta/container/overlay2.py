"""Ranges of format 2: words that change ahead of their place; the pool and remembered words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinymldelta.container.coder2 import WORD_MASK
from tinymldelta.wire.constants import F2_CACHED, F2_POOL, F2_RANGES, RangePart

SIGN: Final = 0x80000000
LIMITS_OF_TYPES: Final = (0x42FE0000, 0x46FFFE00)


def product(a: int, b: int) -> int:
    """The product of two words as IEEE 754 binary32; 0 where that is no normal number."""
    ea, eb = a >> 23 & 255, b >> 23 & 255
    if ea == 0 or eb == 0:
        return 0
    mantissa = (a & 0x7FFFFF | 0x800000) * (b & 0x7FFFFF | 0x800000)
    exponent = ea + eb - 127
    drop = mantissa.bit_length() - 24
    exponent += drop - 23
    rest = mantissa & ((1 << drop) - 1)
    mantissa >>= drop
    half = 1 << (drop - 1)
    if rest > half or (rest == half and mantissa & 1):
        mantissa += 1
        if mantissa == 1 << 24:
            mantissa >>= 1
            exponent += 1
    if not 1 <= exponent <= 254:
        return 0
    return (a ^ b) & SIGN | exponent << 23 | mantissa & 0x7FFFFF


def ratio(a: int, b: int) -> int:
    """a / b in 1/65536; 65536 where the two are no neighbours."""
    ea, eb = a >> 23, b >> 23
    x = ea - eb
    if (a | b) & SIGN or ea == 0 or eb == 0 or not -4 <= x <= 3:
        return 65536
    q = (a & 0x7FFFFF | 0x800000) * 256 // ((b & 0x7FFFFF | 0x800000) >> 8)
    return q << x if x >= 0 else q >> -x


@dataclass(frozen=True, slots=True)
class Range:
    """Vectors of words of the base that the target has changed."""

    parts: int
    at: int
    count: int
    product_at: int
    factor: int
    pooled: int

    def has(self, part: RangePart) -> bool:
        """Whether the range has that part."""
        return bool(self.parts >> part & 1)


class Overlay:
    """The base with what is known of the target ahead of its place."""

    def __init__(self, base: bytes, lean: bool) -> None:
        """No range, an empty pool, nothing remembered."""
        self.base: Final = base
        self._lean: Final = lean
        self._ranges: Final[list[Range | None]] = [None] * F2_RANGES
        self._newest = F2_RANGES - 1
        self._pool: Final = [0] * F2_POOL
        self._pool_used = 0
        self._pairs: Final = [(0, 0)] * F2_CACHED
        self._next_pair = 0

    def word(self, at: int) -> int:
        """The base's word as it is."""
        return int.from_bytes(self.base[at : at + 4], "little")

    def holds(self, count: int, at: int) -> bool:
        """Whether that many words lie within the base."""
        return at <= len(self.base) and count <= (len(self.base) - at) // 4

    def remember(self, old: int, new: int) -> None:
        """Keep what became of a single word."""
        if not self._lean:
            self._pairs[self._next_pair] = (old, new)
            self._next_pair = (self._next_pair + 1) % F2_CACHED

    def replaced(self, word: int) -> int:
        """What became of a word, if that is remembered."""
        if word:
            for old, new in self._pairs:
                if word == old:
                    return new
        return word

    def reserve(self, count: int) -> int:
        """The first of the next places of the pool."""
        first = self._pool_used if self._pool_used + count <= F2_POOL else 0
        self._pool_used = first + count
        return first

    def fill(self, place: int, word: int) -> None:
        """Put a word into the pool."""
        self._pool[place] = word

    def add(self, new: Range) -> None:
        """The range counts from now on, in the place of the oldest one."""
        self._newest = (self._newest + 1) % F2_RANGES
        self._ranges[self._newest] = new

    def back(self, count: int) -> Range | None:
        """The range that many before the newest."""
        return self._ranges[(self._newest - count) % F2_RANGES]

    def grown(self, of: Range, i: int, weights: bool) -> int:
        """How word i of a range has grown, in 1/65536: its products', if not for weights."""
        if not weights and of.has(RangePart.PRODUCT):
            return ratio(self.word(of.product_at + 4 * i), self._product(of, i))
        return ratio(self.word(of.at + 4 * i), self._scale(of, i))

    def _scale(self, of: Range, i: int) -> int:
        return self._pool[of.pooled + i] if of.has(RangePart.CHANGED) else self.word(of.at + 4 * i)

    def _product(self, of: Range, i: int) -> int:
        return product(of.factor, self._scale(of, i))

    def _limit(self, of: Range, i: int, vector_at: int) -> int:
        limit = self.word(vector_at + 4 * i)
        before = self.word(of.at + 4 * i)
        for most in LIMITS_OF_TYPES:
            away = product(most, before) - (limit & ~SIGN)
            if (away + 4) & WORD_MASK <= 8:
                return product(most, self._scale(of, i)) ^ (limit & SIGN)
        return limit

    def overlaid(self, at: int, count: int) -> bytes:
        """Bytes of the base, overlaid."""
        data = bytearray(self.base[at : at + count])
        self._overlay(data, at)
        return bytes(data)

    def copied(self, at: int, count: int) -> bytes:
        """Bytes of the base as a copy sees them."""
        data = bytearray(self.base[at : at + count])
        if not self._lean:
            for i in range(-at % 4, count - 3, 4):
                word = int.from_bytes(data[i : i + 4], "little")
                data[i : i + 4] = self.replaced(word).to_bytes(4, "little")
        self._overlay(data, at)
        return bytes(data)

    def _overlay(self, data: bytearray, at: int) -> None:
        for of in self._ranges:
            if of is None:
                continue
            if of.has(RangePart.CHANGED):
                self._overlay_vector(data, at, of, RangePart.CHANGED, of.at)
            if of.has(RangePart.LIMITS):
                for k in (1, 2):
                    vector_at = of.at + k * (4 * of.count + 4)
                    self._overlay_vector(data, at, of, RangePart.LIMITS, vector_at)
            if of.has(RangePart.PRODUCT):
                self._overlay_vector(data, at, of, RangePart.PRODUCT, of.product_at)

    def _overlay_vector(
        self, data: bytearray, at: int, of: Range, part: RangePart, vector_at: int
    ) -> None:
        first = max(0, (at - vector_at) // 4)
        behind = min(of.count, (at + len(data) - vector_at + 3) // 4)
        for i in range(first, behind):
            if part == RangePart.CHANGED:
                word = self._scale(of, i)
            elif part == RangePart.LIMITS:
                word = self._limit(of, i, vector_at)
            else:
                word = self._product(of, i)
            for k, byte in enumerate(word.to_bytes(4, "little")):
                offset = vector_at + 4 * i + k - at
                if 0 <= offset < len(data):
                    data[offset] = byte
