"""No step of the decoder can use more input than it waits for, whatever the patch says.

Else what a damaged patch comes to would depend on the pieces in which it arrives. The bound is
computed from the tables: what a decision can cost at most in any state that a context can reach.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from tinymldelta.wire.constants import (
    F2_NUMBER_BITS,
    F2_RATES_TABLE,
    F2_START_COUNTS_TABLE,
    F2_UNARY_MAX,
)

State = tuple[int, int]  # probability of a 1 and count

LENGTH_MAX = 31  # bits of a number
MIXED = 12.0  # a mixed probability is at least 1 of 4096
EVEN_HALVES = 8  # of a weight: size / 256 is below 256


def _learn(state: State, bit: int) -> State:
    p, n = state
    by = ((4096 - p if bit else p) * F2_RATES_TABLE[n] + 32768) >> 16
    return (p + by if bit else p - by), min(n + 1, 15)


def _cost(state: State, bit: int) -> float:
    p = state[0]
    return -math.log2((p if bit else 4096 - p) / 4096)


def _reachable() -> set[State]:
    """Every state of a context, from any start that a table can give."""
    found: set[State] = {(2048, 0)}
    found |= {((b >> 3) * 128 + 64, F2_START_COUNTS_TABLE[b & 7]) for b in range(256)}
    new = set(found)
    while new:
        new = {_learn(state, bit) for state in new for bit in (0, 1)} - found
        found |= new
    return found


def _most_of_a_number(states: set[State]) -> float:
    """Bits: a context for each of the first decisions on its length, one for all the others."""
    once = max(_cost(state, 1) for state in states)
    again = 0.0
    for start in states:
        state, cost = start, 0.0
        for _ in range(LENGTH_MAX - F2_NUMBER_BITS):
            cost += _cost(state, 1)
            state = _learn(state, 1)
        again = max(again, cost)
    second = max(_cost(state, bit) for state in states for bit in (0, 1))
    return (F2_NUMBER_BITS - 1) * once + again + second + LENGTH_MAX


def test_probabilities_stay_where_the_coder_wants_them() -> None:
    assert all(1 <= p <= 4095 for p, _ in _reachable())


def test_the_longest_steps_fit(root: Path) -> None:
    states = _reachable()
    once = max(_cost(state, bit) for state in states for bit in (0, 1))
    number = _most_of_a_number(states)
    gain = number
    weight = (1 + F2_UNARY_MAX) * MIXED + number + once + EVEN_HALVES + 1
    word = (2 + LENGTH_MAX) * MIXED + 3 * once + LENGTH_MAX
    high = once + 32
    kind = 16 * once
    longest = max(gain + weight, gain + word + high, kind + number)
    # Before a step the interval may be as small as 2^24, behind it as large as 2^32; and it is
    # divided by 4096 rounded down.
    bytes_ = math.ceil((longest + 8 + 0.1) / 8)
    text = (root / "zephyr_module" / "core" / "body.c").read_text()
    found = re.search(r"#define STEP_INPUT (\d+)u", text)
    assert found is not None
    assert bytes_ <= int(found[1]), f"a step can use {bytes_} bytes"
    print(f"a step uses {bytes_} bytes at most, a number {number:.0f} bits")
