"""Kernels that bring many elements together: reductions, concatenation, sums, softmax."""

from __future__ import annotations

from collections.abc import Callable

from tinymldelta.arena.kernels.kernel import INT, Kernel, Preparing

_LUT_INT16 = 2 * 513  # LUTSize<int16_t>() entries, kernels/internal/common.h


def element_type(k: Preparing) -> str:
    """Of the first input."""
    first = k.input(0)
    return first.type if first else ""


def simple(k: Preparing) -> None:
    """PrepareSimple() (reduce_common.cc)."""
    k.look("i0 i1")
    if element_type(k) == "INT8":
        k.look("o0")


def _request_iterators(k: Preparing) -> None:
    """An index into the input, and the axes after they are resolved."""
    source, axes = k.input(0), k.input(1)
    k.request_scratch(INT * (len(source.shape) if source else 0))
    k.request_scratch(INT * (axes.elements if axes else 0))


def request_sum(k: Preparing) -> None:
    """An accumulator for each element of the output."""
    result = k.output()
    if element_type(k) in ("INT8", "INT16") and result:
        k.request_scratch(INT * result.elements)


def _mean_or_sum(k: Preparing) -> None:
    """PrepareMeanOrSumHelper() of 2025."""
    k.look("i0 o0 i1")
    request_sum(k)
    simple(k)


def _mean_or_sum_2026(k: Preparing) -> None:
    k.look("i0 o0 i1")
    request_sum(k)
    _request_iterators(k)
    simple(k)


def _extreme(k: Preparing) -> None:
    """PrepareMaxHelper(), later PrepareMinMaxHelper()."""
    simple(k)
    k.look("i0 o0 i1")
    _request_iterators(k)


def _all(k: Preparing) -> None:
    """PrepareAllHelper()."""
    k.look("i0 o0 i1")
    simple(k)
    _request_iterators(k)


def _concatenation(k: Preparing) -> None:
    """concatenation.cc: the first input and the output, then every input."""
    k.look("i0 o0")
    for index in range(len(k.node.inputs)):
        k.look(f"i{index}")


def _add_n(k: Preparing) -> None:
    """add_n.cc keeps its OpData in Prepare(), and has none for float."""
    k.look("i0 o0")
    for index in range(1, len(k.node.inputs)):
        k.look(f"i{index}", read=False)
    if element_type(k) == "INT8":
        k.keep_struct("add_n/OpData")
    k.request_scratch(INT * len(k.node.inputs))


def _cumsum(k: Preparing) -> None:
    """cumsum.cc keeps its OpData in Prepare(), for int8 only."""
    k.look("i0 i1 o0")
    if element_type(k) == "INT8":
        k.keep_struct("cumsum/OpData")


def _log_softmax(k: Preparing) -> None:
    """log_softmax.cc keeps its OpData in Prepare(), for int8 only."""
    k.look("i0 o0")
    if element_type(k) == "INT8":
        k.keep_struct("LogSoftmaxOpData")


def _softmax(k: Preparing) -> None:
    """softmax_common.cc: two tables for int16."""
    k.look("i0 o0")
    if element_type(k) == "INT16":
        k.keep(_LUT_INT16)
        k.keep(_LUT_INT16)


def _reducer(prepare: Callable[[Preparing], None]) -> Kernel:
    return Kernel(prepare, "TfLiteReducerParams", "OpDataReduce")


SUMMING: dict[str, Kernel] = {
    "MEAN": _reducer(_mean_or_sum),
    "SUM": _reducer(_mean_or_sum),
    "REDUCE_MAX": _reducer(_extreme),
    "CONCATENATION": Kernel(_concatenation, "TfLiteConcatenationParams", "concatenation/OpData"),
    "ADD_N": Kernel(_add_n),
    "CUMSUM": Kernel(_cumsum, "TfLiteCumsumParams"),
    "LOG_SOFTMAX": Kernel(_log_softmax),
    "SOFTMAX": Kernel(_softmax, "TfLiteSoftmaxParams", "SoftmaxParams"),
}

SUMMING_2026: dict[str, Kernel] = {
    **SUMMING,
    "MEAN": _reducer(_mean_or_sum_2026),
    "SUM": _reducer(_mean_or_sum_2026),
    "REDUCE_MIN": _reducer(_extreme),
    "REDUCE_ALL": _reducer(_all),
}
