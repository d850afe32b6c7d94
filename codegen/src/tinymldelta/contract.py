"""The contract: what one firmware build accepts.

One object, rendered as `contract.json` and as `const struct tmd_contract` in the generated header;
patch metadata comes from the same facts, so that firmware and patches agree by construction.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from tinymldelta.arena import ArenaNeed
from tinymldelta.container.accepts import Accepts, OperatorRange
from tinymldelta.container.operators import is_custom
from tinymldelta.container.patch import Metadata
from tinymldelta.errors import Refusal
from tinymldelta.facts import OperatorFact, TensorFact
from tinymldelta.keys import AgreementPrivate, MacKey, Opener, PublicKey, Verifier, key_text
from tinymldelta.tflm import KernelBuild
from tinymldelta.wire import constants as wire
from tinymldelta.words import words_of


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


def tflm_abi(kernels: KernelBuild, schema_version: int) -> int:
    """TFLM_ABI of SPEC.md: the low byte of the kernels' identity, and the schema version."""
    return (kernels.identity & 0xFF) << 8 | schema_version
