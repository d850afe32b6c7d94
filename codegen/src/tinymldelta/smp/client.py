"""Sends a patch to a device, and asks it things, through smpclient.

Transports lose, double and delay packets, and devices restart. The group answers a repeated request
as it answered the first, so everything here is asked again until there is an answer.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import logging
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import cbor2
from smp.exceptions import SMPException
from smp.header import Header
from smpclient import SMPClient
from smpclient.exceptions import SMPClientException, SMPValidationException
from smpclient.generics import error_v1, success
from smpclient.transport import SMPTransport, SMPTransportDisconnected

from tinymldelta.container.metadata import read_metadata
from tinymldelta.container.patch import Header as PatchHeader
from tinymldelta.container.patch import Metadata, PatchFault
from tinymldelta.container.reader import read_patch
from tinymldelta.container.source import Cursor
from tinymldelta.errors import PatchRefused, Refusal
from tinymldelta.keys import is_sealed, read_envelope
from tinymldelta.smp import messages
from tinymldelta.smp.messages import FinishReply, StatusReply
from tinymldelta.smp.packet import Error
from tinymldelta.wire.constants import (
    DIGEST_SIZE,
    FORMAT_2,
    SMP_GROUP,
    SMP_RC_1,
    DigestKind,
    Status,
)

# Both warn of every packet that is lost.
for _name in ("smp", "smpclient"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_TRIES: Final = 8
# Applying a patch takes as long as the flash does: each try waits twice as long as the one before.
_FINISH_TRIES: Final = 6
# Zephyr's buffers unless they are set; for a device that does not say.
_BUFFER_DEFAULT: Final = 384
# A data string's length is written in up to 4 bytes more than that of an empty one.
_LENGTH_ROOM: Final = 4
# How often a transfer may be lost (the device restarts, another client comes), or not go on.
_RESTARTS: Final = 10
# An application opens a new model between two inferences, and may be confirmed only then.
_CONFIRM_TRIES: Final = 20
_CONFIRM_PAUSE: Final = 0.5

# What smpclient raises for a packet that is none; the assertion is about its length.
_DAMAGED: Final = (SMPException, SMPClientException, binascii.Error, ValueError, AssertionError)
# No reply, or one that is not what the group answers; smp raises TypeError if it is no map.
_LOST: Final = (TimeoutError, SMPValidationException, cbor2.CBORError, TypeError)


class _NotSupported(Refusal):
    """The firmware has no such group, or its group no such command."""


class _Patient(SMPTransport):
    """A transport that waits for the reply which belongs to the request.

    A reply to an earlier request may come late, and a line may be damaged: both are passed over.
    """

    def __init__(self, inner: SMPTransport) -> None:
        self._inner = inner
        self.buffer_bytes: int | None = None
        """What the device takes for one message; None if it has not said."""

    async def connect(self, address: str, timeout_s: float) -> None:
        await self._inner.connect(address, timeout_s)

    async def disconnect(self) -> None:
        await self._inner.disconnect()

    async def send(self, data: bytes) -> None:
        await self._inner.send(data)

    async def receive(self) -> bytes:
        return await self._inner.receive()

    async def send_and_receive(self, data: bytes) -> bytes:
        request = Header.loads(data[: Header.SIZE])
        await self.send(data)
        while True:
            with contextlib.suppress(*_DAMAGED):
                reply = bytes(await self.receive())
                header = Header.loads(reply[: Header.SIZE])
                if (header.sequence, header.group_id, header.command_id) == (
                    request.sequence, request.group_id, request.command_id,
                ):  # fmt: skip
                    return reply

    def initialize(self, smp_server_transport_buffer_size: int) -> None:
        self.buffer_bytes = smp_server_transport_buffer_size
        self._inner.initialize(smp_server_transport_buffer_size)

    @property
    def mtu(self) -> int:
        return self._inner.mtu

    @property
    def max_unencoded_size(self) -> int:
        """Bytes of a message. UDP would send whole datagrams to a device with small buffers."""
        return min(self._inner.max_unencoded_size, self.buffer_bytes or _BUFFER_DEFAULT)


@dataclass
class Link:
    """A device that answers. address: as the user gave it; timeout: seconds until asking again."""

    address: str
    timeout: float
    group: int
    _client: SMPClient
    _transport: _Patient
    _kinds: dict[type[Any], Any] = field(default_factory=dict)

    async def ask(
        self, kind: type[Any], *, tries: int = _TRIES, slower: float = 1.0, **fields: Any
    ) -> Any:
        """Send a request until it is answered. Refuses if the device does, or does not answer.

        slower: by how much longer each try waits than the one before.
        """
        if kind not in self._kinds:
            same = self.group == SMP_GROUP
            self._kinds[kind] = kind if same else messages.in_group(kind, self.group)
        request = self._kinds[kind](**{k: v for k, v in fields.items() if v is not None})
        wait = self.timeout
        for _ in range(tries):
            try:
                # The same sequence number each time: whichever reply comes first will do.
                reply = await self._client.request(request, timeout_s=wait)
            except _LOST:
                wait *= slower
            except (SMPTransportDisconnected, OSError):
                await self._connect_again(wait)
            else:
                if success(reply):
                    return reply
                self._raise_refusal(reply)
        raise Refusal(self.address, f"does not answer ({kind.__name__.lower()})", _UNREACHABLE)

    async def _connect_again(self, wait: float) -> None:
        """A USB port is gone while the device restarts."""
        with contextlib.suppress(SMPTransportDisconnected, OSError):
            await self._client.disconnect()
        await asyncio.sleep(wait)
        with contextlib.suppress(SMPTransportDisconnected, OSError):
            await self._client.connect(wait)

    def _raise_refusal(self, reply: Any) -> NoReturn:
        """Says what was refused, from either version of SMP."""
        number: int | None = None
        if error_v1(reply):
            own = int(reply.rc)
            if own > SMP_RC_1:
                number = own - SMP_RC_1
        else:
            own = int(reply.err.rc)
            if reply.err.group == self.group:
                number = own
        if number is not None:
            try:
                raise PatchRefused(self.address, Status(-number))
            except ValueError:
                raise Refusal(
                    self.address,
                    f"refused with {number}, which this version of tmd does not know",
                    "update tinymldelta",
                ) from None
        if own == Error.NOT_SUPPORTED:
            raise _NotSupported(
                self.address,
                f"the firmware has no management group {self.group} for models",
                "build it with CONFIG_TMD_SMP=y, or give its number by --group",
            )
        raise Refusal(
            self.address,
            f"SMP refuses with {own}",
            "see the codes of MGMT_ERR in Zephyr's documentation",
        )

    def piece_bytes(self, length: int, ident: int) -> int:
        """How many bytes of a patch one message takes."""
        empty = messages.Data(off=length, data=b"", id=ident)
        return self._transport.max_unencoded_size - len(empty.BYTES) - _LENGTH_ROOM


_UNREACHABLE: Final = (
    "check that it is powered and has SMP on this transport, the cable, the address, and --baud"
)


@contextlib.asynccontextmanager
async def connect(
    transport: SMPTransport, address: str, group: int, timeout: float
) -> AsyncIterator[Link]:
    """A device behind a transport of smpclient. Refuses if it cannot be reached."""
    patient = _Patient(transport)
    client = SMPClient(patient, address, timeout)
    try:
        await client.connect(max(timeout, 5.0))
    # Bluetooth stacks have exceptions of their own.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise Refusal(address, f"cannot be reached: {reason}", _UNREACHABLE) from error
    try:
        yield Link(address, timeout, group, client, patient)
    finally:
        with contextlib.suppress(SMPTransportDisconnected, OSError):
            await client.disconnect()


# ---- a patch ----


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a push. sent: bytes sent, without repetitions; start: from where on."""

    already: bool
    start: int
    sent: int
    status: StatusReply


