"""The base as the body of format 2 sees it: see "Ranges" in `SPEC.md`."""

from __future__ import annotations

from dataclasses import dataclass

from tinymldelta.wire.constants import F2_CACHED, F2_POOL, F2_RANGES, RangeKind

_MANTISSA = 0x7FFFFF
_LEADING = 0x800000
_SIGN = 0x80000000
_LARGEST = (0x42FE0000, 0x46FFFE00)  # 127 and 32767


def product(a: int, b: int) -> int:
    """a * b as binary32, to nearest, ties to even; 0 for what is not normal."""
    exponent = (a >> 23 & 255) + (b >> 23 & 255) - 127
    if a >> 23 & 255 == 0 or b >> 23 & 255 == 0:
        return 0
    exact = (a & _MANTISSA | _LEADING) * (b & _MANTISSA | _LEADING)
    shift = 23
    if exact >> 47:
        shift = 24
        exponent += 1
    mantissa, rest = exact >> shift, exact & (1 << shift) - 1
    half = 1 << shift - 1
    if rest > half or (rest == half and mantissa & 1):
        mantissa += 1
    if mantissa >> 24:
        mantissa >>= 1
        exponent += 1
    if not 1 <= exponent <= 254:
        return 0
    return (a ^ b) & _SIGN | exponent << 23 | mantissa & _MANTISSA


def ratio(a: int, b: int) -> int:
    """a / b in 1/65536, of positive normal floats that are not far apart; else 65536."""
    apart = (a >> 23) - (b >> 23)
    if a & _SIGN or b & _SIGN or a >> 23 == 0 or b >> 23 == 0 or not -4 <= apart <= 3:
        return 65536
    quotient = ((a & _MANTISSA | _LEADING) << 8) // ((b & _MANTISSA | _LEADING) >> 8)
    return quotient >> -apart if apart < 0 else quotient << apart


@dataclass(slots=True)
class Range:
    """Words of the base that have changed; `words` is 0 while the range does not count."""

    kind: int = RangeKind.POOLED
    at: int = 0
    words: int = 0
    pool: int = 0
    single: int = 0
    factor: int = 0
    stays: bool = False
    scale: int = 0


class Overlay:
    def __init__(self, base: bytes) -> None:
        self.base = base
        self.ranges = [Range() for _ in range(F2_RANGES)]
        self.pool = [0] * F2_POOL
        self._remembered = [(0, 0)] * F2_CACHED
        self._next = 0

    def base_word(self, at: int) -> int:
        return int.from_bytes(self.base[at : at + 4], "little")

    def remember(self, old: int, new: int) -> None:
        self._remembered[self._next] = (old, new)
        self._next = (self._next + 1) % F2_CACHED

    def replaced(self, word: int) -> int:
        if word != 0:
            for old, new in self._remembered:
                if old == word:
                    return new
        return word

    def pooled_word(self, at: int, *, stays: bool = False) -> int:
        for r in self.ranges:
            inside = 0 <= at - r.at < 4 * r.words and (at - r.at) % 4 == 0
            if r.kind == RangeKind.POOLED and inside and not stays:
                return self.word_of(r, (at - r.at) // 4)
        word = self.base_word(at)
        return word if stays else self.replaced(word)

    def word_of(self, r: Range, i: int) -> int:
        if r.kind == RangeKind.POOLED:
            return r.single if r.words == 1 else self.pool[(r.pool + i) % F2_POOL]
        scale = self.pooled_word(r.scale + 4 * i)
        if r.kind == RangeKind.PRODUCT:
            return product(self.pooled_word(r.factor, stays=r.stays), scale)
        old, old_scale = self.base_word(r.at + 4 * i), self.base_word(r.scale + 4 * i)
        sign = old & _SIGN
        for largest in _LARGEST:
            if -4 <= product(largest, old_scale) - (old ^ sign) <= 4:
                return product(largest, scale) ^ sign
        return old

    def overlaid(self, at: int, count: int) -> bytes:
        return self._overlay(at, bytearray(self.base[at : at + count]))

    def copied(self, at: int, count: int) -> bytes:
        """What a copy of so many bytes brings."""
        piece = bytearray(self.base[at : at + count])
        for i in range(-at % 4, count - 3, 4):
            word = int.from_bytes(piece[i : i + 4], "little")
            piece[i : i + 4] = self.replaced(word).to_bytes(4, "little")
        return self._overlay(at, piece)

    def _overlay(self, at: int, piece: bytearray) -> bytes:
        end = at + len(piece)
        for r in self.ranges:
            first = max(0, (at - r.at) // 4)
            last = min(r.words, -((r.at - end) // 4))
            for i in range(first, last):
                word = self.word_of(r, i).to_bytes(4, "little")
                for b in range(4):
                    place = r.at + 4 * i + b - at
                    if 0 <= place < len(piece):
                        piece[place] = word[b]
        return bytes(piece)
