"""Interpreters that run a model on this machine, where one can be imported.

Of those there are, the first of LiteRT, TensorFlow and TensorFlow Lite Micro. None is a dependency:
only test vectors are run, and without an interpreter they are left to the device.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import numpy as np

from tinymldelta.model import read_model

# Names of interpreters.
LITERT: Final = "LiteRT"
TENSORFLOW: Final = "TensorFlow"
TFLM: Final = "TensorFlow Lite Micro"

# Beyond what any kernel needs for its state: a PC's structs are larger than a device's.
_TFLM_ARENA_BYTES: Final = 4 << 20


class InferenceFailed(Exception):  # noqa: N818 - the model's failure, not the program's
    """The interpreter does not take the model, or fails to run it; `str()` is what it said."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An in or out tensor, as the interpreter describes it."""

    index: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class _Backend(Protocol):
    """One model in one interpreter. Any exception of it is a failure of the model."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def set(self, tensor: Tensor, value: Any) -> None: ...

    def invoke(self) -> None: ...

    def get(self, tensor: Tensor) -> Any: ...


def _tensors(details: Sequence[dict[str, Any]], *, by_place: bool) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            i if by_place else int(d["index"]), np.dtype(d["dtype"]), tuple(map(int, d["shape"]))
        )
        for i, d in enumerate(details)
    )


class _TfLite:
    """LiteRT, or `tf.lite`. With the reference kernels, because a device's are made of them."""

    def __init__(self, module: Any, model: bytes) -> None:
        home = module if hasattr(module, "OpResolverType") else module.experimental
        with warnings.catch_warnings():
            # TensorFlow's is on its way out; whoever has LiteRT gets that one.
            warnings.simplefilter("ignore")
            self._interpreter = module.Interpreter(
                model_content=model, experimental_op_resolver_type=home.OpResolverType.BUILTIN_REF
            )
        self._interpreter.allocate_tensors()
        self.inputs = _tensors(self._interpreter.get_input_details(), by_place=False)
        self.outputs = _tensors(self._interpreter.get_output_details(), by_place=False)

    def set(self, tensor: Tensor, value: Any) -> None:
        self._interpreter.set_tensor(tensor.index, value)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def get(self, tensor: Tensor) -> Any:
        return self._interpreter.get_tensor(tensor.index)


class _Tflm:
    def __init__(self, module: Any, model: bytes) -> None:
        arena = _TFLM_ARENA_BYTES + 10 * len(model)
        self._interpreter = module.Interpreter.from_bytes(model, arena_size=arena)
        # It does not say how many there are, and prints a line when asked for one too many.
        graph = read_model(model, "model")
        i = self._interpreter
        self.inputs = _tensors(
            [i.get_input_details(n) for n in range(len(graph.inputs))], by_place=True
        )
        self.outputs = _tensors(
            [i.get_output_details(n) for n in range(len(graph.outputs))], by_place=True
        )

    def set(self, tensor: Tensor, value: Any) -> None:
        self._interpreter.set_input(value, tensor.index)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def get(self, tensor: Tensor) -> Any:
        return self._interpreter.get_output(tensor.index)


class Loaded:
    """A model that is ready to run, as bytes go in and out: all tensors, one behind the other."""

    def __init__(self, backend: _Backend) -> None:
        self._backend = backend

    @property
    def input_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self._backend.inputs)

    def run(self, inputs: bytes) -> bytes:
        """One inference. Raises InferenceFailed, also if the inputs are not as long as they are."""
        if len(inputs) != self.input_bytes:
            raise InferenceFailed(f"the inputs have {self.input_bytes} bytes, not {len(inputs)}")
        at = 0
        try:
            for tensor in self._backend.inputs:
                little = tensor.dtype.newbyteorder("<")
                value = np.frombuffer(inputs, little, offset=at, count=int(np.prod(tensor.shape)))
                self._backend.set(tensor, value.astype(tensor.dtype).reshape(tensor.shape))
                at += tensor.bytes
            self._backend.invoke()
            return b"".join(
                np.asarray(self._backend.get(tensor))
                .astype(tensor.dtype.newbyteorder("<"))
                .tobytes()
                for tensor in self._backend.outputs
            )
        except Exception as error:  # whatever the interpreter raises
            raise InferenceFailed(_clause(error)) from error


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What runs models on this machine. `name` is for people."""

    name: str
    _load: Callable[[bytes], _Backend]

    def load(self, model: bytes) -> Loaded:
        """Make a model ready. Raises InferenceFailed."""
        try:
            return Loaded(self._load(model))
        except Exception as error:  # whatever the interpreter raises
            raise InferenceFailed(_clause(error)) from error


class ModelInference:
    """An interpreter as a device's store calls it: `struct tmd_inference`, in Python."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._loaded: Loaded | None = None
        self._input = bytearray()
        self._output = b""

    def setup(self, model: bytes) -> None:
        self._loaded = self._interpreter.load(model)
        self._input = bytearray(self._loaded.input_bytes)

    def input(self, offset: int, data: bytes) -> None:
        if offset + len(data) > len(self._input):
            raise InferenceFailed(f"the inputs have {len(self._input)} bytes")
        self._input[offset : offset + len(data)] = data

    def invoke(self) -> None:
        if self._loaded is None:
            raise InferenceFailed("no model was set up")
        self._output = self._loaded.run(bytes(self._input))

    def output(self, offset: int, size: int) -> bytes:
        if offset + size > len(self._output):
            raise InferenceFailed(f"the outputs have {len(self._output)} bytes")
        return self._output[offset : offset + size]


def _clause(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


_KNOWN: tuple[tuple[str, str, str, Callable[[Any, bytes], _Backend]], ...] = (
    (LITERT, "ai_edge_litert.interpreter", "", _TfLite),
    (TENSORFLOW, "tensorflow", "lite", _TfLite),
    (TFLM, "tflite_micro", "runtime", _Tflm),
)


def _load(
    module_name: str, part: str, backend: Callable[[Any, bytes], _Backend], model: bytes
) -> _Backend:
    module = importlib.import_module(module_name)
    return backend(getattr(module, part) if part else module, model)


def find_interpreter(first: str = "") -> Interpreter | None:
    """The interpreter named `first` if it is installed, else the first that is, or None.

    It is imported when it loads its first model: TensorFlow takes seconds and prints lines, and
    most devices that are simulated never have a model to be tested.
    """
    for name, module_name, part, backend in sorted(_KNOWN, key=lambda known: known[0] != first):
        with contextlib.suppress(ModuleNotFoundError):  # of a part whose package is not there
            if importlib.util.find_spec(module_name) is not None:
                return Interpreter(name, partial(_load, module_name, part, backend))
    return None
