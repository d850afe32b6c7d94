"""The contract: what one firmware build accepts.

One object, rendered as `contract.json` and as `const struct tmd_contract` in the generated header;
patch metadata comes from the same facts, so that firmware and patches agree by construction.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tinymldelta.arena import ArenaNeed
from tinymldelta.container.accepts import Accepts, OperatorRange
from tinymldelta.container.metadata import write_metadata
from tinymldelta.container.operators import is_custom
from tinymldelta.container.patch import Metadata
from tinymldelta.errors import Refusal
from tinymldelta.facts import (
    Facts,
    OperatorFact,
    TensorFact,
    io_hash,
    opset_hash,
    quantisation_hash,
    tensor_names_hash,
    tensors_hash,
)
from tinymldelta.keys import AgreementPrivate, MacKey, Opener, PublicKey, Verifier, key_text
from tinymldelta.model import operator_code
from tinymldelta.tflm import DEFAULT_KERNELS, KernelBuild, supported, type_names
from tinymldelta.wire import constants as wire

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}\Z")
_CLASS = re.compile(r"[A-Za-z0-9_.-]{1,31}\Z")
_U32_MAX = 0xFFFFFFFF
_ALL_TYPES = 0xFF

# Bytes of metadata that stay with a model: config.h's default, and its limits.
META_KEPT = 192
META_KEPT_MIN, META_KEPT_MAX = 64, 255

_KEYS_MAX = 255  # of a contract: a device remembers in a byte which one signed


@dataclass(frozen=True, slots=True)
class ModelContract:
    """What the firmware has for one model. Sizes in bytes.

    arena_bytes: the tensor arena that the application reserves; arena_need: what the model that the
    firmware was built with needs of it; version: of that model, 0 if it has none; lowest_version:
    lowest one that an update may have. opset_hash and io_hash are for format 1, the other hashes
    for format 2. note, labels: what is said of the model that the firmware was built with.
    """

    name: str
    arena_bytes: int
    arena_need: ArenaNeed
    slot_bytes: int
    version: int
    lowest_version: int
    model_bytes: int
    model_sha256: bytes
    opset_hash: int
    io_hash: int
    operators: tuple[OperatorFact, ...]
    inputs: tuple[TensorFact, ...]
    outputs: tuple[TensorFact, ...]
    tensors: int
    quantisation: int
    tensor_names: int
    note: str = ""
    labels: tuple[str, ...] = ()

    @property
    def said(self) -> Metadata:
        """What a device tells of the model, as a patch would carry it."""
        return words_of(self.name, self.note, self.labels)

    @property
    def id(self) -> int:
        """Whose slots and records these are: the CRC-32 of the name."""
        return zlib.crc32(self.name.encode())


@dataclass(frozen=True, slots=True)
class LinkedOperator:
    """An operator that the firmware has: versions lowest to highest, bits of element types.

    id: how a patch of format 2 names it (`container.operators`).
    """

    id: int
    name: str
    lowest: int
    highest: int
    types: int

    @property
    def custom(self) -> bool:
        return is_custom(self.id)


@dataclass(frozen=True, slots=True)
class ContractKey:
    """A key that may sign patches. id: 4 bytes.

    public: as long as its kind has it; empty for a secret that each device has under a number.
    """

    kind: wire.SignatureKind
    id: bytes
    public: bytes = b""

    @property
    def text(self) -> str:
        return key_text(self.kind, self.id)


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A key that patches may be encrypted to: its public part. id: 4 bytes."""

    kind: wire.AgreementKind
    id: bytes
    public: bytes

    @property
    def text(self) -> str:
        return key_text(self.kind, self.id)


@dataclass(frozen=True, slots=True)
class _AbsentSecret:
    """In the place of a secret that nobody gave."""

    kind: wire.SignatureKind
    id: bytes

    def verify(self, digest: bytes, signature: bytes) -> bool:
        raise LookupError


@dataclass(frozen=True, slots=True)
class _AbsentOpener:
    """In the place of a private key that nobody gave."""

    kind: wire.AgreementKind
    id: bytes

    def agree(self, peer: bytes) -> bytes | None:
        raise LookupError


