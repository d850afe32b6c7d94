"""The matrix: every single change against every policy, by all who judge a patch.

In each cell the device (its C on simulated flash, by a streamed update), `tmd check` and the plain
Python rules must say what the table in matrixkit.py says: the same status, the same verdict for
each rule, and so the same rule that refuses first. `pytest -s` prints what was counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from clikit import tmd
from matrixchanges import CHANGES
from matrixkit import BASE, READS, RULES, Change, Expected, Firmware, expected, firmwares
from tinymldelta import native
from tinymldelta.container.guardrails import evaluate, first_refusal
from tinymldelta.container.patch import PatchFault
from tinymldelta.container.reader import apply_patch, read_patch
from tinymldelta.contractfile import contract_json
from tinymldelta.wire.constants import Status

CELLS_MIN = 500
BEFORE_RULES = ("FORMAT", "UNSIGNED", "KEY", "SIGNATURE")
PIECE = 61  # bytes of a patch that the device gets at a time


def _by_device(change: Change, format_: int, firmware: Firmware) -> str:
    """What a streamed update comes to. A refusal leaves flash as it was, byte for byte."""
    contract = firmware.contract
    options = native.Options(trial_starts=1)
    with native.Device.create(contract, 0, native.geometry_of(contract), options) as device:
        device.factory(BASE)
        assert device.boot() is Status.OK
        before = device.flash
        status = device.stream(change.patches[format_], PIECE)
        if status is Status.OK:
            # Judged again at each start, by what stands behind the model.
            assert device.boot() is Status.OK
            assert device.read_active() == change.target
        else:
            assert device.flash == before
            assert device.read_active() == BASE
        assert device.counts.illegal == 0
    return status.name


def _by_check(patch: Path, base: Path, contract: Path) -> Expected:
    result = tmd("check", patch, "--contract", contract, "--base", base, "--json")
    document = json.loads(result.stdout)
    verdicts = {rule["rule"]: rule["verdict"] for rule in document["rules"]}
    assert document["taken"] == (document["status"] == "OK") == (result.exit_code == 0)
    if document["once_signed"] is not None:
        # A device stops at the signature that is not there; here they are what comes after it.
        assert document["status"] == "SIGNATURE" and verdicts
        verdicts = {}
    refusing = next((r for r, v in verdicts.items() if v in ("FAIL", "MISSING")), None)
    return Expected(document["status"], refusing, verdicts)


def _by_python(patch: bytes, firmware: Firmware) -> Expected:
    accepts = firmware.contract.accepts(0)
    status = apply_patch(BASE, patch, accepts).status.name
    if status in BEFORE_RULES:
        return Expected(status, None, {})
    try:
        read = read_patch(patch, None)
    except PatchFault:
        return Expected(status, None, {})
    results = evaluate(read.metadata, read.header, accepts)
    refusal = first_refusal(results)
    verdicts = {r.rule.name: r.verdict.name for r in results}
    return Expected(status, refusal.rule.name if refusal else None, verdicts)


def _cells() -> Iterator[tuple[Change, int, Firmware]]:
    everywhere = firmwares()
    for changes in CHANGES:
        for change in changes():
            for format_ in change.patches:
                for firmware in everywhere:
                    yield change, format_, firmware


def test_all_judges_agree_in_every_cell(tmp_path: Path) -> None:
    counted: Counter[tuple[int, str, str]] = Counter()
    base, patch = tmp_path / "base.tflite", tmp_path / "patch.tmd"
    base.write_bytes(BASE)
    for change, format_, firmware in _cells():
        contract = tmp_path / f"{firmware.name}.json"
        if not contract.exists():
            contract.write_text(contract_json(firmware.contract))
        patch.write_bytes(change.patches[format_])
        cell = f"{change.name}, format {format_}, {firmware.name}"
        wanted = expected(change, format_, firmware)
        assert _by_check(patch, base, contract) == wanted, cell
        # The plain reader takes no head with such a floor; a device asks its rules first.
        unread = change.floor > change.version
        plain = replace(wanted, rule=None, verdicts={}) if unread else wanted
        assert _by_python(change.patches[format_], firmware) == plain, cell
        assert _by_device(change, format_, firmware) == wanted.status, cell
        counted[format_, wanted.status, wanted.rule or ""] += 1
    print(f"\n{counted.total()} cells")
    for (format_, status, rule), count in sorted(counted.items()):
        print(f"{count:5} format {format_} {status:12} {rule}")
    assert counted.total() >= CELLS_MIN
    for format_, rules in RULES.items():
        # Each rule is the first to refuse somewhere, and none can be left out.
        assert {r for f, s, r in counted if f == format_ and s == r != ""} == set(rules)
        assert {r for f, s, r in counted if (f, s) == (format_, "UNGUARDED")} == set(READS[format_])
