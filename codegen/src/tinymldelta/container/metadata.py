"""The metadata of a patch, in either format: TLVs to values and back."""

from __future__ import annotations

from typing import Any

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.operators import decode_operators
from tinymldelta.container.patch import Metadata, PatchFault
from tinymldelta.container.source import Cursor
from tinymldelta.wire.constants import FORMAT_1, META_MAX, TLV_VENDOR_FIRST, TLVS, Status, Tlv

TLV_HEAD_BYTES = 2  # tag and length
_VALUE_MAX = 255


def read_metadata(
    cursor: Cursor, meta_bytes: int, format_: int, accepts: Accepts | None, *, signed: bool = False
) -> Metadata:
    """Step 3 of format 1, step 4 of format 2."""
    end = cursor.position + meta_bytes
    values: dict[str, Any] = {}  # by the fields of Metadata: numbers, or bytes
    vendor: list[tuple[int, bytes]] = []
    kept = 0
    while cursor.position < end:
        at = cursor.position
        if end - at < TLV_HEAD_BYTES:
            raise PatchFault(Status.METADATA, at, "a single byte is left over after the last TLV")
        tag, length = cursor.take(TLV_HEAD_BYTES, "the tag and length of a TLV")
        if length > end - cursor.position:
            raise PatchFault(Status.METADATA, at, f"TLV {tag:#04x} ends beyond the metadata")
        if tag >= TLV_VENDOR_FIRST:
            vendor.append((tag, cursor.take(length, f"vendor TLV {tag:#04x}")))
            continue
        name = _known(at, tag, length, format_)
        if name.lower() in values:
            raise PatchFault(Status.METADATA, at, f"TLV {name} stands twice")
        if tag == Tlv.DOWNGRADE and not signed:
            raise PatchFault(Status.METADATA, at, "TLV DOWNGRADE stands in signed patches only")
        kept += TLV_HEAD_BYTES + length
        if format_ != FORMAT_1 and accepts is not None and kept > accepts.meta_kept:
            found = f"more than the {accepts.meta_kept} bytes of metadata that the firmware keeps"
            raise PatchFault(Status.METADATA, at, found)
        value = cursor.take(length, f"TLV {name}")
        if TLVS[Tlv(tag)].number:
            values[name.lower()] = int.from_bytes(value, "little")
        else:
            values[name.lower()] = value
        if tag == Tlv.OPERATORS:
            try:
                decode_operators(value)
            except ValueError as error:
                raise PatchFault(Status.METADATA, at, f"operators: {error}") from error
    return Metadata(**values, vendor=tuple(vendor))


def _known(at: int, tag: int, length: int, format_: int) -> str:
    """The name of a TLV that may stand in the format with a value of this length."""
    if tag not in TLVS or format_ not in TLVS[Tlv(tag)].formats:
        raise PatchFault(Status.METADATA, at, f"TLV {tag:#04x} is unknown in format {format_}")
    name, text = Tlv(tag).name, TLVS[Tlv(tag)]
    if not text.least <= length <= text.most:
        most = f" to {text.most}" if text.most != text.least else ""
        found = f"TLV {name} has {length} bytes, not {text.least}{most}"
        raise PatchFault(Status.METADATA, at, found)
    return name


def write_metadata(metadata: Metadata, format_: int) -> bytes:
    """The TLVs, known ones first, by rising tag. ValueError for what does not fit the format."""
    parts = []
    for tag, text in TLVS.items():
        value = metadata.value(tag)
        if value is None:
            continue
        if format_ not in text.formats:
            raise ValueError(f"format {format_} has no {tag.name}")
        if isinstance(value, int):
            if not 0 <= value < 256**text.most:
                raise ValueError(f"{tag.name} is {value}, which does not fit the format")
            value = value.to_bytes(text.most, "little")
        if not text.least <= len(value) <= text.most:
            raise ValueError(
                f"{tag.name} has {len(value)} bytes; {text.least} to {text.most} are possible"
            )
        parts.append(bytes((tag, len(value))) + value)
    for vendor_tag, vendor_value in metadata.vendor:
        if not TLV_VENDOR_FIRST <= vendor_tag <= 255 or len(vendor_value) > _VALUE_MAX:
            raise ValueError(f"vendor TLV {vendor_tag:#04x} does not fit the format")
        parts.append(bytes((vendor_tag, len(vendor_value))) + vendor_value)
    tlvs = b"".join(parts)
    if len(tlvs) > META_MAX:
        raise ValueError(f"{len(tlvs)} bytes of metadata, {META_MAX} are the most")
    return tlvs


def kept_bytes(metadata: Metadata) -> int:
    """How much of it a slot holds behind the target, in format 2: all but what is vendors'."""
    values = (metadata.value(tag) for tag in TLVS)
    texts = zip(TLVS.values(), values, strict=True)
    return sum(
        TLV_HEAD_BYTES + (text.most if isinstance(value, int) else len(value))
        for text, value in texts
        if value is not None
    )