@dataclass(frozen=True, slots=True)
class Contract:
    """What one firmware accepts.

    accept: ACCEPT_* and COMPARE_* bits; formats: patch formats that are taken; decoder: how much of
    format 2; kernels: the build of TFLM's kernels; tflm_abi: the same for format 1; operators: what
    is linked, by id; meta_kept: bytes of metadata that stay with a model; erase_bytes: largest
    erase unit of the slots; write_bytes: write unit. keys: who may sign; with some, patches that
    are not signed are refused; sealed_keys: to whom they may be encrypted; device_class: name,
    empty if the firmware is of no class; class_id: DEVICE_CLASS of that name, 0 if it is empty.
    """

    accept: int
    formats: tuple[int, ...]
    decoder: wire.Decoder
    kernels: KernelBuild
    tflm_abi: int
    operators: tuple[LinkedOperator, ...]
    meta_kept: int
    erase_bytes: int
    write_bytes: int
    models: tuple[ModelContract, ...]
    keys: tuple[ContractKey, ...] = ()
    sealed_keys: tuple[SealedKey, ...] = ()
    device_class: str = ""
    class_id: int = 0

    def model_index(self, name: str | None) -> int:
        """Index of the model of that name; with None, of the only one. Refuses otherwise."""
        names = [m.name for m in self.models]
        if name is None:
            if len(names) != 1:
                raise Refusal(
                    "contract",
                    f"it has the models {', '.join(names)}",
                    "say which one with --model NAME",
                )
            return 0
        if name not in names:
            raise Refusal("contract", f"no model is named {name!r}", f"it has {', '.join(names)}")
        return names.index(name)

    def verifiers(
        self, secrets: Sequence[MacKey] = ()
    ) -> dict[tuple[wire.SignatureKind, bytes], Verifier]:
        """The keys that may sign, by kind and id. secrets: those for the MAC keys, where known."""
        known: dict[tuple[wire.SignatureKind, bytes], Verifier] = {
            (s.kind, s.id): s for s in secrets
        }
        result: dict[tuple[wire.SignatureKind, bytes], Verifier] = {}
        for key in self.keys:
            if key.public:
                result[key.kind, key.id] = PublicKey(key.kind, key.public)
            else:
                result[key.kind, key.id] = known.get(
                    (key.kind, key.id), _AbsentSecret(key.kind, key.id)
                )
        return result

    def accepts(
        self,
        index: int,
        *,
        secrets: Sequence[MacKey] = (),
        openers: Sequence[AgreementPrivate] = (),
    ) -> Accepts:
        """What a patch for model `index` is judged by.

        secrets, openers: the private halves that a device has of its keys. A contract does not say
        whether its firmware runs test vectors; taken that it does.
        """
        model = self.models[index]
        given: dict[tuple[wire.AgreementKind, bytes], Opener] = {(o.kind, o.id): o for o in openers}
        return Accepts(
            formats=frozenset(self.formats),
            decoder=self.decoder,
            flags=self.accept,
            arena_bytes=model.arena_bytes,
            tflm_abi=self.tflm_abi,
            opset_hash=model.opset_hash,
            io_hash=model.io_hash,
            slot_bytes=model.slot_bytes,
            lowest_version=model.lowest_version,
            self_test=True,
            name=model.name,
            kernels=self.kernels.identity,
            operators={
                op.id: OperatorRange(op.lowest, op.highest, op.types) for op in self.operators
            },
            tensors=model.tensors,
            quantisation=model.quantisation,
            tensor_names=model.tensor_names,
            write_bytes=self.write_bytes,
            meta_kept=self.meta_kept,
            keys=self.verifiers(secrets),
            sealed_keys=tuple(
                given.get((key.kind, key.id), _AbsentOpener(key.kind, key.id))
                for key in self.sealed_keys
            ),
            device_class=self.class_id,
            # The least that a device's records have: where it is higher, nobody here knows.
            floor=model.version if self.accept & wire.ANTI_ROLLBACK else 0,
        )


