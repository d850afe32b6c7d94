"""Facts: what codegen reads from one model, and the two hashes of format 1 over them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from tinymldelta.arena import ArenaNeed, estimate_arena
from tinymldelta.model import Model, Tensor


@dataclass(frozen=True, slots=True)
class OperatorFact:
    """An operator that some node uses. `name` is the schema's, or the custom operator's."""

    code: int
    name: str
    custom: bool
    version: int


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


def facts_of(model: Model, arena_need: int | None = None) -> Facts:
    """The facts of a model. arena_need: bytes of arena if measured; else it is estimated.

    Operators that the file declares and no node uses need no kernel, and are left out.
    """
    used = {
        OperatorFact(op.code, op.name, op.custom, op.version)
        for op in (model.operators[node.operator] for node in model.nodes)
    }
    arena = estimate_arena(model) if arena_need is None else ArenaNeed(arena_need, "given")
    return Facts(
        length=model.length,
        sha256=model.sha256,
        schema_version=model.schema_version,
        operators=tuple(sorted(used, key=_encode_operator)),
        inputs=tuple(map(_tensor_fact, model.input_tensors)),
        outputs=tuple(map(_tensor_fact, model.output_tensors)),
        arena=arena,
    )


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


def _nonzero(crc: int) -> int:
    return crc or 1  # the first TinyMLDelta takes 0 for "absent"


def opset_hash(facts: Facts) -> int:
    """OPSET_HASH of SPEC.md, 1 to 0xFFFFFFFF."""
    return _nonzero(zlib.crc32(b"".join(map(_encode_operator, facts.operators))))


def io_hash(facts: Facts) -> int:
    """IO_HASH of SPEC.md, 1 to 0xFFFFFFFF."""
    encoded = b""
    for tensors in (facts.inputs, facts.outputs):
        encoded += struct.pack("<H", len(tensors)) + b"".join(map(_encode_tensor, tensors))
    return _nonzero(zlib.crc32(encoded))
