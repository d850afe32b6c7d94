"""The same exchange by clients that share no code with ours or with smpclient.

mcumgr-toolkit is written in Rust, with its own header, CBOR and serial framing, and takes commands
of any group by `raw_command`. Its Python side has no byte strings for them, so DATA comes from a
few lines below, which were written from SPEC.md and nothing else.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import cbor2
import pytest

from smpkit import Firmware, Served
from tinymldelta.wire.constants import SMP_GROUP, SmpCommand, Tlv

mcumgr_toolkit = pytest.importorskip("mcumgr_toolkit")

Ask = Callable[..., Any]


@pytest.fixture(params=["udp", "serial"])
def ask(device: Served, request: pytest.FixtureRequest) -> Ask:
    if request.param == "udp":
        client = mcumgr_toolkit.MCUmgrClient.udp("127.0.0.1", device.udp, timeout_ms=5000)
    else:
        client = mcumgr_toolkit.MCUmgrClient.serial(device.terminal, timeout_ms=5000)
    client.check_connection()
    client.use_auto_frame_size()

    def command(number: SmpCommand, **fields: Any) -> Any:
        writes = number not in (SmpCommand.STATUS, SmpCommand.METADATA)
        return client.raw_command(writes, SMP_GROUP, number.value, fields)

    return command


class Plain:
    """Writes packets by hand: 84 and the numbers of commands are those of SPEC.md."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(10)
        self._socket.connect(("127.0.0.1", port))
        self._sequence = 0

    def ask(self, command: int, document: Any, version: int = 1, op: int = 2) -> Any:
        self._sequence = (self._sequence + 1) % 256
        payload = cbor2.dumps(document)
        rest = struct.pack(">HBB", 84, self._sequence, command)
        self._socket.send(bytes((op | version << 3, 0)) + struct.pack(">H", len(payload)) + rest
                          + payload)  # fmt: skip
        reply = self._socket.recv(2048)
        assert reply[0] == op + 1 | version << 3
        assert (struct.unpack(">H", reply[2:4])[0], reply[4:8]) == (len(reply) - 8, rest)
        return cbor2.loads(reply[8:])

    def send(self, patch: bytes, off: int, end: int) -> Any:
        """DATA up to `end`; the last reply."""
        reply: Any = {"off": off}
        while reply.keys() == {"off"} and reply["off"] < end:
            off = reply["off"]
            reply = self.ask(2, {"off": off, "data": patch[off : min(off + 123, end)]})
        return reply

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def plain(device: Served) -> Iterator[Plain]:
    client = Plain(device.udp)
    yield client
    client.close()


def test_a_patch(ask: Ask, plain: Plain, firmware: Firmware) -> None:
    patch = firmware.patch.read_bytes()
    begin = {"len": len(patch), "id": zlib.crc32(patch)}
    status = ask(SmpCommand.STATUS)
    assert bytes(status["sha"]) == hashlib.sha256(firmware.base.read_bytes()).digest()
    assert (status["model"], status["models"], status["trial"]) == ("m", ["m"], False)
    said = b"of the firmware"
    assert ask(SmpCommand.METADATA) == {"meta": bytes((Tlv.NOTE, len(said))) + said}
    assert ask(SmpCommand.BEGIN, **begin) == {"off": 0}
    assert plain.send(patch, 0, 1000) == {"off": 1000}
    # Late data, a second beginning, and a look in between.
    assert plain.ask(2, {"off": 5, "data": patch[5:50]}) == {"off": 1000}
    assert ask(SmpCommand.BEGIN, **begin) == {"off": 1000}
    status = ask(SmpCommand.STATUS, model="m")
    assert (status["len"], status["id"], status["off"]) == (len(patch), begin["id"], 1000)
    assert plain.send(patch, 1000, len(patch)) == {"off": len(patch)}
    expected = {"off": len(patch), "slot": 1, "ver": 0x01010000}
    assert ask(SmpCommand.FINISH) == expected
    assert ask(SmpCommand.FINISH, id=begin["id"]) == expected
    assert ask(SmpCommand.CONFIRM) == {}
    status = ask(SmpCommand.STATUS)
    assert bytes(status["sha"]) == hashlib.sha256(firmware.target.read_bytes()).digest()
    assert (status["trial"], status["updates"], status["states"]) == (False, 1, [3, 3])
    assert ask(SmpCommand.ERASE) == {}
    assert ask(SmpCommand.STATUS)["states"] == [0, 3]


def refused(ask: Ask, number: SmpCommand, **fields: Any) -> int:
    """The status code that a command is refused with."""
    with pytest.raises(Exception, match="group=84,rc=") as caught:
        ask(number, **fields)
    return int(str(caught.value).partition("rc=")[2].split()[0])


def test_refusals(ask: Ask, plain: Plain, firmware: Firmware) -> None:
    patch = firmware.too_large.read_bytes()
    assert refused(ask, SmpCommand.FINISH) == 2
    assert refused(ask, SmpCommand.CONFIRM) == 18
    assert refused(ask, SmpCommand.BEGIN, len=0, id=1) == 1
    assert refused(ask, SmpCommand.BEGIN, len=1, id=1, model="other") == 3
    ask(SmpCommand.BEGIN, len=len(patch), id=zlib.crc32(patch))
    plain.send(patch, 0, len(patch))
    assert refused(ask, SmpCommand.FINISH) == 41  # ARENA, also where DATA said so already


def test_both_versions_of_refusals(plain: Plain, firmware: Firmware) -> None:
    patch = firmware.too_large.read_bytes()
    plain.ask(1, {"len": len(patch), "id": zlib.crc32(patch)})
    plain.send(patch, 0, len(patch))
    refusal = {"err": {"group": 84, "rc": 41}, "off": 0}
    assert plain.ask(3, {}) == refusal
    assert plain.ask(3, {}, version=0) == {"rc": 256 + 41}
    assert plain.ask(1, {"len": 9, "id": 9}, version=0) == {"off": 0}
    assert plain.ask(3, {}, version=0) == {"rc": 256 + 1}
    assert plain.ask(3, {}) == {"err": {"group": 84, "rc": 1}, "off": 0}
    assert plain.ask(0, {}, version=0, op=0)["len"] == 9
    # SMP's own: a command that there is not, the wrong op, a field of the wrong type, a version.
    assert (
        plain.ask(8, {}, op=0)
        == plain.ask(7, {})
        == plain.ask(0, {})
        == plain.ask(3, {}, op=0)
        == {"rc": 8}
    )
    assert plain.ask(1, {"len": "9", "id": 9}) == plain.ask(1, []) == {"rc": 3}
    assert plain.ask(0, {}, version=2, op=0) == {"rc": 13}
