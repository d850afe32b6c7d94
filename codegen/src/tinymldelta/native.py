"""The device's own C code, run on this machine: simulated devices and the guardrail rules.

Thin over the compiled module: types, ownership and errors, no logic. Only what makes or applies
patches imports this; codegen in a firmware build does not need the compiled part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, Protocol

from tinymldelta.container.metadata import write_metadata
from tinymldelta.contract import Contract
from tinymldelta.delta.hints import Hint
from tinymldelta.errors import Refusal
from tinymldelta.wire.constants import (
    ENTRY,
    FORMAT_2,
    RECORD,
    WIRE_VERSION,
    Rule,
    SmpCommand,
    Status,
    Tlv,
    Verdict,
)

try:
    from tinymldelta._native import ffi, lib
except ImportError as error:  # a source tree without the compiled part
    raise ImportError(
        "tinymldelta's native part is not built; install the package (`pip install .`) "
        "with a C compiler and CMake"
    ) from error

COMPILED_IN: int = lib.TMD_SLOT_COMPILED_IN
# The binding has no macros.
CUT_ANYWHERE: Final = 0xFFFFFFFF  # TMD_SIM_ANY
_METADATA_MAX: Final = 255  # TMD_STORE_METADATA_MAX


@dataclass(frozen=True, slots=True)
class Geometry:
    """A kind of simulated flash. Sizes in bytes; `pattern` is (erase unit, count), repeated."""

    name: str
    text: str
    pattern: tuple[tuple[int, int], ...]
    write_bytes: int
    erased_value: int
    needs_erase: bool
    write_once: bool

    @property
    def erase_bytes(self) -> int:
        """The largest erase unit."""
        return max(size for size, _ in self.pattern)

    @property
    def pattern_bytes(self) -> int:
        return sum(size * count for size, count in self.pattern)


class CutShape(IntEnum):
    """What is left of the write or erase that a power cut hits."""

    BEFORE = lib.TMD_SIM_CUT_BEFORE
    PREFIX = lib.TMD_SIM_CUT_PREFIX
    TORN = lib.TMD_SIM_CUT_TORN
    SUBSET = lib.TMD_SIM_CUT_SUBSET
    AFTER = lib.TMD_SIM_CUT_AFTER


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What came of one guardrail: the verdict, and the two numbers that were compared."""

    rule: Rule
    verdict: Verdict
    need: int
    have: int
    status: Status


@dataclass(frozen=True, slots=True)
class Counts:
    """What was done to a simulated flash since it was made."""

    operations: int
    reads: int
    writes: int
    erases: int
    bytes_read: int
    bytes_written: int
    rewrites: int
    illegal: int


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


class Inference(Protocol):
    """How a device runs a model: `struct tmd_inference`. Any exception is a failure."""

    def setup(self, model: bytes) -> None: ...

    def input(self, offset: int, data: bytes) -> None: ...

    def invoke(self) -> None: ...

    def output(self, offset: int, size: int) -> bytes: ...


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


def _each_geometry() -> Iterator[tuple[Geometry, Any]]:
    index = 0
    while lib.tmd_sim_geometries[index].name != ffi.NULL:
        g = lib.tmd_sim_geometries[index]
        pattern = tuple((g.pattern[i].bytes, g.pattern[i].count) for i in range(g.pattern_n))
        yield (
            Geometry(
                name=ffi.string(g.name).decode(),
                text=ffi.string(g.text).decode(),
                pattern=pattern,
                write_bytes=g.write_bytes,
                erased_value=g.erased_value,
                needs_erase=not g.flags & lib.TMD_FLASH_NO_ERASE,
                write_once=g.flags & lib.TMD_SIM_WRITE_ONCE != 0,
            ),
            g,
        )
        index += 1


def sha256(data: bytes) -> bytes:
    """SHA-256 by the C core."""
    state = ffi.new("struct tmd_sha256 *")
    out = ffi.new("uint8_t[32]")
    lib.tmd_sha256_init(state)
    lib.tmd_sha256_update(state, ffi.from_buffer(data), len(data))
    lib.tmd_sha256_final(state, out)
    return bytes(out)


def geometries() -> tuple[Geometry, ...]:
    """Every kind of flash that the simulator knows by name."""
    return tuple(geometry for geometry, _ in _each_geometry())


def geometry_of(contract: Contract) -> Geometry:
    """A known kind of flash with the contract's erase and write units, or a plain one like it."""
    for geometry in geometries():
        if (geometry.erase_bytes, geometry.write_bytes) == (
            contract.erase_bytes,
            contract.write_bytes,
        ):
            return geometry
    return Geometry(
        "contract",
        "as the contract says",
        ((contract.erase_bytes, 1),),
        contract.write_bytes,
        0xFF,
        True,
        True,
    )


