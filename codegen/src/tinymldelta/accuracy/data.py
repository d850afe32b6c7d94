"""The user's samples: what is taken of an .npz, and how a model is given one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinymldelta.errors import Refusal
from tinymldelta.model import Model, Quantisation, Tensor
from tinymldelta.vectors import DTYPES, load_arrays

Array = npt.NDArray[Any]

_FIX: Final = "give arrays `x` and `y` as `numpy.savez` writes them, a sample to each row"
# Types that an application quantises for, by TFLM's AffineQuantize (kernels/internal/reference/
# quantize.h), which rounds halves away from zero and saturates.
_QUANTISED: Final = ("INT8", "UINT8", "INT16")


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples and their labels. inputs: an array for each of a model's inputs, in its order.

    The first axis of all arrays is that of the samples. sha256: over what is in the arrays, so that
    it does not depend on how the file was compressed. where: the file, for messages.
    """

    where: str
    inputs: tuple[Array, ...]
    labels: Array
    sha256: bytes

    def __len__(self) -> int:
        return len(self.labels)


def read_samples(data: bytes, where: str, model: Model) -> Samples:
    """Read an .npz file of samples for a model, by whose inputs they are named. Raises Refusal.

    The arrays are `y` and `x`, or for several inputs `x_0`, `x_1` and so on in the model's order,
    or the inputs' own names. Whatever else the file has is left alone.
    """
    arrays = load_arrays(data, where, _FIX)
    names = _names(arrays, model.input_tensors)
    taken = _inputs(arrays, names, where)
    _check(arrays.get("y"), "y", where)
    labels = arrays["y"]
    for name in names:
        if len(arrays[name]) != len(labels):
            raise Refusal(
                where, f"{name!r} has {len(arrays[name])} samples, 'y' has {len(labels)}", _FIX
            )
    if len(labels) < 2:
        raise Refusal(
            where,
            f"{len(labels)} samples are too few to tell how good a model is",
            "give some hundreds",
        )
    return Samples(where, taken, labels, _digest((*taken, labels)))


def read_inputs(data: bytes, where: str, model: Model) -> Samples:
    """The same without labels: whatever `y` there is does not count. Raises Refusal."""
    arrays = load_arrays(data, where, _FIX)
    taken = _inputs(arrays, _names(arrays, model.input_tensors), where)
    if len({len(array) for array in taken}) > 1 or len(taken[0]) == 0:
        raise Refusal(where, "its arrays have no samples, or not as many each", _FIX)
    return Samples(where, taken, np.zeros(len(taken[0]), np.uint8), _digest(taken))


def common_samples(one: Samples, other: Samples, model: Model) -> int:
    """How many samples of `other` are in `one` too, by what their inputs hold.

    Where these are of another type, by what the model is given of them, which may be the same of
    samples that differ.
    """
    pairs = zip(one.inputs, other.inputs, strict=True)
    alike = all(a.dtype == b.dtype for a, b in pairs)

    def rows(samples: Samples) -> list[bytes]:
        feed = Feed(samples, model)
        given = (
            [array[row] for array in samples.inputs] if alike else feed.sample(row)
            for row in range(len(samples.inputs[0]))
        )
        return [b"".join(np.ascontiguousarray(a).tobytes() for a in arrays) for arrays in given]

    known = set(rows(one))
    return sum(row in known for row in rows(other))


def _inputs(arrays: dict[str, Array], names: Sequence[str], where: str) -> tuple[Array, ...]:
    for name in names:
        _check(arrays.get(name), name, where)
    return tuple(arrays[name] for name in names)


def _names(arrays: dict[str, Array], tensors: Sequence[Tensor]) -> list[str]:
    own = [tensor.name for tensor in tensors]
    if "x" not in arrays and all(name in arrays for name in own) and len(set(own)) == len(own):
        return own
    return ["x"] if len(tensors) == 1 else [f"x_{i}" for i in range(len(tensors))]


def _check(array: Array | None, name: str, where: str) -> None:
    if array is None:
        raise Refusal(where, f"it has no array {name!r}", _FIX)
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        raise Refusal(where, f"{name!r} is {array.dtype} of the shape {list(array.shape)}", _FIX)
    if not np.isfinite(array).all():
        raise Refusal(where, f"{name!r} has values that are NaN or infinite", "leave them out")


def _digest(arrays: Sequence[Array]) -> bytes:
    """SHA-256 over type, shape and little-endian content of each array."""
    digest = hashlib.sha256()
    for array in arrays:
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        shape = "x".join(map(str, array.shape))
        digest.update(f"{array.dtype.name} {shape}\0".encode())
        digest.update(little.data)
    return digest.digest()


