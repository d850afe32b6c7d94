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
    load_contract,
    read_bytes,
    refusals_exit_1,
    write_output,
)
from tinymldelta.cli.keyring import secret_options
from tinymldelta.cli.simfile import (
    awake,
    check_secrets,
    keep,
    open_device,
    require,
    secrets_json,
)
from tinymldelta.cli.simpower import (
    fail_boot,
    find_inference,
    power_on,
    require_interpreter,
    start,
    warn_of_boot,
)
from tinymldelta.cli.simstate import print_state
from tinymldelta.cli.transport import missing_extra
from tinymldelta.contract import Contract
from tinymldelta.contractfile import contract_json
from tinymldelta.errors import PatchRefused, Refusal
from tinymldelta.native import (
    CUT_ANYWHERE,
    CutShape,
    Device,
    Geometry,
    Options,
    geometries,
    geometry_of,
    read_note,
)
from tinymldelta.trust import KeyRing
from tinymldelta.wire.constants import MODEL_MAX, SMP_GROUP, Status

_FLASH = click.argument("flash", type=FILE)
_TRIAL_STARTS_MAX = 255


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
    check_secrets(contract, keys)
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
        require(base, "the store does not mount", device.boot())
        note = {
            "contract": json.loads(contract_json(contract)),
            "model": contract.models[index].name,
            **secrets_json(keys),
        }
        device.set_note(json.dumps(note).encode())
        device.save(flash)
        print_state(device, flash, as_json, {})


@sim.command("status")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def status(flash: Path, as_json: bool) -> None:
    """Show the active model, its trial, what slots and staging hold, and the counts."""
    with awake(flash) as device:
        print_state(device, flash, as_json, {})


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
    with awake(flash) as device:
        more: dict[str, Any] = {}
        if stage:
            result, start, sent = device.stage(data, piece)
            more = {"sent": {"from": start, "bytes": sent}}
            if not as_json:
                click.echo(f"sent {sent:,} of {len(data):,} bytes, from byte {start:,} on")
        else:
            result = device.staged(data) if staged else device.stream(data, piece)
        keep(device, flash, "update")
        if result is not Status.OK:
            raise PatchRefused(str(patch), result)
        print_state(device, flash, as_json, more)


@sim.command("boot")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def boot(flash: Path, as_json: bool) -> None:
    """Switch the power on, finish a staged patch that is complete, and start the active model.

    RAM is rubbish, flash is what it was. A model on trial has its test vectors run. Exits with 1 if
    the staged patch or the model on trial is refused; the device then runs what it had.
    """
    inference = find_inference()
    with open_device(flash, inference) as device:
        resumed, applied, reverted = power_on(device, flash, inference)
        more = {
            "resumed": {"status": resumed.name, "applied": applied},
            "reverted": reverted,
        }
        if applied and not as_json:
            click.echo("finished the staged patch")
        print_state(device, flash, as_json, more)
        fail_boot(flash, resumed, reverted)


@sim.command("confirm")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def confirm(flash: Path, as_json: bool) -> None:
    """End the trial: the new model stays."""
    with awake(flash) as device:
        result = device.confirm()
        keep(device, flash, "confirmation")
        require(flash, "not confirmed", result)
        print_state(device, flash, as_json, {})


@sim.command("revert")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def revert(flash: Path, as_json: bool) -> None:
    """End the trial: back to the model before it."""
    with awake(flash) as device:
        result = device.revert()
        keep(device, flash, "reversion")
        require(flash, "not reverted", result)
        print_state(device, flash, as_json, {})


@sim.command("forget")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def forget(flash: Path, as_json: bool) -> None:
    """Forget what the inactive slot holds, so that a model that failed there is taken again."""
    with awake(flash) as device:
        result = device.forget()
        keep(device, flash, "forgetting")
        require(flash, "nothing is forgotten", result)
        print_state(device, flash, as_json, {})


@sim.command("resume")
@_FLASH
@JSON_OPTION
@refusals_exit_1
def resume(flash: Path, as_json: bool) -> None:
    """Apply the staged patch if it is complete; else say how much of it is there."""
    with awake(flash) as device:
        result, staged = device.resume()
        keep(device, flash, "update")
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
        print_state(device, flash, as_json, more)


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
    with awake(flash) as device:
        device.cut_at(at, CutShape[shape.upper()], CUT_ANYWHERE if part is None else part)
        device.save(flash)
        print_state(device, flash, as_json, {})


@sim.command("read")
@_FLASH
@click.option("-o", "--out", type=FILE, required=True, metavar="OUT", help="Where to write it.")
@refusals_exit_1
def read(flash: Path, out: Path) -> None:
    """Read the active model out of the device, with the test vectors behind it."""
    with awake(flash) as device:
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

    inference = find_inference()
    with open_device(flash, inference) as device:
        resumed, _, reverted = power_on(device, flash, inference)
        warn_of_boot(flash, resumed, reverted)
        name = json.loads(read_note(flash))["model"]
        server = Server(device, name, lambda: device.save(flash), group)

        def settle() -> None:
            """What the application does when another model is active."""
            if device.info.trial and not device.info.opened:
                require_interpreter(device, flash, inference)
                warn_of_boot(flash, Status.OK, start(device, flash))
                device.save(flash)

        with Listener(server.answer, settle, BUFFER_BYTES) as listener:
            if udp is not None:
                click.echo(f"udp {udp[0]}:{listener.udp(*udp)}")
            if pty:
                click.echo(f"terminal {listener.terminal()}")
            sys.stdout.flush()
            listener.run()
