"""Views: what the templates print, worked out from a contract. Templates only loop and print."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinymldelta.contract import Contract, ModelContract
from tinymldelta.errors import Refusal
from tinymldelta.facts import OperatorFact, TensorFact
from tinymldelta.tflm import resolver_method
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
    slot_bytes: int
    model_bytes: int
    sha256_lines: tuple[str, ...]
    operators: tuple[str, ...]
    tensors: tuple[str, ...]


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
    erase_bytes: int
    write_bytes: int
    models: tuple[ModelView, ...]


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
        slot_bytes=model.slot_bytes,
        model_bytes=model.model_bytes,
        sha256_lines=_byte_lines(model.model_sha256),
        operators=tuple(map(_operator_text, model.operators)),
        tensors=tuple(_tensor_text("in", t) for t in model.inputs)
        + tuple(_tensor_text("out", t) for t in model.outputs),
    )


def contract_view(contract: Contract) -> ContractView:
    names = {
        "TMD_ACCEPT_UNGUARDED": wire.ACCEPT_UNGUARDED,
        "TMD_ACCEPT_NO_DIGEST": wire.ACCEPT_NO_DIGEST,
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
        erase_bytes=contract.erase_bytes,
        write_bytes=contract.write_bytes,
        models=tuple(_model_view(m, i) for i, m in enumerate(contract.models)),
    )


def resolver_view(contract: Contract) -> ResolverView:
    """The operators of all models, each once whatever its versions: TFLM has one kernel for all."""
    methods: set[str] = set()
    customs: dict[str, CustomOperatorView] = {}
    for op in contract.operators:
        method = resolver_method(op.name, custom=op.custom)
        if method is not None:
            methods.add(method)
        elif op.custom:
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
        else:
            raise Refusal(
                "operators",
                f"TensorFlow Lite Micro has no kernel for {op.name}",
                "use another operator in the model",
            )
    return ResolverView(tuple(sorted(methods)), tuple(customs[n] for n in sorted(customs)))


def model_array_view(name: str, data: bytes) -> ModelArrayView:
    return ModelArrayView(name, name.upper(), len(data), _byte_lines(data))
