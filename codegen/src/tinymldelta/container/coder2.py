"""The range coder of format 2, its contexts, and the numbers made of them; see `SPEC.md`."""

from __future__ import annotations

from collections.abc import Sequence

from tinymldelta.wire.constants import (
    F2_MIXER_RATE,
    F2_NUMBER_BITS,
    F2_PLAN_CONTEXTS,
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

WORD = 0xFFFFFFFF
_INTERVAL_MIN = 1 << 24
_NUMBER_CONTEXTS = 10
_LENGTH_MAX = 31  # bits of a number


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


class Context:
    """A probability, of 4096, that the next bit is 1, and how often it was used."""

    __slots__ = ("count", "probability")

    def __init__(self, start: int | None = None) -> None:
        self.probability = 2048 if start is None else (start >> 3) * 128 + 64
        self.count = 0 if start is None else F2_START_COUNTS_TABLE[start & 7]

    def learn(self, bit: int) -> None:
        error = (4095 if bit else 0) - self.probability
        step = error * F2_RATES_TABLE[self.count] + 32768 >> 16
        self.probability = clamp(self.probability + step, 1, 4094)
        self.count = min(self.count + 1, 15)

    def stretched(self) -> int:
        index = (self.probability + 2048) % 4096 >> 5
        return F2_STRETCH_TABLE[index] if index < 64 else -F2_STRETCH_TABLE[127 - index]


def contexts(count: int) -> list[Context]:
    return [Context() for _ in range(count)]


def mixer_weights() -> list[int]:
    return [F2_WEIGHT_START] * 3


class Coder:
    """Takes decisions out of the body. `beyond`: zero bytes that were read behind its end."""

    def __init__(self, body: bytes, *, lean: bool) -> None:
        self.lean = lean
        self.beyond = 0
        self.plan = [Context(F2_PLAN_START_TABLE[i]) for i in range(F2_PLAN_CONTEXTS)]
        self.literal = contexts(256)
        self._body = body
        self.position = 0
        self._interval = WORD
        self._code = 0

    def begin(self) -> None:
        for _ in range(4):
            self._code = self._code << 8 | self._next_byte()

    @property
    def unread(self) -> int:
        """Bytes of the body that have not been read."""
        return len(self._body) - self.position

    def _next_byte(self) -> int:
        if self.position == len(self._body):
            self.beyond += 1
            return 0
        self.position += 1
        return self._body[self.position - 1]

    def _refill(self) -> None:
        while self._interval < _INTERVAL_MIN:
            self._interval <<= 8
            self._code = (self._code << 8 | self._next_byte()) & WORD

    def decision(self, probability: int) -> int:
        bound = (self._interval >> 12) * probability
        bit = int(self._code < bound)
        if bit:
            self._interval = bound
        else:
            self._code -= bound
            self._interval -= bound
        self._refill()
        return bit

    def even(self, count: int) -> int:
        value = 0
        for _ in range(count):
            self._interval >>= 1
            bit = int(self._code >= self._interval)
            if bit:
                self._code -= self._interval
            value = value << 1 | bit
            self._refill()
        return value

    def bit(self, context: Context) -> int:
        bit = self.decision(context.probability)
        context.learn(bit)
        return bit

    def flag(self, index: int) -> int:
        """The next bit by a context of the plan."""
        return self.bit(self.plan[index])

    def mixed(self, opinions: Sequence[Context], weights: list[int]) -> int:
        if self.lean:
            return self.bit(opinions[0])
        stretched = [opinion.stretched() for opinion in opinions]
        total = sum(w * x for w, x in zip(weights, stretched, strict=True)) >> 16
        place = clamp(total, -2047, 2047) + 2048
        index, rest = place >> 7, place & 127
        low, high = F2_SQUASH_TABLE[index], F2_SQUASH_TABLE[index + 1]
        probability = low * (128 - rest) + high * rest + 64 >> 7
        bit = self.decision(clamp(probability, 1, 4095))
        error = ((4096 if bit else 0) - probability) * F2_MIXER_RATE
        for i, x in enumerate(stretched):
            weights[i] = clamp(weights[i] + (x * error + 8192 >> 14), -F2_WEIGHT_MAX, F2_WEIGHT_MAX)
        for opinion in opinions:
            opinion.learn(bit)
        return bit

    def tree(self, nodes: Sequence[Context], bits: int) -> int:
        node = 1
        for _ in range(bits):
            node = 2 * node + self.bit(nodes[node])
        return node - (1 << bits)

    def number(self, kind: int) -> int:
        first = Plan.NUMBER + _NUMBER_CONTEXTS * kind
        length = 1
        while length < _LENGTH_MAX and self.flag(first + min(length, F2_NUMBER_BITS)):
            length += 1
        length -= 1
        value = 0
        if length > 0:
            value = self.flag(first) << length - 1
            value += self.even(length - 1)
        return (1 << length) + value - 1

    def signed(self, kind: int) -> int:
        u = self.number(kind)
        return u // 2 if u % 2 == 0 else -(u + 1) // 2

    def usual(self, flag: int, value: int, kind: int) -> int:
        return self.number(kind) + 1 if self.flag(flag) else value

    def length(self) -> int:
        words = self.number(Number.COPY)
        return (4 * words + self.tree(self.plan[Plan.ODD :], 2)) & WORD

    def byte(self) -> int:
        if self.lean:
            upper = self.tree(self.literal, 5)
            return 8 * upper + self.even(3)
        return self.tree(self.literal, 8)
