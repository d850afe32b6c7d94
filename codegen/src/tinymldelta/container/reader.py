"""Reads and applies patches of any format: the first byte says which one it is.

Encrypted ones are opened first, with the keys that the firmware has.
"""

from __future__ import annotations

from tinymldelta.container import format1, format2
from tinymldelta.container.accepts import Accepts
from tinymldelta.container.patch import Patch, PatchFault
from tinymldelta.container.reading import Outcome
from tinymldelta.container.sealed import open_envelope
from tinymldelta.keys import is_sealed
from tinymldelta.wire.constants import FORMAT_2, Status

_FORMAT_BITS = 0x0F


def is_format2(data: bytes) -> bool:
    return bool(data) and data[0] & _FORMAT_BITS == FORMAT_2


# Where an envelope is faulty, the patch in it ends too early, and what such a patch comes to at its
# end does not count: nothing of it where the fault is found before that, and what comes last where
# the envelope ends too early. (Devices, which decode as it comes, tell a body that is wrong before
# its end from that; here nobody does.)
_NOT_COUNTED = {
    Status.SEAL: {Status.OK, Status.TRUNCATED, Status.TRAILING, Status.BODY, Status.TARGET},
    Status.TRAILING: {Status.OK, Status.TRUNCATED, Status.TRAILING, Status.BODY, Status.TARGET},
    Status.TRUNCATED: {Status.OK, Status.TARGET},
}


def read_patch(data: bytes, accepts: Accepts | None) -> Patch:
    """Read a patch and check what can be checked without its base; PatchFault for the first fault.

    `accepts` None reads without a contract. What is of no known format is read as format 1, which
    says so. Of an encrypted patch, places in faults are those of the patch inside.
    """
    if not is_sealed(data):
        return _read_plain(data, accepts)
    plain, fault = open_envelope(data, accepts)
    try:
        patch = _read_plain(plain, accepts)
    except PatchFault as inside:
        if fault is None or inside.status not in _NOT_COUNTED[fault.status]:
            raise
    if fault is not None:
        raise fault
    return patch


def apply_patch(base: bytes, patch: bytes, accepts: Accepts | None) -> Outcome:
    """What a device whose active model is `base` does with `patch`. Never raises."""
    if not is_sealed(patch):
        return _apply_plain(base, patch, accepts)
    try:
        plain, fault = open_envelope(patch, accepts)
    except PatchFault as of_head:
        return Outcome(of_head.status, None, str(of_head))
    outcome = _apply_plain(base, plain, accepts)
    if fault is None or outcome.status not in _NOT_COUNTED[fault.status]:
        return outcome
    return Outcome(fault.status, None, str(fault))


def _read_plain(data: bytes, accepts: Accepts | None) -> Patch:
    if is_format2(data):
        return format2.read_patch(data, accepts)
    return format1.read_patch(data, accepts)


def _apply_plain(base: bytes, patch: bytes, accepts: Accepts | None) -> Outcome:
    if is_format2(patch):
        return format2.apply_patch(base, patch, accepts)
    return format1.apply_patch(base, patch, accepts)
