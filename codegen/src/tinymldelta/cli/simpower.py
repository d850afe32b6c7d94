"""What a device does from power-on until its application runs the model."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tinymldelta.cli.simfile import require
from tinymldelta.errors import Refusal
from tinymldelta.interpreter import ModelInference, find_interpreter
from tinymldelta.native import Device, Info
from tinymldelta.wire.constants import STATUSES, Status


def _runs_vectors(info: Info, slot_number: int) -> bool:
    """Whether opening the active model, in that slot, runs test vectors."""
    if not info.trial:
        return False
    slot = info.slots[slot_number]
    return slot.model_bytes != slot.length


def start(device: Device, flash: Path) -> str | None:
    """Open and close the active model. Returns why it was reverted, if it was."""
    before, slot = device.info, device.active.slot
    require(flash, "no model can be opened", device.open())
    reverted = before.trial and not device.info.trial
    device.close()
    if not reverted:
        return None
    if device.inference_error:
        return f"its test vectors cannot be run: {device.inference_error}"
    return "a test vector fails" if _runs_vectors(before, slot) else "its start cannot be counted"


def find_inference() -> ModelInference | None:
    interpreter = find_interpreter()
    return ModelInference(interpreter) if interpreter else None


def require_interpreter(device: Device, flash: Path, inference: ModelInference | None) -> None:
    if inference is None and _runs_vectors(device.info, device.active.slot):
        raise Refusal(
            str(flash),
            "the model on trial has test vectors, and there is no interpreter to run them",
            "pip install ai-edge-litert, tensorflow or tflite-micro",
        )


def power_on(
    device: Device, flash: Path, inference: ModelInference | None
) -> tuple[Status, bool, str | None]:
    """What a device does from power-on until its application runs the model.

    The status of a staged patch that was complete, whether it was applied, and why the model on
    trial was reverted, if it was.
    """
    on_trial = device.is_on and device.info.trial
    require(flash, "the store does not mount", device.boot(device.counts.operations + 1))
    reverted = None
    if on_trial and not device.info.trial:
        reverted = "its starts are used up"
    resumed, staged = device.resume()
    require_interpreter(device, flash, inference)
    reverted = start(device, flash) or reverted
    device.save(flash)
    applied = resumed is Status.OK and staged.length > 0 and staged.there == staged.length
    return resumed, applied, reverted


def warn_of_boot(flash: Path, resumed: Status, reverted: str | None) -> None:
    if resumed is not Status.OK:
        text = STATUSES[resumed]
        click.echo(
            f"tmd: {flash}: the staged patch is refused with {resumed.name}: {text.text}", err=True
        )
    if reverted is not None:
        click.echo(f"tmd: {flash}: the model on trial was reverted: {reverted}", err=True)


def fail_boot(flash: Path, resumed: Status, reverted: str | None) -> None:
    warn_of_boot(flash, resumed, reverted)
    if resumed is not Status.OK or reverted is not None:
        sys.exit(1)
