"""The guardrails: does the target fit the firmware? What the patch needs against what there is.

And what a store has against a patch beyond them: its version, and test vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.patch import Header, Metadata
from tinymldelta.versions import version_text
from tinymldelta.wire.constants import ACCEPT_UNGUARDED, RULES, Rule, Status, Tlv, Verdict


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

    def explain(self) -> str:
        """One clause for people, with both values."""
        text = RULES[self.rule]
        if self.need is not None:
            return text.explain.format(need=self.need, have=self.have)
        missing = f"patch carries no {Tlv(text.tlv).name}"
        waived = self.verdict == Verdict.WAIVED
        return f"{missing}, which the firmware takes" if waived else missing


def evaluate(metadata: Metadata, header: Header, accepts: Accepts) -> list[RuleResult]:
    """Every rule in the order in which a device evaluates them, whether or not one refuses."""
    return [_evaluate(rule, metadata, header, accepts) for rule in RULES]


def first_refusal(results: Sequence[RuleResult]) -> RuleResult | None:
    """The result that gives the status, or None if no rule refuses."""
    return next((result for result in results if result.status != Status.OK), None)


def store_refusal(
    metadata: Metadata, header: Header, accepts: Accepts | None
) -> tuple[Status, str] | None:
    """What a store has against a patch that the guardrails let pass, or None: status and clause.

    As a device does it whose records know of no version floor and no model that failed. `accepts`
    None: what depends on the firmware is taken as accepted.
    """
    version, vectors_at = metadata.model_version or 0, metadata.self_test
    if accepts is not None and version < accepts.lowest_version:
        lowest = version_text(accepts.lowest_version)
        return Status.VERSION, f"version {version_text(version)}, firmware takes {lowest} or later"
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


def _evaluate(rule: Rule, metadata: Metadata, header: Header, accepts: Accepts) -> RuleResult:
    text = RULES[rule]
    need = metadata.value(text.tlv) if text.tlv else header.target_bytes
    have = _have(rule, accepts)
    if need is None:
        waived = accepts.has(ACCEPT_UNGUARDED)
        return RuleResult(rule, Verdict.WAIVED if waived else Verdict.MISSING, None, have)
    holds = need <= have if text.compare == "at_most" else need == have
    return RuleResult(rule, Verdict.PASS if holds else Verdict.FAIL, need, have)


def _have(rule: Rule, accepts: Accepts) -> int:
    return {
        Rule.ARENA: accepts.arena_bytes,
        Rule.ABI: accepts.tflm_abi,
        Rule.OPERATORS: accepts.opset_hash,
        Rule.IO: accepts.io_hash,
        Rule.SLOT: accepts.slot_bytes,
    }[rule]
