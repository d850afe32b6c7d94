"""The guardrails: verdicts, order, policies, texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

import patchkit as kit
from patchkit2 import ACCEPTS as ACCEPTS_2
from patchkit2 import GOOD, METADATA, NEEDS
from tinymldelta.container import format1
from tinymldelta.container.accepts import Accepts, OperatorRange
from tinymldelta.container.format2 import read_patch
from tinymldelta.container.guardrails import RuleResult, evaluate, first_refusal, slot_need
from tinymldelta.container.metadata import kept_bytes
from tinymldelta.container.operators import encode_operators
from tinymldelta.container.patch import Header, Metadata
from tinymldelta.explain import explain
from tinymldelta.tflm import KernelBuild
from tinymldelta.wire.constants import (
    ACCEPT_KERNELS,
    ACCEPT_KERNELS_WARNED,
    ACCEPT_QUANTISATION,
    ACCEPT_UNGUARDED,
    COMPARE_NAMES,
    FORMAT_1,
    FORMAT_2,
    OPERATOR_CODE_MAX,
    Rule,
    Status,
    Verdict,
)

UNGUARDED = replace(kit.ACCEPTS, flags=kit.ACCEPT_UNGUARDED)
FITS = Metadata(req_arena_bytes=16384, tflm_abi=0x0103, opset_hash=0x1234ABCD, io_hash=0xDEADBEEF)
RULES_1 = [Rule.ARENA, Rule.ABI, Rule.OPERATORS, Rule.IO, Rule.SLOT]


def _header(target_bytes: int) -> Header:
    patch = format1.read_patch(kit.sound(kit.FAULT_BASE, kit.FAULT_TARGET).pack(), None)
    return replace(patch.header, target_bytes=target_bytes)


HEADER_2 = read_patch(GOOD, None).header


def _verdicts(results: Sequence[RuleResult]) -> list[Verdict]:
    return [result.verdict for result in results]


def _by_rule(metadata: Metadata, accepts: Accepts) -> dict[Rule, RuleResult]:
    return {result.rule: result for result in evaluate(metadata, HEADER_2, accepts)}


def test_format_1_has_five_rules_and_each_passes_at_its_limit() -> None:
    results = evaluate(FITS, _header(65536), kit.ACCEPTS)
    assert [result.rule for result in results] == RULES_1
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


def test_policies_of_format_2_do_nothing_in_format_1_but_for_the_kernels() -> None:
    free = ACCEPT_QUANTISATION | COMPARE_NAMES
    other = replace(FITS, io_hash=1)
    assert first_refusal(evaluate(other, _header(1), replace(kit.ACCEPTS, flags=free)))
    abi = replace(FITS, tflm_abi=0x0203)
    for flag, verdict in (
        (ACCEPT_KERNELS, Verdict.FREE),
        (ACCEPT_KERNELS_WARNED, Verdict.WARNED),
    ):
        results = evaluate(abi, _header(1), replace(kit.ACCEPTS, flags=flag))
        assert results[1].verdict is verdict
        assert first_refusal(results) is None


# ---- format 2 ----


def test_format_2_has_all_rules_in_the_order_of_the_table() -> None:
    compared = replace(ACCEPTS_2, flags=COMPARE_NAMES, device_class=5)
    results = evaluate(replace(METADATA, device_class=b"\5\0\0\0"), HEADER_2, compared)
    assert [result.rule for result in results] == list(Rule)
    assert set(_verdicts(results)) == {Verdict.PASS}


def test_a_class_is_for_firmware_that_has_one() -> None:
    ours, other = replace(METADATA, device_class=b"\5\0\0\0"), b"\6\0\0\0"
    classed = replace(ACCEPTS_2, device_class=5)
    for metadata, accepts, expected in (
        (METADATA, ACCEPTS_2, (Verdict.FREE, None, 0)),
        (ours, ACCEPTS_2, (Verdict.FAIL, 5, 0)),
        (ours, classed, (Verdict.PASS, 5, 5)),
        (replace(METADATA, device_class=other), classed, (Verdict.FAIL, 6, 5)),
        (METADATA, classed, (Verdict.MISSING, None, 0)),
        (METADATA, replace(classed, flags=ACCEPT_UNGUARDED), (Verdict.WAIVED, None, 0)),
        (ours, replace(ACCEPTS_2, flags=ACCEPT_UNGUARDED), (Verdict.FAIL, 5, 0)),
    ):
        result = _by_rule(metadata, accepts)[Rule.CLASS]
        assert (result.verdict, result.need, result.have) == expected


def test_the_slot_holds_the_metadata_too_in_write_units_of_their_own() -> None:
    kept = kept_bytes(METADATA)
    assert kept == HEADER_2.meta_bytes - 3  # all but a vendor's byte
    for unit, target_bytes, need in (
        (1, 394, 394 + kept),
        (16, 394, 400 + kept),
        (16, 400, 400 + kept),
        (256, 394, 512 + kept),
    ):
        header = replace(HEADER_2, target_bytes=target_bytes)
        assert slot_need(METADATA, header, unit) == need
        for room, verdict in ((need, Verdict.PASS), (need - 1, Verdict.FAIL)):
            accepts = replace(ACCEPTS_2, write_bytes=unit, slot_bytes=room)
            assert evaluate(METADATA, header, accepts)[-1].verdict is verdict
    # Without metadata, and in format 1, the target alone.
    assert slot_need(Metadata(), HEADER_2, 256) == HEADER_2.target_bytes
    assert slot_need(FITS, _header(394), 256) == 394


@pytest.mark.parametrize(
    ("flags", "verdict"),
    [
        (0, Verdict.FAIL),
        (ACCEPT_KERNELS_WARNED, Verdict.WARNED),
        (ACCEPT_KERNELS, Verdict.FREE),
        (ACCEPT_KERNELS | ACCEPT_KERNELS_WARNED, Verdict.FREE),
        (ACCEPT_QUANTISATION | COMPARE_NAMES | ACCEPT_UNGUARDED, Verdict.FAIL),
    ],
)
def test_other_kernels_by_policy(flags: int, verdict: Verdict) -> None:
    accepts = replace(ACCEPTS_2, flags=flags, kernels=1)
    assert _by_rule(METADATA, accepts)[Rule.ABI].verdict is verdict
    # A policy frees no patch from saying what it was proven on.
    silent = _by_rule(replace(METADATA, kernels=None), accepts)[Rule.ABI]
    waived = flags & ACCEPT_UNGUARDED
    assert silent.verdict is (Verdict.WAIVED if waived else Verdict.MISSING)


def test_names_may_be_left_out_where_nobody_compares_them() -> None:
    other, none = replace(METADATA, tensor_names=1), replace(METADATA, tensor_names=None)
    free, compared = ACCEPTS_2, replace(ACCEPTS_2, flags=COMPARE_NAMES)
    for metadata, accepts, verdict in (
        (other, free, Verdict.FREE),
        (none, free, Verdict.FREE),
        (METADATA, free, Verdict.PASS),
        (other, compared, Verdict.FAIL),
        (none, compared, Verdict.MISSING),
        (none, replace(compared, flags=COMPARE_NAMES | ACCEPT_UNGUARDED), Verdict.WAIVED),
    ):
        assert _by_rule(metadata, accepts)[Rule.TENSOR_NAMES].verdict is verdict


def test_operators_tell_the_first_that_is_missing() -> None:
    """In the numbers of guard.h, which the C gives too."""
    operators = dict(ACCEPTS_2.operators)
    result = _by_rule(METADATA, ACCEPTS_2)[Rule.OPERATORS]
    assert (result.verdict, result.need, result.have) == (Verdict.PASS, 4, 4)
    del operators[22]
    result = _by_rule(METADATA, replace(ACCEPTS_2, operators=operators))[Rule.OPERATORS]
    assert (result.verdict, result.need, result.have) == (Verdict.FAIL, 0x00160102, 0x00160000)
    custom = NEEDS[-1].id
    only_builtin = {k: v for k, v in ACCEPTS_2.operators.items() if k != custom}
    result = _by_rule(METADATA, replace(ACCEPTS_2, operators=only_builtin))[Rule.OPERATORS]
    shown = 0x80000000 | (custom & OPERATOR_CODE_MAX) << 16
    assert (result.verdict, result.need, result.have) == (Verdict.FAIL, shown | 0x0100, shown)
    none = _by_rule(replace(METADATA, operators=b""), replace(ACCEPTS_2, operators={}))
    assert none[Rule.OPERATORS].verdict is Verdict.PASS


# ---- words ----


def test_format_1_explains_itself_with_both_values() -> None:
    said = Metadata(req_arena_bytes=20000, tflm_abi=0x0203, opset_hash=7)
    results = evaluate(said, _header(9), kit.ACCEPTS)
    assert [explain(r, FORMAT_1, said, kit.ACCEPTS) for r in results] == [
        "needs 20000 bytes of tensor arena, firmware has 16384",
        "TFLM_ABI 0x00000203, firmware has 0x00000103",
        "OPSET_HASH 0x00000007, firmware has 0x1234abcd",
        "the patch carries no IO_HASH",
        "needs 9 bytes of a slot of 65536",
    ]
    waived = evaluate(Metadata(), _header(9), UNGUARDED)[0]
    assert explain(waived, FORMAT_1, Metadata(), UNGUARDED) == (
        "the patch carries no REQ_ARENA_BYTES, which this firmware takes"
    )


def _explained(metadata: Metadata, accepts: Accepts) -> dict[Rule, str]:
    return {
        result.rule: explain(result, FORMAT_2, metadata, accepts)
        for result in evaluate(metadata, HEADER_2, accepts)
    }


def test_format_2_explains_itself_with_both_values() -> None:
    proven, linked = KernelBuild("8d404de7", "cmsis_nn"), KernelBuild()
    metadata = replace(
        METADATA, kernels=proven.identity, quantisation=1, tensor_names=None, model_name=b"oth\xffr"
    )
    accepts = replace(
        ACCEPTS_2,
        kernels=linked.identity,
        flags=ACCEPT_KERNELS_WARNED | ACCEPT_QUANTISATION,
        arena_bytes=1,
        slot_bytes=1,
    )
    target = HEADER_2.target_bytes
    assert _explained(metadata, accepts) == {
        Rule.NAME: "made for the model oth\\xffr, this is app",
        Rule.ARENA: "needs 1000 bytes of tensor arena, firmware has 1",
        Rule.ABI: "proven on tflm-8d404de7 cmsis_nn, firmware has tflm-8d404de7 reference, "
        "of which this firmware only warns",
        Rule.OPERATORS: "needs 4 operators, firmware has all of them among its 4",
        Rule.IO: "in and out tensors 0x00000007, firmware has 0x00000007",
        Rule.QUANTISATION: "scales and zero points of in and out tensors 0x00000001, "
        "firmware has 0x00000008, which this firmware leaves free",
        Rule.TENSOR_NAMES: "not compared by this firmware",
        Rule.CLASS: "not compared by this firmware",
        Rule.SLOT: f"needs {target + kept_bytes(metadata)} bytes of a slot of 1",
    }
    unknown = _explained(replace(METADATA, kernels=0xABC), accepts)[Rule.ABI]
    assert unknown.startswith("proven on kernels 0x00000abc, firmware has tflm-8d404de7 reference")


@pytest.mark.parametrize(
    ("code", "have", "text"),
    [
        (3, None, "needs CONV_2D v3, firmware has not linked it"),
        (3, OperatorRange(1, 2, 0xFF), "needs CONV_2D v3, firmware has ≤ v2"),
        (3, OperatorRange(4, 5, 0xFF), "needs CONV_2D v3, firmware has v4 to v5"),
        (3, OperatorRange(1, 9, 0x09), "needs CONV_2D v3 for INT8, firmware has FLOAT32, INT32"),
        (22, None, "needs RESHAPE v1, firmware has not linked it"),
        (150, OperatorRange(1, 1, 0xFF), "needs GELU v2, firmware has ≤ v1"),
        (150, OperatorRange(1, 2, 0), "needs GELU v2 for FLOAT32, INT8, "
         "firmware has no element type"),
        (NEEDS[-1].id, None, f"needs custom operator {NEEDS[-1].id:#010x} v1, "
         "firmware has not linked it"),
    ],
)  # fmt: skip
def test_a_missing_operator_is_named(code: int, have: OperatorRange | None, text: str) -> None:
    operators = {k: v for k, v in ACCEPTS_2.operators.items() if k != code}
    if have is not None:
        operators[code] = have
    accepts = replace(ACCEPTS_2, operators=operators)
    assert _explained(METADATA, accepts)[Rule.OPERATORS] == text


def test_an_operator_that_the_schema_does_not_name_is_told_by_its_code() -> None:
    unknown = encode_operators([replace(NEEDS[0], id=9999)])
    words = _explained(replace(METADATA, operators=unknown), ACCEPTS_2)[Rule.OPERATORS]
    assert "9999" in words
