"""One patch, decoded on an emulated board."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from measure import boards
from measure.pairs import Pair

from .cores import JOB_BYTES, Core

_WORDS = re.compile(r"^(?:[0-9a-f]{8} ){8}$")


class DecodeError(Exception):
    """The decoder did not give the target; the message says what came instead."""


@dataclass(frozen=True)
class Counted:
    """instructions: all of them, with the callbacks'; memory: asked for; stack: below main()."""

    instructions: int
    memory: int
    stack: int


def decode(core: Core, elf: Path, pair: Pair, patch: bytes, folder: Path) -> Counted:
    """Run the firmware `elf` on one patch. Raises DecodeError."""
    job = boards.pack((pair.base, pair.target, patch), core.job)
    if len(job) > JOB_BYTES:
        raise DecodeError(f"base, target and patch have more than {JOB_BYTES} bytes")
    try:
        ended = boards.run(core.board, elf, job, core.job, folder)
    except boards.NoEnd as error:
        raise DecodeError(str(error)) from error
    if _WORDS.match(ended.output) is None:
        said = " ".join(ended.output.split())[:100]
        raise DecodeError(f"{core.board.qemu} ended with {ended.status}: {said or 'nothing said'}")
    words = [int(word, 16) for word in ended.output.split()]
    status, emitted, wrong, high, low, memory, stack, overflowed = words
    if status:
        raise DecodeError(f"its status is {status - (1 << 32) if status >> 31 else status}")
    if emitted != len(pair.target):
        raise DecodeError(f"{emitted} bytes came, of {len(pair.target)}")
    if wrong:
        raise DecodeError("what came is not the target")
    if overflowed:
        raise DecodeError("more instructions than the board's counter can count")
    return Counted(high << 32 | low, memory, stack)
