"""Test vectors: what is taken of an .npz, what stands in the slot, and what a real run says."""

from __future__ import annotations

import io
import random
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelkit import build, default_spec, with_tensor
from tinymldelta import native
from tinymldelta.contract import Contract
from tinymldelta.errors import Refusal
from tinymldelta.facts import Facts, facts_of, io_hash, opset_hash
from tinymldelta.generate import ModelSource, model_contracts
from tinymldelta.interpreter import Interpreter, ModelInference, find_interpreter
from tinymldelta.limits import Limits
from tinymldelta.model import read_layout, read_model
from tinymldelta.patching import PatchOptions, make_patch
from tinymldelta.proving import apply_patch
from tinymldelta.vectors import Vectors, build_image, read_vectors, run_vectors
from tinymldelta.wire.constants import Status

LIMITS = Limits(16384, 8192, 16, {}, {})


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def facts(model: bytes) -> Facts:
    return facts_of(read_model(model, "model"))


@pytest.fixture
def base(digits: Path) -> bytes:
    return (digits / "base.tflite").read_bytes()


@pytest.fixture
def target(digits: Path) -> bytes:
    return (digits / "target.tflite").read_bytes()


@pytest.fixture
def contract(base: bytes) -> Contract:
    return model_contracts([ModelSource("m", base, "base")], LIMITS)


@pytest.fixture(scope="session")
def interpreter() -> Interpreter:
    found = find_interpreter()
    if found is None:
        pytest.skip("no interpreter can be imported: pip install -r requirements/demo.txt")
    return found


def outputs_of(model: bytes, inputs: np.ndarray, interpreter: Interpreter) -> np.ndarray:
    loaded = interpreter.load(model)
    out = [np.frombuffer(loaded.run(row.tobytes()), np.int8) for row in inputs]
    return np.stack(out)


@pytest.fixture
def inputs(digits: Path) -> np.ndarray:
    return np.load(digits / "eval.npz")["inputs"][:5]


@pytest.fixture
def good(target: bytes, inputs: np.ndarray, interpreter: Interpreter) -> bytes:
    return npz(input=inputs, output=outputs_of(target, inputs, interpreter))


# ---- reading ----

IN, OUT = (8, 8, 1), (10,)


def arrays(n: int = 3) -> dict[str, Any]:
    return {
        "input": np.zeros((n, 1, *IN), np.int8),
        "output": np.zeros((n, 1, *OUT), np.int8),
    }


def test_what_has_the_tensors_types_and_shapes_is_read(target: bytes) -> None:
    given = facts(target)
    assert [t.shape for t in (*given.inputs, *given.outputs)] == [(1, *IN), (1, *OUT)]
    data = arrays()
    data["input"][1] = np.arange(64).reshape(1, *IN)
    data["output"][2] = -7
    vectors = read_vectors(npz(**data), "v", given, 2)
    assert (vectors.type, vectors.type_code, vectors.tolerance) == ("INT8", 9, 2)
    assert vectors.inputs == (bytes(64), bytes(range(64)), bytes(64))
    assert vectors.outputs == (bytes(10), bytes(10), b"\xf9" * 10)
    numbered = npz(input_0=data["input"], output_0=data["output"])
    assert read_vectors(numbered, "v", given, 2) == vectors
    batch_of_one = npz(input=data["input"][:, 0], output=data["output"][:, 0])
    assert read_vectors(batch_of_one, "v", given, 2) == vectors


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"input": None}, "no array 'input_0'"),
        ({"output": None}, "no array 'output_0'"),
        ({"labels": np.zeros(3)}, "an array 'labels' too much"),
        ({"input": np.zeros((3, 1, *IN), np.uint8)}, "int8 of the shape"),
        ({"input": np.zeros((3, 64), np.int8)}, "int8 of the shape"),
        ({"input": np.zeros((3, 1, 1, *IN), np.int8)}, "int8 of the shape"),
        ({"output": np.zeros((3, 1, 11), np.int8)}, "int8 of the shape"),
        ({"output": np.int8(1)}, "int8 of the shape"),
        ({"output": np.zeros((4, 1, *OUT), np.int8)}, "different numbers of vectors"),
        ({"input": np.array([None])}, "not an .npz"),
        (arrays(0), "0 vectors"),
        (arrays(65536), "65536 vectors"),
    ],
)
def test_other_arrays_are_refused(target: bytes, change: dict[str, Any], fault: str) -> None:
    data = {k: v for k, v in (arrays() | change).items() if v is not None}
    with pytest.raises(Refusal, match=fault) as refusal:
        read_vectors(npz(**data), "v.npz", facts(target), 0)
    assert refusal.value.where == "v.npz"


