"""How a simulated device runs a model: `struct tmd_inference`, by callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tinymldelta.native.binding import ffi, lib
from tinymldelta.wire.constants import Status


class Inference(Protocol):
    """How a device runs a model: `struct tmd_inference`. Any exception is a failure."""

    def setup(self, model: bytes) -> None: ...

    def input(self, offset: int, data: bytes) -> None: ...

    def invoke(self) -> None: ...

    def output(self, offset: int, size: int) -> bytes: ...


class InferencePort:
    """An inference as C calls it; without one, a firmware that cannot set up any model.

    Keeps alive what `pointer` needs. error: what the inference raised last.
    """

    def __init__(self, inference: Inference | None) -> None:
        self.error = ""
        self._keep: list[Any] = []
        self.pointer = self._callbacks(inference)

    def _callbacks(self, inference: Inference | None) -> Any:
        def call(function: Callable[[Inference], None]) -> int:
            try:
                if inference is None:
                    raise LookupError("no interpreter can be imported")
                function(inference)
            except Exception as error:  # must not cross the C code; it is a failure of the model
                self.error = str(error)
                return 1
            return 0

        def setup(_ctx: Any, store: Any, model: Any) -> int:
            data = ffi.new("uint8_t[]", model.bytes)
            if lib.tmd_model_read(store, model, 0, data, model.bytes) != Status.OK:
                return 1
            return call(lambda i: i.setup(bytes(ffi.buffer(data, model.bytes))))

        def take(_ctx: Any, offset: int, data: Any, size: int) -> int:
            return call(lambda i: i.input(offset, bytes(ffi.buffer(data, size))))

        def invoke(_ctx: Any) -> int:
            return call(lambda i: i.invoke())

        def give(_ctx: Any, offset: int, data: Any, size: int) -> int:
            return call(lambda i: ffi.memmove(data, i.output(offset, size), size))

        c_inference = ffi.new("struct tmd_inference *")
        for name, function in (
            ("setup", setup),
            ("input", take),
            ("invoke", invoke),
            ("output", give),
        ):
            kind = ffi.typeof(getattr(c_inference, name))
            callback = ffi.callback(kind, function, error=1)
            self._keep.append(callback)
            setattr(c_inference, name, callback)
        return c_inference
