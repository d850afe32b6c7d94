"""SMP's own layers, as a device sees them: the header, and the framing of serial lines."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

_HEADER: Final = struct.Struct(">BBHHBB")
_OP_MASK: Final = 0b111
_VERSION_SHIFT: Final = 3
_VERSION_MASK: Final = 0b11

_START: Final = b"\x06\x09"
_CONTINUE: Final = b"\x04\x14"
# A line has 127 bytes: two that mark it, base64, and the line feed.
_LINE_CHARACTERS: Final = 124
_LINE_MAX: Final = 512  # what a peer may take for a line; anything longer is noise


class Op(IntEnum):
    READ = 0
    WRITE = 2


class Error(IntEnum):
    """SMP's own errors that the server gives, in "rc" of either version."""

    INVALID = 3
    NOT_SUPPORTED = 8
    TOO_NEW = 13


@dataclass(frozen=True, slots=True)
class Header:
    """version: 0 or 1, for what is called version 1 and 2 of SMP. length: of what follows."""

    op: int
    version: int
    length: int
    group: int
    sequence: int
    command: int

    @property
    def size(self) -> int:
        return _HEADER.size

    def reply(self, payload: bytes) -> bytes:
        """The packet that answers this one."""
        header = replace(self, op=self.op + 1, length=len(payload))
        first = header.op | header.version << _VERSION_SHIFT
        return (
            _HEADER.pack(first, 0, header.length, header.group, header.sequence, header.command)
            + payload
        )


def read_header(packet: bytes) -> Header | None:
    """The header of a request; None if it is none, or is longer or shorter than it says."""
    if len(packet) < _HEADER.size:
        return None
    first, _flags, length, group, sequence, command = _HEADER.unpack_from(packet)
    op = first & _OP_MASK
    if op not in tuple(Op) or length != len(packet) - _HEADER.size:
        return None
    version = first >> _VERSION_SHIFT & _VERSION_MASK
    return Header(op, version, length, group, sequence, command)


def to_lines(packet: bytes) -> bytes:
    """A packet for a serial line: length, packet and CRC-16/XMODEM, in lines of base64."""
    frame = struct.pack(">H", len(packet) + 2) + packet
    frame += struct.pack(">H", binascii.crc_hqx(packet, 0))
    text = binascii.b2a_base64(frame, newline=False)
    lines = bytearray()
    for at in range(0, len(text), _LINE_CHARACTERS):
        lines += (_CONTINUE if at else _START) + text[at : at + _LINE_CHARACTERS] + b"\n"
    return bytes(lines)


class LineReader:
    """Finds the packets in what comes over a serial line; anything else is passed over."""

    def __init__(self, packet_max: int) -> None:
        self._packet_max = packet_max
        self._line = bytearray()
        self._frame: bytearray | None = None  # None: no frame has begun

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The packets that end in these bytes."""
        for byte in data:
            if byte != ord("\n"):
                if len(self._line) < _LINE_MAX:
                    self._line.append(byte)
                continue
            line, self._line = bytes(self._line), bytearray()
            packet = self._take(line)
            if packet is not None:
                yield packet

    def _take(self, line: bytes) -> bytes | None:
        # A console may have left something before the mark.
        start = line.rfind(_START)
        if start >= 0:
            self._frame = bytearray()
        else:
            start = line.rfind(_CONTINUE)
        if start < 0 or self._frame is None:
            return None
        try:
            self._frame += binascii.a2b_base64(line[start + 2 :], strict_mode=True)
        except binascii.Error:
            self._frame = None
            return None
        return self._whole_frame()

    def _whole_frame(self) -> bytes | None:
        """The packet, if the frame has all its bytes; a bad frame is dropped."""
        frame = self._frame
        if frame is None or len(frame) < 2:
            return None
        length = int.from_bytes(frame[:2], "big")
        if not 2 <= length <= self._packet_max + 2:
            self._frame = None
            return None
        if len(frame) < 2 + length:
            return None
        self._frame = None
        packet, crc = bytes(frame[2:length]), int.from_bytes(frame[length : length + 2], "big")
        return packet if binascii.crc_hqx(packet, 0) == crc else None
