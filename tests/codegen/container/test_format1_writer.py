"""The writer: what it writes is read back as the target, is small, and keeps to the format."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import patchkit as kit
from tinymldelta.container.format1 import Metadata, Patch, apply_patch, read_patch
from tinymldelta.container.format1_writer import write_patch
from tinymldelta.wire.constants import CHUNK_PAYLOAD_MAX, DigestKind, Encoding, Status

PLAIN = Metadata()


def _written(base: bytes, target: bytes, **options: object) -> Patch:
    """Write, apply, compare; the patch as it is read back."""
    arguments: dict[str, object] = {"digest": DigestKind.SHA256, "metadata": PLAIN, **options}
    data = write_patch(base, target, **arguments)  # type: ignore[arg-type]
    outcome = apply_patch(base, data, None)
    assert outcome.status == Status.OK, outcome.reason
    assert outcome.target == target
    return read_patch(data, None)


def _size(patch: Patch) -> int:
    return sum(8 + 4 * chunk.has_crc + len(chunk.payload) for chunk in patch.chunks)


# ---------------------------------------------------------------- any two files

_runs = st.lists(
    st.tuples(st.sampled_from([0, 1, 255]), st.sampled_from([1, 2, 3, 30, 255, 256, 257, 513])),
    max_size=12,
).map(lambda runs: b"".join(bytes((value,)) * count for value, count in runs))
_content = st.one_of(st.binary(max_size=200), _runs)
_model = _content.filter(lambda data: len(data) > 0)


@st.composite
def _edited(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A base, and a target made from it by a few edits and perhaps another length."""
    base = draw(_model)
    target = bytearray(base)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(base)))
        new = draw(_content)
        target[at : at + len(new)] = new
    target_bytes = draw(st.integers(1, len(target)))
    return base, bytes(target if draw(st.booleans()) else target[:target_bytes])


@settings(max_examples=400, deadline=None)
@given(
    models=st.one_of(_edited(), st.tuples(_model, _model)),
    digest=st.sampled_from([DigestKind.CRC32, DigestKind.SHA256]),
    merge_gap=st.sampled_from([0, 1, 8, 16, 100_000]),
    chunk_crc=st.sampled_from([None, False, True]),
)
def test_round_trip(
    models: tuple[bytes, bytes], digest: DigestKind, merge_gap: int, chunk_crc: bool | None
) -> None:
    patch = _written(*models, digest=digest, merge_gap=merge_gap, chunk_crc=chunk_crc)
    with_crc = digest == DigestKind.CRC32 if chunk_crc is None else chunk_crc
    assert all(chunk.has_crc == with_crc for chunk in patch.chunks)
    assert patch.header.digest_kind == digest


_u16, _u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
_metadata = st.builds(
    Metadata,
    req_arena_bytes=st.none() | _u32,
    tflm_abi=st.none() | _u16,
    opset_hash=st.none() | _u32,
    io_hash=st.none() | _u32,
    vendor=st.lists(st.tuples(st.integers(0x80, 0xFF), st.binary(max_size=255)), max_size=3).map(
        tuple
    ),
)


@settings(max_examples=100, deadline=None)
@given(_metadata)
def test_metadata_round_trip(metadata: Metadata) -> None:
    assert _written(b"a", b"b", metadata=metadata).metadata == metadata


def test_bytes_are_those_of_the_tables() -> None:
    """Against the layout by hand, so that writer and reader cannot be wrong together."""
    base = bytes(100)
    target = b"\1\2\3" + bytes(50) + b"\7" * 40 + bytes(7) + b"a tail that is longer than before"
    metadata = Metadata(16384, 0x0103, 0x1234ABCD, 0xDEADBEEF, vendor=((0x99, b"?"),))
    for digest in (DigestKind.NONE, DigestKind.CRC32, DigestKind.SHA256):
        has_crc = int(digest == DigestKind.CRC32)
        by_hand = kit.PatchParts(
            base,
            target,
            tlvs=(*kit.TLVS, kit.tlv(0x99, b"?")),
            digest_kind=digest,
            chunks=(
                kit.chunk(0, b"\1\2\3", has_crc=has_crc),
                kit.chunk(53, struct.pack("<BB", 40, 7), encoding=kit.RLE, has_crc=has_crc),
                kit.chunk(93, target[93:], has_crc=has_crc),
            ),
        )
        assert write_patch(base, target, digest=digest, metadata=metadata) == by_hand.pack()


