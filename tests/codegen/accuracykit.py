"""Models whose outputs a test says, for what the accuracy gate makes of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelkit import ModelSpec, NodeSpec, OperatorSpec, TensorSpec, build
from tinymldelta.interpreter import Interpreter, Tensor
from tinymldelta.model import read_model
from tinymldelta.vectors import DTYPES

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]  # of the inputs, in the tensors' own types


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def model_with(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], description: str = ""
) -> bytes:
    """A model of these tensors. What it does is up to `Scripted`."""
    ins = tuple(range(len(inputs)))
    outs = tuple(range(len(inputs), len(inputs) + len(outputs)))
    return build(
        ModelSpec(
            tensors=(*inputs, *outputs),
            operators=(OperatorSpec("scripted"),),
            nodes=(NodeSpec(0, ins, outs),),
            inputs=ins,
            outputs=outs,
            description=description,
        )
    )


class _Scripted:
    """An interpreter's backend that does as it is told."""

    def __init__(self, data: bytes, function: Function) -> None:
        model = read_model(data, "scripted")
        self.inputs, self.outputs = (
            tuple(Tensor(i, np.dtype(DTYPES[t.type]), t.shape) for i, t in enumerate(tensors))
            for tensors in (model.input_tensors, model.output_tensors)
        )
        self._function = function
        self._given: dict[int, Array] = {}
        self._found: list[Array] = []

    def set(self, tensor: Tensor, value: Array) -> None:
        self._given[tensor.index] = value

    def invoke(self) -> None:
        found = self._function(*self._given.values())
        found = found if isinstance(found, tuple) else (found,)
        self._found = [
            np.broadcast_to(np.asarray(value, tensor.dtype), tensor.shape)
            for value, tensor in zip(found, self.outputs, strict=True)
        ]

    def get(self, tensor: Tensor) -> Array:
        return self._found[tensor.index]


def scripted(functions: Mapping[bytes, Function]) -> Interpreter:
    """An interpreter that takes these models and no others."""
    return Interpreter("a script", lambda model: _Scripted(model, functions[model]))
