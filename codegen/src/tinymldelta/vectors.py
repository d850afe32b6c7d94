"""Test vectors: inputs with the outputs that a model must have, which travel behind the model.

A device runs them before it uses a new model for the first time. What stands in the slot is the
image: the model, zeros up to a multiple of 16, and the block `self_test` of wire.yaml.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinymldelta.container.patch import pack
from tinymldelta.errors import Refusal
from tinymldelta.facts import Facts, TensorFact
from tinymldelta.interpreter import InferenceFailed, Interpreter
from tinymldelta.model import Model, Tensor
from tinymldelta.model.tables import ELEMENT_BITS
from tinymldelta.wire.constants import SELF_TEST, SELF_TEST_SIZE

_ALIGN: Final = 16  # as a flatbuffer's contents are aligned, at most
VECTORS_MAX: Final = 256 ** SELF_TEST["vectors_n"].size - 1
_FIX: Final = "give arrays `input` and `output` as `numpy.savez` writes them, a vector to each row"

# Element types of tensors that an array can have, and the largest tolerance of those that have one.
DTYPES: Final = {
    "FLOAT32": "<f4", "FLOAT16": "<f2", "FLOAT64": "<f8", "BOOL": "?", "INT8": "i1", "UINT8": "u1",
    "INT16": "<i2", "UINT16": "<u2", "INT32": "<i4", "UINT32": "<u4", "INT64": "<i8",
    "UINT64": "<u8",
}  # fmt: skip
_STEPS_MAX: Final = {"INT8": 0xFF, "UINT8": 0xFF, "INT16": 0xFFFF}

# What numpy and zipfile raise on damaged files.
_LOAD_ERRORS: Final = (
    ValueError, OSError, EOFError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of one model. Inputs and outputs: of each vector, all tensors one behind the other.

    type, type_code: element type of the outputs. tolerance: how far an element may be off, a float
    for FLOAT32, else a whole number of quantised steps.
    """

    type: str
    type_code: int
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    tolerance: float | int

    def block(self) -> bytes:
        """The block as it stands behind the model."""
        is_float = self.type == "FLOAT32"
        head: dict[str, int | bytes] = {
            "vectors_n": len(self.inputs),
            "type": self.type_code,
            "reserved": 0,
            "input_bytes": len(self.inputs[0]),
            "output_bytes": len(self.outputs[0]),
            "tolerance": struct.pack("<f", self.tolerance) if is_float else int(self.tolerance),
        }
        pairs = zip(self.inputs, self.outputs, strict=True)
        return pack(SELF_TEST, head) + b"".join(part for pair in pairs for part in pair)


def build_image(model: bytes, vectors: Vectors) -> tuple[bytes, int]:
    """What the slot holds, and where in it the test vectors begin."""
    padded = model + bytes(-len(model) % _ALIGN)
    return padded + vectors.block(), len(padded)


