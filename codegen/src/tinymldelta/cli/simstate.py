"""What `tmd sim` shows of a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinymldelta.cli.console import console, print_json, table
from tinymldelta.cli.simfile import open_device
from tinymldelta.native import COMPILED_IN, Device, Info, SlotState, Staged
from tinymldelta.versions import version_text
from tinymldelta.wire.constants import Tlv


def _slot_name(slot: int) -> str:
    return "compiled in" if slot == COMPILED_IN else f"slot {slot}"


def _staged_in(path: Path, device: Device) -> Staged:
    """What the staging region holds: asked of a copy, because a device that looks also applies."""
    if device.options.staging_bytes == 0:
        return Staged(0, 0)
    with open_device(path) as copy:
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


def print_state(device: Device, path: Path, as_json: bool, more: dict[str, Any]) -> None:
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