# ---------------------------------------------------------------- ranges


def test_ranges_closer_than_the_merge_gap_are_one_chunk() -> None:
    base = bytes(64)
    target = bytearray(base)
    target[10] = target[20] = 1  # 9 equal bytes between them
    for merge_gap, offsets in ((0, [10, 20]), (9, [10, 20]), (10, [10]), (16, [10])):
        patch = _written(base, bytes(target), merge_gap=merge_gap)
        assert [chunk.offset for chunk in patch.chunks] == offsets


def test_neighbours_are_one_chunk_with_any_merge_gap() -> None:
    target = bytes(9) + b"\1\2\3" + bytes(9)
    assert [chunk.offset for chunk in _written(bytes(21), target, merge_gap=0).chunks] == [9]


def test_tail_is_merged_like_any_range() -> None:
    base = bytes(64)
    target = bytes(60) + b"\1" + bytes(3) + b"abc"
    assert [chunk.offset for chunk in _written(base, target).chunks] == [60]
    assert [chunk.offset for chunk in _written(base, target, merge_gap=2).chunks] == [60, 64]


def test_shorter_target_needs_no_chunk_for_its_end() -> None:
    assert _written(b"abcdef", b"abc").chunks == ()
    assert [chunk.offset for chunk in _written(b"abcdef", b"xbc").chunks] == [0]


def test_equal_models_need_no_chunk() -> None:
    assert _written(b"abc", b"abc", digest=DigestKind.CRC32).chunks == ()


# ---------------------------------------------------------------- encodings and limits


def test_rle_only_where_it_is_shorter() -> None:
    base = bytes(8)
    assert _written(base, b"\1\1\1" + bytes(5)).chunks[0].encoding == Encoding.RLE
    assert _written(base, b"\1\1" + bytes(6)).chunks[0].encoding == Encoding.RAW


@pytest.mark.parametrize("run", [1, 255, 256, 257, 511, 512, 513, 70_000])
def test_runs_of_any_length(run: int) -> None:
    _written(b"-", b"\0" * run + b"\1" * run + b"x")


def test_long_run_inside_noise_is_cut_out() -> None:
    noise = random.Random(1).randbytes(2000)
    target = noise[:1000] + bytes(1000) + noise[1000:]
    patch = _written(b"-", target)
    assert [chunk.encoding for chunk in patch.chunks] == [Encoding.RAW, Encoding.RLE, Encoding.RAW]
    assert _size(patch) == 3 * 8 + 2000 + 2 * 4


def test_run_that_does_not_pay_is_not_cut_out() -> None:
    noise = random.Random(1).randbytes(200)
    for has_crc, run in ((False, 18), (True, 26)):
        patch = _written(b"-", noise[:100] + b"\0" * run + noise[100:], chunk_crc=has_crc)
        assert len(patch.chunks) == 1
        patch = _written(b"-", noise[:100] + b"\0" * (run + 1) + noise[100:], chunk_crc=has_crc)
        assert len(patch.chunks) == 3


@pytest.mark.parametrize("size", [65_535, 65_536, 131_070, 131_071, 450_000])
def test_raw_chunks_above_65535_bytes_are_split(size: int) -> None:
    patch = _written(b"-", random.Random(size).randbytes(size))
    assert [len(chunk.payload) for chunk in patch.chunks[:-1]] == [CHUNK_PAYLOAD_MAX] * (
        (size - 1) // CHUNK_PAYLOAD_MAX
    )


