"""Facts and the hashes over them: each fact counts, and nothing else does."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import pytest

from modelkit import (
    CODES,
    ModelSpec,
    OperatorSpec,
    build,
    default_spec,
    with_operator,
    with_tensor,
)
from tinymldelta.facts import Facts, facts_of, io_hash, opset_hash
from tinymldelta.model import read_model


def facts(spec: ModelSpec) -> Facts:
    """With an arena that is given: which operators there are is all that counts here."""
    return facts_of(read_model(build(spec), "m"), arena_need=2048)


def hashes(spec: ModelSpec) -> tuple[int, int]:
    f = facts(spec)
    return opset_hash(f), io_hash(f)


def test_hashes_are_those_of_the_specification() -> None:
    operators = sorted(
        struct.pack("<IIH", CODES[n], v, 0)
        for n, v in (("CONV_2D", 3), ("RESHAPE", 1), ("FULLY_CONNECTED", 4), ("SOFTMAX", 2))
    )
    tensor_in = struct.pack("<BB4iiIfIq", 9, 4, 1, 4, 4, 1, 0, 1, 0.5, 1, -128)
    tensor_out = struct.pack("<BB2iiIfIq", 9, 2, 1, 4, 0, 1, 1 / 256, 1, -128)
    io = b"\x01\0" + tensor_in + b"\x01\0" + tensor_out
    assert hashes(default_spec()) == (zlib.crc32(b"".join(operators)), zlib.crc32(io))


def _replace_operator(index: int, **changes: object) -> ModelSpec:
    spec = default_spec()
    operators = list(spec.operators)
    operators[index] = replace(operators[index], **changes)
    return replace(spec, operators=tuple(operators))


OPERATOR_CHANGES = {
    **{f"version of operator {i}": _replace_operator(i, version=9) for i in range(4)},
    **{f"operator {i}": _replace_operator(i, name="ADD") for i in range(4)},
    "one more operator": with_operator(default_spec(), "RELU"),
    "a builtin operator beyond 127": with_operator(default_spec(), "GELU"),
    "a custom operator": with_operator(default_spec(), "mine"),
}
IO_CHANGES = {
    **{
        f"dimension {i} of the input": with_tensor(
            default_spec(), 0, shape=tuple(7 if j == i else d for j, d in enumerate((1, 4, 4, 1)))
        )
        for i in range(4)
    },
    "rank of the input": with_tensor(default_spec(), 0, shape=(1, 16)),
    "input element type": with_tensor(default_spec(), 0, type=3),
    "output element type": with_tensor(default_spec(), 8, type=3),
    "output shape": with_tensor(default_spec(), 8, shape=(1, 5)),
    "input scale": with_tensor(default_spec(), 0, scale=(0.5000001,)),
    "input zero point": with_tensor(default_spec(), 0, zero_point=(-127,)),
    "output scale": with_tensor(default_spec(), 8, scale=(0.25,)),
    "output zero point": with_tensor(default_spec(), 8, zero_point=(0,)),
    "no quantisation": with_tensor(default_spec(), 0, scale=(), zero_point=()),
    "quantised dimension": with_tensor(default_spec(), 0, axis=1),
    "one more input": replace(default_spec(), inputs=(0, 3)),
    "one more output": replace(default_spec(), outputs=(8, 7)),
    "another output": replace(default_spec(), outputs=(7,)),
}


@pytest.mark.parametrize("name", OPERATOR_CHANGES)
def test_every_change_of_an_operator_changes_only_its_hash(name: str) -> None:
    before, after = hashes(default_spec()), hashes(OPERATOR_CHANGES[name])
    assert after[0] != before[0]
    assert after[1] == before[1]


@pytest.mark.parametrize("name", IO_CHANGES)
def test_every_change_of_in_and_out_changes_only_their_hash(name: str) -> None:
    before, after = hashes(default_spec()), hashes(IO_CHANGES[name])
    assert after[1] != before[1]
    assert after[0] == before[0]


def test_all_changes_give_different_hashes() -> None:
    for changes in (OPERATOR_CHANGES, IO_CHANGES):
        assert len({hashes(spec) for spec in changes.values()}) == len(changes)


def test_what_does_not_count_changes_nothing() -> None:
    spec = default_spec()
    for same in (
        with_tensor(spec, 0, name="another name"),
        with_tensor(spec, 6, data=bytes(128)),
        replace(spec, description="another"),
        replace(spec, operators=(*spec.operators, OperatorSpec("ADD"))),  # used by no node
        replace(spec, nodes=(*spec.nodes, spec.nodes[3])),
    ):
        assert hashes(same) == hashes(spec)


def test_the_larger_of_old_and_new_code_counts() -> None:
    gelu = with_operator(default_spec(), "GELU")
    assert CODES["GELU"] > 127
    assert gelu.operators[-1].code == facts(gelu).operators[-1].code
    # Either field alone is enough, also where the tflite package would only look at the old one.
    for fields in ({"legacy_code": 0}, {"new_code": 0}):
        assert hashes(_replace_operator(2, **fields)) == hashes(default_spec())


def test_larger_activations_need_a_larger_arena() -> None:
    small = facts_of(read_model(build(default_spec()), "m")).arena
    wide = with_tensor(default_spec(), 3, shape=(1, 40, 40, 2))
    large = facts_of(read_model(build(wide), "m")).arena
    assert small.origin == "predicted"
    assert large.bytes >= small.bytes + 1600
    given = facts_of(read_model(build(default_spec()), "m"), 1234).arena
    assert (given.bytes, given.origin) == (1234, "given")
