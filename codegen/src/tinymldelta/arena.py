"""An estimate of the tensor arena that TensorFlow Lite Micro needs on a 32-bit target.

An upper estimate, made to err high: too little arena crashes a device, too much only costs RAM. It
follows the parts of TFLM's `MicroAllocator` with its reference kernels:

- head: activations, placed as `GreedyMemoryPlanner` does (by size, then by first use; 16-byte
  aligned), with each tensor alive from its first to its last use;
- tail: what the interpreter keeps per model, per tensor and per node, with each node's kernel data
  bounded from above by its kind (per-channel multipliers, tables, scratch);
- temporaries while planning.

Kernels that ask for more scratch than the reference ones (CMSIS-NN) are not modelled: measure, and
give the number by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinymldelta.model import Model, Node, Tensor
from tinymldelta.model.reader import ELEMENT_BITS

_ALIGN = 16

# Bytes on a 32-bit target, each at or above the size of the struct that it stands for.
_PER_MODEL = 384  # allocators, planner, MicroAllocator, context, subgraph bookkeeping
_PER_TENSOR = 16  # TfLiteEvalTensor (12)
_PER_NODE = 48  # NodeAndRegistration with TfLiteNode (40), scratch handles
_PER_INTERFACE_TENSOR = 80  # persistent TfLiteTensor (64) with its quantisation
_PER_VECTOR_ENTRY = 4  # TfLiteIntArray of a node's tensors, where it is copied
_PLANNING_PER_TENSOR = 56  # AllocationInfo (24 to 28) and the planner's arrays (28)
_PARAMS_AND_DATA = 176  # builtin parameters and OpData of the kernels without arrays
_PER_CHANNEL = 12  # output multiplier and shift (8) and, for some kernels, a filter offset
_TABLE_16BIT = 2 * 513 * 2  # the two lookup tables of 16-bit softmax

_PER_CHANNEL_OPERATORS = frozenset(
    {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
)
# Kernels that ask for scratch or buffers in proportion to the tensors that they touch.
_SCRATCH_OPERATORS = frozenset(
    {
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "SVDF",
        "TRANSPOSE_CONV",
        "BATCH_MATMUL",
        "MEAN",
        "SUM",
        "REDUCE_MAX",
        "ADD_N",
    }
)


@dataclass(frozen=True, slots=True)
class ArenaNeed:
    """`origin` says where the number of bytes comes from: "estimated" or "given"."""

    bytes: int
    origin: str


def _aligned(size: int) -> int:
    return (size + _ALIGN - 1) // _ALIGN * _ALIGN


def _bytes_of(tensor: Tensor) -> int:
    return (tensor.elements * ELEMENT_BITS[tensor.type] + 7) // 8


@dataclass(frozen=True, slots=True)
class _Buffer:
    size: int
    first: int
    last: int


def _activations(model: Model) -> list[_Buffer]:
    """Every tensor that is computed, with the first and last node that needs it."""
    first: dict[int, int] = dict.fromkeys(model.inputs, 0)
    last: dict[int, int] = dict.fromkeys(model.inputs, 0)
    for step, node in enumerate(model.nodes):
        for index in (*node.inputs, *node.outputs, *node.intermediates):
            if index >= 0:
                first.setdefault(index, step)
                last[index] = step
    for index in model.outputs:
        first.setdefault(index, 0)
        last[index] = len(model.nodes)
    return [
        _Buffer(_aligned(_bytes_of(model.tensors[i])), first[i], last[i])
        for i in sorted(first)
        if model.tensors[i].data is None and not model.tensors[i].is_variable
    ]


def _greedy_plan(buffers: list[_Buffer]) -> int:
    """Height of the plan: largest first, each into the lowest gap among those alive with it."""
    placed: list[tuple[int, _Buffer]] = []
    height = 0
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first)):
        offset = 0
        alive = sorted(
            (at, b.size) for at, b in placed if b.first <= buffer.last and buffer.first <= b.last
        )
        for at, size in alive:
            if at - offset >= buffer.size:
                break
            offset = max(offset, at + size)
        placed.append((offset, buffer))
        height = max(height, offset + buffer.size)
    return height


def _kernel_bytes(model: Model, node: Node) -> int:
    name = model.operators[node.operator].name
    inputs = [model.tensors[i] for i in node.inputs if i >= 0]
    outputs = [model.tensors[i] for i in node.outputs]
    size = _PARAMS_AND_DATA
    size += _PER_VECTOR_ENTRY * (len(node.inputs) + len(node.outputs) + len(node.intermediates) + 3)
    if name in _PER_CHANNEL_OPERATORS:
        channels = max((t.shape[-1] for t in outputs if t.shape), default=0)
        scales = max((len(t.quantisation.scale) for t in inputs if t.quantisation), default=0)
        size += _aligned(_PER_CHANNEL * max(channels, scales))
    if name == "SOFTMAX" and any(t.type == "INT16" for t in (*inputs, *outputs)):
        size += _TABLE_16BIT
    if name in _SCRATCH_OPERATORS or model.operators[node.operator].custom:
        computed = sum(
            t.elements for t in (*inputs, *outputs) if t.data is None and not t.is_variable
        )
        size += _aligned(4 * 4 * computed)
    return size


def estimate_arena(model: Model) -> ArenaNeed:
    """Bytes of arena that allocation and inference need at most, with TFLM's reference kernels."""
    variables = sum(_aligned(_bytes_of(t)) for t in model.tensors if t.is_variable)
    interface = len(model.inputs) + len(model.outputs)
    tail = (
        _PER_MODEL
        + _PER_TENSOR * len(model.tensors)
        + _PER_INTERFACE_TENSOR * interface
        + sum(_PER_NODE + _kernel_bytes(model, node) for node in model.nodes)
        + variables
    )
    planning = _PLANNING_PER_TENSOR * len(model.tensors)
    # Planning is over when activations are written, so only the larger of the two counts.
    return ArenaNeed(_aligned(tail + max(_greedy_plan(_activations(model)), planning)), "estimated")
