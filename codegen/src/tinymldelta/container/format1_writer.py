"""Writes patches of format 1: the byte ranges that differ, each as RAW or RLE.

Works on any two files; it knows nothing of models. Same inputs, same bytes.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tinymldelta.container.metadata import write_metadata
from tinymldelta.container.patch import RUN_MAX, Chunk, Metadata, digest_field, pack
from tinymldelta.wire.constants import (
    CHUNK_PAYLOAD_MAX,
    F1_CHUNK,
    F1_CHUNK_SIZE,
    F1_HEADER,
    FORMAT_1,
    MODEL_MAX,
    DigestKind,
    Encoding,
)

_CHUNKS_MAX = 256 ** F1_HEADER["chunks_n"].size - 1
_CRC_BYTES = 4

_Positions = npt.NDArray[np.intp]
_Bytes = npt.NDArray[np.uint8]


def write_patch(
    base: bytes,
    target: bytes,
    *,
    digest: DigestKind,
    metadata: Metadata,
    merge_gap: int = 16,
    chunk_crc: bool | None = None,
) -> bytes:
    """The patch that turns `base` into `target`.

    digest: CRC32, SHA256 or NONE (which only some firmware takes)
    merge_gap: differing ranges with fewer equal bytes than this between them become one chunk.
        Where the chunks would be too many for the format, it is doubled until they are not.
    chunk_crc: whether each chunk carries a CRC-32; None: if the digest is CRC32, as the first
        TinyMLDelta did

    ValueError if a model is empty or larger than MODEL_MAX, if the metadata does not fit the
    format, for the reserved kind CMAC, for a negative `merge_gap`, and for NONE if no chunk is
    needed (models equal, or the target is the front of the base): the format refuses that.
    """
    for name, model in (("base", base), ("target", target)):
        if not 1 <= len(model) <= MODEL_MAX:
            raise ValueError(f"{name} has {len(model)} bytes, not 1 to {MODEL_MAX}")
    if merge_gap < 0:
        raise ValueError(f"merge_gap is {merge_gap}, which is negative")
    if chunk_crc is None:
        chunk_crc = digest == DigestKind.CRC32

    meta = write_metadata(metadata, FORMAT_1)
    chunks = _all_chunks(base, target, merge_gap, _ChunkMaker(chunk_crc))
    if not chunks and digest == DigestKind.NONE:
        raise ValueError("no byte changes, and such a patch needs a digest: use CRC32 or SHA256")
    header: dict[str, int | bytes] = {
        "version": FORMAT_1,
        "digest_kind": digest,
        "chunks_n": len(chunks),
        "base_bytes": len(base),
        "target_bytes": len(target),
        "base_digest": digest_field(digest, base),
        "target_digest": digest_field(digest, target),
        "meta_bytes": len(meta),
        "flags": 0,
    }
    return b"".join([pack(F1_HEADER, header), meta, *map(_chunk_bytes, chunks)])


class _ChunkMaker:
    """Makes chunks with or without CRC, and says what they cost."""

    def __init__(self, with_crc: bool) -> None:
        self._with_crc = with_crc
        self.overhead = F1_CHUNK_SIZE + (_CRC_BYTES if with_crc else 0)
        # A run this long saves more as RLE than the two chunk headers that cutting it out costs:
        # up to 256 bytes become one pair.
        self.worth_cutting = 2 * self.overhead + 3

    def size(self, chunks: Sequence[Chunk]) -> int:
        """Bytes that the chunks take in the patch."""
        return sum(self.overhead + len(chunk.payload) for chunk in chunks)

    def smallest(self, offset: int, data: bytes) -> list[Chunk]:
        """The data as RAW, or as RLE where that is shorter."""
        counts, values = _pairs(data)
        if 2 * len(counts) < len(data):
            return self._rle(offset, counts, values)
        return self._raw(offset, data)

    def _chunk(self, offset: int, encoding: Encoding, payload: bytes) -> Chunk:
        return Chunk(offset, encoding, payload, zlib.crc32(payload) if self._with_crc else None)

    def _raw(self, offset: int, data: bytes) -> list[Chunk]:
        starts = range(0, len(data), CHUNK_PAYLOAD_MAX)
        return [
            self._chunk(offset + at, Encoding.RAW, data[at : at + CHUNK_PAYLOAD_MAX])
            for at in starts
        ]

    def _rle(self, offset: int, counts: _Positions, values: _Bytes) -> list[Chunk]:
        pairs_max = CHUNK_PAYLOAD_MAX // 2
        chunks = []
        for at in range(0, len(counts), pairs_max):
            part = counts[at : at + pairs_max]
            pairs = np.stack([part % RUN_MAX, values[at : at + pairs_max]], axis=1)
            chunks.append(self._chunk(offset, Encoding.RLE, pairs.astype(np.uint8).tobytes()))
            offset += int(part.sum())
        return chunks


def _all_chunks(base: bytes, target: bytes, merge_gap: int, make: _ChunkMaker) -> list[Chunk]:
    """Every chunk of the patch, at most as many as the format can count."""
    positions = _differing(base, target)
    while True:
        ranges = _ranges(positions, merge_gap)
        if len(ranges) <= _CHUNKS_MAX:
            # Runs are not cut out more finely than ranges are merged. So this ends: at the latest
            # with one range and no cuts, which is MODEL_MAX / CHUNK_PAYLOAD_MAX chunks or fewer.
            min_run = max(make.worth_cutting, merge_gap)
            chunks = [
                chunk
                for start, end in ranges
                for chunk in _chunks_of_range(start, target[start:end], min_run, make)
            ]
            if len(chunks) <= _CHUNKS_MAX:
                return chunks
        merge_gap = max(1, 2 * merge_gap)


def _differing(base: bytes, target: bytes) -> _Positions:
    """Rising positions in the target that the base does not give: changed bytes and the tail."""
    common = min(len(base), len(target))
    changed = np.flatnonzero(
        np.frombuffer(base, np.uint8, common) != np.frombuffer(target, np.uint8, common)
    )
    return np.concatenate([changed, np.arange(common, len(target))])


def _ranges(positions: _Positions, merge_gap: int) -> list[tuple[int, int]]:
    """The positions as (start, end), merged where fewer than `merge_gap` bytes are between them."""
    if not positions.size:
        return []
    equal_between = np.diff(positions) - 1
    last = np.flatnonzero(equal_between >= max(merge_gap, 1))  # neighbours are always one range
    starts = positions[np.concatenate([[0], last + 1])]
    ends = positions[np.concatenate([last, [len(positions) - 1]])] + 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _chunks_of_range(offset: int, data: bytes, min_run: int, make: _ChunkMaker) -> list[Chunk]:
    """One range as chunks: whole, or cut around its long runs, whichever is smaller."""
    whole = make.smallest(offset, data)
    cuts = _cuts(data, min_run)
    if len(cuts) == 2:
        return whole
    cut = [
        chunk
        for start, end in itertools.pairwise(cuts)
        for chunk in make.smallest(offset + start, data[start:end])
    ]
    return min((whole, cut), key=make.size)


def _cuts(data: bytes, min_run: int) -> list[int]:
    """Where long runs and what is between them begin, and the end of the data."""
    if len(data) < min_run:
        return [0, len(data)]
    starts, lengths = _runs(data)
    is_long = lengths >= min_run
    changes = np.flatnonzero(is_long[1:] != is_long[:-1]) + 1
    return [0, *starts[changes].tolist(), len(data)]


def _runs(data: bytes) -> tuple[_Positions, _Positions]:
    """Start and length of each run of equal bytes; the data is not empty."""
    values = np.frombuffer(data, np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    return starts, np.diff(starts, append=len(data))


def _pairs(data: bytes) -> tuple[_Positions, _Bytes]:
    """Count (1 to 256) and byte of each pair of RLE."""
    starts, lengths = _runs(data)
    pairs_of_run = -(-lengths // RUN_MAX)
    counts = np.full(int(pairs_of_run.sum()), RUN_MAX, np.intp)
    # All pairs of a run are full, except for its last one, which has the rest.
    counts[np.cumsum(pairs_of_run) - 1] = (lengths - 1) % RUN_MAX + 1
    return counts, np.repeat(np.frombuffer(data, np.uint8)[starts], pairs_of_run)


def _chunk_bytes(chunk: Chunk) -> bytes:
    header = {
        "offset": chunk.offset,
        "payload_bytes": len(chunk.payload),
        "encoding": chunk.encoding,
        "has_crc": int(chunk.has_crc),
    }
    crc = b"" if chunk.crc is None else chunk.crc.to_bytes(_CRC_BYTES, "little")
    return pack(F1_CHUNK, header) + crc + chunk.payload
