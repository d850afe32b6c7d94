"""A model as frozen tables: what `.tflite` says, with the byte spans of what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Bits of one element, by the schema's name of its type. What is missing here (strings, variants) is
# refused by the reader, so every `Tensor.type` is a key.
ELEMENT_BITS: Final[dict[str, int]] = {
    "FLOAT32": 32, "FLOAT16": 16, "INT32": 32, "UINT8": 8, "INT64": 64, "BOOL": 8, "INT16": 16,
    "COMPLEX64": 64, "INT8": 8, "FLOAT64": 64, "COMPLEX128": 128, "UINT64": 64, "RESOURCE": 32,
    "UINT32": 32, "UINT16": 16, "INT4": 4, "BFLOAT16": 16,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file: `length` bytes from `offset` on."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Quantisation:
    """value = scale * (q - zero_point), per tensor or along dimension `axis`.

    scale has one entry, or one per index of the axis; zero_point as many, or one, or none. Both are
    empty where the file has a range only. axis counts only with several scales, and on tensors of
    rank 1 may be that of the weights. The spans are those of the vectors in the file; None where a
    vector is absent or empty. min and max are never read by TFLM.
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

    shape: dimensions from 0 up, outermost first; () for a scalar. data: span of the constant data;
    None for what is computed at run time. buffer: index into the file's buffers.
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
    """One use of an operator: indices of operator and tensors; an omitted tensor is -1.

    options: of BATCH_MATMUL adj_x and adj_y, 1 where the operand is taken as transposed; of
    CALL_ONCE, IF and WHILE the subgraphs that they run; of VAR_HANDLE the variable's number. Of
    CONV_2D, DEPTHWISE_CONV_2D, AVERAGE_POOL_2D and MAX_POOL_2D, by the schema's numbers, padding,
    strides and fused activation, then height and width of dilation or filter, and of
    DEPTHWISE_CONV_2D the depth multiplier; of FULLY_CONNECTED activation and format of the weights;
    of ADD activation; of SOFTMAX the bits of beta in binary32; () if the file has none. Of others
    none are read.
    """

    operator: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options: tuple[int, ...] = ()

    def moved(self, by: int) -> Node:
        """The same node where tensors are numbered from `by` on."""
        inputs, outputs, intermediates = (
            tuple(i + by if i >= 0 else i for i in indices)
            for indices in (self.inputs, self.outputs, self.intermediates)
        )
        return Node(self.operator, inputs, outputs, intermediates, self.options)


@dataclass(frozen=True, slots=True)
class Layout:
    """What lies where in a file: nodes and tensors of all subgraphs, numbered through."""

    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A subgraph: which tensors and nodes are its own, and the tensors that go in and out."""

    tensors: range
    nodes: range
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """Frozen, and apart from the bytes it was read from.

    name: what to call the file in messages; length: bytes, up to MODEL_MAX; sha256: 32 bytes over
    the whole file. Tensors and nodes of all subgraphs are numbered through; the first subgraph is
    what an application runs, and it has inputs, outputs and nodes. Every index in nodes and graphs
    is that of a tensor, or -1 where a node omits one. offline_plan: () or, per tensor, the offset
    in the arena that the file asks for, -1 where it leaves the choice to TFLM (metadata
    "OfflineMemoryAllocation").
    """

    name: str
    length: int
    sha256: bytes
    schema_version: int
    description: str
    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    graphs: tuple[Graph, ...]
    offline_plan: tuple[int, ...] = ()

    @property
    def inputs(self) -> tuple[int, ...]:
        return self.graphs[0].inputs

    @property
    def outputs(self) -> tuple[int, ...]:
        return self.graphs[0].outputs

    @property
    def input_tensors(self) -> tuple[Tensor, ...]:
        return tuple(self.tensors[i] for i in self.inputs)

    @property
    def output_tensors(self) -> tuple[Tensor, ...]:
        return tuple(self.tensors[i] for i in self.outputs)
