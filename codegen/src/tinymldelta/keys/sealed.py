"""Encrypted patches: an envelope around a signed one, as `SPEC.md` has it.

It keeps a patch secret on its way, also from who changes it and looks what becomes of it. Who made
it is said by the signature inside.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from tinymldelta.container.patch import PatchFault
from tinymldelta.container.source import Cursor
from tinymldelta.keys.kinds import KEY_ID_BYTES, Opener, key_text
from tinymldelta.keys.private import AgreementPrivate, generate_agreement_private
from tinymldelta.keys.public import AgreementPublic
from tinymldelta.wire.constants import (
    AGREEMENT_KEY_SIZE,
    SEALED_CHUNK_BYTES,
    SEALED_FIRST,
    SEALED_INFO,
    SEALED_KEY_BYTES,
    SEALED_TAG_BYTES,
    AgreementKind,
    Status,
)

_FIRST_BITS = 0x0F
_KIND_SHIFT = 4
_LENGTH_BYTES = 4  # of a u32: the length of the patch inside, the number of a chunk


@dataclass(frozen=True, slots=True)
class Envelope:
    """What can be seen of an encrypted patch without the key. Lengths are in bytes.

    key_id: of the recipient; sender: the sender's public key for this patch; patch_bytes: length of
    the patch inside; head_bytes: how much stands before the chunks.
    """

    kind: AgreementKind
    key_id: bytes
    patch_bytes: int
    sender: bytes
    head_bytes: int


def is_sealed(data: bytes) -> bool:
    """Does this begin as an encrypted patch does?"""
    return bool(data) and data[0] & _FIRST_BITS == SEALED_FIRST


def sealed_key_id(data: bytes) -> tuple[AgreementKind, bytes]:
    """Kind and id of the key that an encrypted patch can be opened with.

    PatchFault: FORMAT if it is none, or of an unknown kind; TRUNCATED if it ends before that.
    """
    return _read_recipient(Cursor(data))


def read_envelope(data: bytes) -> Envelope:
    """The head of an encrypted patch.

    PatchFault: FORMAT if it is none, or of an unknown kind; HEADER if there is nothing in it;
    TRUNCATED.
    """
    cursor = Cursor(data)
    return _read_rest(cursor, *_read_recipient(cursor))


def seal(patch: bytes, to: AgreementPublic, *, ephemeral: AgreementPrivate | None = None) -> bytes:
    """A patch, which has to be a signed one for a device to take it, encrypted to a key.

    ephemeral: the sender's key; it is one of the same kind that was never used before and never
    will be again, or two patches under the same bytes of cipher tell each other. A new one if none
    is given, so that no two calls give the same bytes. ValueError if it is of another kind, or
    there is no byte to encrypt.
    """
    ephemeral = ephemeral or generate_agreement_private(to.kind)
    if ephemeral.kind != to.kind:
        raise ValueError(f"{ephemeral.kind.name} cannot agree with {to.kind.name}")
    if not patch:
        raise ValueError("an empty patch cannot be encrypted")
    first = SEALED_FIRST | to.kind << _KIND_SHIFT
    length = len(patch).to_bytes(_LENGTH_BYTES, "little")
    head = bytes((first,)) + to.id + length + ephemeral.public.data
    shared = ephemeral.agree(to.data)
    assert shared is not None  # both keys were looked at when they were made
    cipher_key, tag_key = _derive(shared, head)
    encrypted = _cipher(cipher_key, patch)
    chunks = [
        encrypted[at : at + SEALED_CHUNK_BYTES]
        for at in range(0, len(encrypted), SEALED_CHUNK_BYTES)
    ]
    return head + b"".join(chunk + _tag(tag_key, n, chunk) for n, chunk in enumerate(chunks))


def open_sealed(data: bytes, keys: Sequence[Opener]) -> bytes:
    """The patch in an envelope, whatever that is; only its signature says who made it.

    PatchFault: as of `open_chunks`, and FORMAT if there is another envelope in it.
    """
    patch, fault = open_chunks(data, keys)
    if fault is not None:
        raise fault
    if is_sealed(patch):
        raise PatchFault(Status.FORMAT, 0, "an encrypted patch in an encrypted one")
    return patch


def open_chunks(data: bytes, keys: Sequence[Opener]) -> tuple[bytes, PatchFault | None]:
    """What is in an envelope up to its first fault behind the head, and that fault, or None.

    The fault is SEAL, TRUNCATED or TRAILING. PatchFault for one of the head: FORMAT if the data is
    no envelope, or of an unknown kind; KEY if none of the keys is the one that it is for; HEADER if
    there is nothing in it, or the sender's key is none; TRUNCATED.
    """
    cursor = Cursor(data)
    kind, key_id = _read_recipient(cursor)
    key = next((key for key in keys if (key.kind, key.id) == (kind, key_id)), None)
    if key is None:
        raise PatchFault(Status.KEY, 1, f"the patch is encrypted to the {key_text(kind, key_id)}")
    envelope = _read_rest(cursor, kind, key_id)
    shared = key.agree(envelope.sender)
    if shared is None:
        sender_at = envelope.head_bytes - len(envelope.sender)
        raise PatchFault(Status.HEADER, sender_at, "the sender's public key is none")
    cipher_key, tag_key = _derive(shared, data[: envelope.head_bytes])
    encrypted, fault = _read_chunks(cursor, tag_key, envelope.patch_bytes)
    return _cipher(cipher_key, encrypted), fault


def _read_chunks(cursor: Cursor, tag_key: bytes, left: int) -> tuple[bytes, PatchFault | None]:
    """The ciphertext of the chunks that are right, and what is wrong with the next."""
    chunks: list[bytes] = []
    try:
        while left:
            at = cursor.position
            chunk = cursor.take(min(left, SEALED_CHUNK_BYTES), f"chunk {len(chunks)}")
            tag = cursor.take(SEALED_TAG_BYTES, f"the tag of chunk {len(chunks)}")
            if not hmac.compare_digest(tag, _tag(tag_key, len(chunks), chunk)):
                raise PatchFault(Status.SEAL, at, f"chunk {len(chunks)} is not as it was sent")
            chunks.append(chunk)
            left -= len(chunk)
        if cursor.peek(1):
            raise PatchFault(Status.TRAILING, cursor.position, "bytes follow the last chunk")
    except PatchFault as fault:
        return b"".join(chunks), fault
    return b"".join(chunks), None


def _read_recipient(cursor: Cursor) -> tuple[AgreementKind, bytes]:
    first = cursor.take(1, "the first byte")[0]
    try:
        if first & _FIRST_BITS != SEALED_FIRST:
            raise ValueError
        kind = AgreementKind(first >> _KIND_SHIFT)
    except ValueError:
        raise PatchFault(Status.FORMAT, 0, f"{first:#04x} begins no encrypted patch") from None
    return kind, cursor.take(KEY_ID_BYTES, "the key's id")


def _read_rest(cursor: Cursor, kind: AgreementKind, key_id: bytes) -> Envelope:
    """What stands behind the recipient in the head."""
    at = cursor.position
    patch_bytes = int.from_bytes(cursor.take(_LENGTH_BYTES, "the length of the patch"), "little")
    if patch_bytes == 0:
        raise PatchFault(Status.HEADER, at, "there is no patch in it")
    sender = cursor.take(AGREEMENT_KEY_SIZE[kind], "the sender's public key")
    return Envelope(kind, key_id, patch_bytes, sender, cursor.position)


def _derive(shared: bytes, head: bytes) -> tuple[bytes, bytes]:
    """The cipher's key, and that of the tags. head: all that stands before the chunks."""
    from tinymldelta.keys import primitives

    both = primitives.hkdf_sha256(shared, SEALED_INFO + head, 2 * SEALED_KEY_BYTES)
    return both[:SEALED_KEY_BYTES], both[SEALED_KEY_BYTES:]


def _tag(key: bytes, number: int, chunk: bytes) -> bytes:
    """Over a chunk's number and its ciphertext."""
    mac = hmac.new(key, number.to_bytes(_LENGTH_BYTES, "little") + chunk, hashlib.sha256)
    return mac.digest()[:SEALED_TAG_BYTES]


def _cipher(key: bytes, data: bytes) -> bytes:
    """Both ways."""
    from tinymldelta.keys import primitives

    return primitives.aes_ctr(key, data)
