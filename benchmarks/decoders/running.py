"""One patch, decoded on an emulated board."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import emulated

from .cores import JOB_BYTES, Core

_HEAD = struct.Struct("<6I")
_WORDS = re.compile(r"^(?:[0-9a-f]{8} ){8}$")


class DecodeError(Exception):
    """The decoder did not give the target; the message says what came instead."""


@dataclass(frozen=True)
class Pair:
    name: str
    base: bytes
    target: bytes

    @classmethod
    def read(cls, folder: Path) -> Pair:
        files = (folder / f"{name}.tflite" for name in ("base", "target"))
        return cls(folder.name, *(file.read_bytes() for file in files))


@dataclass(frozen=True)
class Counted:
    """instructions: all of them, with the callbacks'; memory: asked for; stack: below main()."""

    instructions: int
    memory: int
    stack: int


def decode(core: Core, elf: Path, pair: Pair, patch: bytes, folder: Path) -> Counted:
    """Run the firmware `elf` on one patch. Raises DecodeError."""
    contents = (pair.base, pair.target, patch)
    places = []
    data = b""
    for content in contents:
        places.append(core.job + _HEAD.size + len(data))
        data += content + bytes(-len(content) % 8)
    job = _HEAD.pack(*map(len, contents), *places) + data
    if len(job) > JOB_BYTES:
        raise DecodeError(f"base, target and patch have more than {JOB_BYTES} bytes")
    (folder / "job.bin").write_bytes(job)
    ended = emulated.run(core.board, elf, folder=folder, load=[(folder / "job.bin", core.job)])
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