def test_files_that_are_no_npz_are_refused(target: bytes) -> None:
    whole, alone = npz(**arrays()), io.BytesIO()
    np.save(alone, np.zeros(3))
    rng = random.Random(1)
    damaged = [whole[:n] for n in range(0, len(whole), 41)]
    for _ in range(300):
        at = rng.randrange(len(whole))
        damaged.append(whole[:at] + bytes((rng.randrange(256),)) + whole[at + 1 :])
    for data in (b"", b"x" * 500, alone.getvalue(), *damaged):
        try:
            read_vectors(data, "v.npz", facts(target), 0)
        except Refusal as refusal:
            assert str(refusal).startswith("v.npz: ")
        else:
            assert data in damaged[-300:]  # a flip that zip does not look at


@pytest.mark.parametrize(
    ("type_", "tolerance", "taken"),
    [
        ("INT8", 255, True), ("INT8", 256, False), ("INT8", 0.5, False), ("INT8", -1, False),
        ("INT8", float("inf"), False), ("UINT8", 1, True), ("INT16", 65535, True),
        ("INT32", 0, True), ("INT32", 1, False), ("FLOAT32", 0.25, True),
        ("FLOAT32", -0.1, False), ("FLOAT32", float("nan"), False), ("FLOAT32", 1e39, False),
    ],
)  # fmt: skip
def test_a_tolerance_fits_the_outputs_type(type_: str, tolerance: float, taken: bool) -> None:
    given = facts(build(default_spec()))
    output = replace(given.outputs[0], type=type_, shape=(2,))
    given = replace(given, outputs=(output,))
    data = npz(
        input=np.zeros((1, *given.inputs[0].shape), np.dtype(given.inputs[0].type.lower())),
        output=np.zeros((1, 2), np.dtype(type_.lower())),
    )
    if taken:
        assert read_vectors(data, "v", given, tolerance).tolerance == tolerance
    else:
        with pytest.raises(Refusal, match="a tolerance of"):
            read_vectors(data, "v", given, tolerance)


def test_several_tensors_are_numbered_and_stand_in_the_models_order() -> None:
    given = facts(build(default_spec()))
    one = replace(given.inputs[0], type="INT16", shape=(2,))
    other = replace(given.inputs[0], type="UINT8", shape=(1,))
    given = replace(given, inputs=(one, other), outputs=(other, other))
    data = {
        "input_0": np.array([[1, -2]], ">i2"),
        "input_1": np.array([[9]], np.uint8),
        "output_0": np.array([[1]], np.uint8),
        "output_1": np.array([[2]], np.uint8),
    }
    vectors = read_vectors(npz(**data), "v", given, 0)
    assert vectors.inputs == (struct.pack("<hhB", 1, -2, 9),)
    assert vectors.outputs == (b"\1\2",)
    mixed = replace(given, outputs=(other, one))
    with pytest.raises(Refusal, match="different element types: INT16, UINT8"):
        read_vectors(npz(**data | {"output_1": np.array([[1, 2]], np.int16)}), "v", mixed, 0)


# ---- the image ----


@pytest.mark.parametrize("size", [15, 16, 17, 32])
def test_the_image_is_laid_out_as_the_spec_says(size: int) -> None:
    model = bytes(range(1, size + 1))
    for vectors, tolerance in (
        (Vectors("INT8", 9, (b"ab", b"cd"), (b"x", b"y"), 3), struct.pack("<I", 3)),
        (Vectors("FLOAT32", 0, (b"ab", b"cd"), (b"x", b"y"), 0.5), struct.pack("<f", 0.5)),
    ):
        image, at = build_image(model, vectors)
        assert (at % 16, at - size < 16, image[:size], image[size:at].strip(b"\0")) == (
            0, True, model, b"",
        )  # fmt: skip
        head = struct.pack("<HBBII", 2, vectors.type_code, 0, 2, 1) + tolerance
        assert image[at:] == head + b"abxcdy"


