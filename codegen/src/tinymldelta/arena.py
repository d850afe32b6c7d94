"""An estimate of the tensor arena that TensorFlow Lite Micro needs on a 32-bit target.

It is made to err high: too little arena crashes a device, too much costs RAM. It follows what
TFLM's `micro_allocator.cc`, `micro_allocation_info.cc` and `greedy_memory_planner.cc` do with the
reference kernels, and takes the largest of three moments:

- preparing: scratch requests and one node's temporary tensors, over the tail so far;
- planning: the planner's tables over the whole tail (small models are bound by this);
- running: the plan of activations and scratch buffers, over the tail and the in and out tensors.

The tail is what lives as long as the interpreter: allocators, a record per tensor and node, each
kernel's parameters and data, variables. Sizes are those of the structs on a Cortex-M built without
TF_LITE_STATIC_MEMORY (as Zephyr does; with it they are smaller), in 2024's and 2026's TFLM. Checked
against measured minima on an emulated Cortex-M3 in `test_arena.py`.

Not modelled: scratch of optimised kernels (CMSIS-NN, Ethos-U, ESP-NN), resource variables, and what
custom operators really ask for (a guess stands in). Where these count, measure on the device and
give the number. An exact planner is a later piece of work.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass

from tinymldelta.model import Model, Node, Tensor
from tinymldelta.model.tables import ELEMENT_BITS
from tinymldelta.tflm import BUILTINS

_ALIGN = 16  # MicroArenaBufferAlignment()

# Bytes on a 32-bit target; a few above the sizes seen, for compilers with 4-byte enums.
_PER_MODEL = 176  # allocator, planner, MicroAllocator, data allocator, subgraph: 132, and alignment
_EVAL_TENSOR = 12  # TfLiteEvalTensor
_NODE = 48  # NodeAndRegistration (44)
_TENSOR = 72  # TfLiteTensor (64)
_AFFINE = 20  # TfLiteAffineQuantization (12) and its TfLiteIntArray's length, aligned
_ALLOCATION_INFO = 24
_PLANNED_BUFFER = 40  # GreedyMemoryPlanner::per_buffer_size()
_SCRATCH_REQUEST = 12
_SCRATCH_REQUESTS_FREE = 12  # kMaxScratchBuffersPerOp
_SCRATCH_HANDLE = 4

# The greedy plan takes time in the square of the buffers. TFLM's own is slower still, so no model
# that runs comes near; beyond it the plan is bounded by the sum of all sizes.
_PLANNED_BUFFERS_MAX = 1024

# Bytes of builtin parameters and of the kernel's OpData, by operator.
_KERNELS: dict[str, tuple[int, int]] = {
    "CONV_2D": (28, 56), "DEPTHWISE_CONV_2D": (28, 56), "FULLY_CONNECTED": (8, 48),
    "TRANSPOSE_CONV": (16, 72), "SVDF": (8, 36), "UNIDIRECTIONAL_SEQUENCE_LSTM": (16, 688),
    "BATCH_MATMUL": (4, 64), "AVERAGE_POOL_2D": (40, 32), "MAX_POOL_2D": (40, 32),
    "SOFTMAX": (4, 56), "LOG_SOFTMAX": (0, 28), "LOGISTIC": (0, 16), "TANH": (0, 16),
    "RELU": (0, 28), "RELU6": (0, 8), "LEAKY_RELU": (4, 24), "PRELU": (0, 28),
    "HARD_SWISH": (0, 20), "ELU": (0, 272), "ADD": (4, 60), "SUB": (4, 52), "MUL": (4, 36),
    "DIV": (4, 28), "ADD_N": (0, 40), "SQUARED_DIFFERENCE": (0, 112), "MAXIMUM": (0, 0),
    "MINIMUM": (0, 0), "MEAN": (4, 44), "SUM": (4, 44), "REDUCE_MAX": (4, 44),
    "REDUCE_MIN": (4, 44), "QUANTIZE": (0, 32), "DEQUANTIZE": (0, 32), "CAST": (8, 0),
    "RESHAPE": (36, 0), "SQUEEZE": (36, 0), "EXPAND_DIMS": (0, 0), "TRANSPOSE": (4, 0),
    "PAD": (4, 56), "PADV2": (4, 56), "MIRROR_PAD": (4, 20), "CONCATENATION": (8, 24),
    "SPLIT": (4, 0), "SPLIT_V": (4, 0), "PACK": (8, 0), "UNPACK": (8, 0), "SLICE": (0, 0),
    "STRIDED_SLICE": (24, 84), "GATHER": (8, 0), "SHAPE": (4, 0), "ARG_MAX": (4, 0),
    "ARG_MIN": (4, 0), "ABS": (0, 28), "RSQRT": (0, 28), "RESIZE_NEAREST_NEIGHBOR": (4, 0),
    "RESIZE_BILINEAR": (4, 0),
}  # fmt: skip
_PLAIN_KERNEL = (40, 64)  # the others that TFLM has: none keeps more, none asks for scratch
_UNKNOWN_KERNEL = (64, 448)  # custom operators, and what TFLM has no kernel for
_UNKNOWN_STATE = 2  # bytes that such a kernel keeps for each byte that it computes on
_SOFTMAX_TABLES = 2 * 513 * 2  # two tables of 513 int16, for int16 only (softmax_common.cc)


@dataclass(frozen=True, slots=True)
class ArenaNeed:
    """Bytes of arena, from 0 up; `origin` is "estimated", or "given" by the user."""

    bytes: int
    origin: str


@dataclass(frozen=True, slots=True)
class _Buffer:
    """Bytes that must be in the head from scope `first` to scope `last`, both included.

    As in TFLM, scope 0 is before the first node, node i has scope i + 1, and what nothing ever
    writes or reads has -1. offset: where an offline plan puts it, -1 if it leaves the choice.
    """

    size: int
    first: int
    last: int
    offset: int = -1


def _aligned(size: int) -> int:
    return (size + _ALIGN - 1) // _ALIGN * _ALIGN


def _bytes_of(tensor: Tensor) -> int:
    # In the arena TFLM gives each 4-bit element a byte; in the file they are packed.
    return tensor.elements * max(ELEMENT_BITS[tensor.type] // 8, 1)


def _activations(model: Model) -> list[_Buffer]:
    """Every tensor without data in the file, with its lifetime (`MarkAllocationLifetimes`)."""
    first = dict.fromkeys(model.inputs, 0)
    last = dict.fromkeys(model.inputs, 0)
    for scope, node in enumerate(model.nodes, 1):
        for index in node.outputs:
            first.setdefault(index, scope)
        for index in (*node.inputs, *node.outputs):
            last[index] = scope
    for index in model.outputs:
        first.setdefault(index, len(model.nodes))
        last[index] = len(model.nodes)
    offline = model.offline_plan or (-1,) * len(model.tensors)
    return [
        _Buffer(_aligned(_bytes_of(t)), first.get(t.index, -1), last.get(t.index, -1), offset)
        for t, offset in zip(model.tensors, offline, strict=True)
        if t.data is None and t.elements and (not t.is_variable or offset >= 0)
    ]


def _greedy_plan(buffers: list[_Buffer]) -> int:
    """Bytes of the plan: largest first, each into the lowest gap among those alive with it."""
    offline = [b for b in buffers if b.offset >= 0]
    online = [b for b in reversed(buffers) if b.offset < 0]  # of equals TFLM places the last first
    if len(buffers) > _PLANNED_BUFFERS_MAX:
        return max((b.offset + b.size for b in offline), default=0) + sum(b.size for b in online)
    placed: list[tuple[int, int, int, int]] = []  # offset, size, first, last; by offset
    for buffer in (*offline, *sorted(online, key=lambda b: -b.size)):
        offset = max(buffer.offset, 0)
        if buffer.offset < 0:
            for at, size, first, last in placed:
                if first <= buffer.last and buffer.first <= last:
                    if at - offset >= buffer.size:
                        break
                    offset = max(offset, at + size)
        insort(placed, (offset, buffer.size, buffer.first, buffer.last))
    return max((at + size for at, size, _, _ in placed), default=0)


def _tensors_of(model: Model, node: Node) -> tuple[Tensor, ...]:
    return tuple(model.tensors[i] for i in (*node.inputs, *node.outputs) if i >= 0)


def _filter_of(model: Model, node: Node) -> Tensor | None:
    """The second input of the operators that have weights there."""
    return model.tensors[node.inputs[1]] if len(node.inputs) > 1 and node.inputs[1] >= 0 else None


def _is_unknown(model: Model, node: Node) -> bool:
    operator = model.operators[node.operator]
    return operator.custom or operator.name not in _KERNELS and operator.name not in BUILTINS


def _kernel_bytes(model: Model, node: Node) -> int:
    """What a kernel keeps in the tail: parameters, OpData, per-channel arrays, tables."""
    name = model.operators[node.operator].name
    unknown = _is_unknown(model, node)
    params, data = _UNKNOWN_KERNEL if unknown else _KERNELS.get(name, _PLAIN_KERNEL)
    size = (params + 3) // 4 * 4 + _aligned(data)
    tensors, weights = _tensors_of(model, node), _filter_of(model, node)
    if unknown:
        return size + sum(_aligned(_UNKNOWN_STATE * _bytes_of(t)) for t in tensors if not t.data)
    if weights and name in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"):
        scales = len(weights.quantisation.scale) if weights.quantisation else 0
        channels = scales if scales > 1 else 0
        if name != "FULLY_CONNECTED" and weights.shape:  # these allocate even for one scale
            channels = max(channels, weights.shape[-1 if name == "DEPTHWISE_CONV_2D" else 0])
        size += 2 * _aligned(4 * channels)  # multipliers and shifts, int32 each
    elif name == "SOFTMAX" and any(t.type == "INT16" for t in tensors):
        size += _aligned(_SOFTMAX_TABLES // 2) * 2
    elif name == "BATCH_MATMUL":  # a transposed copy of each operand
        size += sum(_aligned(_bytes_of(t)) + 2 * _aligned(4 + 4 * len(t.shape)) for t in tensors)
    elif name == "CONCATENATION":
        size += 2 * _aligned(4 * len(node.inputs))
    return size


def _scratch_sizes(model: Model, node: Node) -> Iterator[int]:
    """The buffers that a kernel needs while it runs, in bytes (`RequestScratchBufferInArena`)."""
    name = model.operators[node.operator].name
    tensors, weights = _tensors_of(model, node), _filter_of(model, node)
    outputs = sum(model.tensors[i].elements for i in node.outputs)
    rank = max((len(t.shape) for t in tensors), default=0)
    if _is_unknown(model, node):
        yield from (_bytes_of(t) for t in tensors if not t.data)
    elif name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        # Four buffers of the cell state's size; it is the largest of the LSTM's variables.
        states = (_bytes_of(t) for t in tensors if t.is_variable)
        yield from [max(states, default=4 * outputs)] * 4
    elif name == "SVDF":
        filters = 4 * max(weights.shape[:1] if weights else (), default=0)
        batches = max(
            (model.tensors[i].shape[0] for i in node.outputs if model.tensors[i].shape), default=1
        )
        yield from (filters * batches, 4 * outputs)
    elif name == "TRANSPOSE_CONV":  # accumulators, and for int16 the biases made wider
        yield from (8 * outputs, 8 * max(weights.shape[:1] if weights else (), default=0))
    elif name in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
        yield from (4 * outputs, 4 * rank, 4 * rank)
    elif name == "MIRROR_PAD":
        yield from (4 * rank, 4 * rank)
    elif name == "ADD_N":
        yield 4 * len(node.inputs)
    elif weights and weights.type == "INT4":  # unpacked to a byte each
        yield weights.elements


def _quantised_tensor_bytes(tensor: Tensor) -> int:
    """A TfLiteTensor, with the zero points that it copies out of the file."""
    return _TENSOR + (_AFFINE + 4 * len(tensor.quantisation.scale) if tensor.quantisation else 0)


def _temporary_bytes(model: Model, node: Node) -> int:
    """The tensors that a kernel's prepare function holds at once, at most: all that it names."""
    return sum(_quantised_tensor_bytes(t) for t in _tensors_of(model, node))


