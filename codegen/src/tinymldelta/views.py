"""Views: what the templates print, worked out from a contract. Templates only loop and print."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinymldelta.container.metadata import write_metadata
from tinymldelta.contract import Contract, ContractKey, LinkedOperator, ModelContract, SealedKey
from tinymldelta.errors import Refusal
from tinymldelta.facts import OperatorFact, TensorFact
from tinymldelta.tflm import resolver_method, type_names
from tinymldelta.versions import version_text
from tinymldelta.wire import constants as wire

_BYTES_PER_LINE = 12


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model of the guardrail header; the numbers as C literals."""

    name: str
    macro: str
    index: int
    id: str
    version: str
    version_text: str
    lowest_version: str
    lowest_version_text: str
    arena_bytes: int
    arena_note: str
    opset_hash: str
    io_hash: str
    hashes: tuple[str, ...]  # TENSORS, QUANTISATION, TENSOR_NAMES
    slot_bytes: int
    model_bytes: int
    sha256_lines: tuple[str, ...]
    said_lines: tuple[str, ...]
    said_bytes: int
    operators: tuple[str, ...]
    tensors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinkedView:
    """An operator of the guardrail header."""

    id: str
    lowest: int
    highest: int
    types: str
    text: str


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key of the guardrail header. lines: of its public part; none for a secret."""

    name: str
    kind: str
    id: str
    text: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContractView:
    wire_version: int
    accept: str
    accept_names: tuple[str, ...]
    formats: str
    format1: bool
    decoder: int
    decoder_name: str
    tflm_abi: str
    kernels: str
    kernels_text: str
    operators: tuple[LinkedView, ...]
    meta_kept: int
    erase_bytes: int
    write_bytes: int
    models: tuple[ModelView, ...]
    keys: tuple[KeyView, ...]
    sealed_keys: tuple[KeyView, ...]
    device_class: str
    device_class_text: str


@dataclass(frozen=True, slots=True)
class CustomOperatorView:
    """A custom operator that the firmware brings itself: `function` gives its registration."""

    name: str
    function: str


@dataclass(frozen=True, slots=True)
class ResolverView:
    methods: tuple[str, ...]
    customs: tuple[CustomOperatorView, ...]

    @property
    def count(self) -> int:
        return len(self.methods) + len(self.customs)


@dataclass(frozen=True, slots=True)
class ModelArrayView:
    name: str
    macro: str
    length: int
    lines: tuple[str, ...]


def _byte_lines(data: bytes) -> tuple[str, ...]:
    return tuple(
        ", ".join(f"0x{b:02x}" for b in data[i : i + _BYTES_PER_LINE]) + ","
        for i in range(0, len(data), _BYTES_PER_LINE)
    )


def _operator_text(op: OperatorFact) -> str:
    return f"{_comment(op.name)} v{op.version}" + (" (custom)" if op.custom else "")


def _comment(text: str) -> str:
    """Text of a model, made harmless inside a C comment and on one line."""
    return re.sub(r"[^\x20-\x7e]|[*\\?]", "_", text)


def _tensor_text(role: str, tensor: TensorFact) -> str:
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    text = f"{role} {_comment(tensor.name)}: {tensor.type} {shape}"
    if len(tensor.scale) == 1:
        text += f", scale {tensor.scale[0]:.9g}, zero point {tensor.zero_point[0]}"
    elif tensor.scale:
        text += f", {len(tensor.scale)} scales"
    return text


def _model_view(model: ModelContract, index: int) -> ModelView:
    need = model.arena_need
    said = write_metadata(model.said, wire.FORMAT_2)
    return ModelView(
        name=model.name,
        macro=model.name.upper(),
        index=index,
        id=f"0x{model.id:08x}u",
        version=f"0x{model.version:08x}u",
        version_text=version_text(model.version),
        lowest_version=f"0x{model.lowest_version:08x}u",
        lowest_version_text=version_text(model.lowest_version),
        arena_bytes=model.arena_bytes,
        arena_note=f"the model needs {need.bytes}, {need.origin}",
        opset_hash=f"0x{model.opset_hash:08x}u",
        io_hash=f"0x{model.io_hash:08x}u",
        hashes=tuple(
            f"0x{h:08x}u" for h in (model.tensors, model.quantisation, model.tensor_names)
        ),
        slot_bytes=model.slot_bytes,
        model_bytes=model.model_bytes,
        sha256_lines=_byte_lines(model.model_sha256),
        said_lines=_byte_lines(said),
        said_bytes=len(said),
        operators=tuple(map(_operator_text, model.operators)),
        tensors=tuple(_tensor_text("in", t) for t in model.inputs)
        + tuple(_tensor_text("out", t) for t in model.outputs),
    )


def _linked_view(op: LinkedOperator) -> LinkedView:
    return LinkedView(
        id=f"0x{op.id:08x}u" if op.custom else f"{op.id}u",
        lowest=op.lowest,
        highest=op.highest,
        types=f"0x{op.types:02x}u",
        text=f"{_comment(op.name)}: {type_names(op.types)}",
    )


def _key_view(name: str, group: str, key: ContractKey | SealedKey) -> KeyView:
    return KeyView(
        name=name,
        kind=f"TMD_{group}_{key.kind.name}",
        id=", ".join(f"0x{b:02x}" for b in key.id),
        text=key.text,
        lines=_byte_lines(key.public),
    )


def contract_view(contract: Contract) -> ContractView:
    names = {
        f"TMD_{name}": getattr(wire, name)
        for name in (
            "ACCEPT_UNGUARDED",
            "ACCEPT_NO_DIGEST",
            "ACCEPT_KERNELS_WARNED",
            "ACCEPT_KERNELS",
            "ACCEPT_QUANTISATION",
            "COMPARE_NAMES",
            "ANTI_ROLLBACK",
        )
    }
    return ContractView(
        wire_version=wire.WIRE_VERSION,
        accept=f"0x{contract.accept:04x}u",
        accept_names=tuple(n for n, bit in names.items() if contract.accept & bit),
        formats=f"0x{sum(1 << f for f in contract.formats):04x}u",
        format1=wire.FORMAT_1 in contract.formats,
        decoder=int(contract.decoder),
        decoder_name=contract.decoder.name.lower(),
        tflm_abi=f"0x{contract.tflm_abi:04x}u",
        kernels=f"0x{contract.kernels.identity:08x}u",
        kernels_text=contract.kernels.text,
        operators=tuple(map(_linked_view, contract.operators)),
        meta_kept=contract.meta_kept,
        erase_bytes=contract.erase_bytes,
        write_bytes=contract.write_bytes,
        models=tuple(_model_view(m, i) for i, m in enumerate(contract.models)),
        keys=tuple(_key_view(f"key{i}", "SIGNATURE", key) for i, key in enumerate(contract.keys)),
        sealed_keys=tuple(
            _key_view(f"sealed_key{i}", "AGREEMENT", key)
            for i, key in enumerate(contract.sealed_keys)
        ),
        device_class=f"0x{contract.class_id:08x}u",
        device_class_text=contract.device_class or "none",
    )


def resolver_view(contract: Contract) -> ResolverView:
    """The operators of all models, each once whatever its versions: TFLM has one kernel for all."""
    methods: set[str] = set()
    customs: dict[str, CustomOperatorView] = {}
    for op in contract.operators:
        revision = contract.kernels.revision
        method = resolver_method(op.name, custom=op.custom, revision=revision)
        if method is not None:
            methods.add(method)
        else:  # custom: the contract has no other operator that its kernels do not have
            if not re.fullmatch(r"[\x20-\x7e]+", op.name) or '"' in op.name or "\\" in op.name:
                raise Refusal(
                    "operators",
                    f"the custom operator {op.name!r} has no usable name",
                    "rename it to letters, digits and _",
                )
            identifier = re.sub(r"\W", "_", op.name).lower()
            if any(c.function == f"tmd_custom_{identifier}" for c in customs.values()):
                identifier += f"_{len(customs)}"
            customs[op.name] = CustomOperatorView(op.name, f"tmd_custom_{identifier}")
    return ResolverView(tuple(sorted(methods)), tuple(customs[n] for n in sorted(customs)))


def model_array_view(name: str, data: bytes) -> ModelArrayView:
    return ModelArrayView(name, name.upper(), len(data), _byte_lines(data))
