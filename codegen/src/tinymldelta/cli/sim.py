"""`tmd sim`: a device with simulated flash, kept in a file, run by the device's own C code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from tinymldelta.cli.console import (
    FILE,
    JSON_OPTION,
    MODEL_OPTION,
    Number,
    console,
    load_contract,
    print_json,
    read_bytes,
    refusals_exit_1,
    table,
    write_output,
)
from tinymldelta.contract import Contract, contract_json, parse_contract
from tinymldelta.errors import Refusal
from tinymldelta.native import (
    COMPILED_IN,
    CutShape,
    Device,
    Geometry,
    geometries,
    geometry_of,
    read_note,
)
from tinymldelta.patching import PatchRefused
from tinymldelta.wire.constants import STATUSES, Status

_FLASH = click.argument("flash", type=FILE)


def _open(path: Path) -> Device:
    """The device of a file; its contract and model are the note that `init` left in it."""
    if not path.exists():
        raise Refusal(str(path), "there is no such device", "make one with `tmd sim init`")
    try:
        note = json.loads(read_note(path))
        contract = parse_contract(json.dumps(note["contract"]), str(path))
        index = contract.model_index(note["model"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(str(path), "its contract is damaged", "make it again") from error
    return Device.load(contract, index, path)


def _awake(path: Path) -> Device:
    """The device, powered and with its store mounted."""
    device = _open(path)
    if not device.powered:
        raise Refusal(str(path), "the power is off since a cut", "start it with `tmd sim boot`")
    _require_model(path, device.wake())
    return device


def _require_model(path: Path, status: Status) -> None:
    if status is not Status.OK:
        text = STATUSES[status]
        raise Refusal(str(path), f"the store does not mount: {text.text}", text.fix)


def _slot_name(slot: int) -> str:
    return "compiled in" if slot == COMPILED_IN else f"slot {slot}"


def _state(device: Device) -> dict[str, Any]:
    active, counts = device.active, device.counts
    return {
        "geometry": device.geometry_name,
        "active": {
            "slot": _slot_name(active.slot),
            "bytes": active.length,
            "sha256": active.sha256.hex(),
        },
        "record": device.sequence,
        "counts": {name: getattr(counts, name) for name in counts.__slots__},
        "illegal": device.illegal_text,
        "cut_ahead": device.pending_cut,
    }


def _print_state(device: Device, as_json: bool) -> None:
    state = _state(device)
    if as_json:
        print_json(state)
        return
    active, counts = state["active"], state["counts"]
    t = table("", "value")
    t.add_row("flash", f"{state['geometry']}, slots of {device.slot_bytes[0]:,} bytes")
    t.add_row("active model", f"{active['slot']}, {active['bytes']:,} bytes")
    t.add_row("SHA-256", active["sha256"])
    t.add_row("newest record", str(state["record"]) if state["record"] else "none")
    t.add_row("erases", f"{counts['erases']:,}")
    t.add_row("writes", f"{counts['writes']:,}, {counts['bytes_written']:,} bytes")
    t.add_row("reads", f"{counts['reads']:,}, {counts['bytes_read']:,} bytes")
    t.add_row("illegal operations", f"{counts['illegal']} {state['illegal']}".strip())
    if state["cut_ahead"]:
        t.add_row("power fails", f"at write or erase {state['cut_ahead']} from now")
    console().print(t)


@click.group()
def sim() -> None:
    """A simulated device in a file: flash that behaves like flash, run by the device's C code."""


def _geometry(name: str | None, contract: Contract) -> Geometry:
    if name is None:
        return geometry_of(contract)
    return next(g for g in geometries() if g.name == name)


@sim.command("init")
@_FLASH
@click.option(
    "--contract",
    "contract_path",
    type=FILE,
    required=True,
    metavar="C",
    help="contract.json of the device's firmware.",
)
@click.option("--base", type=FILE, required=True, help="The model that leaves the factory.")
@click.option(
    "--geometry",
    type=click.Choice([g.name for g in geometries()]),
    help="Kind of flash; without it, one with the contract's sizes.",
)
@MODEL_OPTION
@JSON_OPTION
@refusals_exit_1
def init(
    flash: Path,
    contract_path: Path,
    base: Path,
    geometry: str | None,
    model_name: str | None,
    as_json: bool,
) -> None:
    """Make a device: erased flash, and BASE written to slot 0 by the factory."""
    contract, index = load_contract(contract_path, model_name)
    assert contract is not None  # the option is required
    model = read_bytes(base)
    with Device.create(contract, index, _geometry(geometry, contract)) as device:
        device.factory(model)
        _require_model(base, device.boot())
        note = {
            "contract": json.loads(contract_json(contract)),
            "model": contract.models[index].name,
        }
        device.set_note(json.dumps(note).encode())
        device.save(flash)
        _print_state(device, as_json)


@sim.command("status")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def status(flash: Path, as_json: bool) -> None:
    """Show the active model, the newest record and what was done to the flash."""
    with _awake(flash) as device:
        _print_state(device, as_json)


@sim.command("update")
@_FLASH
@click.argument("patch", type=FILE)
@click.option(
    "--piece",
    type=Number(1 << 20),
    default=64,
    show_default=True,
    metavar="BYTES",
    help="Send the patch in pieces of this size.",
)
@click.option(
    "--staged", is_flag=True, help="Let the device check the whole patch before it writes."
)
@JSON_OPTION
@refusals_exit_1
def update(flash: Path, patch: Path, piece: int, staged: bool, as_json: bool) -> None:
    """Send PATCH to the device."""
    if piece == 0:
        raise click.BadParameter("a piece has at least one byte", param_hint="--piece")
    data = read_bytes(patch)
    with _awake(flash) as device:
        result = device.staged(data) if staged else device.stream(data, piece)
        device.save(flash)
        if not device.powered:
            click.echo(
                f"tmd: {flash}: the power failed during the update (start it with `tmd sim boot`)",
                err=True,
            )
            sys.exit(1)
        if result is not Status.OK:
            raise PatchRefused(str(patch), result)
        _print_state(device, as_json)


@sim.command("boot")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def boot(flash: Path, as_json: bool) -> None:
    """Switch the power on: RAM is rubbish, flash is what it was."""
    with _open(flash) as device:
        _require_model(flash, device.boot())
        device.save(flash)
        _print_state(device, as_json)


@sim.command("cut")
@_FLASH
@click.option(
    "--at",
    type=Number(0xFFFFFFFF),
    required=True,
    metavar="N",
    help="The write or erase from now on that the cut hits; 0 takes it back.",
)
@click.option(
    "--shape",
    type=click.Choice([s.name.lower() for s in CutShape]),
    default="torn",
    show_default=True,
    help="What is left of that operation.",
)
@JSON_OPTION
@refusals_exit_1
def cut(flash: Path, at: int, shape: str, as_json: bool) -> None:
    """Let the power fail at a coming write or erase."""
    with _awake(flash) as device:
        device.cut_at(at, CutShape[shape.upper()])
        device.save(flash)
        _print_state(device, as_json)


@sim.command("read")
@_FLASH
@click.option("-o", "--out", type=FILE, required=True, metavar="OUT", help="Where to write it.")
@refusals_exit_1
def read(flash: Path, out: Path) -> None:
    """Read the active model out of the device."""
    with _awake(flash) as device:
        model = device.read_active()
    write_output(out, model)
    click.echo(f"wrote {out}, {len(model):,} bytes")
