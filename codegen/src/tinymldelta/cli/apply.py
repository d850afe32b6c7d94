"""`tmd apply`: the target from base and patch, by the device's C code."""

from __future__ import annotations

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
from tinymldelta.patching import apply_patch


@click.command()
@click.argument("base", type=FILE)
@click.argument("patch", type=FILE)
@click.option("-o", "--out", type=FILE, required=True, metavar="OUT", help="The target.")
@CONTRACT_OPTION
@MODEL_OPTION
@JSON_OPTION
@refusals_exit_1
def apply(
    base: Path,
    patch: Path,
    out: Path,
    contract_path: Path | None,
    model_name: str | None,
    as_json: bool,
) -> None:
    """Apply PATCH to BASE as a device does.

    Without a contract everything but the guardrails is checked.
    """
    contract, index = load_contract(contract_path, model_name)
    target = apply_patch(read_bytes(patch), read_bytes(base), str(patch), contract, index)
    write_output(out, target)
    if as_json:
        print_json({"out": str(out), "bytes": len(target), "guardrails": contract is not None})
        return
    if contract is None:
        click.echo("guardrails not checked: no contract was given", err=True)
    click.echo(f"wrote {out}, {len(target):,} bytes")
