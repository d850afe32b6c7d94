"""The encoder of format 2: any two files, proved by the device's code; the same bytes each time."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit import build, default_spec, with_tensor
from tinymldelta.container.body2 import decode_body
from tinymldelta.contract import Contract
from tinymldelta.delta.encode import encode
from tinymldelta.errors import Refusal
from tinymldelta.patching import PatchOptions, choose_format, make_patch
from tinymldelta.proving import contract_taking
from tinymldelta.wire.constants import FORMAT_1, FORMAT_2, Decoder

_FILES = st.binary(min_size=1, max_size=300)


def _longest(target: bytes) -> int:
    """No input is bad: the body is never much longer than what it stands for."""
    return len(target) + len(target) // 8 + 64


@settings(max_examples=150, deadline=None)
@given(base=_FILES, target=_FILES, lean=st.booleans())
def test_any_two_files(base: bytes, target: bytes, lean: bool) -> None:
    body = encode(base, target, lean=lean)
    assert decode_body(base, body, len(target), lean=lean) == target
    assert len(body) <= _longest(target)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), base=st.binary(min_size=40, max_size=400))
def test_files_that_are_alike(data: st.DataObject, base: bytes) -> None:
    target = bytearray(base)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(target)))
        new = data.draw(st.binary(max_size=20))
        target[at : at + data.draw(st.integers(0, 20))] = new
    target += b"."
    body = encode(base, bytes(target))
    assert decode_body(base, body, len(target), lean=False) == bytes(target)
    assert len(body) <= _longest(bytes(target))


def test_a_model_that_stays_as_it_is_costs_next_to_nothing() -> None:
    model = random.Random(1).randbytes(100_000)
    assert len(encode(model, model)) <= 4


def test_one_changed_byte_costs_a_few() -> None:
    model = random.Random(2).randbytes(50_000)
    changed = model[:31_000] + bytes((model[31_000] ^ 5,)) + model[31_001:]
    assert len(encode(model, changed)) <= 8


def test_parts_that_have_moved_are_found() -> None:
    """A converter that puts the buffers in another order must not cost the whole model."""
    rng = random.Random(7)
    first, second, third = (rng.randbytes(n) for n in (7_000, 5_000, 9_000))
    assert len(encode(first + second + third, third + first + second)) <= 60
    assert len(encode(first + second, rng.randbytes(68) + first + second)) <= 68 + 40


def test_noise_costs_little_more_than_itself() -> None:
    rng = random.Random(3)
    base, target = rng.randbytes(5_000), rng.randbytes(20_000)
    assert len(encode(base, target)) <= len(target) * 1.03


def test_the_same_bytes_each_time() -> None:
    rng = random.Random(4)
    base = rng.randbytes(3_000)
    target = base[:1_000] + rng.randbytes(50) + base[1_010:]
    assert encode(base, target) == encode(base, target)


def test_progress_rises_to_one() -> None:
    rng = random.Random(5)
    base = rng.randbytes(3_000)
    seen: list[float] = []
    encode(base, base[::-1], progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_progress_raises_ends_the_encoding(error: type[BaseException]) -> None:
    """Ctrl-C comes out of it, because Python looks for signals where it runs: there."""
    spec = default_spec()
    weights = next(i for i, tensor in enumerate(spec.tensors) if tensor.name == "weights")
    target = with_tensor(spec, weights, scale=(0.75,))
    seen: list[float] = []

    def stop(done: float) -> None:
        seen.append(done)
        raise error("stop")

    with pytest.raises(error, match="stop"):
        encode(build(spec), build(target), progress=stop)
    assert len(seen) == 1
    assert seen[0] < 1.0


BOTH = (FORMAT_1, FORMAT_2)


@pytest.mark.parametrize(
    ("formats", "decoder", "options", "expected"),
    [
        (BOTH, Decoder.DEFAULT, PatchOptions(), (2, False)),
        (BOTH, Decoder.LEAN, PatchOptions(), (2, True)),
        (BOTH, Decoder.DEFAULT, PatchOptions(lean=True), None),
        (BOTH, Decoder.DEFAULT, PatchOptions(format=1), (1, False)),
        ((FORMAT_1,), Decoder.NONE, PatchOptions(), (1, False)),
        (BOTH, Decoder.NONE, PatchOptions(), (1, False)),
        ((FORMAT_2,), Decoder.DEFAULT, PatchOptions(), (2, False)),
        ((FORMAT_1,), Decoder.NONE, PatchOptions(format=2), None),
        ((FORMAT_2,), Decoder.DEFAULT, PatchOptions(format=1), None),
        (BOTH, Decoder.LEAN, PatchOptions(lean=False), None),
    ],
)
def test_the_format_is_what_the_device_takes(
    any_contract: Contract,
    formats: tuple[int, ...],
    decoder: Decoder,
    options: PatchOptions,
    expected: tuple[int, bool] | None,
) -> None:
    contract = replace(any_contract, formats=formats, decoder=decoder)
    if expected is None:
        with pytest.raises(Refusal, match="firmware"):
            choose_format(options, contract, "patch")
    else:
        assert choose_format(options, contract, "patch") == expected


def test_a_patch_of_any_file_is_proved_by_the_device() -> None:
    rng = random.Random(6)
    base = rng.randbytes(2_000)
    target = base[:700] + rng.randbytes(30) + base[650:]
    made = make_patch(
        base,
        target,
        where="patch",
        target_where="target",
        options=PatchOptions(unguarded=True),
        contract=None,
        index=0,
    )
    assert len(made.data) < 120
    assert made.proof.staged.bytes_written >= len(target)


@pytest.fixture(scope="module")
def any_contract() -> Contract:
    return contract_taking(b"", b"any base")


def test_time_grows_with_the_length_and_not_with_its_square() -> None:
    """What has nothing in common with the base is one long insertion."""
    rng = random.Random(4)

    def seconds(length: int) -> float:
        base, target = rng.randbytes(length), rng.randbytes(length)
        start = time.process_time()
        encode(base, target)
        return time.process_time() - start

    short, long = (min(seconds(length) for _ in range(2)) for length in (10_000, 80_000))
    assert long < 24 * short, f"{short:.2f} s, {long:.2f} s"
