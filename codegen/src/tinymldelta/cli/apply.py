"""`tmd apply`: the target from base and patch, by the device's C code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tinymldelta.cli.console import (
    CONTRACT_OPTION,
    FILE,
    JSON_OPTION,
    MODEL_OPTION,
    load_contract,
    print_json,
    read_bytes,
    refusals_exit_1,
    write_output,
)
from tinymldelta.cli.keyfiles import PUBLIC_KEYS_OPTION, read_verifiers
from tinymldelta.cli.keyring import secret_options
from tinymldelta.proving import apply_patch
from tinymldelta.trust import KeyRing


@click.command()
@click.argument("base", type=FILE)
@click.argument("patch", type=FILE)
@click.option("-o", "--out", type=FILE, required=True, metavar="OUT", help="The target.")
@CONTRACT_OPTION
@MODEL_OPTION
@PUBLIC_KEYS_OPTION
@refusals_exit_1
@secret_options
@JSON_OPTION
def apply(
    base: Path,
    patch: Path,
    out: Path,
    contract_path: Path | None,
    model_name: str | None,
    public_keys: tuple[Path, ...],
    keys: KeyRing,
    as_json: bool,
) -> None:
    """Apply PATCH to BASE as a device does.

    Without a contract everything but the guardrails is checked. With a key given, or a contract
    that has keys, PATCH has to be signed.
    """
    if public_keys and contract_path is not None:
        raise click.UsageError("the contract says who may sign: leave out --public-key")
    verifiers = read_verifiers(public_keys, None, None)
    keys = replace(keys, verifiers=(*verifiers, *keys.verifiers))
    contract, index = load_contract(contract_path, model_name)
    target = apply_patch(read_bytes(patch), read_bytes(base), str(patch), contract, index, keys)
    write_output(out, target)
    if as_json:
        print_json({"out": str(out), "bytes": len(target), "guardrails": contract is not None})
        return
    if contract is None:
        click.echo("guardrails not checked: no contract was given", err=True)
    click.echo(f"wrote {out}, {len(target):,} bytes")
