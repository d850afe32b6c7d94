"""`tmd sim`: a device with simulated flash, kept in a file, run by the device's own C code.

Each call is a process, and the device goes on from one to the next: its RAM is kept too, until the
power fails or `boot`.
"""

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
from tinymldelta.cli.keyring import secret_options
from tinymldelta.cli.transport import missing_extra
from tinymldelta.contract import Contract
from tinymldelta.contractfile import contract_json, parse_contract
from tinymldelta.errors import PatchRefused, Refusal
from tinymldelta.interpreter import ModelInference, find_interpreter
from tinymldelta.keys import AgreementPrivate, MacKey, load_agreement_private
from tinymldelta.native import (
    COMPILED_IN,
    CUT_ANYWHERE,
    CutShape,
    Device,
    Geometry,
    Info,
    Options,
    SlotState,
    Staged,
    geometries,
    geometry_of,
    read_note,
)
from tinymldelta.trust import KeyRing
from tinymldelta.versions import version_text
from tinymldelta.wire.constants import (
    MODEL_MAX,
    SMP_GROUP,
    STATUSES,
    SignatureKind,
    Status,
    Tlv,
)

_FLASH = click.argument("flash", type=FILE)
_TRIAL_STARTS_MAX = 255


# ---- the device of a file ----


def _open(path: Path, inference: ModelInference | None = None) -> Device:
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


def _secrets_json(keys: KeyRing) -> dict[str, Any]:
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


def _check_secrets(contract: Contract, keys: KeyRing) -> None:
    """Refuses a secret that no key of the contract stands for: a number was mistyped."""
    for what, given, known in (
        ("--mac-key", keys.contract_keys, contract.keys),
        ("--decryption-key", keys.sealed_keys, contract.sealed_keys),
    ):
        for key in given:
            if (key.kind, key.id) not in {(k.kind, k.id) for k in known}:
                have = ", ".join(k.text for k in known) or "no such keys"
                raise Refusal(what, f"the firmware does not know the {key.text}", f"it has: {have}")


def _awake(path: Path) -> Device:
    """The device, as it is on."""
    device = _open(path)
    if not device.is_on:
        raise Refusal(str(path), "the power is off since a cut", "start it with `tmd sim boot`")
    return device


def _require(path: Path, what: str, status: Status) -> None:
    if status is not Status.OK:
        text = STATUSES[status]
        raise Refusal(str(path), f"{what}: {text.text}", text.fix)


def _keep(device: Device, path: Path, during: str) -> None:
    """Save what a command did; exits with 1 if the power failed in the middle of it."""
    device.save(path)
    if not device.powered:
        click.echo(
            f"tmd: {path}: the power failed during the {during} (start it with `tmd sim boot`)",
            err=True,
        )
        sys.exit(1)


# ---- what is shown ----


def _slot_name(slot: int) -> str:
    return "compiled in" if slot == COMPILED_IN else f"slot {slot}"


def _staged_in(path: Path, device: Device) -> Staged:
    """What the staging region holds: asked of a copy, because a device that looks also applies."""
    if device.options.staging_bytes == 0:
        return Staged(0, 0)
    with _open(path) as copy:
        return copy.resume()[1]


def _slot_json(device: Device, info: Info, number: int) -> dict[str, Any]:
    slot = info.slots[number]
    result: dict[str, Any] = {
        "state": slot.state.name.lower(),
        "room": device.slot_bytes[number],
    }
    if slot.state is not SlotState.NONE:
        result |= {"bytes": slot.length, "sha256": slot.sha256.hex()}
    if slot.state.is_whole:
        result |= {
            "model_bytes": slot.model_bytes,
            "version": slot.version,
            "floor": slot.floor,
        }
    return result


