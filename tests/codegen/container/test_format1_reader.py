"""The plain reader: what it makes of valid patches, and that it reports what is in them."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import patchkit as kit
from tinymldelta.container.format1 import Chunk, Metadata, PatchFault, apply_patch, read_patch
from tinymldelta.wire.constants import DigestKind, Encoding, Status


def test_target_is_base_and_chunks_front_to_back() -> None:
    base = b"0123456789"
    target = b"01AA45BBBB9"
    parts = kit.PatchParts(
        base,
        target,
        tlvs=kit.TLVS,
        chunks=(
            kit.chunk(2, b"AA"),
            kit.chunk(6, b"\x04B\x01" + b"9", encoding=kit.RLE, has_crc=0),
        ),
    )
    outcome = apply_patch(base, parts.pack(), kit.ACCEPTS)
    assert (outcome.status, outcome.target) == (Status.OK, target)


def test_touching_chunks_go_beyond_the_base() -> None:
    base, target = b"ab", b"abcdef"
    parts = kit.PatchParts(
        base, target, tlvs=kit.TLVS, chunks=(kit.chunk(2, b"cd"), kit.chunk(4, b"ef"))
    )
    assert apply_patch(base, parts.pack(), kit.ACCEPTS).target == target


def test_target_that_is_the_front_of_the_base_needs_no_chunk() -> None:
    parts = kit.PatchParts(b"abcdef", b"abc", tlvs=kit.TLVS)
    assert apply_patch(b"abcdef", parts.pack(), kit.ACCEPTS).target == b"abc"


def test_count_0_is_256() -> None:
    target = b"x" * 256
    parts = kit.PatchParts(
        b"-", target, tlvs=kit.TLVS, chunks=(kit.chunk(0, b"\0x", encoding=kit.RLE),)
    )
    assert apply_patch(b"-", parts.pack(), kit.ACCEPTS).target == target


def test_patch_is_read_as_it_was_laid_down() -> None:
    base, target = kit.FAULT_BASE, kit.FAULT_TARGET
    parts = kit.sound(base, target)
    parts = replace(
        parts,
        tlvs=(kit.tlv(0x80, b"\x01"), *kit.TLVS, kit.tlv(0xFE, b"")),
        chunks=(kit.chunk(0, target[:1000], has_crc=0), *parts.chunks[1:]),
    )
    patch = read_patch(parts.pack(), kit.ACCEPTS)

    assert patch.header.digest_kind is DigestKind.SHA256
    assert (patch.header.base_bytes, patch.header.target_bytes) == (3001, len(target))
    assert patch.header.target_digest == kit.digest(kit.SHA256, target)
    assert (patch.header.chunks_n, patch.header.meta_bytes) == (3, 22 + 3 + 2)
    assert patch.metadata == Metadata(
        req_arena_bytes=16384,
        tflm_abi=0x0103,
        opset_hash=0x1234ABCD,
        io_hash=0xDEADBEEF,
        vendor=((0x80, b"\x01"), (0xFE, b"")),
    )
    assert patch.chunks[0] == Chunk(0, Encoding.RAW, target[:1000], None)
    assert [chunk.has_crc for chunk in patch.chunks] == [False, True, True]
    assert b"".join(chunk.decode() for chunk in patch.chunks) == target


def test_reading_without_a_contract_takes_what_some_contract_would_take() -> None:
    parts = replace(kit.sound(kit.FAULT_BASE, kit.FAULT_TARGET), tlvs=(), digest_kind=kit.NONE)
    assert read_patch(parts.pack(), None).metadata == Metadata()
    assert apply_patch(kit.FAULT_BASE, parts.pack(), None).target == kit.FAULT_TARGET
    with pytest.raises(PatchFault) as with_contract:
        read_patch(parts.pack(), kit.ACCEPTS)
    assert with_contract.value.status == Status.DIGEST_KIND


def test_fault_says_where_and_what() -> None:
    parts = replace(kit.sound(kit.FAULT_BASE, kit.FAULT_TARGET), flags=0x0200)
    with pytest.raises(PatchFault, match=r"^byte 78: flags are 0x0200, not 0$") as fault:
        read_patch(parts.pack(), kit.ACCEPTS)
    assert (fault.value.status, fault.value.at) == (Status.HEADER, 78)

    arena = kit.NAMED_FAULTS_BY_NAME["arena_too_small"]
    outcome = apply_patch(
        kit.FAULT_BASE, arena.make(kit.FAULT_BASE, kit.FAULT_TARGET), arena.accepts
    )
    assert outcome.reason == "byte 80: needs 16385 bytes of tensor arena, firmware has 16384"

    run = kit.NAMED_FAULTS_BY_NAME["run_beyond_the_target_by_one_byte"]
    with pytest.raises(PatchFault, match="a run reaches beyond the target") as fault:
        read_patch(run.make(kit.FAULT_BASE, kit.FAULT_TARGET), run.accepts)
    patch = run.make(kit.FAULT_BASE, kit.FAULT_TARGET)
    assert fault.value.at == len(patch) - 2  # the last pair is the one too far


def test_reading_needs_no_base_and_applying_does() -> None:
    """`read_patch` finds every fault except for those of base and target digest."""
    for fault in kit.NAMED_FAULTS:
        patch = fault.make(kit.FAULT_BASE, kit.FAULT_TARGET)
        if fault.expected in (Status.OK, Status.TARGET):
            read_patch(patch, fault.accepts)
        elif fault.expected != Status.BASE:
            with pytest.raises(PatchFault) as found:
                read_patch(patch, fault.accepts)
            assert found.value.status == fault.expected, fault.name


@pytest.mark.parametrize("seed", range(8))
def test_random_valid_patches(seed: int) -> None:
    rng = random.Random(seed)
    statuses = set()
    for _ in range(250):
        case = kit.random_case(rng)
        outcome = apply_patch(case.base, case.patch, case.accepts)
        assert outcome.target == case.target
        assert (outcome.status == Status.OK) == (case.target is not None), outcome
        statuses.add(outcome.status)
    assert len(statuses) > 4  # the refusals too are of many kinds


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=40))
def test_any_bytes_give_a_status(patch: bytes, base: bytes) -> None:
    for data in (patch, b"\x01" + patch, b"\x01\x01" + patch.ljust(90, b"\0")):
        outcome = apply_patch(base, data, kit.ACCEPTS)
        assert outcome.target is None
        assert outcome.reason


def test_bomb_of_largest_size_is_cheap_to_refuse() -> None:
    """8 MB of runs in a 64 KB chunk: refused at the first run too far, before anything is built."""
    bomb = kit.PatchParts(
        b"-", b"-", tlvs=kit.TLVS, chunks=(kit.chunk(0, bytes(65534), encoding=kit.RLE),)
    )
    outcome = apply_patch(b"-", bomb.pack(), kit.ACCEPTS)
    assert outcome.status == Status.CHUNK_BOUNDS
    assert f"byte {len(bomb.pack()) - 65534}:" in outcome.reason


def test_chunks_of_65535_bytes() -> None:
    base, target = b"-" * 65535, bytes(range(255)) * 257
    assert len(target) == 65535
    parts = kit.PatchParts(base, target, tlvs=kit.TLVS, chunks=(kit.chunk(0, target),))
    assert apply_patch(base, parts.pack(), kit.ACCEPTS).target == target


def test_65535_chunks() -> None:
    """As many chunks as the header can count, each of one byte."""
    base, target = bytes(65535), b"\1" * 65535
    chunks = tuple(struct.pack("<IHBBB", at, 1, 0, 0, 1) for at in range(65535))
    parts = kit.PatchParts(base, target, tlvs=kit.TLVS, chunks=chunks)
    assert apply_patch(base, parts.pack(), kit.ACCEPTS).target == target
