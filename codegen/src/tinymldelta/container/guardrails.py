"""The guardrails: does the target fit the firmware? What the patch needs against what there is.

And what a store has against a patch beyond them: its version, and test vectors.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from tinymldelta.container.accepts import Accepts, OperatorRange
from tinymldelta.container.metadata import kept_bytes
from tinymldelta.container.operators import OperatorNeed, decode_operators, is_custom
from tinymldelta.container.patch import Header, Metadata
from tinymldelta.versions import version_text
from tinymldelta.wire.constants import (
    ACCEPT_KERNELS,
    ACCEPT_KERNELS_WARNED,
    ACCEPT_QUANTISATION,
    ACCEPT_UNGUARDED,
    COMPARE_NAMES,
    FORMAT_1,
    OPERATOR_CODE_MAX,
    RULES,
    Rule,
    Status,
    Tlv,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule, evaluated. `need` is what the patch says, None if its TLV is missing."""

    rule: Rule
    verdict: Verdict
    need: int | None
    have: int

    @property
    def status(self) -> Status:
        """What a device reports if this rule is the first that refuses; OK if it does not."""
        if self.verdict == Verdict.FAIL:
            return Status[self.rule.name]  # each rule is named after its refusal
        return Status.UNGUARDED if self.verdict == Verdict.MISSING else Status.OK


def evaluate(metadata: Metadata, header: Header, accepts: Accepts) -> list[RuleResult]:
    """The rules of the format in the order in which a device evaluates them, refused or not."""
    applying = [rule for rule, text in RULES.items() if header.version in text.tlvs]
    return [_evaluate(rule, metadata, header, accepts) for rule in applying]


def first_refusal(results: Sequence[RuleResult]) -> RuleResult | None:
    """The result that gives the status, or None if no rule refuses."""
    return next((result for result in results if result.status != Status.OK), None)


def store_refusal(
    metadata: Metadata, header: Header, accepts: Accepts | None
) -> tuple[Status, str] | None:
    """What a store has against a patch that the guardrails let pass, or None: status and clause.

    As a device does it whose records know of no model that failed, and of the floor that `accepts`
    has. `accepts` None: what depends on the firmware is taken as accepted.
    """
    version, vectors_at = metadata.model_version or 0, metadata.self_test
    if accepts is not None and version < accepts.lowest_version:
        lowest = version_text(accepts.lowest_version)
        return Status.VERSION, f"version {version_text(version)}, firmware takes {lowest} or later"
    if accepts is not None and version < accepts.floor and not _may_go_down(metadata, accepts):
        least = version_text(accepts.floor)
        return Status.VERSION, f"version {version_text(version)}, the device takes {least} or later"
    floor = metadata.version_floor or 0
    if floor > version:
        return Status.METADATA, f"the version floor {version_text(floor)} is above the version"
    if vectors_at is None:
        return None
    if not 0 < vectors_at < header.target_bytes:
        found = f"test vectors at byte {vectors_at} of a target of {header.target_bytes} bytes"
        return Status.METADATA, found
    if accepts is not None and not accepts.self_test:
        return Status.SELF_TEST, "the firmware does not run test vectors"
    return None


def _may_go_down(metadata: Metadata, accepts: Accepts) -> bool:
    """Whether the patch, which is then signed, allows a version below the records' floor."""
    allowed = metadata.number(Tlv.DOWNGRADE)
    return allowed is not None and accepts.floor <= allowed


def slot_need(metadata: Metadata, header: Header, write_bytes: int) -> int:
    """Bytes of a slot: the target, and in format 2 its metadata in write units of their own."""
    kept = 0 if header.version == FORMAT_1 else kept_bytes(metadata)
    if not kept:
        return header.target_bytes
    return -(-header.target_bytes // write_bytes) * write_bytes + kept


def _evaluate(rule: Rule, metadata: Metadata, header: Header, accepts: Accepts) -> RuleResult:
    tag = RULES[rule].tlvs[header.version]
    if tag and metadata.value(tag) is None:
        if rule is Rule.TENSOR_NAMES and _policy(rule, accepts) is Verdict.FREE:
            return RuleResult(rule, Verdict.FREE, None, 0)
        if rule is Rule.CLASS and accepts.device_class == 0:
            return RuleResult(rule, Verdict.FREE, None, 0)
        waived = accepts.has(ACCEPT_UNGUARDED)
        return RuleResult(rule, Verdict.WAIVED if waived else Verdict.MISSING, None, 0)
    if rule is Rule.OPERATORS and header.version != FORMAT_1:
        return _operators(metadata, accepts)
    need, have = _compared(rule, metadata, header, accepts)
    holds = need <= have if RULES[rule].compare == "at_most" else need == have
    return RuleResult(rule, Verdict.PASS if holds else _policy(rule, accepts), need, have)


def _policy(rule: Rule, accepts: Accepts) -> Verdict:
    """What the firmware makes of a rule that does not hold."""
    if rule is Rule.ABI and accepts.has(ACCEPT_KERNELS):
        return Verdict.FREE
    if rule is Rule.ABI and accepts.has(ACCEPT_KERNELS_WARNED):
        return Verdict.WARNED
    if rule is Rule.QUANTISATION and accepts.has(ACCEPT_QUANTISATION):
        return Verdict.FREE
    if rule is Rule.TENSOR_NAMES and not accepts.has(COMPARE_NAMES):
        return Verdict.FREE
    return Verdict.FAIL


def _compared(rule: Rule, metadata: Metadata, header: Header, accepts: Accepts) -> tuple[int, int]:
    """What the patch says, and what there is."""
    if rule is Rule.SLOT:
        return slot_need(metadata, header, accepts.write_bytes), accepts.slot_bytes
    if rule is Rule.NAME:
        # Names are compared; numbers stand for them.
        return zlib.crc32(metadata.model_name or b""), zlib.crc32(accepts.name.encode())
    old = header.version == FORMAT_1
    need = metadata.number(RULES[rule].tlvs[header.version])
    assert need is not None
    return need, {
        Rule.ARENA: accepts.arena_bytes,
        Rule.ABI: accepts.tflm_abi if old else accepts.kernels,
        Rule.OPERATORS: accepts.opset_hash,
        Rule.IO: accepts.io_hash if old else accepts.tensors,
        Rule.QUANTISATION: accepts.quantisation,
        Rule.TENSOR_NAMES: accepts.tensor_names,
        Rule.CLASS: accepts.device_class,
    }[rule]


def _number(operator_id: int, version: int, types: int) -> int:
    """An operator as a device reports it (guard.h)."""
    custom = 0x80000000 if is_custom(operator_id) else 0
    return custom | (operator_id & OPERATOR_CODE_MAX) << 16 | version << 8 | types


def _operators(metadata: Metadata, accepts: Accepts) -> RuleResult:
    """By inclusion: each operator is linked, in that version and for those element types."""
    needs = decode_operators(metadata.operators or b"")
    for need in needs:
        have = accepts.operators.get(need.id, OperatorRange(0, 0, 0))
        if not _includes(have, need):
            missing = _number(need.id, need.version, need.types)
            there = _number(need.id, have.highest, have.types)
            return RuleResult(Rule.OPERATORS, Verdict.FAIL, missing, there)
    return RuleResult(Rule.OPERATORS, Verdict.PASS, len(needs), len(accepts.operators))


def _includes(have: OperatorRange, need: OperatorNeed) -> bool:
    return have.lowest <= need.version <= have.highest and not need.types & ~have.types
