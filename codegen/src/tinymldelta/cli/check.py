"""`tmd check`: would a device take the patch? Every rule, one line each, by the device's C code."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tinymldelta.cli.console import (
    FILE,
    JSON_OPTION,
    MODEL_OPTION,
    load_contract,
    print_json,
    read_bytes,
    refusals_exit_1,
)
from tinymldelta.cli.keyring import secret_options
from tinymldelta.proving import CheckResult, check_patch, explained
from tinymldelta.trust import KeyRing
from tinymldelta.wire.constants import STATUSES, Status


def _as_json(result: CheckResult, explained: list[str]) -> dict[str, object]:
    return {
        "taken": result.status is Status.OK,
        "status": result.status.name,
        "text": STATUSES[result.status].text,
        "base_checked": result.applied,
        "rules": [
            {
                "rule": r.rule.name,
                "verdict": r.verdict.name,
                "need": r.need,
                "have": r.have,
                "explain": words,
            }
            for r, words in zip(result.rules, explained, strict=True)
        ],
    }


@click.command()
@click.argument("patch", type=FILE)
@click.option(
    "--contract",
    "contract_path",
    type=FILE,
    metavar="C",
    required=True,
    help="contract.json of the firmware.",
)
@click.option("--base", type=FILE, help="The model on the device; then the body is checked too.")
@MODEL_OPTION
@refusals_exit_1
@secret_options
@JSON_OPTION
def check(
    patch: Path,
    contract_path: Path,
    base: Path | None,
    model_name: str | None,
    keys: KeyRing,
    as_json: bool,
) -> None:
    """Would a device with this contract take PATCH?"""
    contract, index = load_contract(contract_path, model_name)
    assert contract is not None  # the option is required
    base_bytes = read_bytes(base) if base else None
    data = read_bytes(patch)
    result = check_patch(data, str(patch), contract, index, base_bytes, keys)
    text = STATUSES[result.status]
    words = explained(result.rules, data, contract, index, keys)
    if as_json:
        print_json(_as_json(result, words))
    else:
        for r, clause in zip(result.rules, words, strict=True):
            click.echo(f"{r.verdict.name:7} {r.rule.name:12} {clause}")
        if result.status is Status.OK:
            checked = (
                "base and body checked"
                if result.applied
                else ("base and body not checked: give --base")
            )
            click.echo(f"TAKEN   {patch} ({checked})")
    if result.status is not Status.OK:
        fix = f" ({text.fix})" if text.fix else ""
        click.echo(f"tmd: {patch}: refused with {result.status.name}: {text.text}{fix}", err=True)
        sys.exit(1)