@pytest.mark.parametrize("pairs", [32_767, 32_768, 65_534, 65_535, 100_000])
def test_rle_chunks_above_65535_bytes_are_split(pairs: int) -> None:
    """Runs of 3 and 4 bytes in turn, so that a split at the wrong place would show."""
    target = b"".join(bytes((n % 7,)) * (3 + n % 2) for n in range(pairs))
    patch = _written(b"-", target)
    assert {chunk.encoding for chunk in patch.chunks} == {Encoding.RLE}
    assert sum(len(chunk.payload) for chunk in patch.chunks) == 2 * pairs
    assert len(patch.chunks) == -(-pairs // 32_767)


def _far_apart(count: int, spacing: int) -> tuple[bytes, bytes]:
    base = np.random.default_rng(count).integers(0, 256, count * spacing, np.uint8)
    target = base.copy()
    target[::spacing] ^= 1
    return base.tobytes(), target.tobytes()


def test_65535_ranges_are_as_many_chunks() -> None:
    assert _written(*_far_apart(65_535, 6), merge_gap=4).header.chunks_n == 65_535


def test_more_ranges_than_the_format_counts_are_merged() -> None:
    patch = _written(*_far_apart(65_536, 6), merge_gap=4)
    assert len(patch.chunks) < 65_536


def test_merging_never_fails_with_gap_0() -> None:
    base, target = _far_apart(140_000, 2)
    assert len(_written(base, target, merge_gap=0).chunks) < 65_536


def test_merging_never_fails_with_many_long_runs() -> None:
    noise = random.Random(2).randbytes(40 * 33_000)
    runs = b"".join(bytes(40) + noise[at : at + 40] for at in range(0, len(noise), 40))
    patch = _written(b"-", runs, merge_gap=32)  # runs that would be cut out, too many to count
    assert len(patch.chunks) < 65_536


def test_same_inputs_give_the_same_bytes() -> None:
    rng = random.Random(5)
    for _ in range(20):
        case = kit.random_case(rng)
        other = rng.randbytes(rng.randint(1, 300))
        first, second = (
            write_patch(case.base, other, digest=DigestKind.CRC32, metadata=PLAIN) for _ in range(2)
        )
        assert first == second


# ---------------------------------------------------------------- what is refused


def test_no_digest_is_written_where_something_changes() -> None:
    patch = _written(b"abc", b"abd", digest=DigestKind.NONE)
    assert patch.header.base_digest == patch.header.target_digest == bytes(32)


@pytest.mark.parametrize("target", [b"abc", b"ab"])
def test_no_digest_and_no_chunk_is_refused(target: bytes) -> None:
    with pytest.raises(ValueError, match="needs a digest"):
        write_patch(b"abc", target, digest=DigestKind.NONE, metadata=PLAIN)


def test_cmac_is_refused() -> None:
    with pytest.raises(ValueError, match="CMAC is reserved"):
        write_patch(b"abc", b"abd", digest=DigestKind.CMAC, metadata=PLAIN)


@pytest.mark.parametrize(("base", "target"), [(b"", b"a"), (b"a", b"")])
def test_empty_models_are_refused(base: bytes, target: bytes) -> None:
    with pytest.raises(ValueError, match="has 0 bytes"):
        write_patch(base, target, digest=DigestKind.SHA256, metadata=PLAIN)


def test_negative_merge_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        write_patch(b"a", b"b", digest=DigestKind.SHA256, metadata=PLAIN, merge_gap=-1)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (Metadata(req_arena_bytes=1 << 32), "REQ_ARENA_BYTES is 4294967296"),
        (Metadata(tflm_abi=0x10000), "TFLM_ABI is 65536"),
        (Metadata(opset_hash=-1), "OPSET_HASH is -1"),
        (Metadata(kernels=1), "format 1 has no KERNELS"),
        (Metadata(note=b"x"), "format 1 has no NOTE"),
        (Metadata(vendor=((0x7F, b""),)), "vendor TLV 0x7f"),
        (Metadata(vendor=((0x100, b""),)), "vendor TLV 0x100"),
        (Metadata(vendor=((0x80, bytes(256)),)), "vendor TLV 0x80"),
        (Metadata(vendor=((0x80, bytes(255)),) * 4), "1028 bytes of metadata"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(metadata: Metadata, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_patch(b"a", b"b", digest=DigestKind.SHA256, metadata=metadata)


def test_written_patches_survive_no_cut() -> None:
    """What the writer writes is refused at any cut, like any other patch."""
    data = write_patch(
        kit.FAULT_BASE,
        kit.FAULT_TARGET,
        digest=DigestKind.CRC32,
        metadata=Metadata(16384, 0x0103, 0x1234ABCD, 0xDEADBEEF),
    )
    accepts = replace(kit.ACCEPTS, slot_bytes=len(kit.FAULT_TARGET))
    assert apply_patch(kit.FAULT_BASE, data, accepts).target == kit.FAULT_TARGET
    for size in range(0, len(data), 7):
        assert apply_patch(kit.FAULT_BASE, data[:size], accepts).status == Status.TRUNCATED
