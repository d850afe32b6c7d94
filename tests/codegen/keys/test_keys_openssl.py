"""OpenSSL's command line and ours: each reads the other's keys and verifies its signatures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from keykit import MAC_KINDS, needs_openssl, openssl, openssl_takes, written
from tinymldelta.errors import Refusal
from tinymldelta.keys import (
    AgreementPrivate,
    NeedsPassword,
    PrivateKey,
    generate_agreement_private,
    generate_mac_key,
    generate_private_key,
    load_agreement_private,
    load_agreement_public,
    load_any_private,
    load_mac_key,
    load_private_key,
    load_public_key,
    primitives,
    signature_from,
)
from tinymldelta.wire.constants import AgreementKind, SignatureKind

pytestmark = needs_openssl

DIGEST = hashlib.sha256(b"a patch").digest()
PASSWORD = b"correct horse"

_P256 = ("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
_SEC1 = ("ecparam", "-name", "prime256v1", "-genkey")
# What OpenSSL makes, and what we take it for.
_SIGNING = {
    "Ed25519": (("genpkey", "-algorithm", "ed25519"), SignatureKind.ED25519),
    "P-256": (_P256, SignatureKind.ECDSA_P256),
    "P-256 in SEC 1, behind its parameters": (_SEC1, SignatureKind.ECDSA_P256),
    "P-256 in SEC 1 alone": ((*_SEC1, "-noout"), SignatureKind.ECDSA_P256),
    "P-256, compressed": ((*_SEC1, "-conv_form", "compressed"), SignatureKind.ECDSA_P256),
}
_AGREEING = {
    "X25519": (("genpkey", "-algorithm", "x25519"), AgreementKind.X25519),
    "P-256": (_P256, AgreementKind.ECDH_P256),
}
_REFUSED = {
    "RSA key": ("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "P-384 key": ("ecparam", "-name", "secp384r1", "-genkey"),
    "P-521 key": ("ecparam", "-name", "secp521r1", "-genkey"),
    "secp256k1 key": ("ecparam", "-name", "secp256k1", "-genkey"),
    "another elliptic curve": ("ecparam", "-name", "brainpoolP256r1", "-genkey"),
    "Ed448 key": ("genpkey", "-algorithm", "ed448"),
    "X448 key": ("genpkey", "-algorithm", "x448"),
}


def _id_by_openssl(pem: bytes) -> bytes:
    spki = openssl("pkey", "-pubin", "-outform", "DER", data=pem)
    return openssl("dgst", "-sha256", "-binary", data=spki)[:4]


@pytest.mark.parametrize("name", _SIGNING)
def test_their_keys_sign_here_and_verify_there(name: str, tmp_path: Path) -> None:
    command, kind = _SIGNING[name]
    pem = openssl(*command)
    key = load_private_key(pem, "f")
    assert key.kind == kind
    public = openssl("pkey", "-pubout", data=pem)
    assert key.public == load_public_key(public, "f")
    assert key.id == _id_by_openssl(public)
    _check_there(key, written(tmp_path / "pub.pem", public), tmp_path)


@pytest.mark.parametrize("kind", [SignatureKind.ED25519, SignatureKind.ECDSA_P256])
def test_our_keys_sign_there_and_verify_here(kind: SignatureKind, tmp_path: Path) -> None:
    key = generate_private_key(kind)
    secret = written(tmp_path / "key.pem", key.pem())
    assert openssl("pkey", "-in", secret, "-pubout") == key.public.pem()
    assert key.id == _id_by_openssl(key.public.pem())
    raw = ("-rawin",) if kind == SignatureKind.ED25519 else ()
    digest = written(tmp_path / "digest", DIGEST)
    for _ in range(8):  # OpenSSL's k is random, so that its s is in either half
        signature = openssl("pkeyutl", "-sign", *raw, "-inkey", secret, "-in", digest)
        assert key.public.verify(DIGEST, signature_from(kind, signature, "f"))
    _check_there(key, written(tmp_path / "pub.pem", key.public.pem()), tmp_path)


def _check_there(key: PrivateKey, public: Path, folder: Path) -> None:
    """OpenSSL verifies what the key signs, and not what it did not."""
    signature = key.sign(DIGEST)
    raw: tuple[str, ...] = ("-rawin",)
    if key.kind == SignatureKind.ECDSA_P256:
        r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
        signature, raw = encode_dss_signature(r, s), ()
        assert decode_dss_signature(signature) == (r, s)
    file = written(folder / "signature", signature)
    verify = ("pkeyutl", "-verify", *raw, "-pubin", "-inkey", public, "-sigfile", file, "-in")
    assert openssl_takes(*verify, written(folder / "good", DIGEST))
    assert not openssl_takes(*verify, written(folder / "bad", DIGEST[::-1]))


@pytest.mark.parametrize("name", _SIGNING)
def test_their_encrypted_keys_open_with_the_password(name: str, tmp_path: Path) -> None:
    plain = written(tmp_path / "plain.pem", openssl(*_SIGNING[name][0]))
    options = ("-aes256", "-passout", f"pass:{PASSWORD.decode()}")
    encrypted = [openssl("pkcs8", "-topk8", "-in", plain, *options[1:])]
    if "SEC 1" in name:
        encrypted.append(openssl("ec", "-in", plain, *options))
    for pem in encrypted:
        assert (
            load_private_key(pem, "f", PASSWORD).id == load_any_private(plain.read_bytes(), "f").id
        )
        with pytest.raises(NeedsPassword, match="encrypted"):
            load_private_key(pem, "f")
        with pytest.raises(Refusal, match="password is wrong"):
            load_private_key(pem, "f", b"another")
    with pytest.raises(Refusal, match="not encrypted"):
        load_private_key(plain.read_bytes(), "f", PASSWORD)


@pytest.mark.parametrize("kind", [*list(SignatureKind)[:2], *AgreementKind])
def test_our_encrypted_keys_open_there(kind: SignatureKind | AgreementKind, tmp_path: Path) -> None:
    key: PrivateKey | AgreementPrivate
    if isinstance(kind, SignatureKind):
        key = generate_private_key(kind)
    else:
        key = generate_agreement_private(kind)
    file = written(tmp_path / "key.pem", key.pem(PASSWORD))
    assert file.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    options = ("pkey", "-in", file, "-pubout", "-passin")
    assert openssl(*options, f"pass:{PASSWORD.decode()}") == key.public.pem()
    assert not openssl_takes(*options, "pass:another")
    assert load_any_private(file.read_bytes(), "f", PASSWORD).id == key.id


@pytest.mark.parametrize("name", _REFUSED)
def test_other_kinds_are_refused_by_their_names(name: str) -> None:
    pem = openssl(*_REFUSED[name])
    public = openssl("pkey", "-pubout", data=pem)
    for attempt in (
        lambda: load_private_key(pem, "f"),
        lambda: load_agreement_private(pem, "f"),
        lambda: load_public_key(public, "f"),
        lambda: load_agreement_public(public, "f"),
    ):
        with pytest.raises(Refusal, match=name) as refusal:
            attempt()
        assert "use Ed25519 or P-256" in refusal.value.fix


def test_a_key_that_does_not_name_its_curve_is_refused() -> None:
    pem = openssl(*_SEC1, "-param_enc", "explicit")
    with pytest.raises(Refusal, match="does not name its curve"):
        load_public_key(openssl("pkey", "-pubout", data=pem), "f")


def test_what_openssl_prints_about_a_key_does_not_matter() -> None:
    pem = openssl("pkey", "-pubout", "-text", data=openssl("genpkey", "-algorithm", "ed25519"))
    assert b"ED25519" in pem
    assert load_public_key(pem, "f").kind == SignatureKind.ED25519


@pytest.mark.parametrize("name", _AGREEING)
def test_both_agree_on_the_same_secret(name: str, tmp_path: Path) -> None:
    command, kind = _AGREEING[name]
    theirs, ours = openssl(*command), generate_agreement_private(kind)
    public = load_agreement_public(openssl("pkey", "-pubout", data=theirs), "f")
    assert load_agreement_private(theirs, "f").public == public
    shared = openssl(
        "pkeyutl",
        "-derive",
        "-inkey",
        written(tmp_path / "key.pem", theirs),
        "-peerkey",
        written(tmp_path / "peer.pem", ours.public.pem()),
    )
    assert ours.agree(public.data) == shared


@pytest.mark.parametrize("kind", MAC_KINDS)
def test_macs_are_the_same(kind: SignatureKind) -> None:
    key = generate_mac_key(kind, 5)
    text = key.text()
    option = {
        SignatureKind.HMAC_SHA256: ("-digest", "SHA256", "HMAC"),
        SignatureKind.AES_CMAC: ("-cipher", "AES-128-CBC", "CMAC"),
    }[kind]
    hexkey = f"hexkey:{text.decode().strip()}"
    mac = openssl("mac", "-binary", "-macopt", hexkey, *option, data=DIGEST)
    assert mac == key.sign(DIGEST)
    assert load_mac_key(text, "f", 5) == key
    bytes_of_key = 32 if kind == SignatureKind.HMAC_SHA256 else 16
    theirs = load_mac_key(openssl("rand", "-hex", bytes_of_key), "f")
    assert theirs.kind == kind


def test_the_ciphers_counter_is_the_whole_block() -> None:
    key = bytes(range(16))
    data = bytes(5000)
    there = openssl("enc", "-aes-128-ctr", "-K", key.hex(), "-iv", "00" * 16, data=data)
    assert primitives.aes_ctr(key, data) == there


def test_keys_are_derived_the_same() -> None:
    secret, info = bytes(range(32)), b"what the key is for"
    options = ("-keylen", 16, "-kdfopt", "digest:SHA256", "-kdfopt", f"hexkey:{secret.hex()}")
    there = openssl("kdf", "-binary", *options, "-kdfopt", f"hexinfo:{info.hex()}", "HKDF")
    assert primitives.hkdf_sha256(secret, info, 16) == there