def estimate_arena(model: Model) -> ArenaNeed:
    """Bytes of arena that allocation and inference need at most, with TFLM's reference kernels."""
    scratch = [
        _Buffer(_aligned(size), scope, scope)
        for scope, node in enumerate(model.nodes, 1)
        for size in _scratch_sizes(model, node)
    ]
    buffers = _activations(model) + scratch
    tail = (
        _PER_MODEL
        + _EVAL_TENSOR * len(model.tensors)
        + sum(_NODE + _kernel_bytes(model, node) for node in model.nodes)
        + _SCRATCH_HANDLE * len(scratch)
        + sum(_aligned(_bytes_of(t)) for t in model.tensors if t.is_variable)
        + _ALIGN
    )
    requests = _SCRATCH_REQUEST * (len(scratch) + _SCRATCH_REQUESTS_FREE)
    preparing = requests + max((_temporary_bytes(model, n) for n in model.nodes), default=0)
    planning = (
        requests
        + 4
        + _ALLOCATION_INFO * (len(model.tensors) + len(scratch))
        + _PLANNED_BUFFER * len(buffers)
        + 2 * _ALIGN
    )
    interface = sum(
        _quantised_tensor_bytes(t) + 4 for t in (*model.input_tensors, *model.output_tensors)
    )
    running = _greedy_plan(buffers) + interface + 2 * _ALIGN
    # One alignment more: the application's array need not start on a multiple of 16.
    return ArenaNeed(_aligned(tail + max(preparing, planning, running) + _ALIGN), "estimated")
