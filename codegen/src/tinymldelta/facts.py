"""Facts: what codegen reads from one model, and the two hashes of format 1 over them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tinymldelta.arena import ArenaNeed, predict_arena
from tinymldelta.container.operators import OperatorNeed, custom_id
from tinymldelta.model import Model, Operator, Tensor
from tinymldelta.tflm import DEFAULT_KERNELS, KernelBuild, operator_types


@dataclass(frozen=True, slots=True)
class OperatorFact:
    """An operator that some node uses. `name` is the schema's, or the custom operator's.

    types: bits of the element types for which all such nodes need its kernel (`tflm.TYPE_BITS`).
    """

    code: int
    name: str
    custom: bool
    version: int
    types: int

    @property
    def id(self) -> int:
        """How a patch of format 2 names it."""
        return custom_id(self.name) if self.custom else self.code


@dataclass(frozen=True, slots=True)
class TensorFact:
    """An in or out tensor. Without quantisation `scale` and `zero_point` are empty, `axis` is 0."""

    name: str
    type: str
    type_code: int
    shape: tuple[int, ...]
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int


@dataclass(frozen=True, slots=True)
class Facts:
    """length in bytes; operators each once, in the order of their encodings (SPEC.md)."""

    length: int
    sha256: bytes
    schema_version: int
    operators: tuple[OperatorFact, ...]
    inputs: tuple[TensorFact, ...]
    outputs: tuple[TensorFact, ...]
    arena: ArenaNeed


def facts_of(
    model: Model, arena_need: int | None = None, kernels: KernelBuild = DEFAULT_KERNELS
) -> Facts:
    """The facts of a model. arena_need: bytes of arena if measured; else predicted for `kernels`.

    Operators that the file declares and no node uses need no kernel, and are left out.
    """
    arena = predict_arena(model, kernels) if arena_need is None else ArenaNeed(arena_need, "given")
    return Facts(
        length=model.length,
        sha256=model.sha256,
        schema_version=model.schema_version,
        operators=_operator_facts(model),
        inputs=tuple(map(_tensor_fact, model.input_tensors)),
        outputs=tuple(map(_tensor_fact, model.output_tensors)),
        arena=arena,
    )


def _operator_facts(model: Model) -> tuple[OperatorFact, ...]:
    """Each operator and version once, with the element types of all its nodes."""
    types: dict[Operator, int] = {}
    for node in model.nodes:
        op = model.operators[node.operator]
        types[op] = types.get(op, 0) | operator_types(model, node)
    merged: dict[tuple[int, str, bool, int], int] = {}
    for op, mask in types.items():
        key = (op.code, op.name, op.custom, op.version)
        merged[key] = merged.get(key, 0) | mask
    facts = (OperatorFact(*key, types=mask) for key, mask in merged.items())
    return tuple(sorted(facts, key=_encode_operator))


def operator_needs(facts: Facts) -> tuple[OperatorNeed, ...]:
    """What a patch says of the operators: each once, in the highest version that is used."""
    needs: dict[int, OperatorNeed] = {}
    for op in facts.operators:
        before = needs.get(op.id, OperatorNeed(op.id, 0, 0))
        needs[op.id] = OperatorNeed(op.id, max(before.version, op.version), before.types | op.types)
    return tuple(sorted(needs.values()))


def _tensor_fact(tensor: Tensor) -> TensorFact:
    q = tensor.quantisation
    return TensorFact(
        name=tensor.name,
        type=tensor.type,
        type_code=tensor.type_code,
        shape=tensor.shape,
        scale=q.scale if q else (),
        zero_point=q.zero_point if q else (),
        axis=q.axis if q and q.scale else 0,
    )


def _encode_operator(op: OperatorFact) -> bytes:
    name = op.name.encode("utf-8") if op.custom else b""
    return struct.pack("<IIH", op.code, op.version, len(name)) + name


def _encode_tensor(tensor: TensorFact) -> bytes:
    return b"".join(
        (
            struct.pack("<BB", tensor.type_code, len(tensor.shape)),
            struct.pack(f"<{len(tensor.shape)}i", *tensor.shape),
            struct.pack("<iI", tensor.axis, len(tensor.scale)),
            struct.pack(f"<{len(tensor.scale)}f", *tensor.scale),
            struct.pack("<I", len(tensor.zero_point)),
            struct.pack(f"<{len(tensor.zero_point)}q", *tensor.zero_point),
        )
    )


def _encode_shape(tensor: TensorFact) -> bytes:
    head = struct.pack("<BB", tensor.type_code, len(tensor.shape))
    return head + struct.pack(f"<{len(tensor.shape)}i", *tensor.shape)


def _encode_quantisation(tensor: TensorFact) -> bytes:
    return _encode_tensor(tensor)[len(_encode_shape(tensor)) :]


def _encode_name(tensor: TensorFact) -> bytes:
    name = tensor.name.encode("utf-8")
    return struct.pack("<H", len(name) & 0xFFFF) + name


def _interface_crc(facts: Facts, encode: Callable[[TensorFact], bytes]) -> int:
    """The CRC-32 over all in and out tensors, with their numbers."""
    encoded = b""
    for tensors in (facts.inputs, facts.outputs):
        encoded += struct.pack("<H", len(tensors)) + b"".join(map(encode, tensors))
    return zlib.crc32(encoded)


def _nonzero(crc: int) -> int:
    return crc or 1  # the first TinyMLDelta takes 0 for "absent"


def opset_hash(facts: Facts) -> int:
    """OPSET_HASH of SPEC.md, 1 to 0xFFFFFFFF."""
    return _nonzero(zlib.crc32(b"".join(map(_encode_operator, facts.operators))))


def io_hash(facts: Facts) -> int:
    """IO_HASH of SPEC.md, 1 to 0xFFFFFFFF."""
    return _nonzero(_interface_crc(facts, _encode_tensor))


def tensors_hash(facts: Facts) -> int:
    """TENSORS of SPEC.md: element types and shapes of in and out tensors."""
    return _interface_crc(facts, _encode_shape)


def quantisation_hash(facts: Facts) -> int:
    """QUANTISATION of SPEC.md: their scales and zero points."""
    return _interface_crc(facts, _encode_quantisation)


def tensor_names_hash(facts: Facts) -> int:
    """TENSOR_NAMES of SPEC.md."""
    return _interface_crc(facts, _encode_name)
