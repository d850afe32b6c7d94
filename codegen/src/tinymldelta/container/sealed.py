"""The envelope of an encrypted patch: what of it can be read without the key, and its opening."""

from __future__ import annotations

from dataclasses import dataclass

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.patch import PatchFault
from tinymldelta.container.source import Cursor
from tinymldelta.keys import KEY_ID_BYTES, is_sealed, key_text, open_chunks
from tinymldelta.wire.constants import (
    AGREEMENT_KEY_SIZE,
    AgreementKind,
    Status,
)

_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Envelope:
    """What can be seen of an encrypted patch. key_id: of the recipient; peer: the sender's public
    key for this patch; patch_bytes: length of the patch inside; head_bytes: how much stands before
    the chunks.
    """

    kind: AgreementKind
    key_id: bytes
    patch_bytes: int
    peer: bytes
    head_bytes: int


def read_envelope(data: bytes, accepts: Accepts | None) -> Envelope:
    """Read the head of an envelope that the firmware can open; `accepts` None: whoever can.

    PatchFault for the first fault.
    """
    cursor = Cursor(data)
    kind = cursor.take(1, "the first byte")[0] >> 4
    if kind not in AGREEMENT_KEY_SIZE:
        raise PatchFault(Status.FORMAT, 0, f"key agreement {kind} is not known")
    if accepts is not None and not (accepts.keys and accepts.sealed_keys):
        raise PatchFault(Status.FORMAT, 0, "encrypted patches are not taken")
    at = cursor.position
    key_id = cursor.take(KEY_ID_BYTES, "the id of the key")
    recipient = (kind, key_id)
    if accepts is not None and recipient not in {(k.kind, k.id) for k in accepts.sealed_keys}:
        raise PatchFault(
            Status.KEY, at, f"encrypted to the {key_text(AgreementKind(kind), key_id)}"
        )
    at = cursor.position
    patch_bytes = int.from_bytes(cursor.take(_LENGTH_BYTES, "the length of the patch"), "little")
    if patch_bytes == 0:
        raise PatchFault(Status.HEADER, at, "there is no patch in it")
    peer = cursor.take(AGREEMENT_KEY_SIZE[kind], "the sender's public key")
    return Envelope(AgreementKind(kind), key_id, patch_bytes, peer, cursor.position)


def open_envelope(data: bytes, accepts: Accepts | None) -> tuple[bytes, PatchFault | None]:
    """What is in an envelope up to its first fault behind the head, and that fault, or None.

    PatchFault if the head is faulty, or it is for another key.
    """
    envelope = read_envelope(data, accepts)
    who = key_text(envelope.kind, envelope.key_id)
    if accepts is None:
        raise PatchFault(Status.KEY, 1, f"encrypted to the {who}, which is not given")
    try:
        patch, fault = open_chunks(data, accepts.sealed_keys)
    except LookupError as error:
        raise PatchFault(Status.KEY, 1, f"the secret of the {who} is not there") from error
    if is_sealed(patch):
        raise PatchFault(Status.FORMAT, envelope.head_bytes, "an envelope in an envelope")
    return patch, fault
