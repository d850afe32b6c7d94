"""Each primitive against a vector that was published for it."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519

from keykit import P256_ORDER
from tinymldelta.keys import (
    AgreementPrivate,
    PrivateKey,
    check_signature_form,
    load_agreement_private,
    load_private_key,
    primitives,
)
from tinymldelta.keys.mac import hmac_sha256
from tinymldelta.wire.constants import SignatureKind

_PKCS8 = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


def _p256(number: str) -> bytes:
    return ec.derive_private_key(int(number, 16), ec.SECP256R1()).private_bytes(*_PKCS8)


def _rfc_6979() -> PrivateKey:
    pem = _p256("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
    return load_private_key(pem, "key")


def test_public_key_of_rfc_6979_a_2_5() -> None:
    assert _rfc_6979().public.data.hex().upper() == (
        "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
        "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
    )


@pytest.mark.parametrize(
    ("message", "r", "s"),
    [
        (
            b"sample",
            0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
            0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
        ),
        (
            b"test",
            0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
            0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
        ),
    ],
)
def test_deterministic_ecdsa_of_rfc_6979_a_2_5(message: bytes, r: int, s: int) -> None:
    """Of the RFC's s, one is in the upper half; a patch has the other one of the two."""
    digest = hashlib.sha256(message).digest()
    signature = _rfc_6979().sign(digest)
    low = min(s, P256_ORDER - s)
    assert signature == r.to_bytes(32, "big") + low.to_bytes(32, "big")
    assert _rfc_6979().public.verify(digest, signature)


def test_ed25519_of_rfc_8032_7_1() -> None:
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    assert load_private_key(key.private_bytes(*_PKCS8), "key").public.data == public
    assert primitives.Secret(key).sign(b"\x72") == signature
    assert check_signature_form(SignatureKind.ED25519, signature)
    assert primitives.verify_ed25519(public, b"\x72", signature)


@pytest.mark.parametrize(
    ("size", "mac"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_cmac_of_rfc_4493_4(size: int, mac: str) -> None:
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    assert primitives.aes_cmac(key, message[:size]).hex() == mac


def test_hmac_of_rfc_4231_4_3() -> None:
    mac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_sha256(b"Jefe", b"what do ya want for nothing?").hex() == mac


def test_hkdf_of_rfc_5869_a_3() -> None:
    assert primitives.hkdf_sha256(b"\x0b" * 22, b"", 42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def _x25519(secret: str) -> AgreementPrivate:
    key = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    return load_agreement_private(key.private_bytes(*_PKCS8), "key")


def test_x25519_of_rfc_7748_5_2() -> None:
    key = _x25519("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    peer = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    shared = key.agree(peer)
    assert shared is not None
    assert shared.hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"


def test_ecdh_of_rfc_5903_8_1() -> None:
    a = load_agreement_private(
        _p256("C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433"), "a"
    )
    b = load_agreement_private(
        _p256("C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53"), "b"
    )
    shared = a.agree(b.public.data)
    assert shared == b.agree(a.public.data)
    assert shared is not None
    assert shared.hex().upper() == (
        "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE"
    )
