"""Operators that run subgraphs, and the resource variables by which those share what they know.

The variables' own table is in memory of the application's (MicroResourceVariables::Create()).
"""

from __future__ import annotations

from tinymldelta.arena.kernels.kernel import Kernel, Preparing, looking, nothing
from tinymldelta.arena.lifetimes import bytes_of


def _var_handle(k: Preparing) -> None:
    """var_handle.cc points its output at the variable's number in its own data."""
    for handle in k.node.outputs[:1]:
        k.handles[handle] = k.node.options[0]


def _assign_variable(k: Preparing) -> None:
    """assign_variable.cc: MicroResourceVariables::Allocate(), for the first that assigns, and only
    if the handle comes from the same subgraph."""
    k.look("i1")
    handle, value = k.input(0), k.input(1)
    if not (handle and value):
        return  # Prepare() fails
    variable = k.handles.get(handle.index)
    if variable is not None and variable not in k.variables:
        k.variables.add(variable)
        k.keep(bytes_of(value))


CONTROL: dict[str, Kernel] = {
    "CALL_ONCE": Kernel(nothing, "TfLiteCallOnceParams", "call_once/OpData"),
    "IF": Kernel(looking("i0"), "TfLiteIfParams", "if/OpData"),
    "WHILE": Kernel(nothing, "TfLiteWhileParams", "while/OpData"),
    "VAR_HANDLE": Kernel(_var_handle, "TfLiteVarHandleParams", "var_handle/OpData"),
    "ASSIGN_VARIABLE": Kernel(_assign_variable),
    "READ_VARIABLE": Kernel(looking("i0")),
}
