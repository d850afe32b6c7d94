"""The samples: what is taken of an .npz, and what a model is given of it."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tflite
from hypothesis import given
from hypothesis import strategies as st

from accuracykit import model_with, npz
from modelkit import TensorSpec
from tinymldelta.accuracy.data import Feed, dequantise, read_samples
from tinymldelta.errors import Refusal
from tinymldelta.model import Model, read_model

FLOAT = tflite.TensorType.FLOAT32
IMAGE = TensorSpec("image", (1, 4, 3), scale=(0.5,), zero_point=(-3,))
OUT = TensorSpec("out", (1, 2), scale=(1 / 256,), zero_point=(-128,))


def model(*inputs: TensorSpec) -> Model:
    return read_model(model_with(inputs or (IMAGE,), (OUT,)), "m.tflite")


def arrays(**changes: Any) -> dict[str, Any]:
    whole = {"x": np.zeros((5, 4, 3), np.int8), "y": np.zeros(5, np.uint8)} | changes
    return {name: array for name, array in whole.items() if array is not None}


def test_samples_with_or_without_a_batch_of_one_are_the_same_to_the_model() -> None:
    x = np.arange(60, dtype=np.int8).reshape(5, 4, 3)
    for given_x in (x, x[:, None]):
        samples = read_samples(npz(**arrays(x=given_x)), "d", model())
        (value,) = Feed(samples, model()).sample(2)
        assert len(samples) == 5
        assert (value == x[2]).all() and value.shape == (1, 4, 3)


def test_several_inputs_are_numbered_or_go_by_their_names() -> None:
    other = TensorSpec("other:0", (2,), FLOAT)
    m = model(IMAGE, other)
    x, z, y = np.ones((3, 4, 3), np.int8), np.full((3, 2), 7.0), np.zeros(3, int)
    numbered = read_samples(npz(x_0=x, x_1=z, y=y), "d", m)
    named = read_samples(npz(**{"image": x, "other:0": z, "y": y, "more": y}), "d", m)
    assert numbered.sha256 == named.sha256
    one, two = Feed(numbered, m).sample(0)
    assert (one.dtype, two.dtype, two.tolist()) == (np.int8, np.float32, [7.0, 7.0])


def test_the_digest_is_of_the_contents() -> None:
    x = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    wide = model(replace(IMAGE, type=tflite.TensorType.INT16))

    def digest(**changes: Any) -> bytes:
        return read_samples(npz(**arrays(**({"x": x} | changes))), "d", wide).sha256

    compressed = BytesIO()
    np.savez_compressed(compressed, **arrays(x=x.astype(">i2")))
    assert read_samples(compressed.getvalue(), "d", wide).sha256 == digest()
    assert digest(x=np.asfortranarray(x)) == digest()
    others = [digest(x=x + np.int16(1)), digest(y=np.ones(5, np.uint8)), digest(y=np.zeros(5, int))]
    assert len({digest(), *others, digest(x=x[:, None])}) == 5


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"x": None}, "it has no array 'x'"),
        ({"y": None}, "it has no array 'y'"),
        ({"x": np.array([None] * 5)}, "not an .npz file of plain arrays"),
        ({"y": np.array(["a"] * 5)}, "'y' is <U1 of the shape"),
        ({"x": np.zeros((5, 4, 3), complex)}, "'x' is complex128"),
        ({"y": np.int8(1)}, r"'y' is int8 of the shape \[\]"),
        ({"y": np.zeros(4)}, "'x' has 5 samples, 'y' has 4"),
        ({"x": np.full((5, 4, 3), np.nan)}, "'x' has values that are NaN or infinite"),
        ({"y": np.full(5, np.inf)}, "'y' has values that are NaN or infinite"),
        ({"x": np.zeros((1, 4, 3)), "y": np.zeros(1)}, "1 samples are too few"),
        ({"x": np.zeros((0, 4, 3)), "y": np.zeros(0)}, "0 samples are too few"),
        ({"x": np.zeros((5, 3, 4))}, r"shape \[5, 3, 4\], the tensor's shape is \[1, 4, 3\]"),
        ({"x": np.zeros((5, 12))}, r"shape \[5, 12\], the tensor's shape is \[1, 4, 3\]"),
        ({"x": np.zeros((5, 4, 3), np.uint8)}, "are uint8, the tensor is int8"),
        ({"x": np.zeros((5, 4, 3), bool)}, "are bool, the tensor is int8"),
        ({"x": np.full((5, 4, 3), 1e39)}, "with values that float32 does not have"
         "|values that int8 does not have"),
    ],
)  # fmt: skip
def test_samples_that_do_not_fit_are_refused(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(Refusal, match=fault) as refusal:
        Feed(read_samples(npz(**arrays(**change)), "d.npz", model()), model())
    assert refusal.value.where == "d.npz"


@pytest.mark.parametrize(
    ("tensor", "x", "fault"),
    [
        (replace(IMAGE, type=FLOAT), np.zeros((5, 4, 3), np.uint8), "are uint8, the tensor is flo"),
        (replace(IMAGE, scale=(), zero_point=()), np.zeros((5, 4, 3)), "without one scale"),
        (replace(IMAGE, scale=(1.0,) * 3, zero_point=(0,) * 3, axis=2), np.zeros((5, 4, 3)),
         "without one scale"),
        (replace(IMAGE, type=tflite.TensorType.INT32), np.zeros((5, 4, 3)), "the tensor is int32"),
        (replace(IMAGE, type=tflite.TensorType.COMPLEX64), np.zeros((5, 4, 3)), "is COMPLEX64"),
    ],
)  # fmt: skip
def test_tensors_that_the_samples_are_not_for_are_refused(
    tensor: TensorSpec, x: Any, fault: str
) -> None:
    m = model(tensor)
    with pytest.raises(Refusal, match=fault):
        Feed(read_samples(npz(**arrays(x=x)), "d", m), m)


def test_what_is_no_npz_is_refused() -> None:
    alone, text = BytesIO(), BytesIO()
    np.save(alone, np.zeros(3))
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr("x.npy", "no array")
    for data in (b"", b"x" * 99, alone.getvalue(), text.getvalue(), npz(**arrays())[:100]):
        with pytest.raises(Refusal, match="not an .npz file|'x' is .S8"):
            read_samples(data, "d", model())


@given(
    st.floats(-1e6, 1e6, width=32),
    st.floats(0.0009765625, 4, width=32),
    st.sampled_from(
        [
            (tflite.TensorType.INT8, np.int8, -128),
            (tflite.TensorType.UINT8, np.uint8, 3),
            (tflite.TensorType.INT16, np.int16, 0),
        ]
    ),
)
def test_float_samples_are_quantised_as_applications_do(
    value: float, scale: float, kind: tuple[int, Any, int]
) -> None:
    """Against plain Python: halves away from zero, then saturated."""
    type_, dtype, zero = kind
    m = model(TensorSpec("in", (1,), type_, scale=(scale,), zero_point=(zero,)))
    feed = Feed(read_samples(npz(x=np.full((2, 1), value), y=np.zeros(2)), "d", m), m)
    ratio = float(np.float32(value) / np.float32(scale))
    steps = int(abs(ratio) + 0.5) * (1 if ratio >= 0 else -1) + zero
    limits = np.iinfo(dtype)
    (found,) = feed.sample(0)
    assert found.dtype == dtype
    assert int(found[0]) == min(max(steps, limits.min), limits.max)
    inside = bool(limits.min <= steps <= limits.max)
    assert feed.clipped == (not inside)
    if inside:
        back = dequantise(found, m.input_tensors[0])[0]
        assert abs(back - value) <= scale * 0.5 + abs(value) * 1e-6
