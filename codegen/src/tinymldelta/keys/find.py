"""A key from a file of whatever form: PEM, or the hex digits of a device's secret."""

from __future__ import annotations

from tinymldelta.keys.mac import SECRET_BYTES, MacKey, is_mac_file, load_mac_key
from tinymldelta.keys.private import PrivateKey, load_private_key
from tinymldelta.keys.public import PublicKey, load_public_key


def load_signer(
    data: bytes, where: str, number: int = 0, password: bytes | None = None
) -> PrivateKey | MacKey:
    """What a file can sign with: a private key, or a secret under this number.

    number: of a secret only; password: of a private key only. Refuses as their own loaders do.
    """
    if is_mac_file(data):
        return load_mac_key(data, where, number)
    return load_private_key(data, where, password)


def load_verifier(data: bytes, where: str, number: int = 0) -> PublicKey | MacKey:
    """What a file can verify with: a public key, or a secret under this number.

    number: of a secret only. Refuses as their own loaders do.
    """
    if is_mac_file(data):
        return load_mac_key(data, where, number)
    return load_public_key(data, where)


def is_secret_file(data: bytes) -> bool:
    """Does a file hold what nobody gets back once it is written over: a private key, a secret?"""
    if b"PRIVATE KEY-----" in data:
        return True
    return is_mac_file(data) and len(data.strip()) in {2 * n for n in SECRET_BYTES.values()}
