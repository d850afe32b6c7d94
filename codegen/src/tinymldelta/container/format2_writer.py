"""Writes patches of format 2 around a body that the encoder has made. Same inputs, same bytes."""

from __future__ import annotations

import hashlib

from tinymldelta.container.patch import Metadata
from tinymldelta.wire.constants import (
    F2_BASE_DIGEST_BYTES,
    F2_FLAG_LEAN,
    F2_FLAG_SAME_LENGTH,
    F2_TARGET_DIGEST_BYTES,
    FORMAT_2,
    META_MAX,
    MODEL_MAX,
    TLV_SIZE,
    TLV_VENDOR_FIRST,
    Tlv,
)

_VALUE_MAX = 255


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
    tlvs = write_metadata(metadata)
    return b"".join(
        (
            bytes((first,)),
            b"" if same else write_number(len(target)),
            write_number(len(base)),
            hashlib.sha256(base).digest()[:F2_BASE_DIGEST_BYTES],
            hashlib.sha256(target).digest()[:F2_TARGET_DIGEST_BYTES],
            write_number(len(tlvs)),
            tlvs,
            body,
        )
    )


def write_number(value: int) -> bytes:
    """7 bits to a byte, the lowest first; the highest bit says that another byte follows."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes((*encoded, value))


def write_metadata(metadata: Metadata) -> bytes:
    """The TLVs, known ones first, by rising tag. ValueError for what does not fit the format."""
    parts = []
    for tag in Tlv:
        value = metadata.value(tag)
        if value is not None:
            if not 0 <= value < 256 ** TLV_SIZE[tag]:
                raise ValueError(f"{tag.name} is {value}, which does not fit the format")
            parts.append(bytes((tag, TLV_SIZE[tag])) + value.to_bytes(TLV_SIZE[tag], "little"))
    for vendor_tag, vendor_value in metadata.vendor:
        if not TLV_VENDOR_FIRST <= vendor_tag <= 255 or len(vendor_value) > _VALUE_MAX:
            raise ValueError(f"vendor TLV {vendor_tag:#04x} does not fit the format")
        parts.append(bytes((vendor_tag, len(vendor_value))) + vendor_value)
    tlvs = b"".join(parts)
    if len(tlvs) > META_MAX:
        raise ValueError(f"{len(tlvs)} bytes of metadata; at most {META_MAX} are possible")
    return tlvs
