"""Kernels whose Prepare() only looks at tensors: what they take depends on no shape."""

from __future__ import annotations

from tinymldelta.arena.kernels.kernel import Kernel, looking, nothing

_IN_OUT = looking("i0 o0")
_TWO_IN_OUT = looking("i0 i1 o0")
_COMPARISON = Kernel(looking("i0 i1"), data="comparisons/OpData")

PLAIN: dict[str, Kernel] = {
    # activations.cc and the like
    "RELU": Kernel(_IN_OUT, data="ReluOpData"),
    "RELU6": Kernel(looking("i0"), data="Relu6OpData"),
    "LEAKY_RELU": Kernel(_IN_OUT, "TfLiteLeakyReluParams", "LeakyReluOpData"),
    "PRELU": Kernel(_TWO_IN_OUT, data="PreluParams"),
    "ELU": Kernel(_IN_OUT, data="elu/OpData"),
    "HARD_SWISH": Kernel(_IN_OUT, data="HardSwishParams"),
    "LOGISTIC": Kernel(_IN_OUT, data="OpDataLogistic"),
    "TANH": Kernel(looking("i0 i0 o0"), data="tanh/OpData"),
    "L2_NORMALIZATION": Kernel(_IN_OUT, "TfLiteL2NormParams", "L2NormalizationParams"),
    # one tensor to another, element by element
    "ABS": Kernel(_IN_OUT, data="OpDataAbsRsqrt"),
    "RSQRT": Kernel(_IN_OUT, data="OpDataAbsRsqrt"),
    "CEIL": Kernel(_IN_OUT),
    "COS": Kernel(_IN_OUT),
    "EXP": Kernel(_IN_OUT),
    "FLOOR": Kernel(),
    "LOG": Kernel(_IN_OUT),
    "LOGICAL_NOT": Kernel(_IN_OUT),
    "NEG": Kernel(),
    "ROUND": Kernel(_IN_OUT),
    "SIN": Kernel(_IN_OUT),
    "SQRT": Kernel(_IN_OUT),
    "SQUARE": Kernel(_IN_OUT),
    "ZEROS_LIKE": Kernel(_IN_OUT),
    "CAST": Kernel(_IN_OUT, "TfLiteCastParams"),
    "QUANTIZE": Kernel(_IN_OUT, data="OpDataQuantizeReference"),
    "DEQUANTIZE": Kernel(_IN_OUT, data="DequantizeOpData"),
    # two tensors to a third
    "ADD": Kernel(_TWO_IN_OUT, "TfLiteAddParams", "OpDataAdd"),
    "SUB": Kernel(_TWO_IN_OUT, "TfLiteSubParams", "OpDataSub"),
    "MUL": Kernel(_TWO_IN_OUT, "TfLiteMulParams", "OpDataMul"),
    "DIV": Kernel(_TWO_IN_OUT, "TfLiteDivParams", "OpDataDiv"),
    "FLOOR_DIV": Kernel(_TWO_IN_OUT),
    "FLOOR_MOD": Kernel(_TWO_IN_OUT),
    "SQUARED_DIFFERENCE": Kernel(_TWO_IN_OUT, data="squared_difference/OpData"),
    "MAXIMUM": Kernel(),
    "MINIMUM": Kernel(),
    "LOGICAL_AND": Kernel(),
    "LOGICAL_OR": Kernel(),
    "EQUAL": _COMPARISON,
    "NOT_EQUAL": _COMPARISON,
    "GREATER": _COMPARISON,
    "GREATER_EQUAL": _COMPARISON,
    "LESS": _COMPARISON,
    "LESS_EQUAL": _COMPARISON,
    # pooling.cc
    "AVERAGE_POOL_2D": Kernel(_IN_OUT, "TfLitePoolParams", "OpDataPooling"),
    "MAX_POOL_2D": Kernel(_IN_OUT, "TfLitePoolParams", "OpDataPooling"),
    # other places for the same elements
    "RESHAPE": Kernel(_IN_OUT, "TfLiteReshapeParams"),
    "SQUEEZE": Kernel(_IN_OUT, "TfLiteSqueezeParams"),
    "EXPAND_DIMS": Kernel(_TWO_IN_OUT),
    "TRANSPOSE": Kernel(_TWO_IN_OUT),
    "PACK": Kernel(nothing, "TfLitePackParams"),
    "UNPACK": Kernel(nothing, "TfLiteUnpackParams"),
    "SPLIT": Kernel(looking("i0"), "TfLiteSplitParams"),
    "SPLIT_V": Kernel(looking("i2"), "TfLiteSplitVParams"),
    "SLICE": Kernel(looking("i0 i1 i2 o0")),
    "STRIDED_SLICE": Kernel(
        looking("i0 i1 i2 i3 o0"), "TfLiteStridedSliceParams", "StridedSliceParams"
    ),
    "PAD": Kernel(looking("i0 i1 i2 o0"), data="pad/OpData"),
    "PADV2": Kernel(looking("i0 i1 i2 o0"), data="pad/OpData"),
    "BATCH_TO_SPACE_ND": Kernel(_IN_OUT),
    "SPACE_TO_BATCH_ND": Kernel(_IN_OUT, data="SpaceToBatchParams"),
    "BROADCAST_ARGS": Kernel(_TWO_IN_OUT),
    "BROADCAST_TO": Kernel(_TWO_IN_OUT),
    "FILL": Kernel(_TWO_IN_OUT),
    "RESIZE_BILINEAR": Kernel(_TWO_IN_OUT, "TfLiteResizeBilinearParams"),
    "RESIZE_NEAREST_NEIGHBOR": Kernel(_TWO_IN_OUT, "TfLiteResizeNearestNeighborParams"),
    "SELECT_V2": Kernel(looking("i0 i1 i2 o0"), data="select/OpData"),
    # figures about a tensor
    "ARG_MAX": Kernel(nothing, "TfLiteArgMaxParams"),
    "ARG_MIN": Kernel(nothing, "TfLiteArgMinParams"),
    "SHAPE": Kernel(nothing, "TfLiteShapeParams"),
}
