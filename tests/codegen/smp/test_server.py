"""What comes from the wire may be anything: the server answers or keeps silent, and flash stays."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smp.exceptions import SMPException

from smp import packet as reference
from smpkit import Firmware
from tinymldelta.contractfile import read_contract
from tinymldelta.native import Device, Options, geometry_of
from tinymldelta.smp.packet import LineReader, read_header, to_lines
from tinymldelta.smp.server import BUFFER_BYTES, Server
from tinymldelta.wire.constants import SMP_GROUP, SmpCommand

# The devices live as long as a test, with the state that one example leaves for the next.
ANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(params=[0, 8192], ids=["streamed", "staged"])
def device(firmware: Firmware, request: pytest.FixtureRequest) -> Iterator[Device]:
    contract = read_contract(firmware.contract)
    options = Options(trial_starts=3, staging_bytes=request.param)
    with Device.create(contract, 0, geometry_of(contract), options) as made:
        made.factory(firmware.base.read_bytes())
        made.boot()
        yield made


@pytest.fixture
def server(device: Device) -> Server:
    return Server(device, "m", lambda: None)


def request(command: int, payload: bytes, *, group: int = SMP_GROUP, first: int = 0x0A) -> bytes:
    length = len(payload).to_bytes(2, "big")
    return bytes((first, 0)) + length + group.to_bytes(2, "big") + bytes((7, command)) + payload


def answer(server: Server, command: int, document: Any) -> Any:
    first = 0x08 if command in (SmpCommand.STATUS, SmpCommand.METADATA) else 0x0A
    reply = server.answer(request(command, cbor2.dumps(document), first=first))
    return None if reply is None else cbor2.loads(reply[8:])


@ANY
@given(st.binary(max_size=2 * BUFFER_BYTES))
def test_any_bytes(server: Server, device: Device, packet: bytes) -> None:
    flash = device.flash
    reply = server.answer(packet)
    assert device.flash == flash
    if read_header(packet) is None:
        assert reply is None


@ANY
@given(st.sampled_from(SmpCommand), st.binary(max_size=BUFFER_BYTES - 8))
def test_any_payload(server: Server, device: Device, command: SmpCommand, payload: bytes) -> None:
    flash = device.flash
    reply = server.answer(request(command, payload))
    assert reply is not None
    assert len(reply) <= BUFFER_BYTES
    try:
        proper = isinstance(cbor2.loads(payload), dict)
    except cbor2.CBORError:
        proper = False
    if command is SmpCommand.STATUS or not proper:
        assert device.flash == flash


WRONG = st.one_of(
    st.none(), st.booleans(), st.floats(), st.lists(st.integers(), max_size=3),
    st.integers(max_value=-1), st.integers(min_value=1 << 32), st.just(1 << 70),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)  # fmt: skip


@ANY
@given(
    st.sampled_from([c for c in SmpCommand if c is not SmpCommand.STATUS]),
    st.sampled_from(["len", "id", "off", "data", "model"]),
    WRONG,
)
def test_fields_of_wrong_types(
    server: Server, device: Device, command: SmpCommand, field: str, value: Any
) -> None:
    """One bad field is enough, also in a request that does not need it."""
    flash = device.flash
    good = {"len": 100, "id": 1, "off": 0, "data": b"x", "model": "m"}
    assert answer(server, command, good | {field: value}) == {"rc": 3}
    assert device.flash == flash


@ANY
@given(st.data())
def test_any_requests_in_any_order(
    server: Server, device: Device, firmware: Firmware, data: st.DataObject
) -> None:
    """Well-formed, without sense: there is always a model, the base or the target."""
    models = {firmware.base.read_bytes(), firmware.target.read_bytes()}
    patch = firmware.patch.read_bytes()
    number = st.one_of(st.integers(0, 400), st.integers(0, (1 << 32) - 1))
    for _ in range(data.draw(st.integers(1, 30))):
        command = data.draw(st.sampled_from(SmpCommand))
        off = data.draw(st.sampled_from([0, 300, 600]) | number)
        document: dict[str, Any] = {
            "len": data.draw(st.just(len(patch)) | number),
            "id": data.draw(st.just(zlib.crc32(patch)) | number),
            "off": off,
            "data": patch[off : off + 300],
        }
        for left_out in data.draw(st.sets(st.sampled_from(list(document)), max_size=1)):
            del document[left_out]
        reply = answer(server, command, document)
        assert isinstance(reply, dict)
        with contextlib.suppress(KeyError):
            assert 0 <= reply["off"] < 1 << 32
    assert device.read_active() in models
    assert device.illegal_text == ""


def test_names_that_are_none(server: Server) -> None:
    for name in ("", "M", "m ", "mm", "m\0", "\0", "n" * 200):
        assert answer(server, SmpCommand.STATUS, {"model": name}) == {
            "err": {"group": SMP_GROUP, "rc": 3},
            "off": 0,
        }
    assert answer(server, SmpCommand.STATUS, {"model": "m"})["model"] == "m"


def test_replies_fit_the_buffer(server: Server) -> None:
    reply = server.answer(request(SmpCommand.STATUS, cbor2.dumps({}), first=0x08))
    assert reply is not None
    assert len(reply) < BUFFER_BYTES - 100


def test_os_group(server: Server) -> None:
    def ask(command: int, document: Any, first: int) -> Any:
        reply = server.answer(request(command, cbor2.dumps(document), group=0, first=first))
        assert reply is not None
        return cbor2.loads(reply[8:])

    assert ask(0, {"d": "hello"}, 0x0A) == {"r": "hello"}
    assert ask(6, {}, 0x08) == {"buf_size": BUFFER_BYTES, "buf_count": 4}
    assert ask(5, {}, 0x0A) == {"rc": 8}
    assert ask(0, {"d": 5}, 0x0A) == {"rc": 3}
    # What does not fit the device's buffer never arrives whole.
    assert server.answer(request(0, cbor2.dumps({"d": "x" * 400}), group=0)) is None


# ---- serial framing, with that of `smp` as the reference ----


@given(st.lists(st.binary(max_size=BUFFER_BYTES), max_size=4), st.binary(max_size=40), st.data())
def test_lines_both_ways(packets: list[bytes], noise: bytes, data: st.DataObject) -> None:
    noise = noise.replace(b"\x06", b"").replace(b"\x04", b"") + b"\n"
    stream = noise.join([b"", *(b"".join(reference.encode(packet)) for packet in packets)])
    reader = LineReader(BUFFER_BYTES)
    got: list[bytes] = []
    while stream:
        n = data.draw(st.integers(1, 200))
        got += reader.feed(stream[:n])
        stream = stream[n:]
    assert got == packets
    for packet in packets:
        decoder = reference.decode()
        next(decoder)
        with pytest.raises(StopIteration) as ended:
            for line in to_lines(packet).splitlines(keepends=True):
                assert len(line) <= 127
                decoder.send(line)
        assert ended.value.value == packet


@given(st.binary(max_size=600))
def test_any_lines(noise: bytes) -> None:
    reader = LineReader(BUFFER_BYTES)
    list(reader.feed(noise))
    list(reader.feed(b"\n"))
    assert list(reader.feed(to_lines(b"hello"))) == [b"hello"]


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_damaged_line_is_no_packet(packet: bytes, data: st.DataObject) -> None:
    lines = bytearray(to_lines(packet))
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] ^= 1 << data.draw(st.integers(0, 7))
    got = list(LineReader(BUFFER_BYTES).feed(bytes(lines)))
    assert got in ([], [packet])  # base64 has bits that mean nothing


def test_a_frame_that_is_too_long() -> None:
    reader = LineReader(BUFFER_BYTES)
    assert list(reader.feed(to_lines(b"x" * (BUFFER_BYTES + 1)))) == []
    assert list(reader.feed(to_lines(b"x" * BUFFER_BYTES))) == [b"x" * BUFFER_BYTES]
    with pytest.raises(SMPException):
        decoder = reference.decode()
        next(decoder)
        decoder.send(b"nothing of it")
