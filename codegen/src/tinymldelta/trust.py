"""Keys at a PC: what a contract says of them, and what whoever calls has of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinymldelta.container.patch import Patch, PatchFault
from tinymldelta.container.reader import read_patch
from tinymldelta.contract import Contract, ContractKey, SealedKey
from tinymldelta.errors import Refusal
from tinymldelta.keys import (
    AgreementPrivate,
    AgreementPublic,
    MacKey,
    PrivateKey,
    PublicKey,
    is_mac,
    is_sealed,
    key_text,
    open_sealed,
    sealed_key_id,
)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that were given beside a contract, or instead of one.

    verifiers: public keys, and secrets of devices; openers: private keys to which patches are
    encrypted.
    """

    verifiers: tuple[PublicKey | MacKey, ...] = ()
    openers: tuple[AgreementPrivate, ...] = ()

    @property
    def secrets(self) -> tuple[MacKey, ...]:
        return tuple(key for key in self.verifiers if isinstance(key, MacKey))

    @property
    def contract_keys(self) -> tuple[ContractKey, ...]:
        """The verifiers, as a contract has them."""
        return tuple(
            ContractKey(key.kind, key.id, key.data if isinstance(key, PublicKey) else b"")
            for key in self.verifiers
        )

    @property
    def sealed_keys(self) -> tuple[SealedKey, ...]:
        """The public parts of the openers, as a contract has them."""
        return tuple(SealedKey(key.kind, key.id, key.public.data) for key in self.openers)


NO_KEYS = KeyRing()


def in_clear(patch: bytes, keys: KeyRing) -> bytes:
    """The patch itself, where it is encrypted and the key is there; else as it is."""
    if is_sealed(patch):
        try:
            return open_sealed(patch, keys.openers)
        except PatchFault:
            return patch
    return patch


def read_head(patch: bytes, keys: KeyRing = NO_KEYS) -> Patch | None:
    """The patch as the plain reader sees it without a contract, or None if it is faulty."""
    try:
        return read_patch(in_clear(patch, keys), None)
    except PatchFault:
        return None


def missing_key(patch: bytes, contract: Contract | None, keys: KeyRing) -> tuple[str, str] | None:
    """What was not given, and is needed to judge this patch: what it is, and what to do.

    None: nothing; the patch may still be by a key that the firmware does not have.
    """
    if is_sealed(patch):
        try:
            kind, key_id = sealed_key_id(patch)
        except PatchFault:
            return None
        known = contract is None or _is_among(kind, key_id, contract.sealed_keys)
        if known and not _is_among(kind, key_id, keys.openers):
            found = f"it is encrypted to the {key_text(kind, key_id)}"
            return found, "give the private key with --decryption-key"
    head = read_head(patch, keys)
    signer = head.header.signer if head else None
    if signer is None:
        return None
    found = f"it is signed with the {key_text(signer.kind, signer.key_id)}"
    if is_mac(signer.kind):
        known = contract is None or _is_among(signer.kind, signer.key_id, contract.keys)
        if known and not _is_among(signer.kind, signer.key_id, keys.secrets):
            number = int.from_bytes(signer.key_id, "little")
            return found, f"give the device's secret with --mac-key {number}=FILE"
    elif contract is None and not _is_among(signer.kind, signer.key_id, keys.verifiers):
        return found, "give the public key with --public-key"
    return None


def _is_among(
    kind: int,
    key_id: bytes,
    keys: Sequence[ContractKey | SealedKey | PublicKey | MacKey | AgreementPrivate],
) -> bool:
    return any((key.kind, key.id) == (kind, key_id) for key in keys)


def check_signer(
    signer: PrivateKey | MacKey | PublicKey | None, contract: Contract | None, where: str
) -> None:
    """Refuses a patch that a device with this contract would refuse for who signs it, or nobody."""
    if contract is None:
        return
    have = ", ".join(key.text for key in contract.keys)
    if signer is None and contract.keys:
        raise Refusal(
            where,
            f"the firmware takes signed patches only, by its {have}",
            "sign with --key, or say with --signer who is going to",
        )
    if signer is not None and not contract.keys:
        raise Refusal(
            where, "the firmware has no keys, and refuses signed patches", "leave out the key"
        )
    if signer is not None and not _is_among(signer.kind, signer.id, contract.keys):
        raise Refusal(
            where,
            f"the firmware does not have the {key_text(signer.kind, signer.id)}",
            f"use its {have}",
        )


def check_recipient(to: AgreementPublic, contract: Contract | None, where: str) -> None:
    """Refuses encryption to a key that the devices do not have."""
    if contract is None or _is_among(to.kind, to.id, contract.sealed_keys):
        return
    have = ", ".join(key.text for key in contract.sealed_keys)
    raise Refusal(
        where,
        f"the firmware does not have the {key_text(to.kind, to.id)}",
        f"encrypt to its {have}" if have else "it decrypts nothing: do not encrypt",
    )


def recipient_of(contract: Contract | None, where: str) -> AgreementPublic:
    """The one key that the firmware decrypts with. Refuses if there is none, or several."""
    keys = contract.sealed_keys if contract else ()
    if len(keys) != 1:
        have = ", ".join(key.text for key in keys)
        raise Refusal(
            where,
            f"the firmware decrypts with several keys: {have}"
            if keys
            else "no contract says to which key",
            "name the file of the key with --encrypt-for",
        )
    return AgreementPublic(keys[0].kind, keys[0].public)
