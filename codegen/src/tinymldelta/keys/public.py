"""Public keys: what a firmware has of those who sign, and what patches are encrypted to.

To read, name and write them needs no library, so that a firmware build gets along without one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tinymldelta.errors import Refusal
from tinymldelta.keys import pem
from tinymldelta.keys.curves import ed25519_fault, p256_fault, x25519_fault
from tinymldelta.keys.kinds import KEY_ID_BYTES, check_digest, is_mac, type_name
from tinymldelta.keys.pem import Curve
from tinymldelta.keys.signature import check_signature_form
from tinymldelta.wire.constants import (
    AGREEMENT_KEY_SIZE,
    SIGNATURE_KEY_SIZE,
    AgreementKind,
    SignatureKind,
)

# Two tables, for the numbers of the two kinds are the same.
SIGNING = {SignatureKind.ED25519: Curve.ED25519, SignatureKind.ECDSA_P256: Curve.P256}
AGREEING = {AgreementKind.X25519: Curve.X25519, AgreementKind.ECDH_P256: Curve.P256}
_FAULTS: Final[dict[Curve, Callable[[bytes], str | None]]] = {
    Curve.ED25519: ed25519_fault,
    Curve.X25519: x25519_fault,
    Curve.P256: p256_fault,
}
_NEW_KEY = "make a new one with `tmd keygen`"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who signs. data: 32 bytes of Ed25519 (RFC 8032), or X and Y of P-256, highest byte first.

    ValueError if the data is no key of that kind, such as a point that is not on the curve. So
    there is no PublicKey that a device could not use.
    """

    kind: SignatureKind
    data: bytes

    def __post_init__(self) -> None:
        if is_mac(self.kind):
            raise ValueError(f"there are no public keys of the type {type_name(self.kind)}")
        _check(SIGNING[self.kind], self.data, SIGNATURE_KEY_SIZE[self.kind])

    @property
    def id(self) -> bytes:
        """The first 4 bytes of the SHA-256 of its SubjectPublicKeyInfo in DER."""
        return _id(SIGNING[self.kind], self.data)

    def pem(self) -> bytes:
        """A file of it, as OpenSSL reads it."""
        return _pem(SIGNING[self.kind], self.data)

    def verify(self, digest: bytes, signature: bytes) -> bool:
        """Is `signature`, in the form that stands in patches, the one of these 32 bytes?

        Of what two forms of a signature are possible, only one is taken: `check_signature_form`.
        ValueError if the digest has another length.
        """
        check_digest(digest)
        if not check_signature_form(self.kind, signature):
            return False
        from tinymldelta.keys import primitives

        if self.kind == SignatureKind.ED25519:
            return primitives.verify_ed25519(self.data, digest, signature)
        return primitives.verify_p256(self.data, digest, signature)


@dataclass(frozen=True, slots=True)
class AgreementPublic:
    """Whom a patch is encrypted to. data: 32 bytes of X25519, or X and Y of P-256 as above.

    ValueError if the data is no key of that kind.
    """

    kind: AgreementKind
    data: bytes

    def __post_init__(self) -> None:
        _check(AGREEING[self.kind], self.data, AGREEMENT_KEY_SIZE[self.kind])

    @property
    def id(self) -> bytes:
        """The first 4 bytes of the SHA-256 of its SubjectPublicKeyInfo in DER."""
        return _id(AGREEING[self.kind], self.data)

    def pem(self) -> bytes:
        """A file of it, as OpenSSL reads it."""
        return _pem(AGREEING[self.kind], self.data)


def load_public_key(data: bytes, where: str) -> PublicKey:
    """The public key of a PEM file, which verifies signatures.

    Refuses private keys, keys of other kinds by name, and those that are none.
    """
    return public_key_of(*pem.read_public(data, where), where)


def load_agreement_public(data: bytes, where: str) -> AgreementPublic:
    """The public key of a PEM file, which patches are encrypted to. Refuses as above."""
    return agreement_public_of(*pem.read_public(data, where), where)


def public_key_of(curve: Curve, key: bytes, where: str) -> PublicKey:
    """The key that a file was found to hold, if it is for signatures."""
    kind = next((kind for kind, of in SIGNING.items() if of is curve), None)
    if kind is None:
        raise Refusal(
            where,
            "an X25519 key is for encrypting, not for signing",
            "use an Ed25519 or P-256 key to sign",
        )
    try:
        return PublicKey(kind, key)
    except ValueError as error:
        raise Refusal(where, f"this is no key: {error}", _NEW_KEY) from error


def agreement_public_of(curve: Curve, key: bytes, where: str) -> AgreementPublic:
    """The key that a file was found to hold, if patches can be encrypted to it."""
    kind = next((kind for kind, of in AGREEING.items() if of is curve), None)
    if kind is None:
        raise Refusal(
            where,
            "an Ed25519 key is for signing, not for encrypting",
            "use an X25519 or P-256 key to encrypt",
        )
    try:
        return AgreementPublic(kind, key)
    except ValueError as error:
        raise Refusal(where, f"this is no key: {error}", _NEW_KEY) from error


def _check(curve: Curve, data: bytes, size: int) -> None:
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes, where {size} belong")
    if (fault := _FAULTS[curve](data)) is not None:
        raise ValueError(fault)


def _id(curve: Curve, data: bytes) -> bytes:
    return hashlib.sha256(pem.spki(curve, data)).digest()[:KEY_ID_BYTES]


def _pem(curve: Curve, data: bytes) -> bytes:
    return pem.write_block(pem.PUBLIC, pem.spki(curve, data))
