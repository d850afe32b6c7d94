"""What the Python harnesses share: mutations, counts, bounds of time and memory, and findings.

    python fuzz_models.py RUNS SEED FINDING

runs a harness on so many mutations of its seeds, and prints what campaign.py reads. SIGUSR1 ends it
with its counts. An input that breaks something is left in the file FINDING.
"""

from __future__ import annotations

import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path

MEMORY_MAX = 1 << 30  # bytes of address space
SECONDS_MAX = 10.0  # of one input
_SPECIAL = (0, 1, 2, 3, 4, 8, 16, 31, 32, 63, 64, 127, 128, 192, 254, 255)


class Came(IntEnum):
    """How far an input came."""

    REFUSED = 0
    REACHED = 1
    WHOLE = 2


def mutated(rng: random.Random, seeds: Sequence[bytes], kept: int, most: int) -> bytes:
    """One of the seeds with 1 to `most` changes, none of them in its first `kept` bytes."""
    bits = rng.getrandbits
    data = bytearray(seeds[bits(16) % len(seeds)])
    for _ in range(1 + bits(10) % most):
        room = len(data) - kept
        if room <= 0:
            break
        at = kept + bits(20) % room
        kind = bits(4)
        if kind < 6:
            data[at] = bits(8)
        elif kind < 10:
            data[at] ^= 1 << bits(3)
        elif kind < 12:
            data[at] = _SPECIAL[bits(4)]
        elif kind == 12:
            del data[at : at + 1 + bits(3)]
        elif kind == 13:
            data[at:at] = bits(32).to_bytes(4, "little")[: 1 + bits(2)]
        elif kind == 14:
            data[at : at + 4] = bits(32).to_bytes(4, "little")
        else:
            other = seeds[bits(16) % len(seeds)]
            start = bits(20) % len(other)
            data[at : at + 8] = other[start : start + 8]
    return bytes(data)


def drive(run: Callable[[bytes], Came], make: Callable[[random.Random], bytes]) -> None:
    """Run a harness: `make` gives inputs, `run` says how far each came, or raises."""
    if len(sys.argv) != 4:
        print(f"{sys.argv[0]}: RUNS SEED FINDING", file=sys.stderr)
        sys.exit(2)
    runs, seed, finding = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    ended = False

    def end(number: int, frame: object) -> None:
        nonlocal ended
        ended = True

    def too_long(number: int, frame: object) -> None:
        raise TimeoutError(f"one input took more than {SECONDS_MAX} seconds")

    signal.signal(signal.SIGUSR1, end)
    signal.signal(signal.SIGALRM, too_long)
    rng = random.Random(seed)
    counts = [0, 0, 0]
    done = 0
    shown = time.monotonic()
    while done < runs and not ended:
        signal.alarm(int(SECONDS_MAX))
        for _ in range(min(256, runs - done)):  # within which all of them together are quick
            data = make(rng)
            try:
                counts[run(data)] += 1
            except BaseException:
                finding.write_bytes(data)
                traceback.print_exc()
                print(f"left in {finding}", file=sys.stderr)
                sys.exit(1)
            done += 1
        if time.monotonic() - shown >= 5:
            shown = time.monotonic()
            print(f"#{done}", flush=True)
    signal.alarm(0)
    print(f"fuzzed {done} reached {counts[1] + counts[2]} whole {counts[2]}", flush=True)
