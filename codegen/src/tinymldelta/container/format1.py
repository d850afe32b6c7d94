"""Reads and applies patches of format 1.

The order of the checks is part of the format: a device reports the first fault in that order, and
this reader has to report the same. Each function below is one step of "What a reader checks, in
this order" in `SPEC.md`, and its number stands in its docstring.
"""

from __future__ import annotations

import zlib

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.metadata import read_metadata
from tinymldelta.container.patch import (
    DIGEST_FIELD_BYTES,
    Chunk,
    Header,
    Metadata,
    Patch,
    PatchFault,
    digest_field,
    run_bytes,
    sizes_of,
)
from tinymldelta.container.reading import Outcome, check_guardrails
from tinymldelta.container.source import Cursor
from tinymldelta.wire.constants import (
    ACCEPT_NO_DIGEST,
    DIGEST_SIZE,
    F1_CHUNK,
    F1_CHUNK_SIZE,
    F1_HEADER,
    F1_HEADER_SIZE,
    FORMAT_1,
    META_MAX,
    MODEL_MAX,
    DigestKind,
    Encoding,
    Field,
    Status,
)

__all__ = [
    "Chunk",
    "Header",
    "Metadata",
    "Outcome",
    "Patch",
    "PatchFault",
    "apply_patch",
    "read_patch",
]

_CRC_BYTES = 4
_ENCODINGS = frozenset(Encoding)


def read_patch(data: bytes, accepts: Accepts | None) -> Patch:
    """Read a patch and check all that can be checked without its base.

    `accepts` None reads without a contract: what depends on one (format, digest kind NONE, the
    guardrails) is then taken as accepted. PatchFault for the first fault.
    """
    cursor = Cursor(data)
    header = _read_header(cursor, accepts)
    metadata = read_metadata(cursor, header.meta_bytes, FORMAT_1, accepts)
    _check_guardrails(header, metadata, accepts)
    chunks = _read_chunks(cursor, header)
    digests = 2 * DIGEST_FIELD_BYTES
    sizes = sizes_of(
        header=F1_HEADER_SIZE - digests,
        metadata=header.meta_bytes,
        digests=digests,
        body=len(data) - F1_HEADER_SIZE - header.meta_bytes,
    )
    return Patch(header, metadata, chunks, sizes)


def apply_patch(base: bytes, patch: bytes, accepts: Accepts | None) -> Outcome:
    """What a device whose active model is `base` does with `patch`: the new model, or why not.

    Never raises, whatever the bytes are. `accepts` None: as in `read_patch`.
    """
    try:
        cursor = Cursor(patch)
        header = _read_header(cursor, accepts)
        metadata = read_metadata(cursor, header.meta_bytes, FORMAT_1, accepts)
        _check_guardrails(header, metadata, accepts)
        _check_base(header, base)
        # A device writes while it reads. No fault depends on what is written, except for the
        # target's digest, which comes last in either case.
        target = _build_target(base, header, _read_chunks(cursor, header))
        _check_target(header, target)
    except PatchFault as fault:
        return Outcome(fault.status, None, str(fault))
    return Outcome(Status.OK, target, "done")


def _bytes_of(field: Field, data: bytes) -> bytes:
    return data[field.offset : field.offset + field.size]


def _number(field: Field, data: bytes) -> int:
    return int.from_bytes(_bytes_of(field, data), "little")


