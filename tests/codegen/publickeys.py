"""Public keys of published test vectors: RFC 8032, section 7.1; RFC 7748, section 6.1; and P-256's
base point, and its double: one key is not for both.
"""

from __future__ import annotations

from tinymldelta.keys import AgreementPublic, PublicKey
from tinymldelta.wire.constants import AgreementKind, SignatureKind

_BASE_POINT = bytes.fromhex(
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
_TWICE = bytes.fromhex(
    "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
    "07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1"
)
ED25519 = PublicKey(
    SignatureKind.ED25519,
    bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
)
P256 = PublicKey(SignatureKind.ECDSA_P256, _BASE_POINT)
X25519 = AgreementPublic(
    AgreementKind.X25519,
    bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
)
ECDH_P256 = AgreementPublic(AgreementKind.ECDH_P256, _TWICE)
