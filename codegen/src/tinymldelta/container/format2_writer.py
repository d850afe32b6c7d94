"""Writes patches of format 2 around a body that the encoder has made. Same inputs, same bytes."""

from __future__ import annotations

import hashlib
import zlib

from tinymldelta.container.metadata import write_metadata
from tinymldelta.container.patch import Metadata, head_crc, pack
from tinymldelta.wire.constants import (
    F2_BASE_DIGEST_BYTES,
    F2_CRC_BYTES,
    F2_FLAG_LEAN,
    F2_FLAG_SAME_LENGTH,
    F2_FLAG_SIGNED,
    F2_SIGNED_TARGET_DIGEST_BYTES,
    F2_SIGNER,
    F2_TARGET_DIGEST_BYTES,
    FORMAT_2,
    MODEL_MAX,
    SIGNATURE_SIZE,
    SignatureKind,
)


def write_patch(
    base: bytes,
    target: bytes,
    *,
    metadata: Metadata,
    lean: bool,
    body: bytes,
    signer: tuple[SignatureKind, bytes] | None = None,
) -> bytes:
    """The patch from `base` to `target` whose body is `body`; lean: the body is for a lean decoder.

    signer: kind and id of the key that is going to sign it; the signature's bytes are 0 until
    `sign_patch` fills them in. ValueError if a model is empty or larger than MODEL_MAX, or the
    metadata does not fit.
    """
    for name, model in (("base", base), ("target", target)):
        if not 1 <= len(model) <= MODEL_MAX:
            raise ValueError(f"the {name} has {len(model)} bytes; 1 to {MODEL_MAX} are possible")
    same = len(base) == len(target)
    if signer is None and metadata.downgrade is not None:
        raise ValueError("DOWNGRADE stands in signed patches only")
    first = FORMAT_2 | (F2_FLAG_SAME_LENGTH if same else 0) | (F2_FLAG_LEAN if lean else 0)
    digest_bytes, signed_by, signature = F2_TARGET_DIGEST_BYTES, b"", b""
    if signer is not None:
        kind, key_id = signer
        first |= F2_FLAG_SIGNED
        digest_bytes = F2_SIGNED_TARGET_DIGEST_BYTES
        signed_by = pack(F2_SIGNER, {"kind": kind, "key": key_id, "body_crc": zlib.crc32(body)})
        signature = bytes(SIGNATURE_SIZE[kind])
    tlvs = write_metadata(metadata, FORMAT_2)
    head = b"".join(
        (
            bytes((first,)),
            b"" if same else write_number(len(target)),
            write_number(len(base)),
            hashlib.sha256(base).digest()[:F2_BASE_DIGEST_BYTES],
            hashlib.sha256(target).digest()[:digest_bytes],
            signed_by,
            write_number(len(tlvs)),
            tlvs,
        )
    )
    return head + head_crc(head).to_bytes(F2_CRC_BYTES, "little") + signature + body


def write_number(value: int) -> bytes:
    """7 bits to a byte, the lowest first; the highest bit says that another byte follows."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes((*encoded, value))
