"""Private keys: those that sign, and those that open what was encrypted to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinymldelta.errors import Refusal
from tinymldelta.keys import pem
from tinymldelta.keys.kinds import check_digest
from tinymldelta.keys.pem import Curve
from tinymldelta.keys.public import (
    AGREEING,
    SIGNING,
    AgreementPublic,
    PublicKey,
    agreement_public_of,
    public_key_of,
)
from tinymldelta.wire.constants import AgreementKind, SignatureKind

if TYPE_CHECKING:
    from tinymldelta.keys.primitives import Secret


class NeedsPassword(Refusal):
    """The private key is encrypted, and no password was given."""

    def __init__(self, where: str) -> None:
        super().__init__(
            where, "the private key is encrypted", "give its password with --password-env VAR"
        )


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """What signs. It is made by `load_private_key` and `generate_private_key`."""

    public: PublicKey
    _secret: Secret

    @property
    def kind(self) -> SignatureKind:
        return self.public.kind

    @property
    def id(self) -> bytes:
        """That of its public key."""
        return self.public.id

    def sign(self, digest: bytes) -> bytes:
        """The signature of 32 bytes, as it stands in a patch; the same each time."""
        check_digest(digest)
        return self._secret.sign(digest)

    def pem(self, password: bytes | None = None) -> bytes:
        """A file of it, PKCS #8; encrypted if there is a password."""
        return self._secret.pem(password)


@dataclass(frozen=True, slots=True)
class AgreementPrivate:
    """What opens. It is made by `load_agreement_private` and `generate_agreement_private`."""

    public: AgreementPublic
    _secret: Secret

    @property
    def kind(self) -> AgreementKind:
        return self.public.kind

    @property
    def id(self) -> bytes:
        """That of its public key."""
        return self.public.id

    def agree(self, peer: bytes) -> bytes | None:
        """The 32 bytes that are shared with who has the secret of the public key `peer`.

        None if that is no key of this kind, or one of small order. It is taken as RFC 7748 says,
        which does not look at the highest bit.
        """
        return self._secret.agree(peer)

    def pem(self, password: bytes | None = None) -> bytes:
        """A file of it, PKCS #8; encrypted if there is a password."""
        return self._secret.pem(password)


def load_private_key(data: bytes, where: str, password: bytes | None = None) -> PrivateKey:
    """The private key of a PEM file, which signs: PKCS #8, or for P-256 SEC 1.

    Refuses public keys, keys of other kinds by name, and wrong passwords; NeedsPassword if there is
    none and the key is encrypted.
    """
    secret = _load(data, where, password)
    public = public_key_of(*pem.read_spki(secret.spki(), where), where)
    return PrivateKey(public, secret)


def load_agreement_private(
    data: bytes, where: str, password: bytes | None = None
) -> AgreementPrivate:
    """The private key of a PEM file, which opens encrypted patches. Refuses as above."""
    secret = _load(data, where, password)
    public = agreement_public_of(*pem.read_spki(secret.spki(), where), where)
    return AgreementPrivate(public, secret)


def load_any_private(
    data: bytes, where: str, password: bytes | None = None
) -> PrivateKey | AgreementPrivate:
    """The private key of a PEM file, whatever it is for; P-256, which is for both, as a signer's.

    Refuses as above.
    """
    secret = _load(data, where, password)
    curve, key = pem.read_spki(secret.spki(), where)
    if curve is Curve.X25519:
        return AgreementPrivate(agreement_public_of(curve, key, where), secret)
    return PrivateKey(public_key_of(curve, key, where), secret)


def generate_private_key(kind: SignatureKind) -> PrivateKey:
    """A new key that signs. ValueError for a MAC, which `generate_mac_key` makes."""
    if kind not in SIGNING:
        raise ValueError(f"{kind.name} has no private key")
    secret = _generate(SIGNING[kind])
    return PrivateKey(public_key_of(*pem.read_spki(secret.spki(), "new key"), "new key"), secret)


def generate_agreement_private(kind: AgreementKind) -> AgreementPrivate:
    """A new key that opens encrypted patches."""
    secret = _generate(AGREEING[kind])
    public = agreement_public_of(*pem.read_spki(secret.spki(), "new key"), "new key")
    return AgreementPrivate(public, secret)


def _generate(curve: Curve) -> Secret:
    from tinymldelta.keys import primitives

    return primitives.generate_secret(curve)


def _load(data: bytes, where: str, password: bytes | None) -> Secret:
    from tinymldelta.keys import primitives

    block = _private_block(data, where)
    try:
        return primitives.load_secret(block, password)
    except TypeError as error:
        if password is None:
            raise NeedsPassword(where) from error
        raise Refusal(
            where, "the private key is not encrypted", "give no password for it"
        ) from error
    except ValueError as error:
        wrong = "the password is wrong, or " if password is not None else ""
        raise Refusal(
            where,
            f"{wrong}the private key is damaged or of an unknown kind",
            "see what `openssl pkey -noout -in` says of it",
        ) from error


def _private_block(data: bytes, where: str) -> bytes:
    """The PEM block of the one private key of a file."""
    blocks = pem.read_blocks(data)
    found = [block for block in blocks if block.label.endswith("PRIVATE KEY")]
    if not found and any(block.label == pem.PUBLIC for block in blocks):
        raise Refusal(
            where,
            "this is a public key, where the private one is asked for",
            "give the file that `tmd keygen -o` wrote",
        )
    if len(found) != 1:
        raise Refusal(
            where,
            f"a PEM file with one private key was asked for, this has {len(found) or 'none'}",
            "`openssl genpkey` and `tmd keygen` write them",
        )
    label = found[0].label
    if label == "OPENSSH PRIVATE KEY":
        raise Refusal(
            where,
            "the private key is in the form of OpenSSH",
            "convert a copy of it with `ssh-keygen -p -m PKCS8 -f COPY`",
        )
    if label not in pem.PRIVATE:
        raise Refusal(where, f"this is an {label.split()[0]} key", pem.WHAT_IS_TAKEN)
    return found[0].text