class NativeContract:
    """A contract as the C core sees it. Keeps alive the memory that the C struct points to."""

    def __init__(self, contract: Contract) -> None:
        self._keep: list[Any] = []
        models = ffi.new("struct tmd_model_contract[]", len(contract.models))
        for c_model, model in zip(models, contract.models, strict=True):
            name = ffi.new("char[]", model.name.encode())
            self._keep.append(name)
            c_model.name = name
            c_model.id = model.id
            c_model.arena_bytes = model.arena_bytes
            c_model.opset_hash = model.opset_hash
            c_model.io_hash = model.io_hash
            c_model.slot_bytes = model.slot_bytes
            c_model.version = model.version
            c_model.lowest_version = model.lowest_version
            c_model.model_bytes = model.model_bytes
            c_model.tensors = model.tensors
            c_model.quantisation = model.quantisation
            c_model.tensor_names = model.tensor_names
            ffi.memmove(c_model.model_sha256, model.model_sha256, 32)
            said = write_metadata(model.said, FORMAT_2)
            c_model.meta = self._bytes(said)
            c_model.meta_bytes = len(said)
        self._keep.append(models)
        operators = ffi.new("struct tmd_operator[]", max(len(contract.operators), 1))
        for c_operator, op in zip(operators, contract.operators, strict=False):
            c_operator.id = op.id
            c_operator.lowest, c_operator.highest = op.lowest, op.highest
            c_operator.types = op.types
        self._keep.append(operators)
        self.pointer = ffi.new("struct tmd_contract *")
        self.pointer.wire_version = WIRE_VERSION
        self.pointer.accept = contract.accept
        self.pointer.formats = sum(1 << f for f in contract.formats)
        self.pointer.decoder = contract.decoder
        self.pointer.kernels = contract.kernels.identity
        self.pointer.tflm_abi = contract.tflm_abi
        self.pointer.meta_kept = contract.meta_kept
        self.pointer.operators = operators
        self.pointer.operators_n = len(contract.operators)
        self.pointer.erase_bytes = contract.erase_bytes
        self.pointer.write_bytes = contract.write_bytes
        self.pointer.models_n = len(contract.models)
        self.pointer.models = models

    def _bytes(self, data: bytes) -> Any:
        """A copy that lives as long as the contract."""
        copy = ffi.new("uint8_t[]", data or bytes(1))
        self._keep.append(copy)
        return copy


def check_rules(contract: Contract, index: int, patch: bytes) -> tuple[Status, list[RuleResult]]:
    """Read a patch's head with the C core and evaluate its format's guardrails for model `index`.

    The status is that of the head; with one other than OK there are no rules to show.
    """
    native = NativeContract(contract)
    state = ffi.new("struct tmd_patch *")
    lib.tmd_patch_init(state)
    used = ffi.new("size_t *")
    err = lib.tmd_patch_head(state, native.pointer, ffi.from_buffer(patch), len(patch), used)
    if err != Status.OK:
        return Status(err), []
    if not lib.tmd_patch_head_complete(state):
        return Status.TRUNCATED, []
    info = ffi.addressof(state, "info")
    results = []
    for rule in Rule:
        if not lib.tmd_guard_applies(info, int(rule)):
            continue
        r = lib.tmd_guard_rule(native.pointer, index, info, int(rule))
        results.append(RuleResult(rule, Verdict(r.verdict), r.need, r.have, Status(r.status)))
    return Status.OK, results


PRICE_LISTS: Final = int(lib.TMD_PRICE_LISTS)


class BodyRefused(Exception):  # noqa: N818 - says what was wrong with the call
    """The encoder was told something impossible of the files; a bug of ours."""


def fill_hint(c: Any, hint: Hint) -> None:
    """Put a hint into a `struct tmd_hint`."""
    c.kind, c.type, c.by_channel, c.range = hint.kind, hint.type, hint.by_channel, hint.range
    c.target_at, c.base_at, c.n = hint.target_at, hint.base_at, hint.n
    c.d, c.e = list(hint.shape), list(hint.base_shape)
    c.parts, c.product = hint.parts, hint.product
    c.factor, c.factor_to = hint.factor, hint.factor_to


