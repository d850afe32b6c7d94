"""A simulated device: flash, store, and the C code that runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from tinymldelta.contract import Contract
from tinymldelta.errors import Refusal
from tinymldelta.keys import AgreementPrivate, MacKey
from tinymldelta.native.binding import METADATA_MAX, ffi, lib
from tinymldelta.native.contract import NativeContract
from tinymldelta.native.crypto import Crypto
from tinymldelta.native.flash import CUT_ANYWHERE, Counts, CutShape, Geometry
from tinymldelta.native.inference import Inference, InferencePort
from tinymldelta.wire.constants import ENTRY, RECORD, Status, Tlv

COMPILED_IN: int = lib.TMD_SLOT_COMPILED_IN


@dataclass(frozen=True, slots=True)
class Active:
    """The active model: `slot` is 0, 1 or COMPILED_IN. length: with test vectors."""

    slot: int
    length: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Options:
    """What of a device is a choice. Sizes in bytes.

    trial_starts: how often a new model is opened before it has to be confirmed, 0: never;
    progress_bytes: a streamed update notes after so many how far it has come, 0: never.
    """

    trial_starts: int = 0
    staging_bytes: int = 0
    progress_bytes: int = 4096


class SlotState(IntEnum):
    """What the records know of a slot."""

    NONE = lib.TMD_SLOT_IS_NONE
    STREAMED = lib.TMD_SLOT_IS_STREAMED
    PLANNED = lib.TMD_SLOT_IS_PLANNED
    COMPLETE = lib.TMD_SLOT_IS_COMPLETE
    REVERTED = lib.TMD_SLOT_IS_REVERTED

    @property
    def is_whole(self) -> bool:
        """Whether the slot holds a whole model, so that its versions mean something."""
        return self in (SlotState.COMPLETE, SlotState.REVERTED)


@dataclass(frozen=True, slots=True)
class SlotInfo:
    """What the records say of a slot. length: of all that it holds; sha256: its first bytes.

    While the slot is written, they are those of the model to come, and versions mean nothing.
    """

    state: SlotState
    length: int
    model_bytes: int
    sha256: bytes
    version: int
    floor: int


@dataclass(frozen=True, slots=True)
class Info:
    """What a store knows. version: of the active model; starts: of the model on trial."""

    version: int
    floor: int
    sequence: int
    updates: int
    erases: int
    written: int
    starts: int
    trial: bool
    opened: bool
    slots: tuple[SlotInfo, SlotInfo]


@dataclass(frozen=True, slots=True)
class Staged:
    """A patch in the staging region. length: 0 if there is none; there: bytes that have come."""

    length: int
    there: int


class Device:
    """A simulated device for one model of a contract: flash, store, and the C code that runs them.

    A context manager; memory that C allocated is given back at its end. secrets, sealed: what the
    device has of the contract's MAC keys and decryption keys; crypto: another crypto port instead.
    """

    def __init__(
        self,
        contract: Contract,
        index: int,
        inference: Inference | None = None,
        *,
        secrets: Sequence[MacKey] = (),
        sealed: Sequence[AgreementPrivate] = (),
        crypto: Crypto | None = None,
    ) -> None:
        self._contract = NativeContract(contract)
        self._index = index
        self._device = ffi.new("struct tmd_sim_device *")
        self._model = ffi.new("struct tmd_model *")
        self._keep: list[Any] = []
        self._inference = InferencePort(inference)
        self._crypto = crypto or Crypto(secrets, sealed)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        lib.tmd_sim_device_free(self._device)

    def _connect(self) -> None:
        """Give the store what the firmware has beside flash."""
        self._device.config.inference = self._inference.pointer
        self._device.config.crypto = self._crypto.pointer

    @property
    def inference_error(self) -> str:
        """What the inference raised last; empty if nothing since the last `open`."""
        return self._inference.error

    @classmethod
    def create(
        cls,
        contract: Contract,
        index: int,
        geometry: Geometry,
        options: Options | None = None,
        inference: Inference | None = None,
        *,
        secrets: Sequence[MacKey] = (),
        sealed: Sequence[AgreementPrivate] = (),
        crypto: Crypto | None = None,
    ) -> Device:
        """A device with erased flash. Refuses if contract and geometry do not fit."""
        device = cls(contract, index, inference, secrets=secrets, sealed=sealed, crypto=crypto)
        options = options or Options()
        c_geometry = ffi.new("struct tmd_sim_geometry *")
        name = ffi.new("char[]", geometry.name.encode())
        text = ffi.new("char[]", geometry.text.encode())
        device._keep += [c_geometry, name, text]
        c_geometry.name, c_geometry.text = name, text
        c_geometry.pattern_n = len(geometry.pattern)
        for i, (size, count) in enumerate(geometry.pattern):
            c_geometry.pattern[i].bytes = size
            c_geometry.pattern[i].count = count
        c_geometry.write_bytes = geometry.write_bytes
        c_geometry.erased_value = geometry.erased_value
        c_geometry.flags = (0 if geometry.needs_erase else lib.TMD_FLASH_NO_ERASE) | (
            lib.TMD_SIM_WRITE_ONCE if geometry.write_once else 0
        )
        c_options = ffi.new("struct tmd_sim_options *")
        c_options.trial_starts = options.trial_starts
        c_options.staging_bytes = options.staging_bytes
        c_options.progress_bytes = options.progress_bytes
        err = lib.tmd_sim_device_init(
            device._device, c_geometry, device._contract.pointer, index, c_options
        )
        device._connect()
        if err != Status.OK:
            raise Refusal(
                "simulated flash",
                f"{geometry.name} does not fit the contract",
                "give codegen the sizes of this flash",
            )
        return device

    @classmethod
    def load(
        cls,
        contract: Contract,
        index: int,
        path: Path,
        inference: Inference | None = None,
        *,
        secrets: Sequence[MacKey] = (),
        sealed: Sequence[AgreementPrivate] = (),
    ) -> Device:
        """A device from its file: one that `is_on` goes on, another has to `boot`."""
        device = cls(contract, index, inference, secrets=secrets, sealed=sealed)
        if not lib.tmd_sim_device_load(
            device._device, str(path).encode(), device._contract.pointer, index
        ):
            raise Refusal(
                str(path),
                "not a simulated device of this version and contract",
                "make one with `tmd sim init`",
            )
        device._connect()
        return device

    def save(self, path: Path) -> None:
        """Keep the device in a file, which changes whole or not at all.

        What a device has in secret is in its note: then nobody else may read the file.
        """
        temporary = path.with_name(f".{path.name}.new")
        if self._crypto.has_secrets:
            temporary.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # the writing below says it
                temporary.touch(mode=0o600)
        if not lib.tmd_sim_device_save(self._device, str(temporary).encode()):
            temporary.unlink(missing_ok=True)
            raise Refusal(str(path), "cannot be written", "check the folder and the disk")
        temporary.replace(path)

    def set_note(self, note: bytes) -> None:
        """Bytes that are kept in the device's file for whoever opens it."""
        if not lib.tmd_sim_device_set_note(self._device, ffi.from_buffer(note), len(note)):
            raise Refusal("simulated device", "its note is too long", "shorten the contract")

    def factory(self, model: bytes) -> None:
        """Program `model` into slot 0, as a factory does."""
        err = lib.tmd_sim_device_factory(self._device, ffi.from_buffer(model), len(model))
        if err != Status.OK:
            raise Refusal("factory model", Status(err).name.lower(), "check contract and geometry")

    def compile_in(self, model: bytes) -> None:
        """Link `model` into the firmware. It is the one that the contract describes."""
        if not lib.tmd_sim_device_compile_in(self._device, ffi.from_buffer(model), len(model)):
            raise MemoryError

    @property
    def has_compiled_in(self) -> bool:
        return bool(self._device.config.compiled_in != ffi.NULL)

    def boot(self, seed: int = 0xA5) -> Status:
        """Power on with RAM full of noise, and mount the store."""
        self._model.slot = lib.TMD_SLOT_NONE
        return Status(lib.tmd_sim_device_boot(self._device, seed))

    @property
    def _store(self) -> Any:
        return ffi.addressof(self._device, "store")

    def open(self) -> Status:
        """Open the active model. One on trial is started: its test vectors run."""
        self._inference.error = ""
        return Status(lib.tmd_store_open(self._store, self._model))

    def close(self) -> None:
        """Close the model that was opened."""
        lib.tmd_store_close(self._store, self._model)

    def read_opened(self) -> bytes:
        """The bytes of the opened model, without test vectors."""
        data = ffi.new("uint8_t[]", self._model.bytes)
        err = lib.tmd_model_read(self._store, self._model, 0, data, self._model.bytes)
        if err != Status.OK:
            raise Refusal("opened model", Status(err).name.lower(), "open it first")
        return bytes(ffi.buffer(data, self._model.bytes))

    def confirm(self) -> Status:
        return Status(lib.tmd_store_confirm(self._store))

    def revert(self) -> Status:
        return Status(lib.tmd_store_revert(self._store))

    def forget(self) -> Status:
        """Forget what the inactive slot holds."""
        return Status(lib.tmd_store_forget(self._store))

    def stage(self, patch: bytes, piece: int) -> tuple[Status, int, int]:
        """Send the patch through the staging region: status, where it went on, and bytes sent."""
        data, length = ffi.from_buffer(patch), len(patch)
        staging = ffi.addressof(self._device, "staging")
        err = lib.tmd_staging_begin(staging, self._store, length, lib.tmd_crc32(0, data, length))
        if err != Status.OK:
            return Status(err), 0, 0
        start, sent = int(staging.next), ffi.new("uint32_t *")
        # It begins again, which finds what the first beginning left.
        err = lib.tmd_sim_device_stage(self._device, data, length, piece, sent)
        return Status(err), start, int(sent[0])

    def resume(self) -> tuple[Status, Staged]:
        """Apply the staged patch if it is complete: status, and what was there."""
        status = Status(lib.tmd_sim_device_resume(self._device))
        staging = self._device.staging
        return status, Staged(int(staging.bytes), int(staging.next))

    def stream(self, patch: bytes, piece: int) -> Status:
        """Send the patch in pieces of `piece` bytes, and finish."""
        data = ffi.from_buffer(patch)
        return Status(lib.tmd_sim_device_stream(self._device, data, len(patch), piece))

    def check(self, patch: bytes) -> Status:
        """Would a staged apply take the patch? Writes nothing."""
        return Status(lib.tmd_sim_device_check(self._device, ffi.from_buffer(patch), len(patch)))

    def staged(self, patch: bytes) -> Status:
        """Check the whole patch first, then apply it."""
        return Status(lib.tmd_sim_device_staged(self._device, ffi.from_buffer(patch), len(patch)))

    @property
    def active(self) -> Active:
        a = self._device.store.active
        return Active(a.slot, a.bytes, bytes(a.sha256))

    @property
    def info(self) -> Info:
        info = ffi.new("struct tmd_store_info *")
        lib.tmd_store_get_info(self._store, info)
        return Info(
            version=info.version,
            floor=info.floor,
            sequence=info.sequence,
            updates=info.updates,
            erases=info.erases,
            written=info.written,
            starts=info.starts,
            trial=bool(info.trial),
            opened=bool(self._device.store.started),
            slots=(self._slot(0), self._slot(1)),
        )

    def metadata(self, tag: Tlv) -> bytes:
        """What is said of the active model under that tag; empty if nothing is."""
        value = ffi.new("uint8_t[]", METADATA_MAX)
        length = lib.tmd_store_metadata(self._store, tag, value, METADATA_MAX)
        return bytes(ffi.buffer(value, max(length, 0)))

    def _slot(self, number: int) -> SlotInfo:
        record = bytes(self._device.store.record)
        at = RECORD[f"slot{number}"].offset

        def field(name: str) -> bytes:
            place = ENTRY[name]
            return record[at + place.offset : at + place.offset + place.size]

        def value(name: str) -> int:
            return int.from_bytes(field(name), "little")

        return SlotInfo(
            state=SlotState(value("state")),
            length=value("bytes"),
            model_bytes=value("model_bytes"),
            sha256=field("sha256"),
            version=value("version"),
            floor=value("floor"),
        )

    @property
    def lowest_version(self) -> int:
        """What the contract asks of an update; the records may ask for more."""
        return int(self._contract.pointer.models[self._index].lowest_version)

    @property
    def options(self) -> Options:
        o = self._device.options
        return Options(int(o.trial_starts), int(o.staging_bytes), int(o.progress_bytes))

    def read_active(self) -> bytes:
        """The bytes of the active model, with test vectors, read through the store."""
        length = self._device.store.active.bytes
        buffer = ffi.new("uint8_t[]", length)
        err = lib.tmd_store_read(ffi.addressof(self._device, "store"), 0, buffer, length)
        if err != Status.OK:
            raise Refusal("active model", Status(err).name.lower(), "boot the device first")
        return bytes(ffi.buffer(buffer, length))

    @property
    def flash(self) -> bytes:
        """Every byte of the flash as it is, without asking the port."""
        sim = self._device.sim
        return bytes(ffi.buffer(sim.bytes, sim.size))

    @property
    def counts(self) -> Counts:
        c = self._device.sim.counts
        return Counts(
            c.operations,
            c.reads,
            c.writes,
            c.erases,
            c.bytes_read,
            c.bytes_written,
            c.rewrites,
            c.illegal,
        )

    @property
    def illegal_text(self) -> str:
        """The first operation that real flash could not have done; empty if there was none."""
        return str(ffi.string(self._device.sim.illegal_text).decode())

    def cut_at(self, operations_ahead: int, shape: CutShape, part: int = CUT_ANYWHERE) -> None:
        """Let the power fail at the n-th write or erase from now; 0 takes it back.

        part: write units that are done before, modulo their number.
        """
        sim = self._device.sim
        sim.cut_at = sim.counts.operations + operations_ahead if operations_ahead else 0
        sim.cut = int(shape)
        sim.cut_part = part

    @property
    def pending_cut(self) -> int:
        """How many writes and erases ahead the power will fail; 0 if it will not."""
        sim = self._device.sim
        return max(0, int(sim.cut_at) - int(sim.counts.operations)) if sim.cut_at else 0

    @property
    def geometry_name(self) -> str:
        return str(ffi.string(self._device.geometry_name).decode())

    @property
    def slot_bytes(self) -> tuple[int, int]:
        """Size of the two slots in flash."""
        slots = self._device.config.slot
        return int(slots[0].bytes), int(slots[1].bytes)

    @property
    def powered(self) -> bool:
        return bool(self._device.sim.powered)

    @property
    def is_on(self) -> bool:
        """Powered, with its store mounted."""
        return bool(lib.tmd_sim_device_is_on(self._device))


def read_note(path: Path) -> bytes:
    """The note of a device's file. Refuses a file that is not a device's."""
    limit = 1 << 20
    buffer = ffi.new("uint8_t[]", limit)
    length = lib.tmd_sim_device_note(str(path).encode(), buffer, limit)
    if not 0 <= length <= limit:
        raise Refusal(str(path), "not a simulated device", "make one with `tmd sim init`")
    return bytes(ffi.buffer(buffer, length))