@dataclass(frozen=True, slots=True)
class OptionNames:
    """What whoever states the limits calls them, for messages: here, `tmd codegen`'s options."""

    slot: str = "--slot"
    arena: str = "--arena"
    arena_need: str = "--arena-need"
    version: str = "--model-version"
    lowest_version: str = "--lowest-version"
    erase: str = "--erase"
    write: str = "--write"
    extra_operators: str = "--extra-op"
    labels: str = "--labels"
    meta_kept: str = "--meta-kept"
    keys: str = "--public-key or --mac-key"
    sealed_keys: str = "--decryption-key"
    device_class: str = "--device-class"
    format_1: str = "--format-1"
    decoder: str = "--decoder"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a firmware sets aside, in bytes, and takes. Per model by name; those left out have an
    arena as they need it, slots of slot_bytes, versions of 0, and nothing is said of them.
    extra_operators: names of the schema, of operators that no model needs yet.
    """

    slot_bytes: int
    erase_bytes: int
    write_bytes: int
    arena_bytes: Mapping[str, int]
    arena_need: Mapping[str, int]
    kernels: KernelBuild = DEFAULT_KERNELS
    extra_operators: tuple[str, ...] = ()
    meta_kept: int = META_KEPT
    accept: int = 0
    formats: tuple[int, ...] = (wire.FORMAT_1, wire.FORMAT_2)
    decoder: wire.Decoder = wire.Decoder.DEFAULT
    version: Mapping[str, int] = field(default_factory=dict)
    lowest_version: Mapping[str, int] = field(default_factory=dict)
    slots: Mapping[str, int] = field(default_factory=dict)
    note: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: tuple[ContractKey, ...] = ()
    sealed_keys: tuple[SealedKey, ...] = ()
    device_class: str = ""
    names: OptionNames = OptionNames()

    def slot_of(self, name: str) -> int:
        """Bytes of each of a model's slots."""
        return self.slots.get(name, self.slot_bytes)


def tflm_abi(kernels: KernelBuild, schema_version: int) -> int:
    """TFLM_ABI of SPEC.md: the low byte of the kernels' identity, and the schema version."""
    return (kernels.identity & 0xFF) << 8 | schema_version


def class_id(name: str) -> int:
    """DEVICE_CLASS of SPEC.md for a class of that name; 0 for none."""
    return zlib.crc32(name.encode()) if name else 0


def check_class(name: str, where: str) -> str:
    """The name of a class of devices, empty for none. Refuses what is none."""
    if name and not _CLASS.match(name):
        raise Refusal(
            where,
            f"{name!r} is no name for a class of devices",
            "use letters, digits, _, - and ., at most 31 characters",
        )
    if name and not class_id(name):
        raise Refusal(
            where, f"the CRC-32 of {name!r} is 0, which stands for no class", "use another name"
        )
    return name


def parse_labels(text: bytes, where: str) -> tuple[str, ...]:
    """The names of classes in a file, one in each line. Refuses one that is no text."""
    try:
        lines = text.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise Refusal(where, "not UTF-8 text", "give names of classes, one a line") from error
    # Not splitlines(), which knows a dozen other ends of lines; classes are counted by these.
    return tuple(lines[:-1] if lines[-1] == "" else lines)


def label_bytes(labels: Sequence[str]) -> bytes | None:
    """LABELS of SPEC.md, or None if there are none. Refuses a label with a line feed."""
    for label in labels:
        if not label or "\n" in label:
            raise Refusal("labels", f"{label!r} is no label", "give each class a name of one line")
    return "\n".join(labels).encode() or None


def words_of(name: str, note: str, labels: Sequence[str]) -> Metadata:
    """NOTE and LABELS for the model of that name. Refuses what is too long for its TLV."""
    try:
        words = Metadata(note=note.encode() or None, labels=label_bytes(labels))
    except UnicodeEncodeError as error:
        raise Refusal(name, "its note or labels are not UTF-8 text", "write them so") from error
    for what, value, tag in (
        ("note", words.note, wire.Tlv.NOTE),
        ("list of labels", words.labels, wire.Tlv.LABELS),
    ):
        most = wire.TLVS[tag].most
        if value is not None and len(value) > most:
            raise Refusal(
                name, f"its {what} needs {len(value)} bytes, {most} are the most", "shorten it"
            )
    return words


