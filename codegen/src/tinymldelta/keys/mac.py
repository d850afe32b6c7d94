"""Secrets that a device shares with those who sign for it: HMAC-SHA-256 and AES-128-CMAC.

A file of one is a line of hex digits, as `openssl mac -macopt hexkey:...` takes them: 64 for
hmac-sha256, 32 for aes-cmac.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from tinymldelta.errors import Refusal
from tinymldelta.keys.kinds import KEY_ID_BYTES, KEY_NUMBER_MAX, check_digest, is_mac, type_name
from tinymldelta.wire.constants import SignatureKind

SECRET_BYTES = {SignatureKind.HMAC_SHA256: 32, SignatureKind.AES_CMAC: 16}
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class MacKey:
    """A secret of one device. number: what the fleet calls it, 0 to 2^32 - 1.

    ValueError if the secret has another length than its kind, or the kind is no MAC.
    """

    kind: SignatureKind
    secret: bytes = field(repr=False)
    number: int = 0

    def __post_init__(self) -> None:
        if not is_mac(self.kind):
            raise ValueError(f"{type_name(self.kind)} is no MAC")
        if len(self.secret) != SECRET_BYTES[self.kind]:
            raise ValueError(f"{len(self.secret)} bytes, where {SECRET_BYTES[self.kind]} belong")
        if not 0 <= self.number <= KEY_NUMBER_MAX:
            raise ValueError(f"number {self.number} is not 0 to {KEY_NUMBER_MAX}")

    @property
    def id(self) -> bytes:
        """Its number as a u32, for nothing may be told of the secret itself."""
        return self.number.to_bytes(KEY_ID_BYTES, "little")

    def sign(self, digest: bytes) -> bytes:
        """The MAC of 32 bytes: HMAC-SHA-256 (32 bytes), or AES-128-CMAC (16 bytes)."""
        check_digest(digest)
        if self.kind == SignatureKind.HMAC_SHA256:
            return hmac_sha256(self.secret, digest)
        from tinymldelta.keys import primitives

        return primitives.aes_cmac(self.secret, digest)

    def verify(self, digest: bytes, signature: bytes) -> bool:
        """Is it the MAC of these 32 bytes? In a time that does not tell how much of it is right."""
        return hmac.compare_digest(self.sign(digest), signature)

    def text(self) -> bytes:
        """A file of it. The number is not in there."""
        return self.secret.hex().encode("ascii") + b"\n"


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """RFC 2104 with SHA-256."""
    return hmac.new(key, message, hashlib.sha256).digest()


def is_mac_file(data: bytes) -> bool:
    """Is this a line of hex digits, of whatever length?"""
    line = data.strip()
    return bool(line) and _HEX_DIGITS.issuperset(line)


def load_mac_key(data: bytes, where: str, number: int = 0) -> MacKey:
    """The secret in a file, under the number that the fleet gave it. Its length says the kind."""
    line = data.strip()
    for kind, size in SECRET_BYTES.items():
        if is_mac_file(data) and len(line) == 2 * size:
            return MacKey(kind, bytes.fromhex(line.decode("ascii")), number)
    raise Refusal(
        where,
        "not one line of 64 hex digits (hmac-sha256) or 32 (aes-cmac)",
        "make a secret with `tmd keygen --type hmac-sha256` or aes-cmac",
    )


def generate_mac_key(kind: SignatureKind, number: int = 0) -> MacKey:
    """A new secret. ValueError if the kind is no MAC."""
    return MacKey(kind, secrets.token_bytes(SECRET_BYTES.get(kind, 0)), number)
