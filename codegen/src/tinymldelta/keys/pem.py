"""Key files as OpenSSL and imgtool write them: PEM (RFC 7468), and the DER of public keys in it.

A SubjectPublicKeyInfo (RFC 5280) of one of our kinds is a constant followed by the key, so that
nothing of ASN.1 is parsed here: what does not begin with such a constant is not taken.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import Enum

from tinymldelta.errors import Refusal

PUBLIC = "PUBLIC KEY"
PRIVATE = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY")

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s*\n(.*?)-----END \1-----", re.DOTALL)
_LINE = 64  # characters of base64 in a line


class Curve(Enum):
    """The kinds of public key that there are in files. The value is what stands before the key.

    RFC 8410 for the first two; RFC 5480 for P-256, with its point uncompressed.
    """

    ED25519 = bytes.fromhex("302a300506032b6570032100")
    X25519 = bytes.fromhex("302a300506032b656e032100")
    P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


_KEY_BYTES = {Curve.ED25519: 32, Curve.X25519: 32, Curve.P256: 64}
_P256_ALGORITHM = Curve.P256.value[2:23]  # of it, without the lengths around it and the point

# Object identifiers in DER, to say what a key is that is not taken. Curves that have a name first:
# their keys have the identifier of all curves too.
_OTHER_KINDS = {
    "06052b81040022": "a P-384 key",
    "06052b81040023": "a P-521 key",
    "06052b81040021": "a P-224 key",
    "06082a8648ce3d030101": "a P-192 key",
    "06052b8104000a": "a secp256k1 key",
    "06072a8648ce3d0201": "a key on another elliptic curve, or one that does not name its curve",
    "06092a864886f70d010101": "an RSA key",
    "06092a864886f70d01010a": "an RSA-PSS key",
    "06072a8648ce380401": "a DSA key",
    "06092a864886f70d010301": "a Diffie-Hellman key",
    "06072a8648ce3e0201": "a Diffie-Hellman key",
    "06032b6571": "an Ed448 key",
    "06032b656f": "an X448 key",
}
_ALGORITHM_WITHIN = 64  # bytes in which that identifier stands

WHAT_IS_TAKEN = "use Ed25519 or P-256 to sign, X25519 or P-256 to encrypt"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a PEM file. text: all of it, as it stands there."""

    label: str
    text: bytes

    def der(self, where: str) -> bytes:
        """What it holds. Refuses what is no base64."""
        match = _BLOCK.fullmatch(self.text)
        assert match is not None  # it was found by the same expression
        try:
            return base64.b64decode(b"".join(match[2].split()), validate=True)
        except binascii.Error as error:
            raise Refusal(where, f"its PEM is damaged: {error}", "copy the file again") from error


def read_blocks(data: bytes) -> list[Block]:
    """The blocks of a PEM file; empty if it is none. What stands around them does not matter."""
    return [Block(match[1].decode("ascii"), match[0]) for match in _BLOCK.finditer(data)]


def write_block(label: str, der: bytes) -> bytes:
    """A PEM file of one block."""
    text = base64.b64encode(der)
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    name = label.encode("ascii")
    return b"\n".join((b"-----BEGIN " + name + b"-----", *lines, b"-----END " + name + b"-----\n"))


def read_public(data: bytes, where: str) -> tuple[Curve, bytes]:
    """Curve and key of a PEM file with one public key. The key was not looked at yet."""
    blocks = read_blocks(data)
    if any(block.label.endswith("PRIVATE KEY") for block in blocks):
        raise Refusal(
            where,
            "this is a private key, where the public one is asked for",
            f"make that with `tmd keygen --from {where} --public PUB.pem`",
        )
    if [block.label for block in blocks] == ["CERTIFICATE"]:
        raise Refusal(
            where,
            "this is a certificate, not a public key",
            "take the key out of it with `openssl x509 -pubkey -noout`",
        )
    if [block.label for block in blocks] == ["RSA " + PUBLIC]:
        raise Refusal(where, "this is an RSA key", WHAT_IS_TAKEN)
    if [block.label for block in blocks] != [PUBLIC]:
        count = sum(block.label == PUBLIC for block in blocks)
        raise Refusal(
            where,
            f"a PEM file with one public key was asked for, this has {count or 'none'}",
            "`openssl pkey -pubout` and `tmd keygen` write them",
        )
    return read_spki(blocks[0].der(where), where)


def read_spki(der: bytes, where: str) -> tuple[Curve, bytes]:
    """Curve and key of a SubjectPublicKeyInfo. Refuses kinds that are not ours, by their names."""
    for curve in Curve:
        if der.startswith(curve.value):
            key = der[len(curve.value) :]
            if len(key) == _KEY_BYTES[curve]:
                return curve, key
            raise Refusal(
                where, f"{len(key)} bytes of key, {_KEY_BYTES[curve]} belong there", WHAT_IS_TAKEN
            )
    if _P256_ALGORITHM in der[:_ALGORITHM_WITHIN]:
        raise Refusal(
            where,
            "the point of this P-256 key is compressed, infinity or damaged",
            "write it with `openssl ec -pubin -pubout -conv_form uncompressed`",
        )
    for identifier, name in _OTHER_KINDS.items():
        if bytes.fromhex(identifier) in der[:_ALGORITHM_WITHIN]:
            raise Refusal(where, f"this is {name}", WHAT_IS_TAKEN)
    raise Refusal(where, "this is a key of an unknown kind", WHAT_IS_TAKEN)


def spki(curve: Curve, key: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a key. Its SHA-256 begins with the key's id."""
    return curve.value + key
