"""The one form that a signature has in a patch, and those that it comes in from elsewhere."""

from __future__ import annotations

from tinymldelta.errors import Refusal
from tinymldelta.keys.curves import ED25519_ORDER, P256_ORDER
from tinymldelta.keys.kinds import type_name
from tinymldelta.wire.constants import SIGNATURE_SIZE, SignatureKind

_HALF = 32  # bytes of r, of s, and of Ed25519's R and S


def check_signature_form(kind: SignatureKind, signature: bytes) -> bool:
    """May these bytes be a signature of this kind, as it stands in a patch?

    ECDSA: r and s are 1 to n - 1, and s is at most n / 2, or r with n - s would be a second
    signature of the same. Ed25519: S is below the order (RFC 8032, section 5.1.7), for the same
    reason. MACs: the length alone.
    """
    if len(signature) != SIGNATURE_SIZE[kind]:
        return False
    if kind == SignatureKind.ECDSA_P256:
        r, s = _split(signature)
        return 1 <= r < P256_ORDER and 1 <= s <= P256_ORDER // 2
    if kind == SignatureKind.ED25519:
        return int.from_bytes(signature[_HALF:], "little") < ED25519_ORDER
    return True


def ecdsa_signature(r: int, s: int) -> bytes:
    """r and s as they stand in a patch, s in its lower half. Both are 1 to n - 1."""
    s = min(s, P256_ORDER - s)
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


def signature_from(kind: SignatureKind, data: bytes, where: str) -> bytes:
    """A signature that was made elsewhere, as it stands in a patch.

    data: the same bytes; of ECDSA also what OpenSSL and most hardware modules write, the sequence
    of r and s in DER, and s may be in its upper half. Whether it is the patch's is not asked.
    """
    size = SIGNATURE_SIZE[kind]
    if kind == SignatureKind.ECDSA_P256:
        r, s = _split(data) if len(data) == size else _from_der(data, where)
        if not (1 <= r < P256_ORDER and 1 <= s < P256_ORDER):
            raise Refusal(where, "r or s is out of range", "sign the digest again")
        return ecdsa_signature(r, s)
    if len(data) != size:
        raise Refusal(
            where,
            f"{len(data)} bytes, a signature of the type {type_name(kind)} has {size}",
            "give the signature as bytes, not as text",
        )
    if not check_signature_form(kind, data):
        raise Refusal(where, "S is not below the order of Ed25519", "sign the digest again")
    return data


def _split(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")


def _from_der(data: bytes, where: str) -> tuple[int, int]:
    """SEQUENCE of two INTEGERs, each written in the one way that DER has (X.690).

    None of ours is longer than 72 bytes, so that no length takes more than one byte.
    """
    no_der = Refusal(
        where,
        f"{len(data)} bytes that are no ECDSA signature",
        f"give r and s as {2 * _HALF} bytes, or as DER",
    )
    if len(data) < 2 or data[0] != 0x30 or data[1] > 127 or data[1] != len(data) - 2:
        raise no_der
    numbers, rest = [], data[2:]
    for _ in range(2):
        if len(rest) < 3 or rest[0] != 0x02 or not 1 <= rest[1] <= min(_HALF + 1, len(rest) - 2):
            raise no_der
        value, rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
        negative = value[0] > 127
        superfluous = len(value) > 1 and value[0] == 0 and value[1] < 128
        if negative or superfluous:
            raise no_der
        numbers.append(int.from_bytes(value, "big"))
    if rest:
        raise no_der
    return numbers[0], numbers[1]
