"""The guardrails: verdicts, order, texts."""

from __future__ import annotations

from dataclasses import replace

import pytest

import patchkit as kit
from tinymldelta.container.format1 import Header, Metadata, read_patch
from tinymldelta.container.guardrails import RuleResult, evaluate, first_refusal
from tinymldelta.wire.constants import Rule, Status, Verdict

UNGUARDED = replace(kit.ACCEPTS, flags=kit.ACCEPT_UNGUARDED)
FITS = Metadata(req_arena_bytes=16384, tflm_abi=0x0103, opset_hash=0x1234ABCD, io_hash=0xDEADBEEF)


def _header(target_bytes: int) -> Header:
    patch = read_patch(kit.sound(kit.FAULT_BASE, kit.FAULT_TARGET).pack(), None)
    return replace(patch.header, target_bytes=target_bytes)


def _verdicts(results: list[RuleResult]) -> list[Verdict]:
    return [result.verdict for result in results]


def test_every_rule_passes_at_its_limit() -> None:
    results = evaluate(FITS, _header(65536), kit.ACCEPTS)
    assert [result.rule for result in results] == list(Rule)
    assert set(_verdicts(results)) == {Verdict.PASS}
    assert first_refusal(results) is None


@pytest.mark.parametrize(
    ("metadata", "target_bytes", "status"),
    [
        (replace(FITS, req_arena_bytes=16385), 1, Status.ARENA),
        (replace(FITS, tflm_abi=0x0003), 1, Status.ABI),
        (replace(FITS, opset_hash=0), 1, Status.OPERATORS),
        (replace(FITS, io_hash=0), 1, Status.IO),
        (FITS, 65537, Status.SLOT),
        (replace(FITS, req_arena_bytes=None), 1, Status.UNGUARDED),
        (replace(FITS, io_hash=None), 1, Status.UNGUARDED),
    ],
)
def test_each_rule_refuses_with_its_status(
    metadata: Metadata, target_bytes: int, status: Status
) -> None:
    results = evaluate(metadata, _header(target_bytes), kit.ACCEPTS)
    refusal = first_refusal(results)
    assert refusal is not None
    assert refusal.status == status
    assert sum(result.status != Status.OK for result in results) == 1


def test_first_refusal_is_the_first_rule_and_all_are_evaluated() -> None:
    nothing = replace(FITS, req_arena_bytes=None, opset_hash=1, io_hash=None)
    results = evaluate(nothing, _header(65537), kit.ACCEPTS)
    assert _verdicts(results) == [
        Verdict.MISSING,
        Verdict.PASS,
        Verdict.FAIL,
        Verdict.MISSING,
        Verdict.FAIL,
    ]
    refusal = first_refusal(results)
    assert refusal is not None
    assert (refusal.rule, refusal.status) == (Rule.ARENA, Status.UNGUARDED)


def test_waived_is_for_missing_tlvs_only() -> None:
    results = evaluate(Metadata(io_hash=1), _header(65537), UNGUARDED)
    assert _verdicts(results) == [
        Verdict.WAIVED,
        Verdict.WAIVED,
        Verdict.WAIVED,
        Verdict.FAIL,
        Verdict.FAIL,
    ]
    refusal = first_refusal(results)
    assert refusal is not None
    assert refusal.status == Status.IO


def test_results_explain_themselves_with_both_values() -> None:
    arena, abi, operators, io, slot = evaluate(
        Metadata(req_arena_bytes=20000, tflm_abi=0x0203, opset_hash=7), _header(9), kit.ACCEPTS
    )
    assert arena.explain() == "needs 20000 bytes of tensor arena, firmware has 16384"
    assert abi.explain() == "made for TFLM ABI 0x0203, firmware has 0x0103"
    assert operators.explain() == "operator set 0x00000007, firmware has 0x1234abcd"
    assert io.explain() == "patch carries no IO_HASH"
    assert slot.explain() == "target is 9 bytes, a slot holds 65536"
    waived = evaluate(Metadata(), _header(9), UNGUARDED)[0]
    assert waived.explain() == "patch carries no REQ_ARENA_BYTES, which the firmware takes"
