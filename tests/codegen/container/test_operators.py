"""The list of operators: SPEC.md's bytes, both ways, by Python and by the C core."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchkit2 import BASE, BODY, METADATA, TARGET
from tinymldelta import native
from tinymldelta.container.format2 import read_patch
from tinymldelta.container.format2_writer import write_patch
from tinymldelta.container.guardrails import evaluate
from tinymldelta.container.operators import (
    OperatorNeed,
    custom_id,
    decode_operators,
    encode_operators,
    is_custom,
)
from tinymldelta.contract import Contract, LinkedOperator
from tinymldelta.proving import contract_taking
from tinymldelta.wire.constants import (
    OPERATOR_CODE_MAX,
    OPERATOR_VERSION_MAX,
    TLVS,
    Rule,
    Status,
    Tlv,
)

LIST_MAX = TLVS[Tlv.OPERATORS].most
CUSTOM = 0x80000000


def patch_saying(operators: bytes) -> bytes:
    metadata = replace(METADATA, operators=operators)
    return write_patch(BASE, TARGET, metadata=metadata, lean=False, body=BODY)


# Takes everything but operators that it does not have.
CONTRACT = replace(contract_taking(patch_saying(b""), BASE), meta_kept=192)


def contract_with(operators: list[LinkedOperator]) -> Contract:
    return replace(CONTRACT, operators=tuple(sorted(operators, key=lambda op: op.id)))


def agreed(operators: bytes, contract: Contract = CONTRACT) -> Status:
    """What both readers make of a patch with that list; and of the rule, number for number."""
    patch = patch_saying(operators)
    status, rules = native.check_rules(contract, 0, patch)
    try:
        needs = decode_operators(operators)
    except ValueError:
        assert status is Status.METADATA
        return Status.METADATA
    assert status is Status.OK, needs
    assert list(needs) == sorted(needs)
    read = read_patch(patch, None)
    by_rule = {r.rule: r for r in evaluate(read.metadata, read.header, contract.accepts(0))}
    ours = by_rule[Rule.OPERATORS]
    (theirs,) = (r for r in rules if r.rule is Rule.OPERATORS)
    assert (theirs.verdict, theirs.need, theirs.have) == (ours.verdict, ours.need, ours.have)
    return theirs.status


@pytest.mark.parametrize(
    ("needs", "encoded"),
    [
        ([], b""),
        ([OperatorNeed(0, 1, 2)], b"\x01\x81\x02"),
        ([OperatorNeed(3, 3, 2)], b"\x04\x83\x02"),
        # The same types are not said again, others are.
        ([OperatorNeed(3, 3, 2), OperatorNeed(22, 1, 2)], b"\x04\x83\x02\x13\x01"),
        ([OperatorNeed(3, 3, 2), OperatorNeed(22, 1, 0)], b"\x04\x83\x02\x13\x81\x00"),
        # A step of 127, and one of 128, the high byte first.
        ([OperatorNeed(126, 1, 1)], b"\x7f\x81\x01"),
        ([OperatorNeed(127, 1, 1)], b"\x80\x80\x81\x01"),
        ([OperatorNeed(OPERATOR_CODE_MAX - 1, 63, 255)], b"\xff\xff\xbf\xff"),
        (
            [OperatorNeed(0, 1, 1), OperatorNeed(OPERATOR_CODE_MAX, 1, 1)],
            b"\x01\x81\x01\xff\xff\x01",
        ),
        ([OperatorNeed(CUSTOM, 1, 0)], b"\0\0\0\0\x80\x81\0"),
        (
            [OperatorNeed(9, 1, 3), OperatorNeed(0xFFFFFFFF, 2, 3)],
            b"\x0a\x81\x03\0\xff\xff\xff\xff\x02",
        ),
    ],
)
def test_bytes_of_the_specification(needs: list[OperatorNeed], encoded: bytes) -> None:
    assert encode_operators(needs) == encoded
    assert encode_operators(reversed(needs)) == encoded
    assert decode_operators(encoded) == tuple(needs)
    assert agreed(encoded) is (Status.OPERATORS if needs else Status.OK)


def test_a_custom_operator_is_named_by_its_crc() -> None:
    assert custom_id("Détecteur") == zlib.crc32("Détecteur".encode()) | CUSTOM
    assert is_custom(custom_id("x"))
    assert not is_custom(OPERATOR_CODE_MAX)


@pytest.mark.parametrize(
    ("needs", "fault"),
    [
        ([OperatorNeed(3, 0, 0)], "version 0"),
        ([OperatorNeed(3, OPERATOR_VERSION_MAX + 1, 0)], "version 64"),
        ([OperatorNeed(3, 1, 0), OperatorNeed(3, 2, 0)], "twice"),
        ([OperatorNeed(OPERATOR_CODE_MAX + 1, 1, 0)], "32768"),
        ([OperatorNeed(OPERATOR_CODE_MAX, 1, 0)], "32767"),  # the step from -1 has no 16 bits
        ([OperatorNeed(CUSTOM - 1, 1, 0)], "beyond the format"),
    ],
)
def test_what_the_format_cannot_say_is_not_written(needs: list[OperatorNeed], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        encode_operators(needs)


@pytest.mark.parametrize(
    ("encoded", "fault"),
    [
        (b"\x04\x03", "no element types"),
        (b"\x04\x80\x02", "no version"),
        (b"\x04\x40", "no version"),
        (b"\x04\xc1\x02", "no version"),
        (b"\x80\x7f\x81\x01", "written in two"),
        (b"\x80\x00\x81\x01", "written in two"),
        (b"\x04\x81\x01\xff\xff\x01", "out of order"),
        (b"\0\0\0\0\x7f\x81\x01", "custom operators"),
        (b"\0\2\0\0\x80\x81\1\0\2\0\0\x80\1", "custom operators"),
        (b"\0\2\0\0\x80\x81\1\0\1\0\0\x80\1", "custom operators"),
        (b"\0\2\0\0\x80\x81\1\x04\1", "out of order"),
        # A step that goes on from the last id there is must not come round to 0.
        (b"\0\xff\xff\xff\xff\x81\1\x01\1", "out of order"),
        (b"\0\xf0\xff\xff\xff\x81\1\x7f\1", "out of order"),
    ],
)
def test_a_list_that_is_none_is_refused_by_both(encoded: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        decode_operators(encoded)
    assert agreed(encoded) is Status.METADATA


ids = st.one_of(
    st.integers(0, 160),
    st.integers(0, OPERATOR_CODE_MAX - 1),
    st.sampled_from((126, 127, 128, 254, 255, 256, OPERATOR_CODE_MAX - 1)),
    st.integers(CUSTOM, 0xFFFFFFFF),
)
lists = st.lists(
    st.builds(
        OperatorNeed, ids, st.integers(1, OPERATOR_VERSION_MAX), st.sampled_from((0, 1, 2, 3, 255))
    ),
    max_size=12,
    unique_by=lambda need: need.id,
)


@given(lists)
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_again(needs: list[OperatorNeed]) -> None:
    encoded = encode_operators(needs)
    assert decode_operators(encoded) == tuple(sorted(needs))
    everything = [LinkedOperator(n.id, "", 1, n.version, n.types) for n in needs]
    assert agreed(encoded, contract_with(everything)) is Status.OK


@given(lists.filter(bool), st.data())
@settings(max_examples=200, deadline=None)
def test_a_firmware_that_has_less_refuses(needs: list[OperatorNeed], data: st.DataObject) -> None:
    """One operator is not linked, or too old, or too new, or lacks a type."""
    index = data.draw(st.integers(0, len(needs) - 1))
    need = needs[index]
    has = [LinkedOperator(n.id, "", 1, n.version, n.types) for n in needs]
    low, high, types = 1, need.version, need.types
    way = data.draw(st.sampled_from(("gone", "old", "new", "types")))
    if way == "gone":
        del has[index]
    else:
        if way == "old":
            high -= 1
        elif way == "new":
            low += need.version
            high += need.version
        else:
            types &= types - 1  # without its lowest bit
        has[index] = LinkedOperator(need.id, "", low, high, types)
    holds = way == "types" and need.types == 0
    expected = Status.OK if holds else Status.OPERATORS
    assert agreed(encode_operators(needs), contract_with(has)) is expected


@given(st.binary(max_size=24))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_read_or_refused_by_both(encoded: bytes) -> None:
    agreed(encoded)


def test_every_truncation_and_every_bit_of_a_list_is_judged_alike_by_both() -> None:
    whole = encode_operators(
        [
            OperatorNeed(3, 3, 2),
            OperatorNeed(25, 2, 2),
            OperatorNeed(200, 1, 1),
            OperatorNeed(custom_id("a"), 1, 0),
            OperatorNeed(custom_id("b"), 1, 0),
        ]
    )
    needs = decode_operators(whole)
    bounds = {len(encode_operators(needs[:n])) for n in range(len(needs) + 1)}
    for size in range(len(whole)):
        status = agreed(whole[:size])
        assert (status is Status.METADATA) == (size not in bounds), size
    statuses = set()
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            statuses.add(agreed(bytes(changed)))
    assert statuses == {Status.METADATA, Status.OPERATORS}


def test_random_mutations_are_judged_alike_by_both() -> None:
    rng = random.Random(5)
    seen = set()
    for _ in range(1500):
        codes = rng.sample(range(300), rng.randint(1, 6))
        customs = [CUSTOM | rng.getrandbits(31) for _ in range(rng.randrange(3))]
        needs = [OperatorNeed(i, rng.randint(1, 5), rng.choice((1, 2))) for i in {*codes, *customs}]
        data = bytearray(encode_operators(needs))
        if rng.randrange(3):
            data[rng.randrange(len(data))] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        has = [LinkedOperator(n.id, "", 1, n.version, n.types) for n in needs]
        if rng.randrange(2):
            data += struct.pack("<BIB", 0, CUSTOM | rng.getrandbits(31), 1)
        seen.add(agreed(bytes(data[:LIST_MAX]), contract_with(has)))
    assert seen == {Status.OK, Status.METADATA, Status.OPERATORS}
