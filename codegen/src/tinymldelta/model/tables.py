"""A model as frozen tables: what `.tflite` says, with the byte spans of what it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file: `length` bytes from `offset` on."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Quantisation:
    """value = scale * (q - zero_point), per tensor or along dimension `axis`.

    scale and zero_point have one entry, or one per index of the axis. The spans are those of the
    vectors in the file; None where a vector is absent or empty.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int
    scale_span: Span | None
    zero_point_span: Span | None
    min_span: Span | None
    max_span: Span | None


@dataclass(frozen=True, slots=True)
class Tensor:
    """`type` is the schema's name of the element type, `type_code` its number.

    data: span of the constant data; None for what is computed at run time.
    """

    index: int
    name: str
    type: str
    type_code: int
    shape: tuple[int, ...]
    quantisation: Quantisation | None
    data: Span | None
    buffer: int
    is_variable: bool

    @property
    def elements(self) -> int:
        count = 1
        for dimension in self.shape:
            count *= dimension
        return count


@dataclass(frozen=True, slots=True)
class Operator:
    """An entry of the file's operator codes. `name` is the schema's, or the custom operator's."""

    code: int
    name: str
    custom: bool
    version: int


@dataclass(frozen=True, slots=True)
class Node:
    """One use of an operator: indices of operator and tensors; an omitted tensor is -1."""

    operator: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """`name` is what to call the file in messages; `length` is in bytes."""

    name: str
    length: int
    sha256: bytes
    schema_version: int
    description: str
    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def input_tensors(self) -> tuple[Tensor, ...]:
        return tuple(self.tensors[i] for i in self.inputs)

    @property
    def output_tensors(self) -> tuple[Tensor, ...]:
        return tuple(self.tensors[i] for i in self.outputs)
