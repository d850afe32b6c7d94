"""Sends a patch to an Arduino that runs TinyMLDeltaSerial, and asks it things.

    python send.py PORT status
    python send.py PORT send update.tmd [--open] [--confirm]
    python send.py PORT open | confirm | revert | erase

PORT is a serial port, such as /dev/ttyACM0, /dev/cu.usbmodem101 or COM3. Needs nothing but Python
on Linux and macOS, and pyserial elsewhere. Exits with 0 when done, 1 when the device refused or
does not answer (the reason on stderr), 2 when called wrongly.

A transfer that broke off goes on where the device has it when it is sent again. The frames are
described in src/tmd_serial.h of the library.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import select
import struct
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Protocol

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

START: Final = 0xA5
REPLY: Final = 0x80
STATUS, BEGIN, DATA, FINISH, CONFIRM, REVERT, ERASE, OPEN = range(1, 9)
PROTOCOL: Final = 1
TRIAL, STAGING = 1, 2
SLOT_COMPILED_IN: Final = 0xFE
NO_TRANSFER: Final = -2  # status: none is open
REPLY_MAX: Final = 1024  # longer is no reply

TRIES: Final = 8
# A board that restarts when its port is opened takes so long until it answers.
PATIENCE: Final = 1.0
# A frame is on its way at once, unless nobody fetches what was sent before.
PATIENCE_WRITE: Final = 5.0
TAKES_NOTHING: Final = "it takes no bytes: does the sketch hang?"
# Applying a patch takes as long as the flash does.
PATIENCE_FINISH: Final = 30.0


class SendError(Exception):
    """What the user is told."""


class Port(Protocol):
    def write(self, data: bytes) -> None: ...
    def read(self, seconds: float) -> bytes:
        """What has come, after at most so long; nothing if nothing has."""


class PosixPort:
    """A serial port, by termios: raw, 8N1, without flow control."""

    def __init__(self, path: str, baud: int) -> None:
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise SendError(f"{baud} baud is none that this system has")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise SendError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            settings = termios.tcgetattr(self._fd)
        except termios.error as error:
            raise SendError(f"{path} is no serial port") from error
        iflag, oflag, lflag = 0, 0, 0
        cflag = termios.CS8 | termios.CREAD | termios.CLOCAL
        controls = settings[6]
        controls[termios.VMIN], controls[termios.VTIME] = 0, 0
        termios.tcsetattr(
            self._fd, termios.TCSANOW, [iflag, oflag, cflag, lflag, speed, speed, controls]
        )

    def write(self, data: bytes) -> None:
        while data:
            if not select.select([], [self._fd], [], PATIENCE_WRITE)[1]:
                raise OSError(0, TAKES_NOTHING)
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._fd, data) :]

    def read(self, seconds: float) -> bytes:
        if not select.select([self._fd], [], [], max(seconds, 0))[0]:
            return b""
        data = os.read(self._fd, 4096)
        if not data:
            raise OSError(0, "the port is closed")
        return data


class PyserialPort:
    """The same by pyserial."""

    def __init__(self, path: str, baud: int) -> None:
        try:
            import serial
        except ImportError:
            raise SendError("needs pyserial here: pip install pyserial") from None
        try:
            self._port = serial.Serial(path, baud, timeout=0, write_timeout=PATIENCE_WRITE)
        except (serial.SerialException, ValueError) as error:  # ValueError: of the speed
            raise SendError(f"{path} cannot be opened: {error}") from error
        self._too_late = serial.SerialTimeoutException

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except self._too_late:
            raise OSError(0, TAKES_NOTHING) from None

    def read(self, seconds: float) -> bytes:
        self._port.timeout = max(seconds, 0)
        return bytes(self._port.read(1) + self._port.read(self._port.in_waiting))


def open_port(path: str, baud: int, pyserial: bool) -> Port:
    if pyserial or termios is None:
        return PyserialPort(path, baud)
    return PosixPort(path, baud)


@dataclass(frozen=True)
class State:
    """Of the device's store."""

    flags: int
    slot: int
    starts: int
    trial_starts: int
    piece: int
    model_bytes: int
    version: int
    sha256: bytes

    def text(self) -> str:
        where = "of the sketch" if self.slot == SLOT_COMPILED_IN else f"in slot {self.slot}"
        version = f"{self.version >> 24}.{self.version >> 16 & 0xFF}.{self.version & 0xFFFF}"
        trial = ""
        if self.flags & TRIAL:
            trial = f", on trial: {self.starts} of {self.trial_starts} starts used"
        return (
            f"model {where}, {self.model_bytes} bytes, version {version}, "
            f"sha256 {self.sha256.hex()}{trial}"
        )


@dataclass(frozen=True)
class Reply:
    status: int
    next: int
    """The byte of the patch that is to be sent next."""
    rest: bytes

    def must(self) -> Reply:
        """Itself, unless the device refused."""
        if self.status != 0:
            text = self.rest.decode("ascii", "replace") or str(self.status)
            raise SendError(f"the device refused: {text}")
        return self

    def state(self) -> State:
        layout = "<BBBBBHII32s"
        if len(self.rest) != struct.calcsize(layout) or self.rest[0] != PROTOCOL:
            raise SendError("the device speaks another version of the protocol: use its send.py")
        return State(*struct.unpack(layout, self.rest)[1:])


def frame(command: int, sequence: int, payload: bytes) -> bytes:
    body = struct.pack("<BBH", command, sequence, len(payload)) + payload
    return bytes([START]) + body + struct.pack("<I", zlib.crc32(body))


