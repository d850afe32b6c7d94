"""The management group of SMP, in C, behind a simulated device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinymldelta.native.binding import METADATA_MAX, ffi, lib
from tinymldelta.native.device import Active, Device
from tinymldelta.wire.constants import SmpCommand, Status


@dataclass(frozen=True, slots=True)
class GroupReply:
    """What the management group answers: `struct tmd_smp_reply`. length, ident: of the transfer.

    meta: TLVs that are said of the active model.
    """

    status: Status
    off: int
    length: int
    ident: int
    active: Active
    version: int
    floor: int
    sequence: int
    updates: int
    erases: int
    trial: bool
    starts: int
    trial_starts: int
    states: tuple[int, int]
    staging: bool
    meta: bytes


class Group:
    """The management group of a device with one model: `struct tmd_smp`. Must not outlive it."""

    def __init__(self, device: Device) -> None:
        self._smp = ffi.new("struct tmd_smp *")
        self._port = ffi.new("struct tmd_smp_port *")

        def get(_ctx: Any, _model: int, store: Any) -> int:
            store[0] = device._store
            return int(Status.OK)

        # cffi frees a callback that nobody holds.
        self._callbacks = (
            ffi.callback(ffi.typeof(self._port.get), get, error=int(Status.FLASH_READ)),
            ffi.callback(ffi.typeof(self._port.put), lambda _ctx, _model: None),
        )
        self._port.get, self._port.put = self._callbacks
        self._port.contract = device._device.config.contract
        lib.tmd_smp_init(self._smp, self._port, ffi.addressof(device._device, "update"))

    def handle(
        self,
        command: SmpCommand,
        *,
        model: str | None = None,
        length: int | None = None,
        ident: int | None = None,
        off: int | None = None,
        data: bytes | None = None,
    ) -> GroupReply:
        """Do what a request asks for; None: the request lacks the field. Numbers have 32 bits."""
        request = ffi.new("struct tmd_smp_request *")
        request.command = int(command)
        meta = ffi.new("uint8_t[]", METADATA_MAX)
        request.meta = meta
        keep: list[Any] = []
        if model is not None:
            name = model.encode()
            # An empty name is one too, and not NULL.
            keep.append(ffi.new("char[]", name))
            request.model, request.model_bytes = keep[-1], len(name)
        if data is not None:
            keep.append(ffi.new("uint8_t[]", data or b"\0"))
            request.data, request.data_bytes = keep[-1], len(data)
            request.fields |= lib.TMD_SMP_HAS_DATA
        for field, value, bit in (
            ("len", length, lib.TMD_SMP_HAS_LEN),
            ("id", ident, lib.TMD_SMP_HAS_ID),
            ("off", off, lib.TMD_SMP_HAS_OFF),
        ):
            if value is not None:
                setattr(request, field, value)
                request.fields |= bit
        r = ffi.new("struct tmd_smp_reply *")
        lib.tmd_smp_handle(self._smp, request, r)
        return GroupReply(
            status=Status(r.status),
            off=r.off,
            length=r.len,
            ident=r.id,
            active=Active(r.active.slot, r.active.bytes, bytes(r.active.sha256)),
            version=r.info.version,
            floor=r.info.floor,
            sequence=r.info.sequence,
            updates=r.info.updates,
            erases=r.info.erases,
            trial=bool(r.info.trial),
            starts=r.info.starts,
            trial_starts=r.trial_starts,
            states=(r.info.slot_state[0], r.info.slot_state[1]),
            staging=bool(r.staging),
            meta=bytes(ffi.buffer(meta, r.meta_bytes)),
        )
