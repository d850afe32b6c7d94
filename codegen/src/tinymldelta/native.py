"""The device's own C code, run on this machine: simulated devices and the guardrail rules.

Thin over the compiled module: types, ownership and errors, no logic. Only what makes or applies
patches imports this; codegen in a firmware build does not need the compiled part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from tinymldelta.contract import Contract
from tinymldelta.delta.hints import Hint
from tinymldelta.errors import Refusal
from tinymldelta.wire.constants import WIRE_VERSION, Rule, Status, Verdict

try:
    from tinymldelta._native import ffi, lib
except ImportError as error:  # a source tree without the compiled part
    raise ImportError(
        "tinymldelta's native part is not built; install the package (`pip install .`) "
        "with a C compiler and CMake"
    ) from error

COMPILED_IN: int = lib.TMD_SLOT_COMPILED_IN


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
    """The active model: `slot` is 0, 1 or COMPILED_IN."""

    slot: int
    length: int
    sha256: bytes


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
            c_model.arena_bytes = model.arena_bytes
            c_model.opset_hash = model.opset_hash
            c_model.io_hash = model.io_hash
            c_model.slot_bytes = model.slot_bytes
            c_model.model_bytes = model.model_bytes
            ffi.memmove(c_model.model_sha256, model.model_sha256, 32)
        self._keep.append(models)
        self.pointer = ffi.new("struct tmd_contract *")
        self.pointer.wire_version = WIRE_VERSION
        self.pointer.accept = contract.accept
        self.pointer.formats = sum(1 << f for f in contract.formats)
        self.pointer.decoder = contract.decoder
        self.pointer.tflm_abi = contract.tflm_abi
        self.pointer.erase_bytes = contract.erase_bytes
        self.pointer.write_bytes = contract.write_bytes
        self.pointer.models_n = len(contract.models)
        self.pointer.models = models


def check_rules(contract: Contract, index: int, patch: bytes) -> tuple[Status, list[RuleResult]]:
    """Read a patch's head with the C core and evaluate every guardrail for model `index`.

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

    def __init__(self, contract: Contract, index: int) -> None:
        self._contract = NativeContract(contract)
        self._index = index
        self._device = ffi.new("struct tmd_sim_device *")
        self._keep: list[Any] = []

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        lib.tmd_sim_device_free(self._device)

    @classmethod
    def create(cls, contract: Contract, index: int, geometry: Geometry) -> Device:
        """A device with erased flash. Refuses if contract and geometry do not fit."""
        device = cls(contract, index)
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
        err = lib.tmd_sim_device_init(device._device, c_geometry, device._contract.pointer, index)
        if err != Status.OK:
            raise Refusal(
                "simulated flash",
                f"{geometry.name} does not fit the contract",
                "give codegen the sizes of this flash",
            )
        return device

    @classmethod
    def load(cls, contract: Contract, index: int, path: Path) -> Device:
        """A device from its file, powered off: `boot` it."""
        device = cls(contract, index)
        if not lib.tmd_sim_device_load(
            device._device, str(path).encode(), device._contract.pointer, index
        ):
            raise Refusal(
                str(path),
                "not a simulated device of this version and contract",
                "make one with `tmd sim init`",
            )
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

    def boot(self, garbage: int = 0xA5) -> Status:
        """Power on with RAM full of `garbage`, and mount the store."""
        return Status(lib.tmd_sim_device_boot(self._device, garbage))

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
    def sequence(self) -> int:
        """Sequence number of the newest record; 0 before the first."""
        return int(self._device.store.sequence)

    def read_active(self) -> bytes:
        """The bytes of the active model, read through the store."""
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

    def cut_at(self, operations_ahead: int, shape: CutShape) -> None:
        """Let the power fail at the n-th write or erase from now; 0 takes it back."""
        sim = self._device.sim
        sim.cut_at = sim.counts.operations + operations_ahead if operations_ahead else 0
        sim.cut = int(shape)

    def wake(self) -> Status:
        """Mount again without touching power: a cut that lies ahead stays ahead."""
        ahead, shape = self.pending_cut, CutShape(self._device.sim.cut)
        status = self.boot()
        self.cut_at(ahead, shape)
        return status

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


def read_note(path: Path) -> bytes:
    """The note of a device's file. Refuses a file that is not a device's."""
    limit = 1 << 20
    buffer = ffi.new("uint8_t[]", limit)
    length = lib.tmd_sim_device_note(str(path).encode(), buffer, limit)
    if not 0 <= length <= limit:
        raise Refusal(str(path), "not a simulated device", "make one with `tmd sim init`")
    return bytes(ffi.buffer(buffer, length))