def _state(device: Device, path: Path) -> dict[str, Any]:
    active, counts, info = device.active, device.counts, device.info
    staged = _staged_in(path, device)
    return {
        "geometry": device.geometry_name,
        "active": {
            "slot": _slot_name(active.slot),
            "bytes": active.length,
            "sha256": active.sha256.hex(),
            "version": info.version,
            "note": device.metadata(Tlv.NOTE).decode("utf-8", "replace"),
            "labels": [
                label.decode("utf-8", "replace")
                for label in device.metadata(Tlv.LABELS).split(b"\n")
                if label
            ],
        },
        "state": "on trial" if info.trial else "confirmed",
        "trial": {
            "starts": info.starts,
            "of": device.options.trial_starts,
            "opened": info.trial and info.opened,
        },
        "floor": info.floor,
        "lowest_version": max(info.floor, device.lowest_version),
        "slots": [_slot_json(device, info, number) for number in (0, 1)],
        "staging": {
            "room": device.options.staging_bytes,
            "patch_bytes": staged.length,
            "there": staged.there,
        },
        "compiled_in": device.has_compiled_in,
        "record": info.sequence,
        "updates": info.updates,
        "erases": info.erases,
        "bytes_written": info.written,
        "counts": {name: getattr(counts, name) for name in counts.__slots__},
        "illegal": device.illegal_text,
        "cut_ahead": device.pending_cut,
    }


def _trial_text(state: dict[str, Any]) -> str:
    trial = state["trial"]
    if state["state"] == "confirmed":
        return "confirmed"
    opened = "" if trial["opened"] else ", not opened since power-on"
    return f"on trial, start {trial['starts']} of {trial['of']}{opened}"


_SLOT_TEXTS = {
    "none": "nothing known",
    "streamed": "being written, streamed",
    "planned": "being written, staged",
    "complete": "whole",
    "reverted": "failed its trial",
}


def _slot_text(slot: dict[str, Any]) -> str:
    text = _SLOT_TEXTS[slot["state"]]
    if "bytes" in slot:
        text += f", {slot['bytes']:,} bytes, {slot['sha256'][:16]}"
    if "version" in slot:
        text += f", version {version_text(slot['version'])}"
    return text


def _print_state(device: Device, path: Path, as_json: bool, more: dict[str, Any]) -> None:
    """The state of a device as it is saved in `path`. more: what else is told to machines."""
    state = _state(device, path)
    if as_json:
        print_json(state | more)
        return
    active, counts, staging = state["active"], state["counts"], state["staging"]
    t = table("", "value")
    t.add_row("flash", f"{state['geometry']}, slots of {device.slot_bytes[0]:,} bytes")
    t.add_row(
        "active model",
        f"{active['slot']}, {active['bytes']:,} bytes, version {version_text(active['version'])}",
    )
    t.add_row("SHA-256", active["sha256"])
    if active["note"]:
        t.add_row("note", active["note"])
    if active["labels"]:
        t.add_row("labels", ", ".join(active["labels"]))
    t.add_row("state", _trial_text(state))
    t.add_row("lowest version taken", version_text(state["lowest_version"]))
    for number, slot in enumerate(state["slots"]):
        t.add_row(f"slot {number}", _slot_text(slot))
    if staging["room"]:
        there = f"{staging['there']:,} of {staging['patch_bytes']:,} bytes of a patch"
        t.add_row("staging", there if staging["patch_bytes"] else "empty")
    newest = f"{state['record']}; patches dealt with: {state['updates']}"
    t.add_row("newest record", newest if state["record"] else "none")
    t.add_row("erases", f"{counts['erases']:,}, counted by the device {state['erases']:,}")
    t.add_row("writes", f"{counts['writes']:,}, {counts['bytes_written']:,} bytes")
    t.add_row("reads", f"{counts['reads']:,}, {counts['bytes_read']:,} bytes")
    t.add_row("illegal operations", f"{counts['illegal']} {state['illegal']}".strip())
    if state["cut_ahead"]:
        t.add_row("power fails", f"at write or erase {state['cut_ahead']} from now")
    console().print(t)


