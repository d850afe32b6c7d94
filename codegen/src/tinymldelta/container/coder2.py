"""The range decoder of format 2, contexts that learn, mixing of three opinions, and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tinymldelta.wire.constants import (
    F2_MIXER_RATE,
    F2_NUMBER_BITS,
    F2_PLAN_START_TABLE,
    F2_RATES_TABLE,
    F2_SQUASH_TABLE,
    F2_START_COUNTS_TABLE,
    F2_STRETCH_TABLE,
    F2_WEIGHT_MAX,
    F2_WEIGHT_START,
    Number,
    Plan,
)

WORD: Final = 1 << 32
WORD_MASK: Final = WORD - 1


def clamp(value: int, low: int, high: int) -> int:
    """The value, or the bound that it goes beyond."""
    return low if value < low else high if value > high else value


class Context:
    """A probability (of 4096) that a bit is 1, and how often it has learnt."""

    __slots__ = ("count", "p")

    def __init__(self, p: int = 2048, count: int = 0) -> None:
        self.p = p
        self.count = count

    def learn(self, bit: int) -> None:
        """Move the probability towards the bit, the slower the more often it has learnt."""
        rate = F2_RATES_TABLE[self.count]
        if bit:
            self.p += ((4096 - self.p) * rate + 32768) >> 16
        else:
            self.p -= (self.p * rate + 32768) >> 16
        if self.count < 15:
            self.count += 1

    def stretch(self) -> int:
        """The probability as the mixer takes it."""
        k = ((self.p + 2048) & 4095) >> 5
        return F2_STRETCH_TABLE[k] if k < 64 else -F2_STRETCH_TABLE[127 - k]


def fresh(count: int) -> list[Context]:
    """Contexts that know nothing."""
    return [Context() for _ in range(count)]


def started(table: Sequence[int]) -> list[Context]:
    """Contexts with the start values of a table."""
    return [Context((b >> 3) * 128 + 64, F2_START_COUNTS_TABLE[b & 7]) for b in table]


class Coder:
    """Reads decisions, and what is made of them, from a body."""

    def __init__(self, body: bytes, lean: bool) -> None:
        """Nothing is read until begin()."""
        self.lean: Final = lean
        self.plan: Final = started(F2_PLAN_START_TABLE)
        self._body: Final = body
        self._next = 0
        self._interval = WORD_MASK
        self._code = 0

    def begin(self) -> None:
        """Read the first 4 bytes."""
        for _ in range(4):
            self._code = self._code << 8 | self._byte()

    @property
    def beyond(self) -> int:
        """How many zero bytes have been read behind the end of the body."""
        return max(0, self._next - len(self._body))

    @property
    def read(self) -> int:
        """How many bytes of the body have been read."""
        return min(self._next, len(self._body))

    @property
    def left(self) -> int:
        """How many bytes of the body have not been read."""
        return max(0, len(self._body) - self._next)

    def _byte(self) -> int:
        at = self._next
        self._next += 1
        return self._body[at] if at < len(self._body) else 0

    def _refill(self) -> None:
        while self._interval < 1 << 24:
            self._interval <<= 8
            self._code = (self._code << 8 | self._byte()) & WORD_MASK

    def _decide(self, p: int) -> int:
        bound = (self._interval >> 12) * p
        if self._code < bound:
            bit = 1
            self._interval = bound
        else:
            bit = 0
            self._code -= bound
            self._interval -= bound
        self._refill()
        return bit

    def even(self, count: int) -> int:
        """That many even decisions, the highest bit first."""
        value = 0
        for _ in range(count):
            self._interval >>= 1
            bit = int(self._code >= self._interval)
            if bit:
                self._code -= self._interval
            self._refill()
            value = 2 * value + bit
        return value

    def bit(self, context: Context) -> int:
        """A decision with one context."""
        bit = self._decide(context.p)
        context.learn(bit)
        return bit

    def mixed(self, a: Context, b: Context, c: Context, weights: list[int]) -> int:
        """A decision with three contexts; in a lean body with the first of them."""
        if self.lean:
            return self.bit(a)
        x = (a.stretch(), b.stretch(), c.stretch())
        total = weights[0] * x[0] + weights[1] * x[1] + weights[2] * x[2]
        total += F2_WEIGHT_START * (x[0] + x[1] + x[2])
        v = clamp(total >> 16, -2047, 2047) + 2048
        i, r = v >> 7, v & 127
        q = (F2_SQUASH_TABLE[i] * (128 - r) + F2_SQUASH_TABLE[i + 1] * r + 64) >> 7
        bit = self._decide(clamp(q, 1, 4095))
        e = ((4096 if bit else 0) - q) * F2_MIXER_RATE
        for k in range(3):
            moved = weights[k] + ((x[k] * e + 8192) >> 14)
            weights[k] = clamp(moved, -F2_WEIGHT_MAX, F2_WEIGHT_MAX)
        a.learn(bit)
        b.learn(bit)
        c.learn(bit)
        return bit

    def tree(self, contexts: Sequence[Context], first: int, count: int) -> int:
        """That many bits, the highest first, with contexts from first + 1 on."""
        node = 1
        for _ in range(count):
            node = 2 * node + self.bit(contexts[first + node])
        return node - (1 << count)

    def number(self, kind: int) -> int:
        """A number from 0 on."""
        first = Plan.NUMBER + 10 * kind
        n = 1
        while n < 31 and self.bit(self.plan[first + min(n, F2_NUMBER_BITS)]):
            n += 1
        n -= 1
        v = 0
        if n > 0:
            v = self.bit(self.plan[first]) << (n - 1)
            v += self.even(n - 1)
        return (1 << n) + v - 1

    def signed(self, kind: int) -> int:
        """A number of either sign."""
        u = self.number(kind)
        return -((u + 1) // 2) if u & 1 else u // 2

    def usual(self, flag: int, value: int, kind: int) -> int:
        """The value that is expected, or another one."""
        return self.number(kind) + 1 if self.bit(self.plan[flag]) else value

    def length(self, k: int) -> int:
        """The length of a copy."""
        fours = self.number(Number.COPY + k)
        return (4 * fours + self.tree(self.plan, Plan.ODD + 4 * k, 2)) & WORD_MASK
