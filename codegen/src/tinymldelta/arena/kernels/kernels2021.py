"""Kernels of TFLM's revision of August 2021, where they differ from later ones.

Tensors that a kernel looks at were temporary then, too, but could not be given back. Three kernels
look at some while they run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tinymldelta.arena.kernels.convolution import CONVOLUTION
from tinymldelta.arena.kernels.kernel import INT, Kernel, Preparing, looking
from tinymldelta.arena.kernels.plain import PLAIN
from tinymldelta.arena.kernels.shaping import SHAPING
from tinymldelta.arena.kernels.special import SPECIAL
from tinymldelta.arena.kernels.summing import SUMMING, element_type, request_sum, simple

_IN_OUT = looking("i0 o0")


def _mean(k: Preparing) -> None:
    """PrepareMeanOrSum() (reduce.cc)."""
    k.look("i0 o0")
    request_sum(k)
    simple(k)


def _concatenation(k: Preparing) -> None:
    """concatenation.cc: for 8 bits, scales and zero points of all inputs."""
    inputs = " ".join(f"i{index}" for index in range(len(k.node.inputs)))
    k.look(f"i0 o0 {inputs} o0")
    if element_type(k) in ("INT8", "UINT8"):
        k.keep(INT * len(k.node.inputs))
        k.keep(INT * len(k.node.inputs))
        k.look(inputs)


def _fully_connected(k: Preparing) -> None:
    """fully_connected.cc knew no scales per channel."""
    k.look("i0 i1 i2 o0")


_CHANGED = {
    "ABS": Kernel(_IN_OUT),
    "RSQRT": Kernel(_IN_OUT),
    "ADD": replace(PLAIN["ADD"], data="add/OpData"),
    "SUB": replace(PLAIN["SUB"], data="sub/OpData"),
    "MUL": replace(PLAIN["MUL"], data="mul/OpData"),
    "DEQUANTIZE": replace(PLAIN["DEQUANTIZE"], data="dequantize/OpData"),
    "SVDF": replace(SPECIAL["SVDF"], data="svdf/OpData"),
    "MEAN": Kernel(_mean, "TfLiteReducerParams", "reduce/OpData"),
    "REDUCE_MAX": replace(SUMMING["REDUCE_MAX"], data="reduce/OpData"),
    "CONCATENATION": replace(SUMMING["CONCATENATION"], prepare=_concatenation, running="o0"),
    "FULLY_CONNECTED": replace(CONVOLUTION["FULLY_CONNECTED"], prepare=_fully_connected),
    "GATHER_ND": Kernel(looking("i0 i1 o0")),
    "SQUEEZE": replace(PLAIN["SQUEEZE"], running="i0 o0"),
    "TRANSPOSE": replace(PLAIN["TRANSPOSE"], running="i0 i1 o0"),
}
_SAME = frozenset(
    ["ADD_N", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "CAST", "CEIL",
     "CONV_2D", "COS", "CUMSUM", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "ELU", "EQUAL", "EXP",
     "EXPAND_DIMS", "FILL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "GATHER", "GREATER",
     "GREATER_EQUAL", "HARD_SWISH", "L2_NORMALIZATION", "L2_POOL_2D", "LEAKY_RELU", "LESS",
     "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "MAXIMUM",
     "MAX_POOL_2D", "MINIMUM", "NEG", "NOT_EQUAL", "PACK", "PAD", "PADV2", "PRELU", "QUANTIZE",
     "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "ROUND", "SHAPE",
     "SIN", "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT",
     "SQUARE", "STRIDED_SLICE", "TANH", "TRANSPOSE_CONV", "UNPACK", "ZEROS_LIKE"]
)  # fmt: skip
_LATER = {**PLAIN, **CONVOLUTION, **SHAPING, **SUMMING, **SPECIAL}

KERNELS_2021: Mapping[str, Kernel] = {**{name: _LATER[name] for name in _SAME}, **_CHANGED}
