"""The management group's requests and replies, as smpclient wants them (SPEC.md)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from smp import error, message
from tinymldelta.wire.constants import SMP_GROUP, SmpCommand

# What a newer device adds to a reply is of no interest to an older client.
_OPEN = ConfigDict(extra="ignore", frozen=True)


class RefusalV1(error.ErrorV1):
    model_config = _OPEN

    _GROUP_ID = SMP_GROUP

    rc: int  # type: ignore[assignment]  # smp knows its own numbers only, all below 256


class _Err(error.Err[Any]):
    model_config = _OPEN

    rc: int


class RefusalV2(error.ErrorV2[IntEnum]):
    model_config = _OPEN

    _GROUP_ID = SMP_GROUP

    err: _Err
    off: int = 0


class _Reply(message.Response):
    RESPONSE_TYPE = message.ResponseType.SUCCESS
    model_config = _OPEN

    _GROUP_ID = SMP_GROUP


class EmptyReply(_Reply):
    # Refusals may have the same fields and one more. Some firmware says `rc` in each reply.
    model_config = ConfigDict(extra="forbid", frozen=True)

    rc: Literal[0] = 0


class OffReply(EmptyReply):
    off: int


class FinishReply(_Reply):
    off: int
    slot: int
    ver: int


class StatusReply(_Reply):
    model: str
    models: list[str]
    slot: int
    sha: bytes
    bytes: int
    ver: int
    floor: int
    trial: bool
    starts: int
    max: int
    seq: int
    updates: int
    erases: int
    states: list[int]
    staging: bool
    len: int
    id: int
    off: int


class MetadataReply(_Reply):
    meta: bytes


class _Read(message.ReadRequest):
    _GROUP_ID = SMP_GROUP
    _ErrorV1: ClassVar = RefusalV1
    _ErrorV2: ClassVar = RefusalV2

    model: str | None = None


class _Write(message.WriteRequest):
    _GROUP_ID = SMP_GROUP
    _ErrorV1: ClassVar = RefusalV1
    _ErrorV2: ClassVar = RefusalV2

    model: str | None = None


class Status(_Read):
    _COMMAND_ID = SmpCommand.STATUS
    _Response: ClassVar = StatusReply


class Metadata(_Read):
    _COMMAND_ID = SmpCommand.METADATA
    _Response: ClassVar = MetadataReply


class Begin(_Write):
    _COMMAND_ID = SmpCommand.BEGIN
    _Response: ClassVar = OffReply

    len: int
    id: int


class Data(_Write):
    _COMMAND_ID = SmpCommand.DATA
    _Response: ClassVar = OffReply

    off: int
    data: bytes
    id: int


class Finish(_Write):
    _COMMAND_ID = SmpCommand.FINISH
    _Response: ClassVar = FinishReply

    id: int


class Confirm(_Write):
    _COMMAND_ID = SmpCommand.CONFIRM
    _Response: ClassVar = EmptyReply


class Revert(_Write):
    _COMMAND_ID = SmpCommand.REVERT
    _Response: ClassVar = EmptyReply


class Erase(_Write):
    _COMMAND_ID = SmpCommand.ERASE
    _Response: ClassVar = EmptyReply


def _derive(base: Any, **attributes: Any) -> Any:
    return type(base)(base.__name__, (base,), {"__module__": __name__, **attributes})


def in_group(request: type[Any], group: int) -> Any:
    """The same kind of request for a firmware that has the group under another number."""
    answers = {
        name: _derive(getattr(request, name), _GROUP_ID=group)
        for name in ("_Response", "_ErrorV1", "_ErrorV2")
    }
    return _derive(request, _GROUP_ID=group, **answers)
