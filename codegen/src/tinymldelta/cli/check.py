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
    rules_json,
)
from tinymldelta.cli.keyring import secret_options
from tinymldelta.keys import key_text
from tinymldelta.proving import CheckResult, check_patch, explained
from tinymldelta.trust import KeyRing, read_head
from tinymldelta.wire.constants import STATUSES, Status


def _as_json(result: CheckResult, explained: list[str]) -> dict[str, object]:
    return {
        "taken": result.status is Status.OK,
        "status": result.status.name,
        "text": STATUSES[result.status].text,
        "base_checked": result.applied,
        "rules": rules_json(result.rules, explained),
        "once_signed": _once_signed_json(result.once_signed),
    }


def _once_signed_json(status: Status | None) -> dict[str, object] | None:
    """The verdict on a patch that only awaits its signature, when it has that."""
    if status is None:
        return None
    return {
        "taken": status is Status.OK,
        "status": status.name,
        "text": STATUSES[status].text,
    }


def _signer(patch: bytes, keys: KeyRing) -> str:
    """Whose signature a patch has room for."""
    head = read_head(patch, keys)
    assert head is not None and head.header.signer is not None  # it awaits a signature
    return key_text(head.header.signer.kind, head.header.signer.key_id)


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
    """Would a device with this contract take PATCH?

    Of a patch that still awaits its signature: no; and what it would say once that is there.
    """
    contract, index = load_contract(contract_path, model_name)
    assert contract is not None  # the option is required
    base_bytes = read_bytes(base) if base else None
    data = read_bytes(patch)
    result = check_patch(data, str(patch), contract, index, base_bytes, keys)
    words = explained(result.rules, data, contract, index, keys)
    if as_json:
        print_json(_as_json(result, words))
    else:
        for r, clause in zip(result.rules, words, strict=True):
            click.echo(f"{r.verdict.name:7} {r.rule.name:12} {clause}")
        checked = (
            "base and body checked" if result.applied else "base and body not checked: give --base"
        )
        if result.status is Status.OK:
            click.echo(f"TAKEN   {patch} ({checked})")
        elif result.once_signed is Status.OK:
            who = _signer(data, keys)
            click.echo(f"AWAITED {patch}: taken once it is signed with the {who} ({checked})")
    if result.status is not Status.OK:
        click.echo(f"tmd: {patch}: {_refusal(result)}", err=True)
        sys.exit(1)


def _refusal(result: CheckResult) -> str:
    later = result.once_signed
    if later is None:
        return f"refused with {_status_text(result.status)}"
    words = f"refused with {result.status.name}: it is not signed yet"
    if later is Status.OK:
        return f"{words} (sign it with `tmd sign`)"
    return f"{words}; once it is signed, refused with {_status_text(later)}"


def _status_text(status: Status) -> str:
    text = STATUSES[status]
    return f"{status.name}: {text.text}" + (f" ({text.fix})" if text.fix else "")
