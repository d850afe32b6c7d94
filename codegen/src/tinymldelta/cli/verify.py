"""`tmd verify`: who signed a patch?"""

from __future__ import annotations

from pathlib import Path

import click

from tinymldelta.cli.console import FILE, JSON_OPTION, print_json, read_bytes, refusals_exit_1
from tinymldelta.cli.keyfiles import (
    DECRYPTION_KEYS_OPTION,
    NUMBER_OPTION,
    PASSWORD_OPTION,
    PUBLIC_KEYS_OPTION,
    opened,
    parts_json,
    parts_of,
    read_decryption_keys,
    read_verifiers,
)
from tinymldelta.container.patch import PatchFault
from tinymldelta.errors import PatchRefused, Refusal
from tinymldelta.keys import is_sealed, key_text, sealed_key_id
from tinymldelta.wire.constants import Status


@click.command()
@click.argument("patch", type=FILE)
@PUBLIC_KEYS_OPTION
@click.option("--key", type=FILE, metavar="KEY", help="A device's secret, hmac-sha256 or aes-cmac.")
@NUMBER_OPTION
@DECRYPTION_KEYS_OPTION
@PASSWORD_OPTION
@JSON_OPTION
@refusals_exit_1
def verify(
    patch: Path,
    public_keys: tuple[Path, ...],
    key: Path | None,
    key_number: int | None,
    decryption_keys: tuple[Path, ...],
    password_env: str | None,
    as_json: bool,
) -> None:
    """Say with which of these keys PATCH is signed, and refuse it if with none.

    A signature covers lengths, digests of base and target, all metadata, and the body's CRC-32: so
    that what a device makes of the patch is the target or nothing. `tmd apply` makes it here, and
    `tmd check` says whether a firmware takes it.
    """
    if not public_keys and key is None:
        raise click.UsageError("give --public-key, or --key for a device's secret")
    if password_env is not None and not decryption_keys:
        raise click.UsageError("--password-env is of --decryption-key, which is missing")
    verifiers = read_verifiers(public_keys, key, key_number)
    data, where = read_bytes(patch), str(patch)
    sealed = is_sealed(data)
    if sealed and not decryption_keys:
        try:
            to = key_text(*sealed_key_id(data))
        except PatchFault as fault:
            raise PatchRefused(where, fault.status, str(fault)) from fault
        raise Refusal(where, f"encrypted to the {to}", "give its private key as --decryption-key")
    data = opened(data, where, read_decryption_keys(decryption_keys, password_env))
    parts = parts_of(data, where)
    who = key_text(parts.signer_kind, parts.signer_id)
    signer = (parts.signer_kind, parts.signer_id)
    verifier = next((v for v in verifiers if (v.kind, v.id) == signer), None)
    if verifier is None:
        given = ", ".join(key_text(v.kind, v.id) for v in verifiers)
        raise PatchRefused(
            where, Status.KEY, f"signed with the {who}, and the keys given are: {given}"
        )
    if parts.to_be_signed:
        raise PatchRefused(where, Status.UNSIGNED, f"made for the {who}, and not signed yet")
    if not verifier.verify(parts.digest, parts.signature):
        raise PatchRefused(where, Status.SIGNATURE, f"the signature is not that of the {who}")
    if as_json:
        print_json({"patch": where, **parts_json(parts), "encrypted": sealed})
        return
    click.echo(f"{patch}: signed with the {who}" + (", encrypted" if sealed else ""))
