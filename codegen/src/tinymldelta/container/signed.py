"""What of a signed patch is signed, and the place of the signature: to sign it, or say who did.

Whether a device takes the patch is asked of the readers, not here.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

from tinymldelta.container.patch import PatchFault
from tinymldelta.container.reader import read_patch
from tinymldelta.keys import Signer
from tinymldelta.wire.constants import SIGNATURE_SIZE, SIGNED_INFO, SignatureKind, Status


@dataclass(frozen=True, slots=True)
class SignedParts:
    """Of a patch that is signed, or made to be.

    digest: the 32 bytes that are signed; signer_id: 4 bytes; signature: as it stands there, all
    bytes 0 where nobody signed yet; signature_at: where, as an offset in bytes.
    """

    digest: bytes
    signer_kind: SignatureKind
    signer_id: bytes
    signature: bytes
    signature_at: int

    @property
    def to_be_signed(self) -> bool:
        """Was the patch made for this signer, who has not signed it yet?"""
        return not any(self.signature)


def signed_parts(patch: bytes) -> SignedParts:
    """Who signs the patch, and what. Whether the signature is right is not asked.

    PatchFault: UNSIGNED if it is not made to be signed, as none of format 1 is; BODY if the body is
    not the one that is signed; KEY if it is encrypted; else as a reader finds it.
    """
    read = read_patch(patch, None)
    signer = read.header.signer
    body_at = len(patch) - read.sizes["body"]
    if signer is None:
        raise PatchFault(Status.UNSIGNED, 0, "the patch was not made to be signed")
    if zlib.crc32(patch[body_at:]) != signer.body_crc:
        raise PatchFault(Status.BODY, body_at, "the body is not the one that is signed")
    at = body_at - len(read.signature)
    return SignedParts(signed_digest_of(patch[:at]), signer.kind, signer.key_id, read.signature, at)


def signed_digest(patch: bytes) -> bytes:
    """The 32 bytes of a patch that are signed. PatchFault as of `signed_parts`."""
    return signed_parts(patch).digest


def signed_digest_of(head: bytes) -> bytes:
    """The 32 bytes that are signed, from all of the patch that stands before the signature."""
    return hashlib.sha256(SIGNED_INFO + head).digest()


def with_signature(patch: bytes, signature: bytes) -> bytes:
    """The patch with this signature in its place. It may be signed already.

    ValueError if the signature is not as long as its kind; PatchFault as of `signed_parts`.
    """
    parts = signed_parts(patch)
    size = SIGNATURE_SIZE[parts.signer_kind]
    if len(signature) != size:
        raise ValueError(f"a signature of {len(signature)} bytes, where {size} belong")
    return patch[: parts.signature_at] + signature + patch[parts.signature_at + size :]


def sign_patch(patch: bytes, signer: Signer) -> bytes:
    """The patch, signed. ValueError if it was made for another key; PatchFault as above."""
    parts = signed_parts(patch)
    if (parts.signer_kind, parts.signer_id) != (signer.kind, signer.id):
        raise ValueError("the patch was made for another key")
    return with_signature(patch, signer.sign(parts.digest))
