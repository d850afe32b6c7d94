"""A simulated device that answers SMP: the firmware's C code of the group, and of the store below.

What Zephyr's mcumgr does around the group is played: the CBOR maps of its binding, the errors that
it gives by itself, and the two commands of its OS group that clients begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import cbor2

from tinymldelta.native import Device, Group, GroupReply
from tinymldelta.smp.packet import Error, Header, Op, read_header
from tinymldelta.wire.constants import SMP_GROUP, SMP_RC_1, SmpCommand, Status

BUFFER_BYTES: Final = 384  # of Zephyr's CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE, unless it is set
_BUFFERS: Final = 4
_U32_MAX: Final = 0xFFFFFFFF

_OS_GROUP: Final = 0
_ECHO: Final = 0
_PARAMETERS: Final = 6

_READS: Final = (SmpCommand.STATUS, SmpCommand.METADATA)
_OPS: Final = {c: Op.READ if c in _READS else Op.WRITE for c in SmpCommand}


class _Invalid(Exception):  # noqa: N818 - a request that the binding does not decode
    pass


def _optional(request: Mapping[Any, Any], name: str, kind: type) -> Any:
    """A field of a request; None if it is not there."""
    if name not in request:
        return None
    value: Any = request[name]
    # Not isinstance: True is no number.
    if type(value) is not kind:
        raise _Invalid
    if isinstance(value, int) and not 0 <= value <= _U32_MAX:
        raise _Invalid
    return value


def _refusal(version: int, group: int, command: SmpCommand, reply: GroupReply) -> Any:
    if version == 0:
        return {"rc": SMP_RC_1 - reply.status}
    document: dict[str, Any] = {"err": {"group": group, "rc": -reply.status}}
    if command <= SmpCommand.FINISH:
        document["off"] = reply.off
    return document


def _as_map(command: SmpCommand, reply: GroupReply, name: str, names: Sequence[str]) -> Any:
    match command:
        case SmpCommand.STATUS:
            return {
                "model": name,
                "models": list(names),
                "slot": reply.active.slot,
                "sha": reply.active.sha256,
                "bytes": reply.active.length,
                "ver": reply.version,
                "floor": reply.floor,
                "trial": reply.trial,
                "starts": reply.starts,
                "max": reply.trial_starts,
                "seq": reply.sequence,
                "updates": reply.updates,
                "erases": reply.erases,
                "states": list(reply.states),
                "staging": reply.staging,
                "len": reply.length,
                "id": reply.ident,
                "off": reply.off,
            }
        case SmpCommand.BEGIN | SmpCommand.DATA:
            return {"off": reply.off}
        case SmpCommand.FINISH:
            return {"off": reply.off, "slot": reply.active.slot, "ver": reply.version}
        case SmpCommand.METADATA:
            return {"meta": reply.meta}
        case _:
            return {}


class Server:
    """Answers packets. keep: called before a reply is given, when flash has changed."""

    def __init__(
        self, device: Device, name: str, keep: Callable[[], None], group: int = SMP_GROUP
    ) -> None:
        self._device = device
        self._name = name
        self._keep = keep
        self._number = group
        self._group = Group(device)

    def answer(self, packet: bytes) -> bytes | None:
        """The reply to a packet; None if it is no request, or would not fit the device's buffer."""
        header = read_header(packet)
        if header is None or len(packet) > BUFFER_BYTES:
            return None
        try:
            document = self._respond(header, packet[header.size :])
        except _Invalid:
            document = {"rc": int(Error.INVALID)}
        return header.reply(cbor2.dumps(document))

    def _respond(self, header: Header, payload: bytes) -> Any:
        if header.version > 1:
            return {"rc": int(Error.TOO_NEW)}
        key = (header.group, header.command)
        if key == (_OS_GROUP, _PARAMETERS) and header.op == Op.READ:
            return {"buf_size": BUFFER_BYTES, "buf_count": _BUFFERS}
        if key == (_OS_GROUP, _ECHO):
            return {"r": _optional(_read_map(payload), "d", str) or ""}
        if header.group == self._number and header.command in tuple(SmpCommand):
            command = SmpCommand(header.command)
            if header.op == _OPS[command]:
                return self._run(header, command, _read_map(payload))
        return {"rc": int(Error.NOT_SUPPORTED)}

    def _run(self, header: Header, command: SmpCommand, request: Mapping[Any, Any]) -> Any:
        before = self._device.counts.operations
        reply = self._group.handle(
            command,
            model=_optional(request, "model", str),
            length=_optional(request, "len", int),
            ident=_optional(request, "id", int),
            off=_optional(request, "off", int),
            data=_optional(request, "data", bytes),
        )
        if self._device.counts.operations != before:
            self._keep()
        if reply.status is not Status.OK:
            return _refusal(header.version, self._number, command, reply)
        return _as_map(command, reply, self._name, (self._name,))


def _read_map(payload: bytes) -> Mapping[Any, Any]:
    try:
        document = cbor2.loads(payload)
    except cbor2.CBORError as error:
        raise _Invalid from error
    if not isinstance(document, Mapping):
        raise _Invalid
    return document