def _read_header(cursor: Cursor, accepts: Accepts | None) -> Header:
    """Steps 1 and 2."""
    version = cursor.peek(1)
    if not version:
        raise PatchFault(Status.TRUNCATED, 0, "patch is empty")
    if version[0] != FORMAT_1:
        raise PatchFault(Status.FORMAT, 0, f"format is {version[0]}, not {FORMAT_1}")
    if accepts is not None and FORMAT_1 not in accepts.formats:
        raise PatchFault(Status.FORMAT, 0, f"firmware does not take format {FORMAT_1}")
    if accepts is not None and accepts.keys:
        raise PatchFault(Status.UNSIGNED, 0, "format 1 is not signed, and the firmware has keys")

    data = cursor.take(F1_HEADER_SIZE, "the header")
    kind = _number(F1_HEADER["digest_kind"], data)
    if kind not in _digest_kinds(accepts):
        at = F1_HEADER["digest_kind"].offset
        raise PatchFault(Status.DIGEST_KIND, at, f"digest kind {kind} is not taken")
    header = Header(
        version=version[0],
        digest_kind=DigestKind(kind),
        chunks_n=_number(F1_HEADER["chunks_n"], data),
        base_bytes=_number(F1_HEADER["base_bytes"], data),
        target_bytes=_number(F1_HEADER["target_bytes"], data),
        base_digest=_bytes_of(F1_HEADER["base_digest"], data),
        target_digest=_bytes_of(F1_HEADER["target_digest"], data),
        meta_bytes=_number(F1_HEADER["meta_bytes"], data),
        flags=_number(F1_HEADER["flags"], data),
    )
    _check_header_values(header)
    if header.meta_bytes > META_MAX:
        at = F1_HEADER["meta_bytes"].offset
        found = f"{header.meta_bytes} bytes of metadata, {META_MAX} are the most"
        raise PatchFault(Status.METADATA, at, found)
    return header


def _digest_kinds(accepts: Accepts | None) -> set[DigestKind]:
    """Step 2.1."""
    kinds = {DigestKind.CRC32, DigestKind.SHA256}
    if accepts is None or accepts.has(ACCEPT_NO_DIGEST):
        kinds.add(DigestKind.NONE)
    return kinds


def _check_header_values(header: Header) -> None:
    """Step 2.2."""

    def require(holds: bool, field: str, found: str) -> None:
        if not holds:
            raise PatchFault(Status.HEADER, F1_HEADER[field].offset, found)

    digest_bytes = DIGEST_SIZE[header.digest_kind]
    require(header.flags == 0, "flags", f"flags are {header.flags:#06x}, not 0")
    for field, length in (("base_bytes", header.base_bytes), ("target_bytes", header.target_bytes)):
        require(1 <= length <= MODEL_MAX, field, f"{field} is {length}, not 1 to {MODEL_MAX}")
    for field, digest in (
        ("base_digest", header.base_digest),
        ("target_digest", header.target_digest),
    ):
        require(not any(digest[digest_bytes:]), field, f"an unused byte of {field} is not 0")
    has_content = header.chunks_n != 0 or header.digest_kind != DigestKind.NONE
    require(has_content, "chunks_n", "a patch without digests has no chunks")


def _check_guardrails(header: Header, metadata: Metadata, accepts: Accepts | None) -> None:
    """Step 4, first half."""
    lengths_at = F1_HEADER["target_bytes"].offset
    check_guardrails(header, metadata, accepts, lengths_at=lengths_at, tlvs_at=F1_HEADER_SIZE)


def _check_base(header: Header, base: bytes) -> None:
    """Step 4, second half."""
    if len(base) != header.base_bytes:
        at = F1_HEADER["base_bytes"].offset
        found = f"patch is for a base of {header.base_bytes} bytes, the model has {len(base)}"
        raise PatchFault(Status.BASE, at, found)
    # With kind NONE both sides are 32 zeros.
    if digest_field(header.digest_kind, base) != header.base_digest:
        at = F1_HEADER["base_digest"].offset
        raise PatchFault(Status.BASE, at, "the model's digest is not that of the patch's base")


def _read_chunks(cursor: Cursor, header: Header) -> tuple[Chunk, ...]:
    """Steps 5 to 8, and of step 9 what needs no digest."""
    chunks = []
    position = 0  # p of SPEC.md: the target is complete up to here
    for _ in range(header.chunks_n):
        chunk, position = _read_chunk(cursor, header, position)
        chunks.append(chunk)
    at = cursor.position
    if at < len(cursor.data):
        raise PatchFault(Status.TRAILING, at, f"{len(cursor.data) - at} bytes follow the patch")
    if position != header.target_bytes and header.target_bytes > header.base_bytes:
        found = f"target beyond byte {position} is in no chunk, and beyond the end of the base"
        raise PatchFault(Status.GAP, at, found)
    return tuple(chunks)