def _is_target(header: PatchHeader, status: StatusReply) -> bool:
    size = DIGEST_SIZE[header.digest_kind]
    digest = header.target_digest[:size]
    return (
        header.digest_kind is DigestKind.SHA256
        and status.bytes == header.target_bytes
        and status.sha.startswith(digest)
    )


def _is_base(header: PatchHeader, status: StatusReply) -> bool:
    """Whether the patch may be for the active model: what can be told from here."""
    if status.bytes != header.base_bytes:
        return False
    size = DIGEST_SIZE[header.digest_kind]
    return header.digest_kind is not DigestKind.SHA256 or status.sha.startswith(
        header.base_digest[:size]
    )


@dataclass(frozen=True, slots=True)
class _Judge:
    """What can be told from here of a device that a patch is for.

    header: what the patch says of base and target; None if it is encrypted, and then only a change
    of the active model tells. before: how the device was at first.
    """

    header: PatchHeader | None
    before: StatusReply

    def has_target(self, now: StatusReply) -> bool:
        if self.header is None:
            return now.sha != self.before.sha
        return _is_target(self.header, now)

    def has_base(self, now: StatusReply) -> bool:
        """Whether the device may still have the patch's base."""
        if self.header is None:
            return now.sha == self.before.sha
        return _is_base(self.header, now)


