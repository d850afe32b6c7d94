"""Reads and applies patches of format 2: the head here, the body in body2.py.

As in format1.py, the order of the checks is part of the format. Numbers of steps are those of
`SPEC.md`.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.body2 import decode_body
from tinymldelta.container.metadata import read_metadata
from tinymldelta.container.patch import (
    Header,
    Metadata,
    Patch,
    PatchFault,
    Signer,
    head_crc,
    sizes_of,
)
from tinymldelta.container.reading import Outcome, check_guardrails
from tinymldelta.container.source import Cursor
from tinymldelta.keys import check_signature_form, key_text
from tinymldelta.wire.constants import (
    F2_BASE_DIGEST_BYTES,
    F2_CRC_BYTES,
    F2_FLAG_LEAN,
    F2_FLAG_RESERVED,
    F2_FLAG_SAME_LENGTH,
    F2_FLAG_SIGNED,
    F2_SIGNED_TARGET_DIGEST_BYTES,
    F2_SIGNER,
    F2_SIGNER_SIZE,
    F2_TARGET_DIGEST_BYTES,
    FORMAT_2,
    META_MAX,
    MODEL_MAX,
    SIGNATURE_SIZE,
    SIGNED_INFO,
    Decoder,
    DigestKind,
    SignatureKind,
    Status,
)

_FORMAT_BITS = 0x0F
_LAST_BYTE_MAX = 7  # of a number's fifth byte, which then stays below 2^31


@dataclass(frozen=True, slots=True)
class _Head:
    """Steps 1 to 6. tlvs_at: where in the patch the metadata begin."""

    header: Header
    metadata: Metadata
    signature: bytes
    tlvs_at: int
    sizes: dict[str, int]


def read_patch(data: bytes, accepts: Accepts | None) -> Patch:
    """Read a patch and check all that can be checked without its base: everything but the body.

    `accepts` None reads without a contract, as if it took everything, and leaves signatures
    unchecked. PatchFault for the first fault.
    """
    head = _read_head(Cursor(data), accepts)
    _check_guardrails(head, accepts)
    return Patch(head.header, head.metadata, (), head.sizes, head.signature)


def apply_patch(base: bytes, patch: bytes, accepts: Accepts | None) -> Outcome:
    """What a device whose active model is `base` does with `patch`: the new model, or why not.

    Never raises, whatever the bytes are. `accepts` None: as in `read_patch`.
    """
    try:
        cursor = Cursor(patch)
        head = _read_head(cursor, accepts)
        header = head.header
        _check_guardrails(head, accepts)
        _check_base(header, base)
        lean, body = header.flags & F2_FLAG_LEAN != 0, patch[cursor.position :]
        target = decode_body(base, body, header.target_bytes, lean=lean)
        if header.signer is not None and zlib.crc32(body) != header.signer.body_crc:
            raise PatchFault(Status.BODY, cursor.position, "the body is not the signed one")
        if hashlib.sha256(target).digest()[: len(header.target_digest)] != header.target_digest:
            raise PatchFault(Status.TARGET, 0, "the new model's digest is not that of the patch")
    except PatchFault as fault:
        return Outcome(fault.status, None, str(fault))
    return Outcome(Status.OK, target, "done")


def _read_head(cursor: Cursor, accepts: Accepts | None) -> _Head:
    """Steps 1 to 6. The cursor then stands behind the head."""
    flags = _read_first(cursor, accepts)
    signed = flags & F2_FLAG_SIGNED != 0
    target_bytes = 0
    if not flags & F2_FLAG_SAME_LENGTH:
        target_bytes = _read_length(cursor, "target_bytes")
    header_end = cursor.position
    base_bytes = _read_length(cursor, "base_bytes")
    base_digest = cursor.take(F2_BASE_DIGEST_BYTES, "the base's digest")
    target_digest = cursor.take(
        F2_SIGNED_TARGET_DIGEST_BYTES if signed else F2_TARGET_DIGEST_BYTES, "the target's digest"
    )
    digests_end = cursor.position
    signer = _read_signer(cursor, accepts) if signed else None
    signer_end = cursor.position
    meta_bytes = _read_number(cursor, "meta_bytes")
    if meta_bytes > META_MAX:
        found = f"{meta_bytes} bytes of metadata, {META_MAX} are the most"
        raise PatchFault(Status.METADATA, signer_end, found)
    header = Header(
        version=FORMAT_2,
        digest_kind=DigestKind.SHA256,
        chunks_n=0,
        base_bytes=base_bytes,
        target_bytes=target_bytes or base_bytes,
        base_digest=base_digest,
        target_digest=target_digest,
        meta_bytes=meta_bytes,
        flags=flags,
        signer=signer,
    )
    tlvs_at = cursor.position
    metadata = read_metadata(cursor, meta_bytes, FORMAT_2, accepts, signed=signed)
    _check_crc(cursor)
    crc_end = cursor.position
    signature = b"" if signer is None else _read_signature(cursor, signer, accepts)
    sizes = sizes_of(
        header=header_end,
        metadata=crc_end - signer_end,
        digests=digests_end - header_end,
        signature=signer_end - digests_end + len(signature),
        body=len(cursor.data) - cursor.position,
    )
    return _Head(header, metadata, signature, tlvs_at, sizes)


def _read_signer(cursor: Cursor, accepts: Accepts | None) -> Signer:
    """Step 3 of a signed patch: who signed it, with a key that the firmware has."""
    at = cursor.position
    field = cursor.take(F2_SIGNER_SIZE, "the signer")
    kind, key_id, body_crc = (
        field[place.offset : place.offset + place.size] for place in F2_SIGNER.values()
    )
    if kind[0] not in SIGNATURE_SIZE:
        raise PatchFault(Status.KEY, at, f"a signature of kind {kind[0]} is not known")
    signer = Signer(SignatureKind(kind[0]), key_id, int.from_bytes(body_crc, "little"))
    if accepts is not None and (signer.kind, key_id) not in accepts.keys:
        raise PatchFault(Status.KEY, at, f"signed with {key_text(signer.kind, key_id)}")
    return signer


def _read_signature(cursor: Cursor, signer: Signer, accepts: Accepts | None) -> bytes:
    """Step 6 of a signed patch: the signature is that of all bytes before it."""
    at = cursor.position
    signature = cursor.take(SIGNATURE_SIZE[signer.kind], "the signature")
    if accepts is None:
        return signature
    digest = hashlib.sha256(SIGNED_INFO + cursor.data[:at]).digest()
    key = accepts.keys[signer.kind, signer.key_id]
    # As in the core; of other kinds, the form is the port's to look at.
    formed = signer.kind is not SignatureKind.ECDSA_P256 or check_signature_form(
        signer.kind, signature
    )
    try:
        holds = formed and key.verify(digest, signature)
    except LookupError as error:
        raise PatchFault(
            Status.KEY, at, f"the secret {key_text(signer.kind, signer.key_id)} is not there"
        ) from error
    if not holds:
        raise PatchFault(Status.SIGNATURE, at, "the signature is not that of the patch")
    return signature


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
    if accepts is not None and first & F2_FLAG_SIGNED and not accepts.keys:
        raise PatchFault(Status.KEY, 0, "the patch is signed, and the firmware has no keys")
    if accepts is not None and not first & F2_FLAG_SIGNED and accepts.keys:
        raise PatchFault(Status.UNSIGNED, 0, "the patch is not signed, and the firmware has keys")
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


def _check_guardrails(head: _Head, accepts: Accepts | None) -> None:
    """Step 7, first half."""
    check_guardrails(head.header, head.metadata, accepts, lengths_at=1, tlvs_at=head.tlvs_at)


def _check_base(header: Header, base: bytes) -> None:
    """Step 7, second half."""
    if len(base) != header.base_bytes:
        found = f"patch is for a base of {header.base_bytes} bytes, the model has {len(base)}"
        raise PatchFault(Status.BASE, 0, found)
    if hashlib.sha256(base).digest()[:F2_BASE_DIGEST_BYTES] != header.base_digest:
        raise PatchFault(Status.BASE, 0, "the model's digest is not that of the patch's base")