class Feed:
    """Samples as one model is given them. Refuses samples that its inputs cannot have.

    clipped: how many values were beyond what the quantised input can say.
    """

    def __init__(self, samples: Samples, model: Model) -> None:
        self._inputs = tuple(zip(samples.inputs, model.input_tensors, strict=True))
        self.clipped = 0
        for array, tensor in self._inputs:
            _check_fits(array, tensor, samples.where, model.name)

    def real(self) -> Array:
        """The samples of a model with one input as what they stand for, float32 (samples, ...)."""
        ((array, tensor),) = self._inputs
        array = array.reshape(len(array), *tensor.shape[1:])
        real = array if array.dtype.kind == "f" else dequantise(array, tensor)
        return real.astype(np.float32)

    def sample(self, row: int) -> tuple[Array, ...]:
        """The inputs of one sample, in the tensors' own types and shapes."""
        return tuple(self._given(array[row], tensor) for array, tensor in self._inputs)

    def _given(self, value: Array, tensor: Tensor) -> Array:
        dtype = np.dtype(DTYPES[tensor.type])
        value = np.asarray(value).reshape(tensor.shape)
        scaled = _scaled(value.dtype, tensor)
        if scaled is None:
            return value.astype(dtype)
        limits = np.iinfo(dtype)
        with np.errstate(over="ignore"):
            # In binary32, as on a device; and rounded where adding a half is exact.
            ratio = value.astype(np.float32) / np.float32(scaled.scale[0])
        steps = np.copysign(np.floor(np.abs(ratio, dtype=np.float64) + 0.5), ratio)
        steps += scaled.zero_point[0] if scaled.zero_point else 0
        self.clipped += int(np.count_nonzero((steps < limits.min) | (steps > limits.max)))
        quantised: Array = np.clip(steps, limits.min, limits.max).astype(dtype)
        return quantised


def _scaled(given: np.dtype[Any], tensor: Tensor) -> Quantisation | None:
    """By what values of this type are quantised for the tensor; None if they are not."""
    return tensor.quantisation if given.kind == "f" and tensor.type in _QUANTISED else None


def takes_as_is(samples: Samples, model: Model) -> bool:
    """Whether some input gets quantised values that stand in the file as they are."""
    pairs = zip(samples.inputs, model.input_tensors, strict=True)
    return any(t.type in _QUANTISED and _scaled(array.dtype, t) is None for array, t in pairs)


def _check_fits(array: Array, tensor: Tensor, where: str, model: str) -> None:
    what = f"the samples for {tensor.name!r} of {model} are {array.dtype}"
    if tensor.type not in DTYPES:
        raise Refusal(model, f"its input {tensor.name!r} is {tensor.type}, which no array is", "")
    shapes = [tensor.shape]
    if tensor.shape[:1] == (1,):
        shapes.append(tensor.shape[1:])  # the samples' axis stands for a batch of one
    if array.shape[1:] not in shapes:
        raise Refusal(
            where,
            f"{what} of the shape {list(array.shape)}, the tensor's shape is {list(tensor.shape)}",
            "give each sample the tensor's shape, behind a first axis for the samples",
        )
    dtype = np.dtype(DTYPES[tensor.type])
    if array.dtype.name == dtype.name:
        return
    if array.dtype.kind != "f" or (dtype.kind != "f" and tensor.type not in _QUANTISED):
        raise Refusal(
            where,
            f"{what}, the tensor is {dtype.name}",
            f"give {dtype.name}"
            + (", or float values to be quantised" if _quantised(tensor) else ""),
        )
    if tensor.type in _QUANTISED and not _quantised(tensor):
        raise Refusal(
            where,
            f"{what}, the tensor is {dtype.name} without one scale to quantise them by",
            f"give {dtype.name}",
        )
    limit = np.finfo(dtype).max if dtype.kind == "f" else np.finfo(np.float32).max
    if np.abs(array).max() > float(limit):
        raise Refusal(where, f"{what} with values that {dtype.name} does not have", "scale them")


def _quantised(tensor: Tensor) -> bool:
    q = tensor.quantisation
    return tensor.type in _QUANTISED and q is not None and len(q.scale) == 1 and q.scale[0] > 0


def dequantise(value: Array, tensor: Tensor) -> Array:
    """What the values of a tensor stand for, as binary64."""
    q = tensor.quantisation
    if q is None or not q.scale:
        return value.astype(np.float64)
    zero = q.zero_point[0] if q.zero_point else 0
    scaled: Array = (value.astype(np.float64) - zero) * q.scale[0]
    return scaled


def split(data: bytes, tensors: Sequence[Tensor]) -> list[Array]:
    """Out tensors that stand one behind the other."""
    values, at = [], 0
    for tensor in tensors:
        dtype = np.dtype(DTYPES[tensor.type])
        value = np.frombuffer(data, dtype, count=tensor.elements, offset=at)
        values.append(value.reshape(tensor.shape))
        at += tensor.elements * dtype.itemsize
    return values


def joined(inputs: Sequence[Array]) -> bytes:
    """Tensors one behind the other, little-endian, as an interpreter takes them here."""
    return b"".join(value.astype(value.dtype.newbyteorder("<")).tobytes() for value in inputs)
