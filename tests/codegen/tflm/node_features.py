"""What versions of operators stand for beside element types, each as a node that asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from node_cases import CASES, bias, indices, operand, weights
from onenode import Case, Operand

_WIDE = (1, 1, 2, 1, 2)  # five dimensions, and what they broadcast against
_LARGE = (2, 1, 2, 2, 2)


def _wide(options: str = "") -> Case:
    ones = Operand(_WIDE, "T", (1, 1, 1, 1))
    return Case((operand(*_LARGE), ones), (operand(*_LARGE),), options)


def _changed(operator: str, **fields: object) -> Case:
    case = CASES[operator]
    return replace(case, fields={**case.fields, **fields})


_FLOAT = {"T": "FLOAT32", "W": "FLOAT32", "B": "FLOAT32", "O": "FLOAT32", "I": "INT32"}
_16X8 = {"T": "INT16", "W": "INT8", "B": "INT32", "O": "INT16"}

# What a version of an operator stands for (op_version.cc) where that is no element type: a node
# with the feature, the version that it has, and the types to try it with.
FEATURES: dict[str, tuple[str, int, Case, Mapping[str, str]]] = {
    "grouped convolution": (
        "CONV_2D",
        6,
        replace(CASES["CONV_2D"], inputs=(operand(1, 4, 4, 2), weights(2, 2, 2, 1), bias(2))),
        _FLOAT,
    ),
    "bias of 32 bits for inputs of 16": ("CONV_2D", 8, CASES["CONV_2D"], _16X8),
    "dilation": ("DEPTHWISE_CONV_2D", 2, _changed("DEPTHWISE_CONV_2D", DilationWFactor=2), _FLOAT),
    "dense, no bias": (
        "FULLY_CONNECTED",
        6,
        replace(CASES["FULLY_CONNECTED"], inputs=(operand(1, 4), weights(2, 4))),
        _FLOAT,
    ),
    "dense, keep_num_dims": (
        "FULLY_CONNECTED",
        5,
        Case(
            (operand(1, 2, 4), weights(2, 4), bias(2)),
            (operand(1, 2, 2),),
            "FullyConnectedOptions",
            {"KeepNumDims": True},
        ),
        _FLOAT,
    ),
    "dense, bias of 32 bits for inputs of 16": (
        "FULLY_CONNECTED",
        11,
        CASES["FULLY_CONNECTED"],
        _16X8,
    ),
    "gather, batch_dims": (
        "GATHER",
        5,
        Case(
            (operand(2, 4), Operand((2, 1), "I", constant=True)),
            (operand(2, 1),),
            "GatherOptions",
            {"Axis": 1, "BatchDims": 1},
        ),
        _FLOAT,
    ),
    "transposed convolution, bias of 32 bits for inputs of 16": (
        "TRANSPOSE_CONV",
        5,
        CASES["TRANSPOSE_CONV"],
        _16X8,
    ),
    "slice, 5 dimensions": (
        "SLICE",
        5,
        Case((operand(*_LARGE), indices(0, 0, 0, 0, 0), indices(*_WIDE)), (operand(*_WIDE),)),
        _FLOAT,
    ),
    "strided slice, 5 dimensions": (
        "STRIDED_SLICE",
        4,
        Case(
            (operand(*_LARGE), indices(0, 0, 0, 0, 0), indices(*_WIDE), indices(1, 1, 1, 1, 1)),
            (operand(*_WIDE),),
            "StridedSliceOptions",
        ),
        _FLOAT,
    ),
    "strided slice, new axis": (
        "STRIDED_SLICE",
        6,
        Case(
            (operand(4), indices(0, 0), indices(1, 4), indices(1, 1)),
            (operand(1, 4),),
            "StridedSliceOptions",
            {"NewAxisMask": 1},
        ),
        _FLOAT,
    ),
    "strided slice, offset": (
        "STRIDED_SLICE",
        8,
        _changed("STRIDED_SLICE", Offset=True),
        _FLOAT,
    ),
    "bilinear, half_pixel_centers": (
        "RESIZE_BILINEAR",
        3,
        replace(
            CASES["RESIZE_BILINEAR"],
            options="ResizeBilinearOptions",
            fields={"HalfPixelCenters": True},
        ),
        _FLOAT,
    ),
    "nearest, align_corners": (
        "RESIZE_NEAREST_NEIGHBOR",
        3,
        replace(
            CASES["RESIZE_NEAREST_NEIGHBOR"],
            options="ResizeNearestNeighborOptions",
            fields={"AlignCorners": True},
        ),
        _FLOAT,
    ),
    "maximum, broadcast in 5 dimensions": ("MAXIMUM", 3, _wide(), _FLOAT),
    "minimum, broadcast in 5 dimensions": ("MINIMUM", 3, _wide(), _FLOAT),
    "sub, broadcast in 5 dimensions": ("SUB", 3, _wide("SubOptions"), _FLOAT),
    "div, broadcast in 5 dimensions": ("DIV", 2, _wide("DivOptions"), _FLOAT),
    "space to batch, 3 dimensions": (
        "SPACE_TO_BATCH_ND",
        3,
        Case((operand(1, 2, 1), indices(2), indices(0, 0, shape=(1, 2))), (operand(2, 1, 1),)),
        _FLOAT,
    ),
    "batch to space, 3 dimensions": (
        "BATCH_TO_SPACE_ND",
        3,
        Case((operand(2, 1, 1), indices(2), indices(0, 0, shape=(1, 2))), (operand(1, 2, 1),)),
        _FLOAT,
    ),
    "pad, 5 dimensions": (
        "PAD",
        4,
        Case((operand(*_LARGE), indices(*[0] * 10, shape=(5, 2))), (operand(*_LARGE),)),
        _FLOAT,
    ),
    "padv2, 5 dimensions": (
        "PADV2",
        4,
        Case(
            (operand(*_LARGE), indices(*[0] * 10, shape=(5, 2)), weights(1, type="T")),
            (operand(*_LARGE),),
        ),
        _FLOAT,
    ),
    **{
        f"transpose, {n} dimensions": (
            "TRANSPOSE",
            version,
            Case((operand(*[2] * n), indices(*reversed(range(n)))), (operand(*[2] * n),)),
            _FLOAT,
        )
        for n, version in ((5, 4), (6, 6), (7, 8))
    },
}
