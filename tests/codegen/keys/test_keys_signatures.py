"""Each signature has one form; every other is refused: the edges that verifiers fall over."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from keykit import ED25519_ORDER, MAC_KINDS, P256_ORDER, PUBLIC_KINDS, new_signer
from tinymldelta.errors import Refusal
from tinymldelta.keys import (
    MacKey,
    PrivateKey,
    Signer,
    Verifier,
    check_signature_form,
    generate_private_key,
    signature_from,
)
from tinymldelta.wire.constants import SIGNATURE_SIZE, SignatureKind

DIGEST = hashlib.sha256(b"a patch").digest()
_P256 = generate_private_key(SignatureKind.ECDSA_P256)
_ED25519 = generate_private_key(SignatureKind.ED25519)
_HALF = P256_ORDER // 2


def _verifier(key: Signer) -> Verifier:
    assert isinstance(key, PrivateKey | MacKey)
    return key if isinstance(key, MacKey) else key.public


def _numbers(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def _raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("kind", list(SignatureKind))
def test_what_is_signed_verifies_and_nothing_else(kind: SignatureKind) -> None:
    key = new_signer(kind)
    verifier, signature = _verifier(key), key.sign(DIGEST)
    assert len(signature) == SIGNATURE_SIZE[kind]
    assert signature == key.sign(DIGEST)
    assert check_signature_form(kind, signature)
    assert verifier.verify(DIGEST, signature)
    assert not verifier.verify(hashlib.sha256(b"another").digest(), signature)
    assert not _verifier(new_signer(kind)).verify(DIGEST, signature)
    for bit in range(8 * len(signature)):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verifier.verify(DIGEST, bytes(changed)), bit


@pytest.mark.parametrize("kind", list(SignatureKind))
def test_a_signature_is_as_long_as_its_kind(kind: SignatureKind) -> None:
    key = new_signer(kind)
    signature = key.sign(DIGEST)
    for wrong in (b"", signature[:-1], signature[1:], signature + b"\0", b"\0" + signature):
        assert not check_signature_form(kind, wrong)
        assert not _verifier(key).verify(DIGEST, wrong)
        with pytest.raises(Refusal):
            signature_from(kind, wrong, "f")


@pytest.mark.parametrize("kind", PUBLIC_KINDS)
def test_all_zero_is_no_signature(kind: SignatureKind) -> None:
    """It is what a patch has that nobody has signed yet."""
    for key in (_P256, _ED25519):
        assert not key.public.verify(DIGEST, bytes(64))


def test_of_two_ecdsa_signatures_one_is_taken() -> None:
    r, s = _numbers(_P256.sign(DIGEST))
    assert s <= _HALF
    other = _raw(r, P256_ORDER - s)
    assert not check_signature_form(SignatureKind.ECDSA_P256, other)
    assert not _P256.public.verify(DIGEST, other)
    assert signature_from(SignatureKind.ECDSA_P256, other, "f") == _raw(r, s)
    der = encode_dss_signature(r, P256_ORDER - s)
    assert signature_from(SignatureKind.ECDSA_P256, der, "f") == _raw(r, s)


def test_s_is_at_most_half_of_the_order() -> None:
    for s, taken in ((1, True), (_HALF, True), (_HALF + 1, False), (P256_ORDER - 1, False)):
        assert check_signature_form(SignatureKind.ECDSA_P256, _raw(1, s)) == taken


@pytest.mark.parametrize("out", [0, P256_ORDER, P256_ORDER + 1, (1 << 256) - 1])
def test_r_and_s_are_from_1_to_the_order(out: int) -> None:
    r, s = _numbers(_P256.sign(DIGEST))
    for signature in (_raw(out, s), _raw(r, out), _raw(out, out)):
        assert not check_signature_form(SignatureKind.ECDSA_P256, signature)
        assert not _P256.public.verify(DIGEST, signature)
        for data in (signature, encode_dss_signature(*_numbers(signature))):
            with pytest.raises(Refusal, match="out of range"):
                signature_from(SignatureKind.ECDSA_P256, data, "f")


def test_s_and_r_plus_the_order_are_no_signature() -> None:
    """Where they fit 32 bytes at all; most r and s are too large for that."""
    for r, s in ((1, P256_ORDER + 1), (P256_ORDER + 1, 1)):
        assert not check_signature_form(SignatureKind.ECDSA_P256, _raw(r, s))


def _integer(value: bytes) -> bytes:
    return bytes((2, len(value))) + value


def _sequence(content: bytes) -> bytes:
    return bytes((0x30, len(content))) + content


_R, _S = b"\x7f" + bytes(30) + b"\1", b"\x11" * 31
_GOOD = _sequence(_integer(_R) + _integer(_S))
_WRONG_DER: dict[str, Callable[[], bytes]] = {
    "a byte behind": lambda: _GOOD + b"\0",
    "a byte too few": lambda: _GOOD[:-1],
    "a byte in the sequence, behind": lambda: _sequence(_integer(_R) + _integer(_S) + b"\0"),
    "a third number": lambda: _sequence(_integer(_R) + _integer(_S) + _integer(b"\1")),
    "one number": lambda: _sequence(_integer(_R)),
    "no number": lambda: _sequence(b""),
    "nothing": lambda: b"",
    "a tag alone": lambda: b"\x30",
    "a set": lambda: b"\x31" + _GOOD[1:],
    "no integers": lambda: _sequence(b"\4" + _integer(_R)[1:] + _integer(_S)),
    "a long length of the sequence": lambda: b"\x30\x81" + _GOOD[1:],
    "an indefinite length": lambda: b"\x30\x80" + _GOOD[2:] + b"\0\0",
    "a long length of a number": lambda: _sequence(b"\2\x81" + _integer(_R)[1:] + _integer(_S)),
    "a length of 0": lambda: _sequence(_integer(b"") + _integer(_S)),
    "a length beyond": lambda: _sequence(_integer(_R) + b"\2\x21" + _S),
    "a superfluous 0": lambda: _sequence(_integer(b"\0" + _R) + _integer(_S)),
    "two zeros": lambda: _sequence(_integer(_R) + _integer(b"\0\0\x80")),
    "a negative r": lambda: _sequence(_integer(b"\x80" + _R[1:]) + _integer(_S)),
    "a negative s": lambda: _sequence(_integer(_R) + _integer(b"\xff" + _S[1:])),
    "a number of 34 bytes": lambda: _sequence(_integer(b"\1" + bytes(33)) + _integer(_S)),
    "text": lambda: _GOOD.hex().encode(),
}


def test_der_is_read() -> None:
    expected = _R + bytes(1) + _S
    assert signature_from(SignatureKind.ECDSA_P256, _GOOD, "f") == expected


@pytest.mark.parametrize("name", _WRONG_DER)
def test_der_has_one_form(name: str) -> None:
    with pytest.raises(Refusal, match="no ECDSA signature"):
        signature_from(SignatureKind.ECDSA_P256, _WRONG_DER[name](), "f")


@given(st.integers(1, P256_ORDER - 1), st.integers(1, P256_ORDER - 1))
def test_der_of_the_library_is_read(r: int, s: int) -> None:
    expected = _raw(r, min(s, P256_ORDER - s))
    der = encode_dss_signature(r, s)
    if len(der) != 64:  # such are taken as raw; none is ever made by chance
        assert signature_from(SignatureKind.ECDSA_P256, der, "f") == expected
    assert signature_from(SignatureKind.ECDSA_P256, _raw(r, s), "f") == expected


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reading(data: bytes) -> None:
    for kind in SignatureKind:
        try:
            signature = signature_from(kind, data, "f")
        except Refusal:
            continue
        assert check_signature_form(kind, signature)


def test_of_ed25519_s_is_below_the_order() -> None:
    signature = _ED25519.sign(DIGEST)
    s = int.from_bytes(signature[32:], "little")
    for times in range(1, 16):
        high = signature[:32] + (s + times * ED25519_ORDER).to_bytes(33, "little")[:32]
        if s + times * ED25519_ORDER >= 1 << 256:
            continue
        assert not check_signature_form(SignatureKind.ED25519, high)
        assert not _ED25519.public.verify(DIGEST, high)
        with pytest.raises(Refusal, match="order of Ed25519"):
            signature_from(SignatureKind.ED25519, high, "f")


@pytest.mark.parametrize("r", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, 1 | 1 << 255])
def test_an_r_that_is_not_the_signers_is_refused(r: int) -> None:
    """Points of small order, and y from the prime up, for R."""
    signature = r.to_bytes(32, "little") + _ED25519.sign(DIGEST)[32:]
    assert not _ED25519.public.verify(DIGEST, signature)
    assert not _ED25519.public.verify(DIGEST, signature[:32] + bytes(32))


@pytest.mark.parametrize("kind", [*PUBLIC_KINDS, *MAC_KINDS])
def test_what_comes_from_outside_in_our_form_is_kept(kind: SignatureKind) -> None:
    signature = new_signer(kind).sign(DIGEST)
    assert signature_from(kind, signature, "f") == signature