def encode_body(
    base: bytes,
    target: bytes,
    hints: Sequence[Hint],
    *,
    lean: bool,
    prices: int = 0,
    progress: Callable[[int], None] | None = None,
) -> bytes:
    """The body of a format-2 patch from `base` to `target`, both of at least one byte.

    hints: what is known of the two, in the order of the target; lean: for a lean decoder; prices:
    which list, below PRICE_LISTS, to cut up the rest by; progress: called with the bytes of the
    target that are done.
    """
    c_hints = ffi.new("struct tmd_hint[]", max(len(hints), 1))
    for c, hint in zip(c_hints, hints, strict=False):
        fill_hint(c, hint)
    # No byte costs much more than two, and a patch that large is of no use.
    room = 2 * len(target) + 4096
    out = ffi.new("uint8_t[]", room)
    result = ffi.new("struct tmd_encoder_result *")
    callback = ffi.NULL
    if progress is not None:
        callback = ffi.callback("void(uint32_t)", progress)
    err = lib.tmd_encode(
        ffi.from_buffer(base), len(base), ffi.from_buffer(target), len(target), c_hints,
        len(hints), lean, prices, out, room, callback, result,
    )  # fmt: skip
    if err != Status.OK:
        raise BodyRefused(f"{Status(err).name} for {len(hints)} hints")
    return bytes(ffi.buffer(out, result.bytes))


class Device:
    """A simulated device for one model of a contract: flash, store, and the C code that runs them.

    A context manager; memory that C allocated is given back at its end.
    """

    def __init__(self, contract: Contract, index: int, inference: Inference | None = None) -> None:
        self._contract = NativeContract(contract)
        self._index = index
        self._device = ffi.new("struct tmd_sim_device *")
        self._model = ffi.new("struct tmd_model *")
        self._keep: list[Any] = []
        self.inference_error = ""
        """What the inference raised last."""
        self._inference = self._callbacks(inference)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        lib.tmd_sim_device_free(self._device)

    def _callbacks(self, inference: Inference | None) -> Any:
        """The inference as C calls it; without one, a firmware that cannot set up any model."""

        def call(function: Callable[[Inference], None]) -> int:
            try:
                if inference is None:
                    raise LookupError("no interpreter can be imported")
                function(inference)
            except Exception as error:  # must not cross the C code; it is a failure of the model
                self.inference_error = str(error)
                return 1
            return 0

        def setup(_ctx: Any, store: Any, model: Any) -> int:
            data = ffi.new("uint8_t[]", model.bytes)
            if lib.tmd_model_read(store, model, 0, data, model.bytes) != Status.OK:
                return 1
            return call(lambda i: i.setup(bytes(ffi.buffer(data, model.bytes))))

        def take(_ctx: Any, offset: int, data: Any, size: int) -> int:
            return call(lambda i: i.input(offset, bytes(ffi.buffer(data, size))))

        def invoke(_ctx: Any) -> int:
            return call(lambda i: i.invoke())

        def give(_ctx: Any, offset: int, data: Any, size: int) -> int:
            return call(lambda i: ffi.memmove(data, i.output(offset, size), size))

        c_inference = ffi.new("struct tmd_inference *")
        for name, function in (
            ("setup", setup),
            ("input", take),
            ("invoke", invoke),
            ("output", give),
        ):
            kind = ffi.typeof(getattr(c_inference, name))
            callback = ffi.callback(kind, function, error=1)
            self._keep.append(callback)
            setattr(c_inference, name, callback)
        return c_inference

    @classmethod
    def create(
        cls,
        contract: Contract,
        index: int,
        geometry: Geometry,
        options: Options | None = None,
        inference: Inference | None = None,
    ) -> Device:
        """A device with erased flash. Refuses if contract and geometry do not fit."""
        device = cls(contract, index, inference)
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
        device._device.config.inference = device._inference
        if err != Status.OK:
            raise Refusal(
                "simulated flash",
                f"{geometry.name} does not fit the contract",
                "give codegen the sizes of this flash",
            )
        return device

    @classmethod
    def load(
        cls, contract: Contract, index: int, path: Path, inference: Inference | None = None
    ) -> Device:
        """A device from its file: one that `is_on` goes on, another has to `boot`."""
        device = cls(contract, index, inference)
        if not lib.tmd_sim_device_load(
            device._device, str(path).encode(), device._contract.pointer, index
        ):
            raise Refusal(
                str(path),
                "not a simulated device of this version and contract",
                "make one with `tmd sim init`",
            )
        device._device.config.inference = device._inference
        return device

    def save(self, path: Path) -> None:
        """Keep the device in a file, which changes whole or not at all."""
        temporary = path.with_name(f".{path.name}.new")
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
        self.inference_error = ""
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
        value = ffi.new("uint8_t[]", _METADATA_MAX)
        length = lib.tmd_store_metadata(self._store, tag, value, _METADATA_MAX)
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
        meta = ffi.new("uint8_t[]", _METADATA_MAX)
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


def read_note(path: Path) -> bytes:
    """The note of a device's file. Refuses a file that is not a device's."""
    limit = 1 << 20
    buffer = ffi.new("uint8_t[]", limit)
    length = lib.tmd_sim_device_note(str(path).encode(), buffer, limit)
    if not 0 <= length <= limit:
        raise Refusal(str(path), "not a simulated device", "make one with `tmd sim init`")
    return bytes(ffi.buffer(buffer, length))
