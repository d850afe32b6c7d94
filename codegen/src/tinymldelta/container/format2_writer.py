"""Writes patches of format 2 around a body that the encoder has made. Same inputs, same bytes."""

from __future__ import annotations

import hashlib

from tinymldelta.container.metadata import write_metadata
from tinymldelta.container.patch import Metadata, head_crc
from tinymldelta.wire.constants import (
    F2_BASE_DIGEST_BYTES,
    F2_CRC_BYTES,
    F2_FLAG_LEAN,
    F2_FLAG_SAME_LENGTH,
    F2_TARGET_DIGEST_BYTES,
    FORMAT_2,
    MODEL_MAX,
)


def write_patch(
    base: bytes, target: bytes, *, metadata: Metadata, lean: bool, body: bytes
) -> bytes:
    """The patch from `base` to `target` whose body is `body`; lean: the body is for a lean decoder.

    ValueError if a model is empty or larger than MODEL_MAX, or the metadata does not fit.
    """
    for name, model in (("base", base), ("target", target)):
        if not 1 <= len(model) <= MODEL_MAX:
            raise ValueError(f"the {name} has {len(model)} bytes; 1 to {MODEL_MAX} are possible")
    same = len(base) == len(target)
    first = FORMAT_2 | (F2_FLAG_SAME_LENGTH if same else 0) | (F2_FLAG_LEAN if lean else 0)
    tlvs = write_metadata(metadata, FORMAT_2)
    head = b"".join(
        (
            bytes((first,)),
            b"" if same else write_number(len(target)),
            write_number(len(base)),
            hashlib.sha256(base).digest()[:F2_BASE_DIGEST_BYTES],
            hashlib.sha256(target).digest()[:F2_TARGET_DIGEST_BYTES],
            write_number(len(tlvs)),
            tlvs,
        )
    )
    return head + head_crc(head).to_bytes(F2_CRC_BYTES, "little") + body


def write_number(value: int) -> bytes:
    """7 bits to a byte, the lowest first; the highest bit says that another byte follows."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes((*encoded, value))
