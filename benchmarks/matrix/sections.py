"""What an object file has of code, constants, data and bss, from its section headers."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_WRITE, _ALLOC = 1, 2
_NOBITS, _NOTE = 8, 7
_ARM_EXIDX = 0x70000001


@dataclass(frozen=True)
class Sizes:
    """Bytes. code: with constants; data: writable, with a value; bss: writable, zero at start."""

    code: int = 0
    data: int = 0
    bss: int = 0

    def __add__(self, other: Sizes) -> Sizes:
        return Sizes(self.code + other.code, self.data + other.data, self.bss + other.bss)


def read_sizes(content: bytes) -> Sizes:
    """Add up the sections of a little-endian ELF file, of 32 or 64 bits. ValueError for others.

    Notes and tables for unwinding are not counted: a firmware has no use for them.
    """
    if len(content) < 64 or content[:4] != b"\x7fELF" or content[5] != 1:
        raise ValueError("not a little-endian ELF file")
    if content[4] == 1:
        offset, entry = struct.unpack_from("<I", content, 32)[0], "<IIIIIIIIII"
        size, count = struct.unpack_from("<HH", content, 46)
    else:
        offset, entry = struct.unpack_from("<Q", content, 40)[0], "<IIQQQQIIQQ"
        size, count = struct.unpack_from("<HH", content, 58)
    code = data = bss = 0
    for i in range(count):
        _, kind, flags, _, _, length, *_ = struct.unpack_from(entry, content, offset + i * size)
        if not flags & _ALLOC or kind in (_NOTE, _ARM_EXIDX):
            continue
        if not flags & _WRITE:
            code += length
        elif kind == _NOBITS:
            bss += length
        else:
            data += length
    return Sizes(code, data, bss)
