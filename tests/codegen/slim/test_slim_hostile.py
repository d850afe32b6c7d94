"""Broken and hostile models: they run, or they are refused in words; nothing else comes of them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slimkit import Sketch

from modelkit import build, default_spec
from tinymldelta.errors import Refusal
from tinymldelta.slim.between import Between
from tinymldelta.slim.maker import Maker
from tinymldelta.slim.network import Network, Unsupported

ROUNDS = 600


def small() -> bytes:
    s = Sketch(6, 5, 2)
    x = s.depthwise(s.conv(s.x, 3, stride=(2, 2)), 2)
    x = s.pool(s.pad(s.add(x, x), (1, 0), (0, 1), (0, 0)), "MAX")
    return s.build(s.softmax(s.dense(s.mean(x), 4)))


def try_all(base: bytes, broken: bytes, *, makes: bool = False) -> bool:
    """Whether it could be run. Raises whatever is no refusal."""
    try:
        one, other = Network(base, "base"), Network(broken, "broken")
        shape = other.model.tensors[other.input].shape[1:]
        scale = other.activations[other.input][0]
        given = np.random.default_rng(0).uniform(-9, 9, (3, *shape)) * scale
        for first, second in ((one, other), (other, one)):
            both = Between(first, second, given.astype(np.float32))
            if makes:
                both.write(Maker(both, 0).make(1e-6))
    except Unsupported as error:
        assert str(error) and str(error).isprintable()
        return False
    except Refusal as refusal:
        assert str(refusal).startswith(("base: ", "broken: "))
        return False
    return True


def mutated(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(out))
        kind = rng.randrange(4)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            out[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4)))
        else:
            out[at : at + 4] = rng.randrange(64).to_bytes(4, "little")
    return bytes(out[: len(data)])


@pytest.mark.parametrize("of", ["a small network", "sst"])
def test_mutated_models_run_or_are_refused(of: str, sst: Path) -> None:
    base = small() if of == "a small network" else (sst / "base.tflite").read_bytes()
    assert try_all(base, base)
    rng = random.Random(20261122)
    ran = sum(try_all(base, mutated(base, rng), makes=n % 25 == 0) for n in range(ROUNDS))
    assert 0.1 * ROUNDS < ran < ROUNDS  # both happen


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_model_cut_short_or_with_a_tail_runs_or_is_refused(data: st.DataObject) -> None:
    base = small()
    length = data.draw(st.integers(0, len(base)))
    try_all(base, base[:length] + data.draw(st.binary(max_size=20)))


def test_a_model_of_the_kit_is_refused_for_what_it_lacks() -> None:
    """It has no options, which its operators need."""
    with pytest.raises(Unsupported, match="CONV_2D without options"):
        Network(build(default_spec()), "m")


def test_models_of_the_corpus_run_or_are_refused(root: Path) -> None:
    corpus = root.parent / "shared" / "corpus"
    pairs = sorted(corpus.glob("*/base.tflite"))
    if not pairs:
        pytest.skip("no corpus beside the checkout")
    for base in pairs:
        try_all(base.read_bytes(), base.with_name("target.tflite").read_bytes())
