"""What the readers of all formats share: the bytes as they come, the metadata, the guardrails."""

from __future__ import annotations

from dataclasses import dataclass

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.guardrails import evaluate, first_refusal, store_refusal
from tinymldelta.container.patch import Header, Metadata, PatchFault
from tinymldelta.wire.constants import RULES, TLV_SIZE, TLV_VENDOR_FIRST, Status, Tlv

_TLV_HEAD_BYTES = 2  # tag and length


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a patch: `target` is None unless `status` is OK; `reason` is for people."""

    status: Status
    target: bytes | None
    reason: str


class Cursor:
    """A patch, and how far it has been read."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, or those that are there."""
        return self.data[self.position : self.position + count]

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes, which are then read; TRUNCATED if the patch ends in them."""
        taken = self.peek(count)
        if len(taken) < count:
            end = len(self.data)
            raise PatchFault(Status.TRUNCATED, end, f"patch ends in {what}")
        self.position += count
        return taken


def read_metadata(cursor: Cursor, meta_bytes: int) -> Metadata:
    """Step 3 of format 1, step 4 of format 2."""
    end = cursor.position + meta_bytes
    values: dict[str, int] = {}
    vendor: list[tuple[int, bytes]] = []
    while cursor.position < end:
        at = cursor.position
        if end - at < _TLV_HEAD_BYTES:
            raise PatchFault(Status.METADATA, at, "a single byte is left over after the last TLV")
        tag, length = cursor.take(_TLV_HEAD_BYTES, "the tag and length of a TLV")
        if length > end - cursor.position:
            raise PatchFault(Status.METADATA, at, f"TLV {tag:#04x} ends beyond the metadata")
        if tag >= TLV_VENDOR_FIRST:
            vendor.append((tag, cursor.take(length, f"vendor TLV {tag:#04x}")))
            continue
        if tag not in TLV_SIZE:
            raise PatchFault(Status.METADATA, at, f"TLV {tag:#04x} is unknown")
        name = Tlv(tag).name
        if name.lower() in values:
            raise PatchFault(Status.METADATA, at, f"TLV {name} stands twice")
        if length != TLV_SIZE[tag]:
            found = f"TLV {name} has {length} bytes, not {TLV_SIZE[tag]}"
            raise PatchFault(Status.METADATA, at, found)
        values[name.lower()] = int.from_bytes(cursor.take(length, f"TLV {name}"), "little")
    return Metadata(**values, vendor=tuple(vendor))


def check_guardrails(
    header: Header, metadata: Metadata, accepts: Accepts | None, *, lengths_at: int, tlvs_at: int
) -> None:
    """The guardrails in their order, then what else a store asks; PatchFault for the first refusal.

    lengths_at, tlvs_at: where in the patch the two lengths and the TLVs stand
    """
    if accepts is not None:
        refusal = first_refusal(evaluate(metadata, header, accepts))
        if refusal is not None:
            at = tlvs_at if RULES[refusal.rule].tlv else lengths_at
            raise PatchFault(refusal.status, at, refusal.explain())
    if (found := store_refusal(metadata, header, accepts)) is not None:
        raise PatchFault(found[0], tlvs_at, found[1])
