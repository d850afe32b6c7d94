"""Options of operators, as far as memory depends on them: a few numbers per node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import tflite

from tinymldelta.model.tables import Operator

_TYPES: Final = {  # operator -> its table of options
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CALL_ONCE": "CallOnceOptions",
    "IF": "IfOptions",
    "VAR_HANDLE": "VarHandleOptions",
    "WHILE": "WhileOptions",
}
_NUMBERS: Final[dict[str, Callable[[Any], tuple[int, ...]]]] = {
    "BATCH_MATMUL": lambda o: (int(o.AdjX()), int(o.AdjY())),
    "CALL_ONCE": lambda o: (o.InitSubgraphIndex(),),
    "IF": lambda o: (o.ThenSubgraphIndex(), o.ElseSubgraphIndex()),
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
