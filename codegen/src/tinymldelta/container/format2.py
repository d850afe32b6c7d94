"""Reads and applies patches of format 2: the head here, the body in body2.py.

As in format1.py, the order of the checks is part of the format. Numbers of steps are those of
`SPEC.md`.
"""

from __future__ import annotations

import hashlib

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.body2 import decode_body
from tinymldelta.container.metadata import read_metadata
from tinymldelta.container.patch import Header, Metadata, Patch, PatchFault, head_crc, sizes_of
from tinymldelta.container.reading import Outcome, check_guardrails
from tinymldelta.container.source import Cursor
from tinymldelta.wire.constants import (
    F2_BASE_DIGEST_BYTES,
    F2_CRC_BYTES,
    F2_FLAG_LEAN,
    F2_FLAG_RESERVED,
    F2_FLAG_SAME_LENGTH,
    F2_FLAG_SIGNED,
    F2_TARGET_DIGEST_BYTES,
    FORMAT_2,
    META_MAX,
    MODEL_MAX,
    Decoder,
    DigestKind,
    Status,
)

_FORMAT_BITS = 0x0F
_LAST_BYTE_MAX = 7  # of a number's fifth byte, which then stays below 2^31


def read_patch(data: bytes, accepts: Accepts | None) -> Patch:
    """Read a patch and check all that can be checked without its base: everything but the body.

    `accepts` None reads without a contract, as if it took everything. PatchFault for the first
    fault.
    """
    cursor = Cursor(data)
    header, metadata, sizes = _read_head(cursor, accepts)
    _check_guardrails(cursor, header, metadata, accepts)
    return Patch(header, metadata, (), sizes)


def apply_patch(base: bytes, patch: bytes, accepts: Accepts | None) -> Outcome:
    """What a device whose active model is `base` does with `patch`: the new model, or why not.

    Never raises, whatever the bytes are. `accepts` None: as in `read_patch`.
    """
    try:
        cursor = Cursor(patch)
        header, metadata, _ = _read_head(cursor, accepts)
        _check_guardrails(cursor, header, metadata, accepts)
        _check_base(header, base)
        lean = header.flags & F2_FLAG_LEAN != 0
        target = decode_body(base, patch[cursor.position :], header.target_bytes, lean=lean)
        if hashlib.sha256(target).digest()[:F2_TARGET_DIGEST_BYTES] != header.target_digest:
            raise PatchFault(Status.TARGET, 0, "the new model's digest is not that of the patch")
    except PatchFault as fault:
        return Outcome(fault.status, None, str(fault))
    return Outcome(Status.OK, target, "done")


def _read_head(cursor: Cursor, accepts: Accepts | None) -> tuple[Header, Metadata, dict[str, int]]:
    """Steps 1 to 5."""
    flags = _read_first(cursor, accepts)
    target_bytes = 0
    if not flags & F2_FLAG_SAME_LENGTH:
        target_bytes = _read_length(cursor, "target_bytes")
    header_end = cursor.position
    base_bytes = _read_length(cursor, "base_bytes")
    base_digest = cursor.take(F2_BASE_DIGEST_BYTES + F2_TARGET_DIGEST_BYTES, "the digests")
    digests_end = cursor.position
    meta_bytes = _read_number(cursor, "meta_bytes")
    if meta_bytes > META_MAX:
        found = f"{meta_bytes} bytes of metadata, {META_MAX} are the most"
        raise PatchFault(Status.METADATA, digests_end, found)
    header = Header(
        version=FORMAT_2,
        digest_kind=DigestKind.SHA256,
        chunks_n=0,
        base_bytes=base_bytes,
        target_bytes=target_bytes or base_bytes,
        base_digest=base_digest[:F2_BASE_DIGEST_BYTES],
        target_digest=base_digest[F2_BASE_DIGEST_BYTES:],
        meta_bytes=meta_bytes,
        flags=flags,
    )
    metadata = read_metadata(cursor, meta_bytes, FORMAT_2, accepts)
    _check_crc(cursor)
    sizes = sizes_of(
        header=header_end,
        metadata=cursor.position - digests_end,
        digests=digests_end - header_end,
        body=len(cursor.data) - cursor.position,
    )
    return header, metadata, sizes


def _check_crc(cursor: Cursor) -> None:
    """Step 5: all that was read so far has come as it was sent."""
    at = cursor.position
    crc = int.from_bytes(cursor.take(F2_CRC_BYTES, "the head's CRC"), "little")
    if (found := head_crc(cursor.data[:at])) != crc:
        raise PatchFault(
            Status.METADATA, at, f"CRC of the head is {found:#010x}, patch says {crc:#010x}"
        )


def _read_first(cursor: Cursor, accepts: Accepts | None) -> int:
    """Steps 1 and 2: the flags."""
    first = cursor.take(1, "the first byte")[0]
    takes = accepts is None or (FORMAT_2 in accepts.formats and accepts.decoder != Decoder.NONE)
    if first & _FORMAT_BITS != FORMAT_2 or not takes:
        raise PatchFault(Status.FORMAT, 0, f"format {first & _FORMAT_BITS} is not taken")
    if first & F2_FLAG_RESERVED:
        raise PatchFault(Status.HEADER, 0, "a reserved flag is set")
    wanted = Decoder.LEAN if first & F2_FLAG_LEAN else Decoder.DEFAULT
    if accepts is not None and accepts.decoder != wanted:
        raise PatchFault(Status.DECODER, 0, f"the patch is for a {wanted.name.lower()} decoder")
    if first & F2_FLAG_SIGNED:
        raise PatchFault(Status.SIGNATURE, 0, "the patch is signed")
    return first & ~_FORMAT_BITS


def _read_number(cursor: Cursor, what: str) -> int:
    """Step 3, for any number."""
    value = 0
    for index in range(5):
        at = cursor.position
        byte = cursor.take(1, what)[0]
        value |= (byte & 127) << 7 * index
        if (byte == 0 and index > 0) or (index == 4 and byte > _LAST_BYTE_MAX):
            raise PatchFault(Status.HEADER, at, f"{what} is not written as a number is")
        if byte < 128:
            break
    return value


def _read_length(cursor: Cursor, what: str) -> int:
    """Step 3, for a length."""
    at = cursor.position
    length = _read_number(cursor, what)
    if not 1 <= length <= MODEL_MAX:
        raise PatchFault(Status.HEADER, at, f"{what} is {length}, not 1 to {MODEL_MAX}")
    return length


def _check_guardrails(
    cursor: Cursor, header: Header, metadata: Metadata, accepts: Accepts | None
) -> None:
    """Step 6, first half. The cursor stands behind the head."""
    tlvs_at = cursor.position - F2_CRC_BYTES - header.meta_bytes
    check_guardrails(header, metadata, accepts, lengths_at=1, tlvs_at=tlvs_at)


def _check_base(header: Header, base: bytes) -> None:
    """Step 6, second half."""
    if len(base) != header.base_bytes:
        found = f"patch is for a base of {header.base_bytes} bytes, the model has {len(base)}"
        raise PatchFault(Status.BASE, 0, found)
    if hashlib.sha256(base).digest()[:F2_BASE_DIGEST_BYTES] != header.base_digest:
        raise PatchFault(Status.BASE, 0, "the model's digest is not that of the patch's base")
