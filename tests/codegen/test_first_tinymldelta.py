"""Patches laid out as the first TinyMLDelta's patchgen laid them apply byte for byte.

Packed here by hand from the byte tables, so that neither our writer nor our constants can hide a
mistake; applied by the device's C code and by the plain Python reader.
"""

from __future__ import annotations

import random
import struct
import zlib
from itertools import product

import pytest

from patchkit import rle
from tinymldelta.container.format1 import apply_patch as apply_plain
from tinymldelta.container.format1 import read_patch
from tinymldelta.container.format1_writer import write_patch
from tinymldelta.container.patch import Metadata
from tinymldelta.proving import apply_patch, contract_taking
from tinymldelta.wire.constants import DigestKind, Status

ALL_TLVS = (
    struct.pack("<BBI", 1, 4, 4096)
    + struct.pack("<BBH", 2, 2, 3)
    + struct.pack("<BBI", 3, 4, 0x1234ABCD)
    + struct.pack("<BBI", 4, 4, 0xDEADBEEF)
)
VENDOR = struct.pack("<BB", 0x80, 3) + b"abc"


def ranges(base: bytes, target: bytes) -> list[tuple[int, bytes]]:
    """What differs, in rising order of offset, and the tail of a longer target."""
    found: list[tuple[int, bytes]] = []
    common = min(len(base), len(target))
    at = 0
    while at < common:
        if base[at] == target[at]:
            at += 1
            continue
        start = at
        while at < common and base[at] != target[at]:
            at += 1
        found.append((start, target[start:at]))
    if len(target) > common:
        found.append((common, target[common:]))
    return found


def lay_out(base: bytes, target: bytes, encoding: int, with_crc: bool, meta: bytes) -> bytes:
    chunks = []
    for offset, data in ranges(base, target):
        for start in range(0, len(data), 30_000):  # as RLE no longer than 60,000
            piece = data[start : start + 30_000]
            payload = rle(piece) if encoding == 1 else piece
            crc = struct.pack("<I", zlib.crc32(payload)) if with_crc else b""
            head = struct.pack("<IHBB", offset + start, len(payload), encoding, with_crc)
            chunks.append(head + crc + payload)
    digests = [struct.pack("<I", zlib.crc32(m)).ljust(32, b"\0") for m in (base, target)]
    header = struct.pack(
        "<BBHII32s32sHH", 1, 1, len(chunks), len(base), len(target), *digests, len(meta), 0
    )
    return header + meta + b"".join(chunks)


def models(target_bytes: int) -> tuple[bytes, bytes]:
    rng = random.Random(target_bytes)
    base = rng.randbytes(5000)
    target = bytearray((base + rng.randbytes(5000))[:target_bytes])
    for _ in range(20):
        at = rng.randrange(len(target))
        run = rng.randrange(1, 400)
        target[at : at + run] = bytes([rng.randrange(256)]) * len(target[at : at + run])
    return base, bytes(target)


@pytest.mark.parametrize("target_bytes", [5000, 1234, 9000])
@pytest.mark.parametrize(
    ("encoding", "with_crc", "meta"),
    list(product((0, 1), (False, True), (b"", ALL_TLVS, VENDOR + ALL_TLVS + VENDOR))),
)
def test_old_layout_applies(target_bytes: int, encoding: int, with_crc: bool, meta: bytes) -> None:
    base, target = models(target_bytes)
    patch = lay_out(base, target, encoding, with_crc, meta)
    assert apply_patch(patch, base, "old.tmd", None, 0) == target
    assert apply_plain(base, patch, contract_taking(patch, base).accepts(0)).target == target


def test_chunks_above_65535_bytes_are_split() -> None:
    rng = random.Random(5)
    base = rng.randbytes(200_000)
    noise, runs = rng.randbytes(200_001), b"\x07" * 9_000_001
    for target in (noise, runs):
        patch = write_patch(base, target, digest=DigestKind.SHA256, metadata=Metadata())
        sizes = [len(chunk.payload) for chunk in read_patch(patch, None).chunks]
        assert max(sizes) <= 65_535
        assert len(sizes) > 1
        assert apply_patch(patch, base, "large.tmd", None, 0) == target
        accepts = contract_taking(patch, base).accepts(0)
        assert apply_plain(base, patch, accepts).status is Status.OK
