"""Keys on the command line: files, passwords, numbers, and what is said of keys."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from tinymldelta.cli.console import FILE, Number, read_bytes
from tinymldelta.container.patch import PatchFault
from tinymldelta.container.signed import SignedParts, signed_parts
from tinymldelta.errors import PatchRefused
from tinymldelta.keys import (
    KEY_NUMBER_MAX,
    AgreementPrivate,
    MacKey,
    NeedsPassword,
    PrivateKey,
    PublicKey,
    is_mac,
    is_sealed,
    load_agreement_private,
    load_signer,
    load_verifier,
    open_sealed,
    type_name,
)

T = TypeVar("T")

NUMBER_OPTION = click.option(
    "--key-number",
    type=Number(KEY_NUMBER_MAX),
    metavar="N",
    help="Number of a device's hmac-sha256 or aes-cmac key; 0 if not given.",
)
PASSWORD_OPTION = click.option(
    "--password-env",
    metavar="VAR",
    help="Environment variable that holds the private key's password. Without it, you are asked.",
)
PUBLIC_KEYS_OPTION = click.option(
    "--public-key",
    "public_keys",
    type=FILE,
    multiple=True,
    metavar="PUB.pem",
    help="Public key of who may have signed; several are possible.",
)
DECRYPTION_KEYS_OPTION = click.option(
    "--decryption-key",
    "decryption_keys",
    type=FILE,
    multiple=True,
    metavar="KEY.pem",
    help="Private key to open an encrypted patch with; several are possible.",
)


def read_password(variable: str | None) -> bytes | None:
    """The password in an environment variable; None if none was named."""
    if variable is None:
        return None
    password = os.environ.get(variable, "")
    if not password:
        raise click.UsageError(f"--password-env: {variable} is not set, or empty")
    return password.encode()


def at_terminal() -> bool:
    """Is there somebody to ask?"""
    return sys.stdin.isatty()


def ask_if_encrypted(load: Callable[[bytes | None], T], where: object, password: bytes | None) -> T:
    """What `load` makes of the password; it is asked for at a terminal if one is needed."""
    try:
        return load(password)
    except NeedsPassword:
        if not at_terminal():
            raise
        asked: str = click.prompt(f"password of {where}", hide_input=True, err=True)
        return load(asked.encode())


def read_signer(path: Path, number: int | None, variable: str | None) -> PrivateKey | MacKey:
    """What signs, from a file. variable: environment variable with the password."""
    data, given = read_bytes(path), read_password(variable)
    key = ask_if_encrypted(
        lambda password: load_signer(data, str(path), number or 0, password), path, given
    )
    if given is not None and isinstance(key, MacKey):
        raise click.UsageError(f"--password-env is for private keys, and {path} is none")
    _check_number(path, key, number)
    return key


def read_verifiers(
    public_keys: Sequence[Path], secret: Path | None, number: int | None
) -> list[PublicKey | MacKey]:
    """What verifies, from files: public keys, and a device's secret under its number."""
    found: list[PublicKey | MacKey] = []
    for path in public_keys:
        key = load_verifier(read_bytes(path), str(path))
        if isinstance(key, MacKey):
            raise click.UsageError(f"--public-key: {path} is a secret; give it as --key")
        found.append(key)
    if secret is not None:
        key = load_verifier(read_bytes(secret), str(secret), number or 0)
        _check_number(secret, key, number)
        found.append(key)
    elif number is not None:
        raise click.UsageError("--key-number is the number of --key, which is missing")
    return found


def read_decryption_keys(
    paths: Sequence[Path], variable: str | None
) -> tuple[AgreementPrivate, ...]:
    """What opens encrypted patches, from files. variable: with the password of all of them."""
    given = read_password(variable)

    def read(path: Path) -> AgreementPrivate:
        data = read_bytes(path)
        return ask_if_encrypted(
            lambda password: load_agreement_private(data, str(path), password), path, given
        )

    return tuple(read(path) for path in paths)


def opened(patch: bytes, where: str, keys: Sequence[AgreementPrivate]) -> bytes:
    """The patch, out of its envelope if it is encrypted."""
    if not is_sealed(patch):
        return patch
    try:
        return open_sealed(patch, keys)
    except PatchFault as fault:
        raise PatchRefused(where, fault.status, str(fault)) from fault


def parts_of(patch: bytes, where: str) -> SignedParts:
    """Who signs a patch, and what."""
    try:
        return signed_parts(patch)
    except PatchFault as fault:
        raise PatchRefused(where, fault.status, str(fault)) from fault


def parts_json(parts: SignedParts) -> dict[str, object]:
    """Who signs a patch, and what, for machines. key_number: of a device's secret, else null."""
    number = int.from_bytes(parts.signer_id, "little") if is_mac(parts.signer_kind) else None
    return {
        "type": type_name(parts.signer_kind),
        "key_id": parts.signer_id.hex(),
        "key_number": number,
        "digest": parts.digest.hex(),
    }


def _check_number(path: Path, key: object, number: int | None) -> None:
    if number is not None and not isinstance(key, MacKey):
        raise click.UsageError(f"--key-number is for devices' secrets, and {path} is none")
