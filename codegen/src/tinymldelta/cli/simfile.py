"""The device that a file holds, for the commands of `tmd sim`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from tinymldelta.contract import Contract
from tinymldelta.contractfile import parse_contract
from tinymldelta.errors import Refusal
from tinymldelta.interpreter import ModelInference
from tinymldelta.keys import AgreementPrivate, MacKey, load_agreement_private
from tinymldelta.native import Device, read_note
from tinymldelta.trust import KeyRing
from tinymldelta.wire.constants import STATUSES, SignatureKind, Status


def open_device(path: Path, inference: ModelInference | None = None) -> Device:
    """The device of a file; its contract and model are the note that `init` left in it."""
    if not path.exists():
        raise Refusal(str(path), "there is no such device", "make one with `tmd sim init`")
    try:
        note = json.loads(read_note(path))
        contract = parse_contract(json.dumps(note["contract"]), str(path))
        index = contract.model_index(note["model"])
        secrets, openers = _read_secrets(note, str(path))
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(str(path), "its contract is damaged", "make it again") from error
    return Device.load(contract, index, path, inference, secrets=secrets, sealed=openers)


def secrets_json(keys: KeyRing) -> dict[str, Any]:
    """What the device has in secret, as the note keeps it."""
    return {
        "secrets": [
            {"kind": key.kind.name, "number": key.number, "secret": key.secret.hex()}
            for key in keys.secrets
        ],
        "decryption_keys": [key.pem().decode() for key in keys.openers],
    }


def _read_secrets(note: dict[str, Any], where: str) -> tuple[list[MacKey], list[AgreementPrivate]]:
    secrets = [
        MacKey(SignatureKind[key["kind"]], bytes.fromhex(key["secret"]), key["number"])
        for key in note["secrets"]
    ]
    return secrets, [load_agreement_private(pem.encode(), where) for pem in note["decryption_keys"]]


def check_secrets(contract: Contract, keys: KeyRing) -> None:
    """Refuses a secret that no key of the contract stands for: a number was mistyped."""
    for what, given, known in (
        ("--mac-key", keys.contract_keys, contract.keys),
        ("--decryption-key", keys.sealed_keys, contract.sealed_keys),
    ):
        for key in given:
            if (key.kind, key.id) not in {(k.kind, k.id) for k in known}:
                have = ", ".join(k.text for k in known) or "no such keys"
                raise Refusal(what, f"the firmware does not know the {key.text}", f"it has: {have}")


def awake(path: Path) -> Device:
    """The device, as it is on."""
    device = open_device(path)
    if not device.is_on:
        raise Refusal(str(path), "the power is off since a cut", "start it with `tmd sim boot`")
    return device


def require(path: Path, what: str, status: Status) -> None:
    if status is not Status.OK:
        text = STATUSES[status]
        raise Refusal(str(path), f"{what}: {text.text}", text.fix)


def keep(device: Device, path: Path, during: str) -> None:
    """Save what a command did; exits with 1 if the power failed in the middle of it."""
    device.save(path)
    if not device.powered:
        click.echo(
            f"tmd: {path}: the power failed during the {during} (start it with `tmd sim boot`)",
            err=True,
        )
        sys.exit(1)