def _model_contract(name: str, facts: Facts, limits: Limits) -> ModelContract:
    if not _NAME.match(name):
        raise Refusal(
            name,
            "not a name for a model",
            "use a to z, 0 to 9 and _, at most 31 characters, a letter first",
        )
    need = facts.arena
    supply = limits.arena_bytes.get(name, need.bytes)
    if supply < need.bytes:
        raise Refusal(
            name,
            f"an arena of {supply} bytes is too small: "
            f"the model needs {need.bytes} ({need.origin})",
            f"raise {limits.names.arena} to {need.bytes}, "
            f"or give what you measured with {limits.names.arena_need}",
        )
    if supply > _U32_MAX:
        raise Refusal(
            name,
            f"an arena of {supply} bytes does not fit 32 bits",
            f"lower {limits.names.arena}",
        )
    if facts.length > limits.slot_of(name):
        raise Refusal(
            name,
            f"the model is {facts.length} bytes, a slot {limits.slot_of(name)}",
            f"raise {limits.names.slot} or use a smaller model",
        )
    return ModelContract(
        name=name,
        arena_bytes=supply,
        arena_need=need,
        slot_bytes=limits.slot_of(name),
        version=limits.version.get(name, 0),
        lowest_version=limits.lowest_version.get(name, 0),
        model_bytes=facts.length,
        model_sha256=facts.sha256,
        opset_hash=opset_hash(facts),
        io_hash=io_hash(facts),
        operators=facts.operators,
        inputs=facts.inputs,
        outputs=facts.outputs,
        tensors=tensors_hash(facts),
        quantisation=quantisation_hash(facts),
        tensor_names=tensor_names_hash(facts),
        note=limits.note.get(name, ""),
        labels=limits.labels.get(name, ()),
    )


def _linked(operators: Sequence[OperatorFact], limits: Limits) -> tuple[LinkedOperator, ...]:
    """What the resolver registers: what the models need, and what is linked for models to come."""
    table = supported(limits.kernels.revision, limits.kernels.kernels)
    linked: dict[int, LinkedOperator] = {}
    for op in operators:
        if op.custom:
            # Its kernel is the firmware's own: nobody here knows what else that takes.
            highest = linked[op.id].highest if op.id in linked else 0
            if op.version > wire.OPERATOR_VERSION_MAX:
                raise Refusal(
                    f"{op.name} v{op.version}",
                    f"patches know versions up to {wire.OPERATOR_VERSION_MAX}",
                    "give the custom operator a lower version",
                )
            linked[op.id] = LinkedOperator(op.id, op.name, 1, max(op.version, highest), _ALL_TYPES)
            continue
        has = table.get(op.name)
        if has is None:
            raise Refusal(
                op.name,
                f"{limits.kernels.text} has no kernel for it",
                "use another operator in the model",
            )
        if not has.lowest <= op.version <= has.highest or op.types & ~has.types:
            raise Refusal(
                f"{op.name} v{op.version} for {type_names(op.types)}",
                f"{limits.kernels.text} has v{has.lowest} to v{has.highest} for "
                f"{type_names(has.types)}",
                "convert the model for this version of TensorFlow Lite Micro, or use another one",
            )
        linked[op.id] = LinkedOperator(op.id, op.name, has.lowest, has.highest, has.types)
    for name in limits.extra_operators:
        code, has = operator_code(name), table.get(name)
        if code is None or has is None:
            raise Refusal(
                f"{limits.names.extra_operators} {name}",
                f"{limits.kernels.text} has no operator of that name",
                "spell it as the schema does, like CONV_2D",
            )
        linked[code] = LinkedOperator(code, name, has.lowest, has.highest, has.types)
    return tuple(linked[i] for i in sorted(linked))


def _check_said(model: ModelContract, limits: Limits) -> None:
    """A device that has to tell something has to have room for it."""
    bytes_ = len(write_metadata(model.said, wire.FORMAT_2))
    if bytes_ > limits.meta_kept:
        raise Refusal(
            model.name,
            f"note and labels take {bytes_} bytes, {limits.meta_kept} stay with a model",
            f"shorten them, or raise {limits.names.meta_kept}",
        )