def _read_chunk(cursor: Cursor, header: Header, position: int) -> tuple[Chunk, int]:
    """Steps 5 to 7 for one chunk: the chunk, and where its decoded bytes end in the target."""
    at = cursor.position
    data = cursor.take(F1_CHUNK_SIZE, "a chunk's header")
    offset = _number(F1_CHUNK["offset"], data)
    payload_bytes = _number(F1_CHUNK["payload_bytes"], data)
    encoding = _number(F1_CHUNK["encoding"], data)
    has_crc = _number(F1_CHUNK["has_crc"], data)

    def require(holds: bool, status: Status, found: str) -> None:
        if not holds:
            raise PatchFault(status, at, found)

    require(encoding in _ENCODINGS, Status.CHUNK_ENCODING, f"encoding {encoding} is unknown")
    require(has_crc in (0, 1), Status.CHUNK_ENCODING, f"has_crc is {has_crc}, not 0 or 1")
    require(payload_bytes != 0, Status.CHUNK_ENCODING, "chunk is empty")
    odd_rle = encoding == Encoding.RLE and payload_bytes % 2 != 0
    require(not odd_rle, Status.CHUNK_ENCODING, f"RLE payload has {payload_bytes} bytes: odd")

    room = header.target_bytes - offset
    require(offset >= position, Status.CHUNK_ORDER, f"chunk at {offset}, expected {position} or up")
    require(room > 0, Status.CHUNK_BOUNDS, f"chunk at {offset} is beyond the target")
    raw_fits = encoding != Encoding.RAW or payload_bytes <= room
    require(raw_fits, Status.CHUNK_BOUNDS, f"chunk of {payload_bytes} bytes, {room} are left")
    no_gap = offset <= header.base_bytes or offset == position
    require(no_gap, Status.GAP, f"no base for the bytes from {position} to chunk at {offset}")

    crc_bytes = cursor.take(_CRC_BYTES if has_crc else 0, "a chunk's CRC")
    decoded_bytes = payload_bytes
    if encoding == Encoding.RLE:
        # Judged before the payload has to be complete: each run counts as soon as it is there.
        decoded_bytes = _check_runs(cursor, payload_bytes, room)
    payload = cursor.take(payload_bytes, "a chunk's payload")
    crc = int.from_bytes(crc_bytes, "little") if has_crc else None
    if crc is not None:
        found = zlib.crc32(payload)
        require(found == crc, Status.CHUNK_CRC, f"CRC is {found:#010x}, chunk says {crc:#010x}")
    return Chunk(offset, Encoding(encoding), payload, crc), offset + decoded_bytes


def _check_runs(cursor: Cursor, payload_bytes: int, room: int) -> int:
    """Step 6: how many bytes the runs stand for, as far as their pairs are there."""
    decoded_bytes = 0
    counts = cursor.peek(payload_bytes)[::2]
    pairs = len(cursor.peek(payload_bytes)) // 2
    for index, count in enumerate(counts[:pairs]):
        decoded_bytes += run_bytes(count)
        if decoded_bytes > room:
            at = cursor.position + 2 * index
            raise PatchFault(Status.CHUNK_BOUNDS, at, "a run reaches beyond the target")
    return decoded_bytes


def _build_target(base: bytes, header: Header, chunks: tuple[Chunk, ...]) -> bytes:
    """The target, front to back. The chunks have been checked, so every copy is in the base."""
    target = bytearray()
    for chunk in chunks:
        target += base[len(target) : chunk.offset]
        target += chunk.decode()
    target += base[len(target) : header.target_bytes]
    return bytes(target)


def _check_target(header: Header, target: bytes) -> None:
    """Step 9, second half. With kind NONE both sides are 32 zeros."""
    if digest_field(header.digest_kind, target) != header.target_digest:
        at = F1_HEADER["target_digest"].offset
        raise PatchFault(Status.TARGET, at, "the new model's digest is not that of the patch")
