"""What people call kinds of key; what signs, what verifies, what opens."""

from __future__ import annotations

from typing import Protocol

from tinymldelta.wire.constants import F2_SIGNER, SIGNATURE_KEY_SIZE, AgreementKind, SignatureKind

KEY_ID_BYTES = F2_SIGNER["key"].size
KEY_NUMBER_MAX = (1 << 8 * KEY_ID_BYTES) - 1  # of a device's secret
DIGEST_BYTES = 32  # of what is signed


class Signer(Protocol):
    """What can sign a patch: `PrivateKey`, `MacKey`."""

    @property
    def kind(self) -> SignatureKind: ...

    @property
    def id(self) -> bytes: ...

    def sign(self, digest: bytes) -> bytes: ...


class Verifier(Protocol):
    """What can say whether a signature is that of a patch: `PublicKey`, `MacKey`."""

    @property
    def kind(self) -> SignatureKind: ...

    @property
    def id(self) -> bytes: ...

    def verify(self, digest: bytes, signature: bytes) -> bool: ...


class Opener(Protocol):
    """What can open patches that are encrypted to it: `AgreementPrivate`."""

    @property
    def kind(self) -> AgreementKind: ...

    @property
    def id(self) -> bytes: ...

    def agree(self, peer: bytes) -> bytes | None: ...


def type_name(kind: SignatureKind | AgreementKind) -> str:
    """As `tmd keygen --type` takes it: ed25519, ecdsa-p256, hmac-sha256, aes-cmac and so on."""
    return kind.name.lower().replace("_", "-")


def is_mac(kind: SignatureKind) -> bool:
    """Is the key a secret of the device, so that there is nothing public of it?"""
    return SIGNATURE_KEY_SIZE[kind] == 0


def key_text(kind: SignatureKind | AgreementKind, key_id: bytes) -> str:
    """A key in a sentence: its type, and its id in hex digits, or its number if it is a secret."""
    if isinstance(kind, SignatureKind) and is_mac(kind):
        return f"{type_name(kind)} key number {int.from_bytes(key_id, 'little')}"
    return f"{type_name(kind)} key {key_id.hex()}"


def check_digest(digest: bytes) -> None:
    """ValueError unless this is as long as a digest to be signed."""
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"a digest of {len(digest)} bytes; {DIGEST_BYTES} are signed")