def test_an_image_is_read_as_the_model_with_bytes_behind_it(target: bytes) -> None:
    image, _ = build_image(target, read_vectors(npz(**arrays()), "v", facts(target), 0))
    ours, theirs = facts(image), facts(target)
    assert ours.length == len(image)
    assert replace(ours, length=theirs.length, sha256=theirs.sha256) == theirs
    assert (opset_hash(ours), io_hash(ours)) == (opset_hash(theirs), io_hash(theirs))
    assert read_layout(image, "image") == read_layout(target, "target")


# ---- running ----


def test_a_run_passes_or_names_vector_and_distance(
    target: bytes, inputs: np.ndarray, good: bytes, interpreter: Interpreter
) -> None:
    run_vectors(target, read_vectors(good, "v", facts(target), 0), "t", interpreter)
    wrong = outputs_of(target, inputs, interpreter).reshape(5, 1, 10)
    wrong[3, 0, 4] += -4 if wrong[3, 0, 4] > 0 else 4
    vectors = read_vectors(npz(input=inputs, output=wrong), "v", facts(target), 0)
    fault = r"t: test vector 3 fails: output 4 is off by 4, at most 0 is allowed"
    with pytest.raises(Refusal, match=fault):
        run_vectors(target, vectors, "t", interpreter)
    run_vectors(target, replace(vectors, tolerance=4), "t", interpreter)
    with pytest.raises(Refusal, match="does not take it"):
        run_vectors(b"no model" * 20, vectors, "t", interpreter)


@pytest.fixture
def good_npz_of_base(base: bytes, inputs: np.ndarray, interpreter: Interpreter) -> bytes:
    return npz(input=inputs, output=outputs_of(base, inputs, interpreter))


def device_with(
    contract: Contract, base: bytes, interpreter: Interpreter | None, starts: int = 2
) -> native.Device:
    device = native.Device.create(
        contract,
        0,
        native.geometry_of(contract),
        native.Options(trial_starts=starts),
        ModelInference(interpreter) if interpreter else None,
    )
    device.factory(base)
    assert device.boot() is Status.OK
    return device


def make(
    base: bytes,
    target: bytes,
    vectors: Vectors,
    contract: Contract,
    interpreter: Interpreter | None,
) -> Any:
    return make_patch(
        base,
        target,
        where="p",
        target_where="t",
        options=PatchOptions(),
        contract=contract,
        index=0,
        vectors=vectors,
        interpreter=interpreter,
    )


def test_the_device_runs_them_and_starts_the_model(
    base: bytes, target: bytes, good: bytes, contract: Contract, interpreter: Interpreter
) -> None:
    vectors = read_vectors(good, "v", facts(target), 0)
    made = make(base, target, vectors, contract, interpreter)
    assert made.image == build_image(target, vectors)[0]
    assert apply_patch(made.data, base, "p", contract, 0) == made.image
    with device_with(contract, base, interpreter) as device:
        assert device.stream(made.data, 50) is Status.OK
        assert device.open() is Status.OK
        assert (device.active.slot, device.info.starts) == (1, 1)
        assert device.read_opened() == target + bytes(-len(target) % 16)
        device.close()
        assert device.confirm() is Status.OK
        # The image is the base of the next patch.
        back = make(made.image, base, read_vectors(good, "v", facts(base), 255), contract, None)
        assert device.staged(back.data) is Status.OK
        assert device.open() is Status.OK
        assert device.active.slot == 0


def test_the_device_reverts_a_model_that_fails_them(
    base: bytes, target: bytes, good_npz_of_base: bytes, contract: Contract,
    interpreter: Interpreter,
) -> None:  # fmt: skip
    vectors = read_vectors(good_npz_of_base, "v", facts(target), 0)
    with pytest.raises(Refusal, match=r"test vector \d fails"):
        make(base, target, vectors, contract, interpreter)
    sent = make(base, target, vectors, contract, None)  # as from a PC that cannot run them
    with device_with(contract, base, interpreter) as device:
        assert device.staged(sent.data) is Status.OK
        assert device.open() is Status.OK
        assert (device.active.slot, device.info.trial) == (0, False)
        assert device.inference_error == ""
        assert device.info.slots[1].state is native.SlotState.REVERTED
        assert device.staged(sent.data) is Status.REVERTED


