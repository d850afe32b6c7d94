"""A model of one node for each operator, and the element types that it is tried with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from onenode import Case, Operand

SINGLE = (
    "FLOAT32", "INT8", "INT16", "INT32", "INT64", "UINT8", "BOOL", "INT4", "UINT32", "FLOAT16",
)  # fmt: skip

_LAST = {"INT8": (1 / 256, -128), "INT16": (1 / 32768, 0)}  # what SOFTMAX and LOGISTIC ask for
_SOFTMAX = _LAST | {"INT8>INT16": (1 / 65536, -32768)}
_UNIT = {"INT8": (1 / 128, 0), "INT16": (1 / 32768, 0)}


def operand(*shape: int, type: str = "T") -> Operand:
    return Operand(shape, type)


def bias(*shape: int) -> Operand:
    return Operand(shape, "B", constant=True, scale=0.25)  # that of input times weights


def indices(*values: int, shape: tuple[int, ...] | None = None) -> Operand:
    return Operand((len(values),) if shape is None else shape, "INT32", values)


def weights(*shape: int, type: str = "W") -> Operand:
    return Operand(shape, type, constant=True)


def _unary(options: str = "", **fields: object) -> Case:
    return Case((operand(1, 4),), (operand(1, 4),), options, fields)


def _binary(options: str = "", out: str = "T") -> Case:
    return Case((operand(1, 4), operand(1, 4)), (operand(1, 4, type=out),), options)


def _division(options: str = "") -> Case:
    ones = Operand((1, 4), "T", (1, 1, 1, 1))
    return Case((operand(1, 4), ones), (operand(1, 4),), options)


_POOL = {"StrideW": 1, "StrideH": 1, "FilterWidth": 2, "FilterHeight": 2, "Padding": 1}
_STRIDE = {"StrideW": 1, "StrideH": 1, "Padding": 1}
_DILATION = {"DilationWFactor": 1, "DilationHFactor": 1}


def _pool() -> Case:
    return Case((operand(1, 4, 4, 1),), (operand(1, 3, 3, 1),), "Pool2DOptions", _POOL)


def _reduce(keep: bool = True) -> Case:
    fields = {"KeepDims": keep}
    return Case(
        (operand(1, 2, 2, 4), indices(1, 2)), (operand(1, 1, 1, 4),), "ReducerOptions", fields
    )


def _arg(options: str) -> Case:
    return Case(
        (operand(1, 4), indices(1, shape=())),
        (operand(1, type="INT32"),),
        options,
        {"OutputType": 2},
    )  # 2: INT32


def _lstm() -> Case:
    to_gates, biases = [weights(2, 2)] * 8, [bias(2)] * 4  # from the input, from the output
    states = (
        Operand((1, 2), "T", variable=True),
        Operand((1, 2), "M", variable=True, scale=2**-11),
    )
    inputs = (
        operand(1, 2, 2),
        *to_gates,
        None,
        None,
        None,
        *biases,
        None,
        None,
        *states,
    )
    return Case(
        (*inputs, None, None, None, None),
        (operand(1, 2, 2),),
        "UnidirectionalSequenceLSTMOptions",
        {"FusedActivationFunction": 4, "CellClip": 10.0},  # 4: TANH
        intermediates=(Operand((0,), "M", scale=2**-12),) * 4 + (operand(0),),
    )


CASES: dict[str, Case] = {
    "ABS": _unary(),
    "ADD": _binary("AddOptions"),
    "ADD_N": _binary(),
    "ARG_MAX": _arg("ArgMaxOptions"),
    "ARG_MIN": _arg("ArgMinOptions"),
    "AVERAGE_POOL_2D": _pool(),
    "BATCH_MATMUL": Case((operand(1, 2, 4), operand(1, 4, 2, type="W")), (operand(1, 2, 2),)),
    "BATCH_TO_SPACE_ND": Case(
        (operand(4, 1, 1, 1), indices(2, 2), indices(0, 0, 0, 0, shape=(2, 2))),
        (operand(1, 2, 2, 1),),
    ),
    "BROADCAST_ARGS": Case((operand(2), operand(2)), (operand(2),)),
    "BROADCAST_TO": Case((operand(1, 4), indices(2, 4)), (operand(2, 4),)),
    "CAST": Case((operand(1, 4),), (operand(1, 4, type="O"),)),
    "CEIL": _unary(),
    "CONCATENATION": Case(
        (operand(1, 4), operand(1, 4)), (operand(1, 8),), "ConcatenationOptions", {"Axis": 1}
    ),
    "CONV_2D": Case(
        (operand(1, 4, 4, 2), weights(2, 2, 2, 2), bias(2)),
        (operand(1, 3, 3, 2, type="O"),),
        "Conv2DOptions",
        _STRIDE | _DILATION,
    ),
    "COS": _unary(),
    "CUMSUM": Case((operand(1, 4), indices(1, shape=())), (operand(1, 4),), "CumsumOptions"),
    "DEPTHWISE_CONV_2D": Case(
        (operand(1, 4, 4, 2), weights(1, 2, 2, 2), bias(2)),
        (operand(1, 3, 3, 2, type="O"),),
        "DepthwiseConv2DOptions",
        _STRIDE | _DILATION | {"DepthMultiplier": 1},
    ),
    "DEPTH_TO_SPACE": Case(
        (operand(1, 2, 2, 4),), (operand(1, 4, 4, 1),), "DepthToSpaceOptions", {"BlockSize": 2}
    ),
    "DEQUANTIZE": Case((operand(1, 4),), (operand(1, 4, type="O"),)),
    "DIV": _division("DivOptions"),
    "DYNAMIC_UPDATE_SLICE": Case((operand(4), operand(2), indices(1)), (operand(4),)),
    "ELU": _unary(),
    "EMBEDDING_LOOKUP": Case((operand(1, type="INT32"), weights(2, 4)), (operand(1, 4, type="O"),)),
    "EQUAL": _binary(out="BOOL"),
    "EXP": _unary(),
    "EXPAND_DIMS": Case((operand(1, 4), indices(0, shape=())), (operand(1, 1, 4),)),
    "FILL": Case((indices(2), operand()), (operand(2),)),
    "FLOOR": _unary(),
    "FLOOR_DIV": _division(),
    "FLOOR_MOD": _division(),
    "FULLY_CONNECTED": Case(
        (operand(1, 4), weights(2, 4), bias(2)),
        (operand(1, 2, type="O"),),
        "FullyConnectedOptions",
    ),
    "GATHER": Case((operand(4), Operand((1,), "I", constant=True)), (operand(1),), "GatherOptions"),
    "GATHER_ND": Case((operand(4), Operand((1, 1), "I", constant=True)), (operand(1),)),
    "GREATER": _binary(out="BOOL"),
    "GREATER_EQUAL": _binary(out="BOOL"),
    "HARD_SWISH": _unary(),
    "L2_NORMALIZATION": Case((operand(1, 4),), (operand(1, 4),), quantised=_UNIT),
    "L2_POOL_2D": _pool(),
    "LEAKY_RELU": _unary("LeakyReluOptions", Alpha=0.1),
    "LESS": _binary(out="BOOL"),
    "LESS_EQUAL": _binary(out="BOOL"),
    "LOG": _unary(),
    "LOGICAL_AND": _binary(),
    "LOGICAL_NOT": _unary(),
    "LOGICAL_OR": _binary(),
    "LOGISTIC": Case((operand(1, 4),), (operand(1, 4),), quantised=_LAST),
    "LOG_SOFTMAX": Case((operand(1, 4),), (operand(1, 4),), quantised={"INT8": (1 / 16, 127)}),
    "MAXIMUM": _binary(),
    "MAX_POOL_2D": _pool(),
    "MEAN": _reduce(),
    "MINIMUM": _binary(),
    "MIRROR_PAD": Case(
        (operand(4), indices(1, 1, shape=(1, 2))), (operand(6),), "MirrorPadOptions"
    ),
    "MUL": _binary("MulOptions"),
    "NEG": _unary(),
    "NOT_EQUAL": _binary(out="BOOL"),
    "PACK": Case((operand(4), operand(4)), (operand(2, 4),), "PackOptions", {"ValuesCount": 2}),
    "PAD": Case((operand(1, 4), indices(0, 0, 1, 1, shape=(2, 2))), (operand(1, 6),)),
    "PADV2": Case(
        (operand(1, 4), indices(0, 0, 1, 1, shape=(2, 2)), weights(1, type="T")), (operand(1, 6),)
    ),
    "PRELU": Case((operand(1, 1, 1, 4), weights(1, 1, 4)), (operand(1, 1, 1, 4),)),
    "QUANTIZE": Case((Operand((1, 4), "T", scale=0.5),), (Operand((1, 4), "O", scale=0.5),)),
    "REDUCE_ALL": _reduce(),
    "REDUCE_MAX": _reduce(),
    "REDUCE_MIN": _reduce(),
    "RELU": _unary(),
    "RELU6": _unary(),
    "RESHAPE": Case((operand(1, 4), indices(4)), (operand(4),)),
    "RESIZE_BILINEAR": Case((operand(1, 2, 2, 1), indices(4, 4)), (operand(1, 4, 4, 1),)),
    "RESIZE_NEAREST_NEIGHBOR": Case((operand(1, 2, 2, 1), indices(4, 4)), (operand(1, 4, 4, 1),)),
    "REVERSE_V2": Case((operand(4), indices(0)), (operand(4),)),
    "ROUND": _unary(),
    "RSQRT": _unary(),
    "SELECT_V2": Case((operand(1, 4, type="BOOL"), operand(1, 4), operand(1, 4)), (operand(1, 4),)),
    "SHAPE": Case((operand(1, 4),), (operand(2, type="O"),)),
    "SIN": _unary(),
    "SLICE": Case((operand(4), indices(1), indices(2)), (operand(2),)),
    "SOFTMAX": Case(
        (operand(1, 4),),
        (operand(1, 4, type="O"),),
        "SoftmaxOptions",
        {"Beta": 1.0},
        quantised=_SOFTMAX,
    ),
    "SPACE_TO_BATCH_ND": Case(
        (operand(1, 2, 2, 1), indices(2, 2), indices(0, 0, 0, 0, shape=(2, 2))),
        (operand(4, 1, 1, 1),),
    ),
    "SPACE_TO_DEPTH": Case(
        (operand(1, 4, 4, 1),), (operand(1, 2, 2, 4),), "SpaceToDepthOptions", {"BlockSize": 2}
    ),
    "SPLIT": Case(
        (indices(0, shape=()), operand(4)),
        (operand(2), operand(2)),
        "SplitOptions",
        {"NumSplits": 2},
    ),
    "SPLIT_V": Case(
        (operand(4), indices(1, 3), indices(0, shape=())),
        (operand(1), operand(3)),
        "SplitVOptions",
        {"NumSplits": 2},
    ),
    "SQRT": _unary(),
    "SQUARE": _unary(),
    "SQUARED_DIFFERENCE": _binary(),
    "SQUEEZE": Case((operand(1, 4),), (operand(4),)),
    "STRIDED_SLICE": Case(
        (operand(1, 4), indices(0, 0), indices(1, 4), indices(1, 2)),
        (operand(1, 2),),
        "StridedSliceOptions",
    ),
    "SUB": _binary("SubOptions"),
    "SUM": _reduce(),
    "SVDF": Case(
        (
            operand(1, 4),
            weights(2, 4),
            weights(2, 3, type="M"),
            bias(2),
            Operand((1, 6), "M", variable=True),
        ),
        (operand(1, 2, type="O"),),
        "SVDFOptions",
        {"Rank": 1},
    ),
    "TANH": Case((operand(1, 4),), (operand(1, 4),), quantised=_UNIT),
    "TRANSPOSE": Case((operand(2, 4), indices(1, 0)), (operand(4, 2),)),
    "TRANSPOSE_CONV": Case(
        (indices(1, 4, 4, 2), weights(2, 2, 2, 2), operand(1, 3, 3, 2), bias(2)),
        (operand(1, 4, 4, 2, type="O"),),
        "TransposeConvOptions",
        _STRIDE,
    ),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm(),
    "UNPACK": Case((operand(2, 4),), (operand(4), operand(4)), "UnpackOptions", {"Num": 2}),
    "ZEROS_LIKE": _unary(),
}

# Operators that need another node or subgraph beside them.
NO_CASE = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "IF", "READ_VARIABLE", "VAR_HANDLE", "WHILE"})

_WEIGHTED = tuple(
    {"T": t, "W": w, "B": b, "O": t, "M": m}
    for t, w, b, m in (
        ("FLOAT32", "FLOAT32", "FLOAT32", "FLOAT32"),
        ("FLOAT32", "INT8", "FLOAT32", "INT16"),
        ("FLOAT32", "INT4", "FLOAT32", "INT16"),
        ("INT8", "INT8", "INT32", "INT16"),
        ("INT8", "INT4", "INT32", "INT16"),
        ("INT8", "INT16", "INT32", "INT16"),
        ("INT16", "INT8", "INT64", "INT16"),
        ("INT16", "INT4", "INT64", "INT16"),
        ("INT16", "INT16", "INT64", "INT16"),
        ("UINT8", "UINT8", "INT32", "INT16"),
    )
)
_PAIRED = frozenset({"CAST", "DEQUANTIZE", "QUANTIZE", "SOFTMAX"})


def variants(operator: str) -> Iterator[Mapping[str, str]]:
    """What the letters of a case may stand for, one after another."""
    letters = {o.type for o in CASES[operator].inputs + CASES[operator].outputs if o}
    if operator == "BATCH_MATMUL" or "B" in letters:
        yield from _WEIGHTED
        if operator == "SVDF":
            yield {"T": "INT8", "W": "INT8", "B": "INT32", "O": "INT8", "M": "INT8"}
            yield {"T": "FLOAT32", "W": "INT8", "B": "FLOAT32", "O": "FLOAT32", "M": "FLOAT32"}
    elif operator in _PAIRED:
        for t, o in itertools.product(SINGLE, SINGLE):
            yield {"T": t, "O": o}
    elif operator == "EMBEDDING_LOOKUP":
        for w, o in itertools.product(SINGLE, SINGLE):
            yield {"W": w, "O": o}
    elif operator == "SHAPE":
        for t, o in itertools.product(SINGLE, ("INT32", "INT64")):
            yield {"T": t, "O": o}
    elif operator == "PRELU":
        for t in SINGLE:
            yield {"T": t, "W": t}
        yield {"T": "INT16", "W": "INT8"}
    elif "I" in letters:
        for t, i in itertools.product(SINGLE, ("INT32", "INT16", "INT64")):
            yield {"T": t, "I": i}
    else:
        for t in SINGLE:
            yield {"T": t}