class _Push:
    """One patch on its way."""

    def __init__(
        self,
        link: Link,
        patch: bytes,
        where: str,
        model: str | None,
        progress: Callable[[int], None],
    ) -> None:
        self._link = link
        self._patch = patch
        self._where = where
        self._model = model
        self._progress = progress
        self._id = zlib.crc32(patch)
        self._restarts = 0
        self.start = 0
        self.sent = 0

    def _off(self, off: int) -> int:
        """An offset that the device said."""
        if off > len(self._patch):
            raise Refusal(
                self._link.address,
                f"asks for byte {off} of a patch of {len(self._patch)}",
                "its management group is not that of TinyMLDelta; see --group",
            )
        self._progress(off)
        return off

    async def begin(self) -> int:
        reply = await self._link.ask(
            messages.Begin, len=len(self._patch), id=self._id, model=self._model
        )
        return self._off(reply.off)

    def lost(self) -> None:
        """The transfer does not go on. Too often, and it is given up."""
        self._restarts += 1
        if self._restarts > _RESTARTS:
            raise Refusal(
                self._link.address,
                "the transfer was lost again and again",
                "look whether the device restarts, or another client sends to it",
            )

    async def send(self, off: int) -> None:
        """All bytes from `off` on."""
        piece = self._link.piece_bytes(len(self._patch), self._id)
        if piece < 1:
            raise Refusal(
                self._link.address,
                "its buffers are too small for any data",
                "raise CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE",
            )
        while off < len(self._patch):
            data = self._patch[off : off + piece]
            reply = await self._link.ask(messages.Data, off=off, data=data, id=self._id)
            before, off = off, self._off(reply.off)
            if off > before:
                self.sent += off - before
            else:
                self.lost()

    async def run(self, is_done: Callable[[StatusReply], bool]) -> FinishReply | None:
        """Begin, send and finish, as often as the transfer gets lost. None: it was done already."""
        first = True
        while True:
            off = await self.begin()
            if first:
                self.start, first = off, False
            try:
                await self.send(off)
                return await self._link.ask(  # type: ignore[no-any-return]
                    messages.Finish, tries=_FINISH_TRIES, slower=2.0, id=self._id
                )
            except PatchRefused as refusal:
                if refusal.status is not Status.TRANSFER:
                    raise
            # Restarted, perhaps after the patch was applied.
            self.lost()
            if is_done(await self._link.ask(messages.Status, model=self._model)):
                return None


async def push(
    link: Link,
    patch: bytes,
    where: str,
    model: str | None,
    progress: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Bring a patch to a device. Refuses before anything is sent if the patch is not for it.

    where: what the patch is called in messages; progress: called with the bytes that are there. An
    encrypted patch is sent whatever it holds: only the device can tell.
    """
    header = None
    try:
        if is_sealed(patch):
            read_envelope(patch)  # it is one, at least
        else:
            header = read_patch(patch, None).header
    except PatchFault as fault:
        raise PatchRefused(where, fault.status, str(fault)) from fault
    status = await link.ask(messages.Status, tries=3, model=model)
    judge = _Judge(header, status)
    if judge.has_target(status):
        return Outcome(True, 0, 0, status)
    if not judge.has_base(status):
        have = f"{status.bytes:,} bytes, SHA-256 {status.sha.hex()[:16]}..."
        raise PatchRefused(
            where, Status.BASE, f"made for another base than the device has ({have})"
        )
    pushing = _Push(link, patch, where, model, progress)
    try:
        await pushing.run(judge.has_target)
    except PatchRefused as refusal:
        raise PatchRefused(where, refusal.status) from refusal
    status = await link.ask(messages.Status, model=model)
    if header is None and status.updates == judge.before.updates:
        # The same transfer once more: the device has done it, and says again how it ended.
        return Outcome(True, pushing.start, pushing.sent, status)
    if judge.has_base(status) and not judge.has_target(status):
        what = "the device applied it, and is back at its old model: the new one failed its trial"
        raise PatchRefused(where, Status.REVERTED, what)
    return Outcome(False, pushing.start, pushing.sent, status)


async def metadata(link: Link, model: str | None) -> Metadata | None:
    """What is said of the active model; None if the firmware is too old to tell."""
    try:
        reply = await link.ask(messages.Metadata, model=model)
    except _NotSupported:
        return None
    try:
        return read_metadata(Cursor(reply.meta), len(reply.meta), FORMAT_2, None)
    except PatchFault as fault:
        raise Refusal(
            link.address,
            f"tells metadata that this version of tmd cannot read: {fault}",
            "update tinymldelta",
        ) from fault


async def confirm(link: Link, model: str | None) -> None:
    """Confirm the model on trial, once the application has opened it."""
    before = await link.ask(messages.Status, model=model)
    for left in reversed(range(_CONFIRM_TRIES)):
        try:
            await link.ask(messages.Confirm, model=model)
            return
        except PatchRefused as refusal:
            if refusal.status is not Status.STATE or not before.trial:
                raise
            now = await link.ask(messages.Status, model=model)
            if now.sha == before.sha and not now.trial:
                return  # the first reply was lost
            if now.sha != before.sha or left == 0:
                raise
        await asyncio.sleep(_CONFIRM_PAUSE)


async def revert(link: Link, model: str | None) -> None:
    """End the trial, back to the model before it."""
    before = await link.ask(messages.Status, model=model)
    try:
        await link.ask(messages.Revert, model=model)
    except PatchRefused as refusal:
        now = await link.ask(messages.Status, model=model)
        if refusal.status is not Status.STATE or not before.trial or now.trial:
            raise
        # The first reply was lost.
