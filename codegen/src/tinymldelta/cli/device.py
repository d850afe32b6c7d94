"""`tmd device`: what a device has, and its trial, over SMP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tinymldelta.accuracy.record import AccuracyRecord
from tinymldelta.cli.console import (
    JSON_OPTION,
    console,
    metadata_json,
    print_json,
    refusals_exit_1,
    table,
)
from tinymldelta.cli.transport import Transport, transport_options
from tinymldelta.container.patch import Metadata
from tinymldelta.native import COMPILED_IN, SlotState
from tinymldelta.versions import version_text

if TYPE_CHECKING:
    from tinymldelta.smp.client import Link
    from tinymldelta.smp.messages import StatusReply


def slot_text(slot: int) -> str:
    if slot == COMPILED_IN:
        return "compiled in"
    return f"slot {slot}" if slot < 2 else "nowhere"


def trial_text(status: StatusReply) -> str:
    if not status.trial:
        return "confirmed"
    return f"on trial, started {status.starts} of {status.max} times"


def status_json(status: StatusReply) -> dict[str, Any]:
    return {
        "model": status.model,
        "models": status.models,
        "active": {
            "slot": slot_text(status.slot),
            "bytes": status.bytes,
            "sha256": status.sha.hex(),
            "version": status.ver,
        },
        "state": "on trial" if status.trial else "confirmed",
        "trial": {"starts": status.starts, "of": status.max},
        "floor": status.floor,
        "slots": [_state_name(state) for state in status.states],
        "record": status.seq,
        "updates": status.updates,
        "erases": status.erases,
        "staging": status.staging,
        "transfer": {"bytes": status.len, "id": status.id, "there": status.off},
    }


def _state_name(state: int) -> str:
    try:
        return SlotState(state).name.lower()
    except ValueError:
        return f"state {state}"


def _said(metadata: Metadata) -> Iterator[tuple[str, str]]:
    """What people want to hear of it."""
    if metadata.note:
        yield "note", metadata.note.decode("utf-8", "replace")
    if metadata.labels:
        yield "labels", ", ".join(metadata.labels.decode("utf-8", "replace").split("\n"))
    if metadata.accuracy:
        try:
            yield "accuracy", AccuracyRecord.decode(metadata.accuracy).text()
        except ValueError:
            yield "accuracy", metadata.accuracy.hex()  # of a later tool


def _print_status(status: StatusReply, metadata: Metadata | None, as_json: bool) -> None:
    """metadata: None if the firmware does not tell."""
    if as_json:
        said = None if metadata is None else metadata_json(metadata)
        print_json(status_json(status) | {"metadata": said})
        return
    t = table("", "value")
    of = f" (of {', '.join(status.models)})" if len(status.models) > 1 else ""
    t.add_row("model", status.model + of)
    t.add_row(
        "active model",
        f"{slot_text(status.slot)}, {status.bytes:,} bytes, version {version_text(status.ver)}",
    )
    t.add_row("SHA-256", status.sha.hex())
    for what, text in _said(metadata or Metadata()):
        t.add_row(what, text)
    t.add_row("state", trial_text(status))
    t.add_row("version floor", version_text(status.floor))
    for number, state in enumerate(status.states):
        t.add_row(f"slot {number}", _state_name(state))
    t.add_row("patches dealt with", str(status.updates))
    t.add_row("erases", f"{status.erases:,}")
    t.add_row("staging region", "yes" if status.staging else "no: patches are streamed")
    if status.len:
        t.add_row("transfer", f"{status.off:,} of {status.len:,} bytes of a patch")
    console().print(t)


@click.group()
def device() -> None:
    """Ask a device over SMP what it has, and end trials."""


@device.command("status")
@transport_options
@JSON_OPTION
@refusals_exit_1
def status(transport: Transport, as_json: bool) -> None:
    """Show the active model, its trial, slots, and the transfer that is open."""

    async def work(link: Link) -> tuple[StatusReply, Metadata | None]:
        from tinymldelta.smp import client, messages

        reply: StatusReply = await link.ask(messages.Status, tries=3, model=transport.model)
        return reply, await client.metadata(link, transport.model)

    _print_status(*transport.run(work), as_json)


def _change(transport: Transport, what: str, as_json: bool) -> None:
    async def work(link: Link) -> tuple[StatusReply, Metadata | None]:
        from tinymldelta.smp import client, messages

        match what:
            case "confirm":
                await client.confirm(link, transport.model)
            case "revert":
                await client.revert(link, transport.model)
            case _:
                await link.ask(messages.Erase, model=transport.model)
        reply: StatusReply = await link.ask(messages.Status, model=transport.model)
        return reply, await client.metadata(link, transport.model)

    _print_status(*transport.run(work), as_json)


@device.command("confirm")
@transport_options
@JSON_OPTION
@refusals_exit_1
def confirm(transport: Transport, as_json: bool) -> None:
    """End the trial: the new model stays."""
    _change(transport, "confirm", as_json)


@device.command("revert")
@transport_options
@JSON_OPTION
@refusals_exit_1
def revert(transport: Transport, as_json: bool) -> None:
    """End the trial: back to the model before it."""
    _change(transport, "revert", as_json)


@device.command("erase")
@transport_options
@JSON_OPTION
@refusals_exit_1
def erase(transport: Transport, as_json: bool) -> None:
    """Give up a transfer, and forget what the inactive slot and the staging region hold.

    A model that failed its trial is then taken again.
    """
    _change(transport, "erase", as_json)
