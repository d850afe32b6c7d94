"""Curves and ciphers, by the library `cryptography`: the one module that knows it.

It is imported where something is signed, verified or encrypted, and not before: a firmware build
does none of that, and its Python need not have the library.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, types, x25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tinymldelta.keys.pem import Curve
from tinymldelta.keys.signature import ecdsa_signature

_UNCOMPRESSED = b"\x04"
_PREHASHED = Prehashed(SHA256())


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A private key, which knows neither what it is for nor where it came from."""

    key: types.PrivateKeyTypes

    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo of its public key, in DER, with the point uncompressed."""
        public = self.key.public_key()
        return public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def pem(self, password: bytes | None) -> bytes:
        """PKCS #8; encrypted if there is a password."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption(),
        )

    def sign(self, digest: bytes) -> bytes:
        """The signature of 32 bytes, as it stands in a patch. The same each time.

        Ed25519 of RFC 8032 over them as the message; ECDSA of FIPS 186-5 with them as the hash, and
        RFC 6979's k.
        """
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(digest)
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)
        algorithm = ec.ECDSA(_PREHASHED, deterministic_signing=True)
        return ecdsa_signature(*decode_dss_signature(self.key.sign(digest, algorithm)))

    def agree(self, peer: bytes) -> bytes | None:
        """The shared secret: X25519's output, or X of ECDH, highest byte first.

        None if `peer` is no key on the same curve, or one of small order.
        """
        try:
            if isinstance(self.key, x25519.X25519PrivateKey):
                return self.key.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
            assert isinstance(self.key, ec.EllipticCurvePrivateKey)
            return self.key.exchange(ec.ECDH(), _p256(peer))
        except ValueError:
            return None


def load_secret(pem: bytes, password: bytes | None) -> Secret:
    """The private key of one block of PEM.

    TypeError if there is a password and the key is not encrypted, or the other way round;
    ValueError if the password is wrong, or the key damaged or unknown to the library.
    """
    try:
        return Secret(serialization.load_pem_private_key(pem, password))
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error


def generate_secret(curve: Curve) -> Secret:
    """A new one, from the system's random numbers."""
    if curve is Curve.ED25519:
        return Secret(ed25519.Ed25519PrivateKey.generate())
    if curve is Curve.X25519:
        return Secret(x25519.X25519PrivateKey.generate())
    return Secret(ec.generate_private_key(ec.SECP256R1()))


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def verify_p256(public: bytes, digest: bytes, signature: bytes) -> bool:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        _p256(public).verify(encode_dss_signature(r, s), digest, ec.ECDSA(_PREHASHED))
    except InvalidSignature:
        return False
    return True


def aes_cmac(key: bytes, message: bytes) -> bytes:
    """RFC 4493."""
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


def hkdf_sha256(secret: bytes, info: bytes, size: int) -> bytes:
    """`size` bytes of key. RFC 5869 without a salt."""
    return HKDF(SHA256(), size, salt=None, info=info).derive(secret)


def aes_ctr(key: bytes, data: bytes) -> bytes:
    """AES-CTR (SP 800-38A), both ways. The whole block counts, from 0, its highest byte first."""
    cipher = Cipher(AES(key), CTR(bytes(16))).encryptor()
    return cipher.update(data) + cipher.finalize()


def aes_block(key: bytes, block: bytes) -> bytes:
    """One block of AES (FIPS 197), 16 bytes to 16 bytes."""
    cipher = Cipher(AES(key), ECB()).encryptor()  # noqa: S305 - a single block, as a port gives it
    return cipher.update(block) + cipher.finalize()


def _p256(point: bytes) -> ec.EllipticCurvePublicKey:
    """ValueError if X and Y are not on the curve."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _UNCOMPRESSED + point)
