"""`tmd push`: bring a patch to a device over SMP."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import rich.progress
from rich.console import Console

from tinymldelta.cli.console import FILE, JSON_OPTION, print_json, read_bytes, refusals_exit_1
from tinymldelta.cli.device import slot_text, status_json, trial_text
from tinymldelta.cli.transport import Transport, transport_options
from tinymldelta.versions import version_text

if TYPE_CHECKING:
    from tinymldelta.smp.client import Link, Outcome
    from tinymldelta.smp.messages import StatusReply


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while a patch is sent; nothing where stderr is no terminal."""
    bar = rich.progress.Progress(
        *rich.progress.Progress.get_default_columns(),
        rich.progress.DownloadColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("sending", total=total)
        yield lambda done: bar.update(task, completed=done)


def _print(outcome: Outcome, patch: Path, length: int, confirmed: bool) -> None:
    status = outcome.status
    if outcome.already:
        click.echo(f"the device already has the target of {patch}")
    else:
        resumed = f", on from byte {outcome.start:,}" if outcome.start else ""
        click.echo(f"sent {outcome.sent:,} of {length:,} bytes{resumed}")
    click.echo(
        f"{status.model}: {slot_text(status.slot)}, {status.bytes:,} bytes, "
        f"version {version_text(status.ver)}, {trial_text(status)}"
    )
    if status.trial and not confirmed:
        click.echo("`tmd device confirm` keeps it, `tmd device revert` goes back")


@click.command()
@click.argument("patch", type=FILE)
@transport_options
@click.option("--confirm", is_flag=True, help="End the new model's trial once it runs.")
@JSON_OPTION
@refusals_exit_1
def push(patch: Path, transport: Transport, confirm: bool, as_json: bool) -> None:
    """Send PATCH to a device over SMP, and have it applied.

    A transfer that broke off goes on where the device has it. Nothing is sent to a device that has
    the target already, which is no error, or another base.
    """
    data = read_bytes(patch)

    async def work(link: Link) -> Outcome:
        from dataclasses import replace

        from tinymldelta.smp import client, messages

        with _progress(len(data)) as progress:
            outcome = await client.push(link, data, str(patch), transport.model, progress)
        if confirm and outcome.status.trial:
            await client.confirm(link, transport.model)
            status: StatusReply = await link.ask(messages.Status, model=transport.model)
            outcome = replace(outcome, status=status)
        return outcome

    outcome = transport.run(work)
    if as_json:
        sent = {"already": outcome.already, "from": outcome.start, "bytes": outcome.sent}
        print_json(status_json(outcome.status) | {"sent": sent})
    else:
        _print(outcome, patch, len(data), confirm)
