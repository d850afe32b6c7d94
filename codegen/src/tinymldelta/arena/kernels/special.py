"""Kernels that ask for more than their like: recurrent ones, matrix products, mirrored padding."""

from __future__ import annotations

from tinymldelta.arena.kernels.kernel import INT, Kernel, Preparing, int_array, looking
from tinymldelta.arena.lifetimes import bytes_of
from tinymldelta.model import Tensor

_LSTM_INPUTS = 24  # lstm_shared.h
_LSTM_CELL_STATE = 19
_LSTM_BUFFERS = 4


def _lstm(k: Preparing) -> None:
    """unidirectional_sequence_lstm.cc: all tensors at once (LstmTensors), then four buffers of the
    cell state's size."""
    for index in range(_LSTM_INPUTS):
        k.look(f"i{index}")
    k.look("o0")
    state = k.input(_LSTM_CELL_STATE)
    for _ in range(_LSTM_BUFFERS):
        k.request_scratch(bytes_of(state) if state else 0)


def _svdf(k: Preparing) -> None:
    """svdf_common.cc: a value per batch and filter; for int8, the output before its scale."""
    k.look("i0 i1 i2 i3 i4 o0")
    source, weights, result = k.input(0), k.input(1), k.output()
    if not (source and source.shape and weights and weights.shape and result):
        return  # Prepare() fails
    k.request_scratch(INT * source.shape[0] * weights.shape[0])
    if source.type == "INT8":
        k.request_scratch(INT * result.elements)


def _keep_transposed(k: Preparing, operand: Tensor | None) -> None:
    """AllocInitTransposeTensorFromTfLiteTensor() (batch_matmul.cc)."""
    if operand:
        k.keep_struct("TfLiteEvalTensor")
        k.keep(int_array(len(operand.shape)))
        k.keep(bytes_of(operand))


def _batch_matmul(k: Preparing) -> None:
    """batch_matmul.cc wants its right operand transposed, and keeps a copy if it is not."""
    k.look("i0 i1 o0")
    left = k.input(0)
    transposes_left, right_is_transposed = k.node.options
    if left and left.type in ("INT8", "INT16"):
        k.keep_struct("QuantizationOpDataBatchMatmul")
    if transposes_left:
        _keep_transposed(k, left)
    if not right_is_transposed:
        _keep_transposed(k, k.input(1))
    k.keep_dimensions(k.output())


def _mirror_pad(k: Preparing) -> None:
    """mirror_pad.cc: how many elements each dimension of the output and of the input spans."""
    k.look("i0 i1 o0")
    source = k.input(0)
    rank = len(source.shape) if source else 0
    k.request_scratch(INT * rank)
    k.request_scratch(INT * rank)


SPECIAL: dict[str, Kernel] = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Kernel(
        _lstm, "TfLiteUnidirectionalSequenceLSTMParams", "OpDataLSTM"
    ),
    "SVDF": Kernel(_svdf, "TfLiteSVDFParams", "OpDataSvdf"),
    "BATCH_MATMUL": Kernel(_batch_matmul, "TfLiteBatchMatMulParams", "OpDataBatchMatmul"),
    "MIRROR_PAD": Kernel(_mirror_pad, "TfLiteMirrorPaddingParams", "OpDataMirrorPad"),
}

SPECIAL_2026: dict[str, Kernel] = {
    **SPECIAL,
    "REVERSE_V2": Kernel(looking("i0 i1 o0")),
    "DYNAMIC_UPDATE_SLICE": Kernel(looking("i0 i1 i2 o0")),
}