# ---- commands ----


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
@click.option(
    "--trial-starts",
    type=Number(_TRIAL_STARTS_MAX),
    default=3,
    show_default=True,
    metavar="N",
    help="How often a new model is started before it has to be confirmed; 0 for no trial.",
)
@click.option(
    "--staging",
    type=Number(MODEL_MAX),
    default=0,
    show_default=True,
    metavar="BYTES",
    help="Size of a region that keeps a patch until it is applied; 0 for none.",
)
@click.option(
    "--progress",
    type=Number(MODEL_MAX),
    default=4096,
    show_default=True,
    metavar="BYTES",
    help="How often a streamed update notes how far it has come; 0 for never.",
)
@click.option(
    "--compiled-in",
    is_flag=True,
    help="Link BASE into the firmware instead of writing it to slot 0.",
)
@MODEL_OPTION
@refusals_exit_1
@secret_options
@JSON_OPTION
def init(
    flash: Path,
    contract_path: Path,
    base: Path,
    geometry: str | None,
    trial_starts: int,
    staging: int,
    progress: int,
    compiled_in: bool,
    model_name: str | None,
    keys: KeyRing,
    as_json: bool,
) -> None:
    """Make a device: erased flash, and BASE as the factory puts it there.

    Keys that are given stay in FLASH in the clear, as on a device: give none that others rely on.
    """
    contract, index = load_contract(contract_path, model_name)
    assert contract is not None  # the option is required
    _check_secrets(contract, keys)
    model = read_bytes(base)
    described = contract.models[index].model_bytes
    if compiled_in and len(model) != described:
        raise Refusal(
            str(base),
            f"{len(model)} bytes; the contract's model has {described}",
            "give the model that codegen was given",
        )
    options = Options(trial_starts, staging, progress)
    with Device.create(
        contract,
        index,
        _geometry(geometry, contract),
        options,
        secrets=keys.secrets,
        sealed=keys.openers,
    ) as device:
        if compiled_in:
            device.compile_in(model)
        else:
            device.factory(model)
        _require(base, "the store does not mount", device.boot())
        note = {
            "contract": json.loads(contract_json(contract)),
            "model": contract.models[index].name,
            **_secrets_json(keys),
        }
        device.set_note(json.dumps(note).encode())
        device.save(flash)
        _print_state(device, flash, as_json, {})


@sim.command("status")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def status(flash: Path, as_json: bool) -> None:
    """Show the active model, its trial, what slots and staging hold, and the counts."""
    with _awake(flash) as device:
        _print_state(device, flash, as_json, {})


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
@click.option(
    "--stage",
    is_flag=True,
    help="Send the patch through the staging region, from where it broke off.",
)
@JSON_OPTION
@refusals_exit_1
def update(flash: Path, patch: Path, piece: int, staged: bool, stage: bool, as_json: bool) -> None:
    """Send PATCH to the device."""
    if piece == 0:
        raise click.BadParameter("a piece has at least one byte", param_hint="--piece")
    if staged and stage:
        raise click.UsageError("--staged has the patch in RAM, --stage in flash: give one of them")
    data = read_bytes(patch)
    with _awake(flash) as device:
        more: dict[str, Any] = {}
        if stage:
            result, start, sent = device.stage(data, piece)
            more = {"sent": {"from": start, "bytes": sent}}
            if not as_json:
                click.echo(f"sent {sent:,} of {len(data):,} bytes, from byte {start:,} on")
        else:
            result = device.staged(data) if staged else device.stream(data, piece)
        _keep(device, flash, "update")
        if result is not Status.OK:
            raise PatchRefused(str(patch), result)
        _print_state(device, flash, as_json, more)


def _runs_vectors(info: Info, slot_number: int) -> bool:
    """Whether opening the active model, in that slot, runs test vectors."""
    if not info.trial:
        return False
    slot = info.slots[slot_number]
    return slot.model_bytes != slot.length