def build_contract(models: Sequence[tuple[str, Facts]], limits: Limits) -> Contract:
    """The contract of a firmware with these models. Refuses what cannot work, with what to do."""
    names = [name for name, _ in models]
    if len(set(names)) != len(names):
        raise Refusal(", ".join(names), "two models have one name", "give each a name of its own")
    for name in names:
        if f"{name}_bytes" in names:
            raise Refusal(
                f"{name}_bytes",
                f"TMD_MODEL_{name.upper()}_BYTES is a macro of the model {name}",
                "give it another name",
            )
    for option, of_model in (
        (limits.names.arena, limits.arena_bytes),
        (limits.names.arena_need, limits.arena_need),
        (limits.names.version, limits.version),
        (limits.names.lowest_version, limits.lowest_version),
        (limits.names.slot, limits.slots),
        ("note", limits.note),
        (limits.names.labels, limits.labels),
    ):
        for name in of_model:
            if name not in names:
                raise Refusal(option, f"no model is named {name!r}", f"there is {', '.join(names)}")
    _check_geometry(limits)
    _check_trust(limits)
    contracts = tuple(_model_contract(name, facts, limits) for name, facts in models)
    for model in contracts:
        _check_said(model, limits)
    return Contract(
        accept=limits.accept,
        formats=limits.formats,
        decoder=limits.decoder,
        kernels=limits.kernels,
        tflm_abi=tflm_abi(limits.kernels, models[0][1].schema_version),
        operators=_linked([op for _, facts in models for op in facts.operators], limits),
        meta_kept=limits.meta_kept,
        erase_bytes=limits.erase_bytes,
        write_bytes=limits.write_bytes,
        models=contracts,
        keys=limits.keys,
        sealed_keys=limits.sealed_keys,
        device_class=limits.device_class,
        class_id=class_id(limits.device_class),
    )


def key_faults(
    keys: Sequence[ContractKey],
    sealed_keys: Sequence[SealedKey],
    formats: Sequence[int],
    decoder: wire.Decoder,
    names: OptionNames,
) -> tuple[str, str, str] | None:
    """What cannot be with these keys, as where, what and fix of a Refusal; None: all of it can."""
    for what, group in ((names.keys, keys), (names.sealed_keys, sealed_keys)):
        # The device looks keys up by kind and id.
        seen: set[tuple[int, bytes]] = set()
        for key in group:
            if (key.kind, key.id) in seen:
                return what, f"{key.text} is there twice", "give each key once"
            seen.add((key.kind, key.id))
    both = {key.public for key in keys if key.public} & {key.public for key in sealed_keys}
    if both:
        return (
            names.sealed_keys,
            "the key that signs for all devices would lie on each of them, to decrypt with",
            "make one for each: `tmd keygen`",
        )
    if len(keys) > _KEYS_MAX or len(sealed_keys) > _KEYS_MAX:
        return names.keys, f"{len(keys)} keys", f"give at most {_KEYS_MAX}"
    if sealed_keys and not keys:
        return (
            names.sealed_keys,
            "an encrypted patch is taken only if it is signed, and there is no key to verify with",
            f"give {names.keys} too",
        )
    if keys and decoder is wire.Decoder.NONE:
        return names.decoder, "without format 2 nothing can be signed", "choose another decoder"
    if keys and (wire.FORMAT_1 in formats or wire.FORMAT_2 not in formats):
        return (
            names.format_1,
            "patches of format 1 are not signed, and the firmware takes signed ones only",
            "leave it out, or leave out the keys",
        )
    return None


def _check_trust(limits: Limits) -> None:
    """What signed patches need, and what would let others in."""
    check_class(limits.device_class, limits.names.device_class)
    fault = key_faults(
        limits.keys, limits.sealed_keys, limits.formats, limits.decoder, limits.names
    )
    if fault is not None:
        raise Refusal(*fault)


def _check_geometry(limits: Limits) -> None:
    if not META_KEPT_MIN <= limits.meta_kept <= META_KEPT_MAX:
        raise Refusal(
            limits.names.meta_kept,
            f"{limits.meta_kept} bytes of metadata cannot be kept",
            f"give {META_KEPT_MIN} to {META_KEPT_MAX}",
        )
    write, erase = limits.write_bytes, limits.erase_bytes
    if not 1 <= write <= wire.WRITE_UNIT_MAX or wire.WRITE_UNIT_MAX % write:
        raise Refusal(
            limits.names.write,
            f"a write unit of {write} bytes is not supported",
            f"give a power of two from 1 to {wire.WRITE_UNIT_MAX}",
        )
    if erase < 1 or erase % write:
        raise Refusal(
            limits.names.erase,
            f"an erase unit of {erase} bytes is no multiple of the write unit",
            f"give a multiple of {write}",
        )
    for slot in {limits.slot_bytes, *limits.slots.values()}:
        if slot < 1 or slot % write or slot > wire.MODEL_MAX:
            raise Refusal(
                limits.names.slot,
                f"a slot of {slot} bytes is no multiple of the write unit",
                f"give a multiple of {write}, at most {wire.MODEL_MAX}",
            )