class Device:
    def __init__(self, port: Port) -> None:
        self._port = port
        self._sequence = random.randrange(256)
        self._heard = b""

    def _next_frame(self, until: float) -> bytes | None:
        """The body of the next frame that has the right CRC; None if none came in time."""
        while True:
            start = self._heard.find(START)
            self._heard = self._heard[start:] if start >= 0 else b""
            if len(self._heard) >= 5:
                end = 5 + int.from_bytes(self._heard[3:5], "little")
                body, crc = self._heard[1:end], self._heard[end : end + 4]
                if end > REPLY_MAX:
                    self._heard = self._heard[1:]
                    continue
                if len(crc) == 4:
                    right = int.from_bytes(crc, "little") == zlib.crc32(body)
                    self._heard = self._heard[end + 4 if right else 1 :]
                    if right:
                        return body
                    continue
            left = until - time.monotonic()
            data = self._port.read(left) if left > 0 else b""
            if not data and time.monotonic() >= until:
                self._heard = self._heard[1:]  # it was no frame; look behind its first byte
                if not self._heard:
                    return None
            self._heard += data

    def ask(self, command: int, payload: bytes = b"", patience: float = PATIENCE) -> Reply:
        """Send a request until it is answered, with the same sequence each time."""
        self._sequence = (self._sequence + 1) % 256
        request = frame(command, self._sequence, payload)
        wanted = (command | REPLY, self._sequence)
        for _ in range(TRIES):
            self._port.write(request)
            until = time.monotonic() + patience
            while (body := self._next_frame(until)) is not None:
                if (body[0], body[1]) == wanted and len(body) >= 10:
                    status, following = struct.unpack_from("<hI", body, 4)
                    return Reply(status, following, body[10:])
        raise SendError("the device does not answer: is the sketch running, and the port right?")

    def done(self, command: int, payload: bytes = b"", patience: float = PATIENCE) -> Reply:
        """Ask, and refuse if the device does."""
        return self.ask(command, payload, patience).must()


def send(device: Device, patch: bytes, drop_after: int | None) -> State:
    """Bring the patch into the device and have it applied. Returns the state behind it."""
    crc = zlib.crc32(patch)
    before = device.done(STATUS).state()
    piece = before.piece
    at = device.done(BEGIN, struct.pack("<II", len(patch), crc)).next
    if at:
        print(f"the device has {at} of {len(patch)} bytes")
    sent = 0
    while at < len(patch):
        if drop_after is not None and sent >= drop_after:
            raise SendError(f"stopped after {sent} bytes, as --drop-after says")
        data = patch[at : at + piece]
        following = device.done(DATA, struct.pack("<I", at) + data).next
        sent += len(data)
        if following > len(patch) or (following == at and sent > 4 * len(patch) + piece):
            raise SendError("the device does not get on with the patch")
        at = following
    reply = device.ask(FINISH, struct.pack("<I", crc), PATIENCE_FINISH)
    if reply.status == NO_TRANSFER:
        # It restarted and knows of none. With a staging region it may have applied the patch then.
        now = device.done(STATUS).state()
        if now.sha256 != before.sha256:
            return now
    return reply.must().state()


COMMANDS: Final = {
    "status": STATUS,
    "open": OPEN,
    "confirm": CONFIRM,
    "revert": REVERT,
    "erase": ERASE,
}


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Sends a patch to an Arduino, and asks it things.")
    parser.add_argument("port", help="serial port, such as /dev/ttyACM0 or COM3")
    parser.add_argument("--baud", type=int, default=115200)
    parser.add_argument("--pyserial", action="store_true", help="use pyserial instead of termios")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("status", "say which model runs"),
        ("open", "start the active model; a start of a model on trial counts"),
        ("confirm", "keep the model that is on trial"),
        ("revert", "go back to the model before the one on trial"),
        ("erase", "forget a patch that was begun, and the model that is not active"),
    ):
        commands.add_parser(name, help=text)
    sending = commands.add_parser("send", help="send a patch and have it applied")
    sending.add_argument("patch", type=Path)
    sending.add_argument("--open", action="store_true", help="then start the new model")
    sending.add_argument("--confirm", action="store_true", help="then start it and keep it")
    sending.add_argument(
        "--drop-after", type=int, metavar="BYTES", help="break off there, to try a broken transfer"
    )
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    patch = b""
    if arguments.command == "send":
        try:
            patch = arguments.patch.read_bytes()
        except OSError as error:
            raise SendError(f"{arguments.patch} cannot be read: {error.strerror}") from error
        if not patch:
            raise SendError(f"{arguments.patch} is empty")
    device = Device(open_port(arguments.port, arguments.baud, arguments.pyserial))
    if arguments.command != "send":
        # Whether it speaks this protocol. And a request that happens to be that of an earlier run
        # is then not taken for one whose answer was lost.
        device.done(STATUS).state()
        print(device.done(COMMANDS[arguments.command]).state().text())
        return
    print(send(device, patch, arguments.drop_after).text())
    if arguments.open or arguments.confirm:
        print(device.done(OPEN).state().text())
    if arguments.confirm:
        print(device.done(CONFIRM).state().text())


def main() -> NoReturn:
    arguments = read_arguments()
    try:
        run(arguments)
    except SendError as error:
        print(f"send.py: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"send.py: {arguments.port}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("send.py: stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