def _start(device: Device, flash: Path) -> str | None:
    """Open and close the active model. Returns why it was reverted, if it was."""
    before, slot = device.info, device.active.slot
    _require(flash, "no model can be opened", device.open())
    reverted = before.trial and not device.info.trial
    device.close()
    if not reverted:
        return None
    if device.inference_error:
        return f"its test vectors cannot be run: {device.inference_error}"
    return "a test vector fails" if _runs_vectors(before, slot) else "its start cannot be counted"


def _find_inference() -> ModelInference | None:
    interpreter = find_interpreter()
    return ModelInference(interpreter) if interpreter else None


def _require_interpreter(device: Device, flash: Path, inference: ModelInference | None) -> None:
    if inference is None and _runs_vectors(device.info, device.active.slot):
        raise Refusal(
            str(flash),
            "the model on trial has test vectors, and there is no interpreter to run them",
            "pip install ai-edge-litert, tensorflow or tflite-micro",
        )


def _power_on(
    device: Device, flash: Path, inference: ModelInference | None
) -> tuple[Status, bool, str | None]:
    """What a device does from power-on until its application runs the model.

    The status of a staged patch that was complete, whether it was applied, and why the model on
    trial was reverted, if it was.
    """
    on_trial = device.is_on and device.info.trial
    _require(flash, "the store does not mount", device.boot(device.counts.operations + 1))
    reverted = None
    if on_trial and not device.info.trial:
        reverted = "its starts are used up"
    resumed, staged = device.resume()
    _require_interpreter(device, flash, inference)
    reverted = _start(device, flash) or reverted
    device.save(flash)
    applied = resumed is Status.OK and staged.length > 0 and staged.there == staged.length
    return resumed, applied, reverted


@sim.command("boot")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def boot(flash: Path, as_json: bool) -> None:
    """Switch the power on, finish a staged patch that is complete, and start the active model.

    RAM is rubbish, flash is what it was. A model on trial has its test vectors run. Exits with 1 if
    the staged patch or the model on trial is refused; the device then runs what it had.
    """
    inference = _find_inference()
    with _open(flash, inference) as device:
        resumed, applied, reverted = _power_on(device, flash, inference)
        more = {
            "resumed": {"status": resumed.name, "applied": applied},
            "reverted": reverted,
        }
        if applied and not as_json:
            click.echo("finished the staged patch")
        _print_state(device, flash, as_json, more)
        _fail_boot(flash, resumed, reverted)


def _warn_of_boot(flash: Path, resumed: Status, reverted: str | None) -> None:
    if resumed is not Status.OK:
        text = STATUSES[resumed]
        click.echo(
            f"tmd: {flash}: the staged patch is refused with {resumed.name}: {text.text}", err=True
        )
    if reverted is not None:
        click.echo(f"tmd: {flash}: the model on trial was reverted: {reverted}", err=True)


def _fail_boot(flash: Path, resumed: Status, reverted: str | None) -> None:
    _warn_of_boot(flash, resumed, reverted)
    if resumed is not Status.OK or reverted is not None:
        sys.exit(1)


@sim.command("confirm")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def confirm(flash: Path, as_json: bool) -> None:
    """End the trial: the new model stays."""
    with _awake(flash) as device:
        result = device.confirm()
        _keep(device, flash, "confirmation")
        _require(flash, "not confirmed", result)
        _print_state(device, flash, as_json, {})


@sim.command("revert")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def revert(flash: Path, as_json: bool) -> None:
    """End the trial: back to the model before it."""
    with _awake(flash) as device:
        result = device.revert()
        _keep(device, flash, "reversion")
        _require(flash, "not reverted", result)
        _print_state(device, flash, as_json, {})


@sim.command("forget")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def forget(flash: Path, as_json: bool) -> None:
    """Forget what the inactive slot holds, so that a model that failed there is taken again."""
    with _awake(flash) as device:
        result = device.forget()
        _keep(device, flash, "forgetting")
        _require(flash, "nothing is forgotten", result)
        _print_state(device, flash, as_json, {})