def without_vectors(image: bytes, model: Model) -> bytes:
    """What `build_image` was given, and up to 15 zeros behind; all of it if there are no vectors.

    model: as read from the image. Vectors are known by a head that says just what the model's
    tensors have, and by reaching to the end.
    """
    vector = sum(_bytes_of(t) for t in (*model.input_tensors, *model.output_tensors))
    given = sum(_bytes_of(t) for t in model.input_tensors)
    for n in range(1, (len(image) - SELF_TEST_SIZE) // max(vector, 1) + 1):
        at = len(image) - SELF_TEST_SIZE - n * vector
        head: dict[str, int | bytes] = {
            "vectors_n": n,
            "type": model.output_tensors[0].type_code,
            "reserved": 0,
            "input_bytes": given,
            "output_bytes": vector - given,
            "tolerance": image[at + SELF_TEST_SIZE - 4 : at + SELF_TEST_SIZE],
        }
        if at % _ALIGN == 0 and n <= VECTORS_MAX and image[at:].startswith(pack(SELF_TEST, head)):
            return image[:at]
    return image


def _bytes_of(tensor: Tensor) -> int:
    return tensor.elements * ELEMENT_BITS[tensor.type] // 8


# ---- reading ----


def read_vectors(data: bytes, where: str, facts: Facts, tolerance: float) -> Vectors:
    """Read an .npz file of vectors for a model with these facts. Raises Refusal.

    The arrays are `input` and `output`, or with several tensors `input_0`, `input_1` and so on, in
    the model's order. Their first axis is that of the vectors; a model's batch of one may be left
    out behind it.
    """
    arrays = load_arrays(data, where, _FIX)
    inputs = _take(arrays, "input", facts.inputs, where)
    outputs = _take(arrays, "output", facts.outputs, where)
    if arrays:
        raise Refusal(where, f"it has an array {min(arrays)!r} too much", _FIX)
    counts = {len(array) for array in (*inputs, *outputs)}
    if len(counts) > 1:
        raise Refusal(where, "its arrays have different numbers of vectors", _FIX)
    (count,) = counts
    if not 1 <= count <= VECTORS_MAX:
        raise Refusal(where, f"{count} vectors; 1 to {VECTORS_MAX} are possible", "")
    type_name, type_code = output_type(facts.outputs, where)
    return Vectors(
        type=type_name,
        type_code=type_code,
        inputs=_rows(inputs),
        outputs=_rows(outputs),
        tolerance=check_tolerance(type_name, tolerance, where),
    )


def output_type(outputs: Sequence[TensorFact | Tensor], where: str) -> tuple[str, int]:
    """The one element type of a model's outputs, and its code. Refuses several."""
    types = {(tensor.type, tensor.type_code) for tensor in outputs}
    if len(types) > 1:
        names = ", ".join(sorted(name for name, _ in types))
        raise Refusal(
            where,
            f"the model's outputs have different element types: {names}",
            "test vectors are for models whose outputs have one element type",
        )
    return types.pop()


def load_arrays(data: bytes, where: str, fix: str) -> dict[str, Array]:
    """All arrays of an .npz file by their names. Refuses what is none, and pickled objects."""
    try:
        file = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is one array, not an archive of them")
        return {name: np.asarray(file[name]) for name in file.files}
    except _LOAD_ERRORS as error:
        raise Refusal(where, "not an .npz file of plain arrays", fix) from error


def _take(
    arrays: dict[str, Array], role: str, tensors: Sequence[TensorFact], where: str
) -> list[Array]:
    """The arrays of all in or out tensors, taken out of `arrays`."""
    names = [f"{role}_{i}" for i in range(len(tensors))]
    if len(tensors) == 1 and role in arrays:
        names = [role]
    return [
        _checked(arrays.pop(name, None), name, tensor, where)
        for name, tensor in zip(names, tensors, strict=True)
    ]


def _checked(array: Array | None, name: str, tensor: TensorFact, where: str) -> Array:
    if array is None:
        raise Refusal(where, f"it has no array {name!r}", _FIX)
    if tensor.type not in DTYPES:
        raise Refusal(where, f"{name!r} would be of {tensor.type}, which arrays do not have", "")
    dtype = np.dtype(DTYPES[tensor.type])
    shapes = [tensor.shape]
    if tensor.shape[:1] == (1,):
        shapes.append(tensor.shape[1:])  # the vectors' axis stands for a batch of one
    if array.dtype.name != dtype.name or array.ndim == 0 or array.shape[1:] not in shapes:
        raise Refusal(
            where,
            f"{name!r} is {array.dtype.name} of the shape {list(array.shape)}; the model's tensor "
            f"is {dtype.name} of the shape {list(tensor.shape)}",
            "give the tensor's type and shape, and the vectors a first axis of their own",
        )
    return array.astype(dtype)


def _rows(arrays: Sequence[Array]) -> tuple[bytes, ...]:
    return tuple(
        b"".join(array[row].tobytes() for array in arrays) for row in range(len(arrays[0]))
    )


def check_tolerance(type_name: str, tolerance: float, where: str) -> float | int:
    """The tolerance as outputs of this type have it. Refuses one that they cannot."""
    if type_name == "FLOAT32":
        if not 0 <= tolerance <= float(np.finfo(np.float32).max):
            raise Refusal(where, f"a tolerance of {tolerance} is no finite number from 0 up", "")
        return float(np.float32(tolerance))
    most = _STEPS_MAX.get(type_name, 0)
    if not math.isfinite(tolerance) or tolerance != int(tolerance) or not 0 <= tolerance <= most:
        raise Refusal(
            where,
            f"a tolerance of {tolerance:g} is not possible for outputs of {type_name}",
            f"give a whole number from 0 to {most}" if most else "leave --tolerance out",
        )
    return int(tolerance)


# ---- running ----


def run_vectors(model: bytes, vectors: Vectors, where: str, interpreter: Interpreter) -> None:
    """Run the model on its vectors, as a device will. Refuses the first that fails."""
    try:
        loaded = interpreter.load(model)
    except InferenceFailed as error:
        raise Refusal(where, f"{interpreter.name} does not take it: {error}", "") from error
    for number, (given, expected) in enumerate(zip(vectors.inputs, vectors.outputs, strict=True)):
        try:
            found = loaded.run(given)
        except InferenceFailed as error:
            raise Refusal(where, f"test vector {number} cannot be run: {error}", "") from error
        off = _how_far_off(vectors, found, expected)
        if off is not None:
            raise Refusal(
                where,
                f"test vector {number} fails: {off} (run by {interpreter.name})",
                "check model and vectors, or raise --tolerance",
            )


def _how_far_off(vectors: Vectors, found: bytes, expected: bytes) -> str | None:
    """A clause on the output that is furthest off, or None if all are near enough."""
    if len(found) != len(expected):
        return f"the output has {len(found)} bytes, not {len(expected)}"
    dtype = np.dtype(DTYPES[vectors.type])
    if vectors.type == "FLOAT32":
        with np.errstate(all="ignore"):
            # In binary32, as a device works it out.
            distance = np.abs(np.frombuffer(found, dtype) - np.frombuffer(expected, dtype))
            near = distance <= np.float32(vectors.tolerance)
        worst = int(np.argmax(np.where(np.isnan(distance), np.inf, distance)))
        text = f"{distance[worst]:g}"
    elif vectors.type in _STEPS_MAX:
        both = (np.frombuffer(part, dtype).astype(np.int32) for part in (found, expected))
        steps = np.abs(np.subtract(*both))
        near = steps <= vectors.tolerance
        worst = int(np.argmax(steps))
        text = str(steps[worst])
    else:
        near = np.frombuffer(found, np.uint8) == np.frombuffer(expected, np.uint8)
        if bool(near.all()):
            return None
        return f"{np.count_nonzero(~near)} of {len(expected)} bytes of the output differ"
    if bool(near.all()):
        return None
    return f"output {worst} is off by {text}, at most {vectors.tolerance:g} is allowed"
