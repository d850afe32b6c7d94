"""Reads and applies patches of any format: the first byte says which one it is."""

from __future__ import annotations

from tinymldelta.container import format1, format2
from tinymldelta.container.accepts import Accepts
from tinymldelta.container.patch import Patch
from tinymldelta.container.reading import Outcome
from tinymldelta.wire.constants import FORMAT_2

_FORMAT_BITS = 0x0F


def is_format2(data: bytes) -> bool:
    return bool(data) and data[0] & _FORMAT_BITS == FORMAT_2


def read_patch(data: bytes, accepts: Accepts | None) -> Patch:
    """Read a patch and check what can be checked without its base; PatchFault for the first fault.

    `accepts` None reads without a contract. What is of no known format is read as format 1, which
    says so.
    """
    if is_format2(data):
        return format2.read_patch(data, accepts)
    return format1.read_patch(data, accepts)


def apply_patch(base: bytes, patch: bytes, accepts: Accepts | None) -> Outcome:
    """What a device whose active model is `base` does with `patch`. Never raises."""
    if is_format2(patch):
        return format2.apply_patch(base, patch, accepts)
    return format1.apply_patch(base, patch, accepts)
