"""What a firmware makes of the envelope of an encrypted patch."""

from __future__ import annotations

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.patch import PatchFault
from tinymldelta.keys import is_sealed, key_text, open_chunks, read_envelope, sealed_key_id
from tinymldelta.wire.constants import Status


def open_envelope(data: bytes, accepts: Accepts | None) -> tuple[bytes, PatchFault | None]:
    """What is in an envelope up to its first fault behind the head, and that fault, or None.

    PatchFault if the head is faulty, or it is for another key; `accepts` None has none.
    """
    if accepts is None:
        envelope = read_envelope(data)
        found = f"encrypted to the {key_text(envelope.kind, envelope.key_id)}, which is not given"
        raise PatchFault(Status.KEY, 1, found)
    if not (accepts.keys and accepts.sealed_keys):
        raise PatchFault(Status.FORMAT, 0, "encrypted patches are not taken")
    try:
        patch, fault = open_chunks(data, accepts.sealed_keys)
    except LookupError as error:
        who = key_text(*sealed_key_id(data))
        raise PatchFault(Status.KEY, 1, f"the secret of the {who} is not there") from error
    if is_sealed(patch):
        raise PatchFault(Status.FORMAT, 0, "an envelope in an envelope")
    return patch, fault
