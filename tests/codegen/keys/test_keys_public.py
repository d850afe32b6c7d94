"""Which bytes are a public key, and which files: everything else is refused, with what to do."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keykit import PRIME_25519, new_opener, new_signer
from tinymldelta.errors import Refusal
from tinymldelta.keys import (
    AgreementPublic,
    MacKey,
    PrivateKey,
    PublicKey,
    generate_private_key,
    key_text,
    load_agreement_public,
    load_mac_key,
    load_public_key,
    load_signer,
    load_verifier,
    type_name,
)
from tinymldelta.wire.constants import AgreementKind, SignatureKind

_ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
_P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
P256_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
_SIGN_BIT = 1 << 255


def _pem(der: bytes, label: str = "PUBLIC KEY") -> bytes:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode()


def _public(kind: SignatureKind) -> PublicKey:
    return generate_private_key(kind).public


@pytest.mark.parametrize("kind", [SignatureKind.ED25519, SignatureKind.ECDSA_P256])
def test_a_public_key_comes_back_from_its_file(kind: SignatureKind) -> None:
    key = _public(kind)
    assert load_public_key(key.pem(), "f") == key
    assert load_verifier(key.pem(), "f") == key
    assert load_public_key(b"some words\r\n" + key.pem().replace(b"\n", b"\r\n"), "f") == key


@pytest.mark.parametrize("kind", list(AgreementKind))
def test_a_recipient_comes_back_from_its_file(kind: AgreementKind) -> None:
    key = new_opener(kind).public
    assert load_agreement_public(key.pem(), "f") == key


def test_one_p256_key_has_one_id_for_both_uses() -> None:
    key = _public(SignatureKind.ECDSA_P256)
    assert AgreementPublic(AgreementKind.ECDH_P256, key.data).id == key.id


def _points_of_small_order() -> list[int]:
    """The eight of Ed25519, as y with the sign of x in the highest bit, in all their encodings."""
    order_8 = (
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    )
    found = []
    for y in (0, 1, PRIME_25519 - 1, PRIME_25519, PRIME_25519 + 1, *order_8):
        found += [y, y | _SIGN_BIT]
    return found


@pytest.mark.parametrize("point", _points_of_small_order(), ids=lambda y: f"{y:064x}")
def test_ed25519_points_of_small_order_are_no_keys(point: int) -> None:
    with pytest.raises(ValueError, match="prime|sign"):
        PublicKey(SignatureKind.ED25519, point.to_bytes(32, "little"))


@pytest.mark.parametrize("above", range(19))
@pytest.mark.parametrize("sign", [0, _SIGN_BIT])
def test_ed25519_y_from_the_prime_up_is_no_key(above: int, sign: int) -> None:
    encoded = (PRIME_25519 + above | sign).to_bytes(32, "little")
    with pytest.raises(ValueError, match="not below the prime"):
        PublicKey(SignatureKind.ED25519, encoded)


def test_ed25519_key_with_a_part_of_small_order_is_none() -> None:
    """The sum of a key and the point (0, -1) is (-x, -y)."""
    number = int.from_bytes(_public(SignatureKind.ED25519).data, "little")
    y, sign = number & ~_SIGN_BIT, number & _SIGN_BIT
    other = (PRIME_25519 - y) | (sign ^ _SIGN_BIT)
    with pytest.raises(ValueError, match="not in the group of prime order"):
        PublicKey(SignatureKind.ED25519, other.to_bytes(32, "little"))


def test_ed25519_point_off_the_curve_is_no_key() -> None:
    with pytest.raises(ValueError, match="not on the curve"):
        PublicKey(SignatureKind.ED25519, (2).to_bytes(32, "little"))


@given(st.binary(min_size=32, max_size=32))
def test_whatever_32_bytes_are_a_key_or_none(data: bytes) -> None:
    for make in (
        lambda: PublicKey(SignatureKind.ED25519, data),
        lambda: AgreementPublic(AgreementKind.X25519, data),
    ):
        try:
            key = make()
        except ValueError:
            continue
        assert key.data == data


def test_p256_coordinates_are_below_the_prime() -> None:
    """The points with x = 5 are on the curve; x = 5 + p would name the same ones."""
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    y = pow(5**3 - 3 * 5 + b, (P256_PRIME + 1) // 4, P256_PRIME).to_bytes(32, "big")
    PublicKey(SignatureKind.ECDSA_P256, (5).to_bytes(32, "big") + y)
    with pytest.raises(ValueError, match="not below the prime"):
        PublicKey(SignatureKind.ECDSA_P256, (5 + P256_PRIME).to_bytes(32, "big") + y)


@pytest.mark.parametrize("kind", [SignatureKind.ECDSA_P256, AgreementKind.ECDH_P256])
def test_p256_points_off_the_curve_are_no_keys(kind: SignatureKind | AgreementKind) -> None:
    good = _public(SignatureKind.ECDSA_P256).data
    make = PublicKey if isinstance(kind, SignatureKind) else AgreementPublic
    for data in (
        bytes(64),
        good[:63] + bytes((good[63] ^ 1,)),
        b"\xff" * 64,
        good[32:] + good[:32],
    ):
        with pytest.raises(ValueError, match="P-256"):
            make(kind, data)  # type: ignore[arg-type]


_X25519_SMALL = (
    0,
    1,
    PRIME_25519 - 1,
    0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
    0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
)


@pytest.mark.parametrize("u", _X25519_SMALL)
def test_x25519_points_of_small_order_are_nobodys(u: int) -> None:
    data = u.to_bytes(32, "little")
    with pytest.raises(ValueError, match="small order"):
        AgreementPublic(AgreementKind.X25519, data)
    assert new_opener(AgreementKind.X25519).agree(data) is None


@pytest.mark.parametrize("u", [PRIME_25519, PRIME_25519 + 1, 9 | _SIGN_BIT, (1 << 256) - 1])
def test_x25519_keys_are_written_in_one_way(u: int) -> None:
    with pytest.raises(ValueError, match="not below the prime"):
        AgreementPublic(AgreementKind.X25519, u.to_bytes(32, "little"))


def test_lengths_are_those_of_the_kind() -> None:
    for kind in (SignatureKind.ED25519, SignatureKind.ECDSA_P256):
        data = _public(kind).data
        for wrong in (data[:-1], data + b"\0", b""):
            with pytest.raises(ValueError, match="belong"):
                PublicKey(kind, wrong)
    with pytest.raises(ValueError, match="no public keys"):
        PublicKey(SignatureKind.AES_CMAC, bytes(16))


def test_points_that_a_file_cannot_have() -> None:
    """Infinity is one byte of 0; a compressed point begins with 2 or 3; hybrid ones with 6 or 7."""
    key = _public(SignatureKind.ECDSA_P256).data
    for point in (b"\0", b"\2" + key[:32], b"\3" + key[:32], b"\6" + key, b"\7" + key):
        bits = b"\3" + bytes((len(point) + 1,)) + b"\0" + point
        content = _P256_SPKI[2:23] + bits
        with pytest.raises(Refusal, match="compressed, infinity or damaged"):
            load_public_key(_pem(b"\x30" + bytes((len(content),)) + content), "f")


def test_bytes_behind_or_before_the_key_are_refused() -> None:
    der = _ED25519_SPKI + _public(SignatureKind.ED25519).data
    for wrong in (der + b"\0", der[:-1], _ED25519_SPKI):
        with pytest.raises(Refusal, match="belong there"):
            load_public_key(_pem(wrong), "f")
    for wrong in (b"", b"\0" + der, b"\x30\x81\x2a" + der[2:]):
        with pytest.raises(Refusal, match="unknown kind"):
            load_public_key(_pem(wrong), "f")


def test_a_key_in_a_file_that_is_no_point_is_refused() -> None:
    with pytest.raises(Refusal, match="no key: the point is not on the curve"):
        load_public_key(_pem(_ED25519_SPKI + (2).to_bytes(32, "little")), "f")
    with pytest.raises(Refusal, match="no key: the point is not on the curve"):
        load_agreement_public(_pem(_P256_SPKI + bytes(64)), "f")


def test_what_is_no_public_key_is_refused_with_what_to_do() -> None:
    key = generate_private_key(SignatureKind.ED25519)
    cases = {
        key.pem(): "private key.*tmd keygen --from",
        key.pem(b"secret"): "private key.*tmd keygen --from",
        key.public.pem() * 2: "one public key was asked for, this has 2",
        b"": "this has none",
        _pem(b"\0", "CERTIFICATE"): "openssl x509",
        _pem(b"\0", "RSA PUBLIC KEY"): "RSA",
        key.public.pem().replace(b"MC", b"M!"): "PEM is damaged",
        key.public.pem()[:-8]: "this has none",
        new_opener(AgreementKind.X25519).public.pem(): "for encrypting, not for signing",
    }
    for data, said in cases.items():
        with pytest.raises(Refusal, match=said):
            load_public_key(data, "f")
    with pytest.raises(Refusal, match="for signing, not for encrypting"):
        load_agreement_public(key.public.pem(), "f")


def test_what_signs_is_found_by_its_form() -> None:
    key, secret = generate_private_key(SignatureKind.ECDSA_P256), bytes(range(32))
    found = load_signer(key.pem(b"pw"), "f", password=b"pw")
    assert isinstance(found, PrivateKey)
    assert found.public == key.public
    text = secret.hex().encode() + b"\n"
    assert load_signer(text, "f", 7) == MacKey(SignatureKind.HMAC_SHA256, secret, 7)
    assert load_verifier(text[:32], "f", 1) == MacKey(SignatureKind.AES_CMAC, secret[:16], 1)
    with pytest.raises(Refusal, match="public key, where the private one"):
        load_signer(key.public.pem(), "f")
    with pytest.raises(Refusal, match="private key, where the public one"):
        load_verifier(key.pem(), "f")


@pytest.mark.parametrize("text", [b"", b"00" * 15, b"00" * 17, b"0x" + b"00" * 15, b"0g" * 16,
                                  b"00" * 8 + b"\n" + b"00" * 8, b"\xff" * 32])  # fmt: skip
def test_what_is_no_secret_is_refused(text: bytes) -> None:
    with pytest.raises(Refusal, match="hex digits"):
        load_mac_key(text, "f")


def test_a_secret_is_not_shown() -> None:
    key = MacKey(SignatureKind.AES_CMAC, b"\xab" * 16, 3)
    assert "ab" * 4 not in repr(key)
    assert "xab" not in repr(key)
    assert key.id == b"\3\0\0\0"
    for wrong in (-1, 1 << 32):
        with pytest.raises(ValueError, match="number"):
            MacKey(SignatureKind.AES_CMAC, bytes(16), wrong)
    with pytest.raises(ValueError, match="belong"):
        MacKey(SignatureKind.AES_CMAC, bytes(32))
    with pytest.raises(ValueError, match="no MAC"):
        MacKey(SignatureKind.ED25519, bytes(32))
    with pytest.raises(ValueError, match="private key"):
        generate_private_key(SignatureKind.AES_CMAC)


def test_names() -> None:
    assert type_name(SignatureKind.ECDSA_P256) == "ecdsa-p256"
    assert type_name(AgreementKind.ECDH_P256) == "ecdh-p256"
    assert key_text(SignatureKind.AES_CMAC, b"\7\0\0\0") == "aes-cmac key number 7"
    assert key_text(AgreementKind.X25519, b"\7\0\0\0") == "x25519 key 07000000"


def test_only_a_digest_is_signed() -> None:
    for kind in SignatureKind:
        key = new_signer(kind)
        verifier = key if isinstance(key, MacKey) else key.public
        for digest in (bytes(31), bytes(33)):
            with pytest.raises(ValueError, match="digest"):
                key.sign(digest)
            with pytest.raises(ValueError, match="digest"):
                verifier.verify(digest, bytes(64))


_WITHOUT = """
import sys

class Without:
    def find_spec(self, name, *rest):
        if name.split(".")[0] == "cryptography":
            raise ImportError(name)

sys.meta_path.insert(0, Without())
import tinymldelta.container.reader
import tinymldelta.firmware
from tinymldelta.keys import load_public_key
for name in sys.argv[1:]:
    print(load_public_key(open(name, "rb").read(), name).id.hex())
"""


def test_a_firmware_build_needs_no_library(tmp_path: Path) -> None:
    """Not even to read and check the keys that go into it."""
    paths, ids = [], []
    for kind in (SignatureKind.ED25519, SignatureKind.ECDSA_P256):
        key = _public(kind)
        paths.append(tmp_path / f"{kind.name}.pem")
        paths[-1].write_bytes(key.pem())
        ids.append(key.id.hex())
    command = [sys.executable, "-c", _WITHOUT, *map(str, paths)]
    assert subprocess.check_output(command, text=True).split() == ids
