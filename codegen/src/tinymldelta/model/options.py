"""Options of operators, as far as something here depends on them: a few numbers per node."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

import tflite

from tinymldelta.model.tables import Operator

_TYPES: Final = {  # operator -> its table of options
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CALL_ONCE": "CallOnceOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "IF": "IfOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "SOFTMAX": "SoftmaxOptions",
    "VAR_HANDLE": "VarHandleOptions",
    "WHILE": "WhileOptions",
}
# Who needs these does without the node that has none; memory does not depend on them.
_MAY_BE_MISSING: Final = frozenset(
    {
        "ADD",
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "MAX_POOL_2D",
        "SOFTMAX",
    }
)


def _window(o: Any) -> tuple[int, ...]:
    return (o.Padding(), o.StrideH(), o.StrideW(), o.FusedActivationFunction())


def _pool(o: Any) -> tuple[int, ...]:
    return (*_window(o), o.FilterHeight(), o.FilterWidth())


def _softmax(o: Any) -> tuple[int, ...]:
    """beta by its bits, since it is no whole number."""
    return struct.unpack("<I", struct.pack("<f", o.Beta()))


def _convolution(o: Any) -> tuple[int, ...]:
    return (*_window(o), o.DilationHFactor(), o.DilationWFactor())


_NUMBERS: Final[dict[str, Callable[[Any], tuple[int, ...]]]] = {
    "ADD": lambda o: (o.FusedActivationFunction(),),
    "AVERAGE_POOL_2D": _pool,
    "BATCH_MATMUL": lambda o: (int(o.AdjX()), int(o.AdjY())),
    "CALL_ONCE": lambda o: (o.InitSubgraphIndex(),),
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": lambda o: (*_convolution(o), o.DepthMultiplier()),
    "FULLY_CONNECTED": lambda o: (o.FusedActivationFunction(), o.WeightsFormat()),
    "IF": lambda o: (o.ThenSubgraphIndex(), o.ElseSubgraphIndex()),
    "MAX_POOL_2D": _pool,
    "SOFTMAX": _softmax,
    "WHILE": lambda o: (o.CondSubgraphIndex(), o.BodySubgraphIndex()),
}


class OptionReader:
    """Reads the options of one file's nodes, which the walk has checked."""

    def __init__(self) -> None:
        self._variables: list[tuple[bytes, bytes]] = []

    def read(self, node: Any, operator: Operator) -> tuple[int, ...] | None:
        """As `Node.options` says; () where none are read, None where they should be and are not."""
        if operator.custom or operator.name not in _TYPES:
            return ()
        kind = _TYPES[operator.name]
        table = node.BuiltinOptions()
        if table is None or node.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, kind):
            if operator.name in _MAY_BE_MISSING:
                return ()
            # The parser of BATCH_MATMUL does without, and takes both for false.
            return (0, 0) if operator.name == "BATCH_MATMUL" else None
        options = getattr(tflite, kind)()
        options.Init(table.Bytes, table.Pos)
        if operator.name == "VAR_HANDLE":
            return (self._variable(options.Container(), options.SharedName() or b""),)
        return _NUMBERS[operator.name](options)

    def _variable(self, container: bytes | None, name: bytes) -> int:
        """The number of a variable (MicroResourceVariables::FindId()): files may leave the
        container out, which fits any."""
        for number, (known, known_name) in enumerate(self._variables):
            if container in (None, known) and name == known_name:
                return number
        self._variables.append((container or b"", name))
        return len(self._variables) - 1