@sim.command("resume")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def resume(flash: Path, as_json: bool) -> None:
    """Apply the staged patch if it is complete; else say how much of it is there."""
    with _awake(flash) as device:
        result, staged = device.resume()
        _keep(device, flash, "update")
        if result is not Status.OK:
            raise PatchRefused(f"{flash}, staged patch", result)
        applied = staged.length > 0 and staged.there == staged.length
        if not as_json:
            click.echo(
                "finished the staged patch"
                if applied
                else f"{staged.there:,} of {staged.length:,} bytes of a patch are there"
                if staged.length
                else "no patch is staged"
            )
        more = {"resumed": {"status": result.name, "applied": applied}}
        _print_state(device, flash, as_json, more)


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
@click.option(
    "--part",
    type=Number(CUT_ANYWHERE - 1),
    metavar="N",
    help="Write units that are done before the cut, modulo their number; any if not given.",
)
@JSON_OPTION
@refusals_exit_1
def cut(flash: Path, at: int, shape: str, part: int | None, as_json: bool) -> None:
    """Let the power fail at a coming write or erase."""
    with _awake(flash) as device:
        device.cut_at(at, CutShape[shape.upper()], CUT_ANYWHERE if part is None else part)
        device.save(flash)
        _print_state(device, flash, as_json, {})


@sim.command("read")
@_FLASH
@click.option("-o", "--out", type=FILE, required=True, metavar="OUT", help="Where to write it.")
@refusals_exit_1
def read(flash: Path, out: Path) -> None:
    """Read the active model out of the device, with the test vectors behind it."""
    with _awake(flash) as device:
        model = device.read_active()
    write_output(out, model)
    click.echo(f"wrote {out}, {len(model):,} bytes")


class _Endpoint(click.ParamType[tuple[str, int]]):
    """HOST:PORT, with an IPv6 address in brackets."""

    name = "endpoint"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or int(port) > 0xFFFF:
            self.fail(f"{value!r} is not HOST:PORT, such as 127.0.0.1:1337", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


@sim.command("serve")
@_FLASH
@click.option(
    "--udp",
    type=_Endpoint(),
    metavar="HOST:PORT",
    help="Answer on this address; port 0 takes a free one.",
)
@click.option("--pty", is_flag=True, help="Answer on a new pseudo-terminal, as on a serial port.")
@click.option(
    "--group",
    type=Number(0xFFFF),
    default=SMP_GROUP,
    show_default=True,
    metavar="N",
    help="Number of the management group.",
)
@refusals_exit_1
def serve(flash: Path, udp: tuple[str, int] | None, pty: bool, group: int) -> None:
    """Switch the power on and answer SMP, for `tmd push` and other clients, until Ctrl-C.

    The device is kept in FLASH after each change: when this is killed, the power has failed. Its
    application opens a new model as soon as it is there. Other commands have to wait meanwhile.
    """
    if udp is None and not pty:
        raise click.UsageError("say where to answer: --udp HOST:PORT, --pty, or both")
    try:
        from tinymldelta.smp.listen import Listener
        from tinymldelta.smp.server import BUFFER_BYTES, Server
    except ImportError as error:
        raise missing_extra(error) from error

    inference = _find_inference()
    with _open(flash, inference) as device:
        resumed, _, reverted = _power_on(device, flash, inference)
        _warn_of_boot(flash, resumed, reverted)
        name = json.loads(read_note(flash))["model"]
        server = Server(device, name, lambda: device.save(flash), group)

        def settle() -> None:
            """What the application does when another model is active."""
            if device.info.trial and not device.info.opened:
                _require_interpreter(device, flash, inference)
                _warn_of_boot(flash, Status.OK, _start(device, flash))
                device.save(flash)

        with Listener(server.answer, settle, BUFFER_BYTES) as listener:
            if udp is not None:
                click.echo(f"udp {udp[0]}:{listener.udp(*udp)}")
            if pty:
                click.echo(f"terminal {listener.terminal()}")
            sys.stdout.flush()
            listener.run()
