"""Convolutions and dense layers: multipliers and shifts per channel, room for unpacked weights."""

from __future__ import annotations

from tinymldelta.arena.kernels.kernel import INT, Kernel, Prepare, Preparing, affine
from tinymldelta.model import Tensor

_CHANNELS_LAST = -1
_CHANNELS_FIRST = 0


def _keep_channels(k: Preparing, channels: int) -> None:
    """per_channel_output_multiplier, then per_channel_output_shift."""
    k.keep(INT * channels)
    k.keep(INT * channels)


def _unpack(k: Preparing, weights: Tensor | None) -> None:
    """4-bit weights are unpacked to a byte each, for every run."""
    if weights and weights.type == "INT4":
        k.request_scratch(weights.elements)


def _channels(weights: Tensor | None, axis: int) -> int:
    return weights.shape[axis] if weights and weights.shape else 0


def _convolution(channel_axis: int) -> Prepare:
    """conv_common.cc and depthwise_conv_common.cc: arrays whatever the type, and the tensors a
    second time in CalculateOpData...()."""

    def prepare(k: Preparing) -> None:
        k.look("o0 i0 i1")
        _keep_channels(k, _channels(k.input(1), channel_axis))
        k.look("i0 i1 i2 o0")
        _unpack(k, k.input(1))

    return prepare


def _transpose_conv(k: Preparing) -> None:
    """transpose_conv.cc. Inputs are the output's shape, weights, input and bias."""
    result, weights, source, bias = k.output(), k.input(1), k.input(2), k.input(3)
    k.look("o0 i2 i1")
    _keep_channels(k, _channels(weights, _CHANNELS_FIRST))
    accumulator = {"INT8": 4, "UINT8": 4, "INT16": 8}.get(source.type if source else "", 0)
    if accumulator and result:
        k.request_scratch(accumulator * result.elements)
    if source and source.type != "FLOAT32":
        k.look("i2 i1 i3 o0")
        if source.type == "INT16" and bias and bias.type == "INT16":
            k.request_scratch(8 * bias.elements)  # the bias, made wider


def _fully_connected(k: Preparing) -> None:
    """fully_connected.cc and fully_connected_common.cc."""
    source, weights = k.input(0), k.input(1)
    k.look("i0 i1 i2 o0")
    _unpack(k, weights)
    if source and source.type != "FLOAT32" and weights and affine(weights) > 1:
        _keep_channels(k, affine(weights))


CONVOLUTION: dict[str, Kernel] = {
    "CONV_2D": Kernel(_convolution(_CHANNELS_FIRST), "TfLiteConvParams", "OpDataConv"),
    "DEPTHWISE_CONV_2D": Kernel(
        _convolution(_CHANNELS_LAST), "TfLiteDepthwiseConvParams", "OpDataConv"
    ),
    "TRANSPOSE_CONV": Kernel(_transpose_conv, "TfLiteTransposeConvParams", "transpose_conv/OpData"),
    "FULLY_CONNECTED": Kernel(
        _fully_connected, "TfLiteFullyConnectedParams", "OpDataFullyConnected"
    ),
}
