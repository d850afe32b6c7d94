"""Which element types a node asks its kernel for, as a mask of eight bits.

TFLM's kernels choose their code by the types of one or two operands and take the rest as it comes.
The rule here follows them, and is the same for every revision:

- An operator counts the types of its first input and of its first output. Its other inputs count
  unless they are INT32, which indices, sizes and axes should be.
- Operators with weights, and those that convert, count by a combination of operands, which must be
  one that kernels have been written for: those in `_WEIGHTED` and `_CONVERTING`.
- `_OPERANDS` has the operators whose data are other operands.
- A type without a bit, and a combination that is not listed, count as all eight: only a kernel
  that copies bytes, whatever they mean, has them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tinymldelta.model import Model, Node

TYPE_BITS: Final[Mapping[str, int]] = {
    "FLOAT32": 1 << 0,
    "INT8": 1 << 1,
    "INT16": 1 << 2,
    "INT32": 1 << 3,
    "INT64": 1 << 4,
    "UINT8": 1 << 5,
    "BOOL": 1 << 6,
    "INT4": 1 << 7,
}
ALL_TYPES: Final = 0xFF

# Types of the operands that are looked at -> types that count.
_Combinations = Mapping[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Operands:
    """What counts where the first input is not all: `data` always, `unread` never."""

    data: tuple[int, ...] = (0,)
    unread: tuple[int, ...] = ()
    output: bool = True


_ANSWER: Final = _Operands(output=False)  # of one type, whatever the inputs are
_OPERANDS: Final[Mapping[str, _Operands]] = {
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), _ANSWER),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL"), _ANSWER),
    **dict.fromkeys(("LESS", "LESS_EQUAL"), _ANSWER),
    **dict.fromkeys(("FILL", "SPLIT"), _Operands(data=(1,))),
    "SELECT_V2": _Operands(data=(1,), unread=(0,)),
    "SHAPE": _Operands(data=(), unread=(0,)),
    "READ_VARIABLE": _Operands(data=(), unread=(0,)),
    "ASSIGN_VARIABLE": _Operands(data=(1,), unread=(0,), output=False),
}
_TYPELESS: Final = frozenset({"CALL_ONCE", "IF", "VAR_HANDLE", "WHILE"})

_WEIGHTS: Final[_Combinations] = {
    ("FLOAT32", "FLOAT32"): ("FLOAT32",),
    ("INT8", "INT8"): ("INT8",),
    ("INT8", "INT4"): ("INT8", "INT4"),
    ("INT16", "INT8"): ("INT16",),
}
# The second weights, those along time, have 8 or 16 bits. 8 came later, so it is they that count.
_SVDF: Final[_Combinations] = {
    ("FLOAT32", "FLOAT32", "FLOAT32"): ("FLOAT32",),
    ("INT8", "INT8", "INT8"): ("INT8",),
    ("INT8", "INT8", "INT16"): ("INT16",),
}
# Operator -> its input with activations, of which type the output is, and its inputs with weights.
_WEIGHTED: Final[Mapping[str, tuple[tuple[int, ...], _Combinations]]] = {
    "BATCH_MATMUL": ((0, 1), {(t, t): (t,) for t in ("FLOAT32", "INT8", "INT16")}),
    "CONV_2D": ((0, 1), _WEIGHTS),
    "DEPTHWISE_CONV_2D": ((0, 1), _WEIGHTS),
    "FULLY_CONNECTED": ((0, 1), _WEIGHTS),
    "PRELU": ((0, 1), {**_WEIGHTS, ("UINT8", "UINT8"): ("UINT8",)}),
    "SVDF": ((0, 1, 2), _SVDF),
    "TRANSPOSE_CONV": ((2, 1), _WEIGHTS),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ((0, 2), _WEIGHTS),
}


def _conversions(**to: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {(a, b): (a, b) for a, outputs in to.items() for b in outputs.split()}


def _casts() -> _Combinations:
    """To BOOL is left out: 8d404de7 has it as an input only. A kernel that casts INT32 also casts
    UINT32, which has no bit of its own."""
    outputs = {t: t for t in ("FLOAT32", "INT8", "INT16", "INT32")} | {"UINT32": "INT32"}
    inputs = outputs | {"BOOL": "BOOL"}
    return {(a, b): (inputs[a], outputs[b]) for a in inputs for b in outputs}


# Operator -> its input, types of the input and of the first output.
_CONVERTING: Final[Mapping[str, tuple[int, _Combinations]]] = {
    "CAST": (0, _casts()),
    "DEQUANTIZE": (0, _conversions(INT8="FLOAT32", INT16="FLOAT32", UINT8="FLOAT32")),
    "EMBEDDING_LOOKUP": (1, _conversions(FLOAT32="FLOAT32", INT8="INT8 FLOAT32")),
    "QUANTIZE": (
        0,
        _conversions(
            FLOAT32="INT8 INT16",
            INT8="INT8 INT16 UINT8",
            INT16="INT8 INT16",
            INT32="INT8 INT16",
            UINT8="INT8",
        )
        # From INT32 is later than to it, so only that counts.
        | {("INT8", "INT32"): ("INT8",), ("INT16", "INT32"): ("INT16",)},
    ),
    "SOFTMAX": (0, _conversions(FLOAT32="FLOAT32", INT8="INT8 INT16", INT16="INT16")),
}


def _mask(types: tuple[str, ...]) -> int:
    mask = 0
    for name in types:
        mask |= TYPE_BITS.get(name, ALL_TYPES)
    return mask


def _combined(combinations: _Combinations, types: tuple[str, ...]) -> int:
    counted = combinations.get(types)
    return ALL_TYPES if counted is None else _mask(counted)


def operator_types(model: Model, node: Node) -> int:
    """The types that the node needs of its kernel. 0 for custom operators, which nobody knows."""
    operator = model.operators[node.operator]
    if operator.custom or operator.name in _TYPELESS:
        return 0

    def names(indices: tuple[int, ...]) -> list[str]:  # "" for an omitted operand
        return [model.tensors[i].type if i >= 0 else "" for i in indices]

    inputs, output = names(node.inputs), (*names(node.outputs), "")[0]
    inputs += [""] * 3  # a node may have fewer than its operator should have
    if operator.name in _WEIGHTED:
        places, combinations = _WEIGHTED[operator.name]
        if output != inputs[places[0]]:
            return ALL_TYPES
        return _combined(combinations, tuple(inputs[i] for i in places))
    if operator.name in _CONVERTING:
        place, combinations = _CONVERTING[operator.name]
        return _combined(combinations, (inputs[place], output))
    operands = _OPERANDS.get(operator.name, _Operands())
    counted = [
        name
        for i, name in enumerate(inputs)
        if name and (i in operands.data or (i not in operands.unread and name != "INT32"))
    ]
    if operands.output and output:
        counted.append(output)
    return _mask(tuple(counted))


def type_names(mask: int) -> str:
    """For messages: "INT8, INT4"."""
    if mask == ALL_TYPES:
        return "any element type"
    return ", ".join(name for name, bit in TYPE_BITS.items() if mask & bit) or "no element type"