def test_a_device_that_cannot_run_them_does_not_start_the_model(
    base: bytes, target: bytes, contract: Contract
) -> None:
    vectors = read_vectors(npz(**arrays()), "v", facts(target), 255)
    sent = make(base, target, vectors, contract, None)
    with device_with(contract, base, None) as device:
        assert device.staged(sent.data) is Status.OK
        assert device.open() is Status.OK
        assert device.active.slot == 0
        assert "no interpreter" in device.inference_error
    with device_with(contract, base, None, starts=0) as device:
        before = device.flash
        assert device.staged(sent.data) is Status.SELF_TEST
        assert device.flash == before


def test_device_and_pc_agree_on_what_is_near(
    base: bytes, target: bytes, inputs: np.ndarray, contract: Contract, interpreter: Interpreter
) -> None:
    """The C code's comparison against ours, at the edge of the tolerance."""
    right = outputs_of(target, inputs[:1], interpreter).reshape(1, 1, 10).astype(np.int16)
    rng = random.Random(2)
    seen = set()
    for _ in range(12):
        tolerance, at = rng.randrange(4), rng.randrange(10)
        off = rng.choice((tolerance, tolerance + 1))
        expected = right.copy()
        expected[0, 0, at] += off if expected[0, 0, at] < 0 else -off
        data = npz(input=inputs[:1], output=expected.astype(np.int8))
        vectors = read_vectors(data, "v", facts(target), tolerance)
        try:
            run_vectors(target, vectors, "t", interpreter)
            passes = True
        except Refusal:
            passes = False
        assert passes == (off <= tolerance)
        sent = make(base, target, vectors, contract, None)
        with device_with(contract, base, interpreter) as device:
            assert device.staged(sent.data) is Status.OK
            assert device.open() is Status.OK
            assert (device.active.slot == 1) == passes
        seen.add(passes)
    assert seen == {True, False}


def test_floats_are_compared_as_binary32() -> None:
    """By the C code and by ours: inference that gives what it is told, so that any bits come up."""

    class Echo:
        """A model whose output is its input."""

        def setup(self, model: bytes) -> None:
            self.data = bytearray(4)

        def input(self, offset: int, data: bytes) -> None:
            self.data[offset : offset + len(data)] = data

        def invoke(self) -> None:
            pass

        def output(self, offset: int, size: int) -> bytes:
            return bytes(self.data[offset : offset + size])

    from tinymldelta.vectors import _how_far_off

    spec = default_spec()
    base, target = build(spec), build(with_tensor(spec, 6, data=bytes(range(128, 256))))
    contract = model_contracts([ModelSource("m", base, "base")], replace(LIMITS, write_bytes=4))
    nan, inf = float("nan"), float("inf")
    cases = [
        (1.0, 1.0, 0.0), (1.0, 1.25, 0.25), (1.0, 1.2500001, 0.25), (nan, nan, 3e38),
        (nan, 1.0, 3e38), (inf, inf, 3e38), (inf, 1.0, 3e38), (-0.0, 0.0, 0.0),
        (1e-40, -1e-40, 1e-39), (3e38, -3e38, 3e38), (0.1, 0.3, 0.2),
    ]  # fmt: skip
    seen = set()
    for found, expected, tolerance in cases:
        vectors = Vectors(
            "FLOAT32", 0, (struct.pack("<f", found),), (struct.pack("<f", expected),), tolerance
        )
        near = _how_far_off(vectors, vectors.inputs[0], vectors.outputs[0]) is None
        sent = make(base, target, vectors, contract, None)
        device = native.Device.create(
            contract, 0, native.geometry_of(contract), native.Options(trial_starts=1), Echo()
        )
        with device:
            device.factory(base)
            assert device.boot() is Status.OK
            assert device.staged(sent.data) is Status.OK
            assert device.open() is Status.OK
            assert (device.active.slot == 1) == near, (found, expected, tolerance)
        seen.add(near)
    assert seen == {True, False}
