"""What came of a guardrail, in one clause with what was compared.

The same for the plain Python rules and for the C core's: both give a rule, a verdict and two
numbers, and the words come from the table of rules in `wire.yaml`.
"""

from __future__ import annotations

from typing import Protocol

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.operators import decode_operators, is_custom
from tinymldelta.container.patch import Metadata
from tinymldelta.model import operator_name
from tinymldelta.tflm import kernels_text, type_names
from tinymldelta.wire.constants import FORMAT_1, RULES, Rule, Tlv, Verdict


class Evaluated(Protocol):
    """A rule, evaluated; `need` is None or of no meaning where the patch does not say."""

    @property
    def rule(self) -> Rule: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def need(self) -> int | None: ...
    @property
    def have(self) -> int: ...


def name_of(operator_id: int) -> str:
    """What the schema calls an operator; a custom one is only known by the hash of its name."""
    if is_custom(operator_id):
        return f"custom operator {operator_id:#010x}"
    return operator_name(operator_id)


def explain(result: Evaluated, format_: int, metadata: Metadata, accepts: Accepts) -> str:
    """One clause on one guardrail of a patch of that format."""
    text = RULES[result.rule]
    tag = text.tlvs[format_]
    if result.verdict in (Verdict.MISSING, Verdict.WAIVED):
        taken = ", which this firmware takes" if result.verdict is Verdict.WAIVED else ""
        return f"the patch carries no {Tlv(tag).name}{taken}"
    if tag and metadata.value(tag) is None:
        return "not compared by this firmware"
    need, have = result.need or 0, result.have
    if result.rule is Rule.OPERATORS and format_ != FORMAT_1:
        words = _operators(result, metadata, accepts)
    elif result.rule is Rule.NAME:
        name = (metadata.model_name or b"").decode("ascii", "backslashreplace")
        words = text.explain.format(need=name, have=accepts.name)
    elif result.rule is Rule.ABI and format_ != FORMAT_1:
        words = text.explain.format(need=kernels_text(need), have=kernels_text(have))
    elif result.rule in (Rule.ABI, Rule.OPERATORS):
        words = f"{Tlv(tag).name} {need:#010x}, firmware has {have:#010x}"
    else:
        words = text.explain.format(need=need, have=have)
    if result.verdict is Verdict.WARNED:
        return f"{words}, of which this firmware only warns"
    if result.verdict is Verdict.FREE:
        return f"{words}, which this firmware leaves free"
    return words


def _operators(result: Evaluated, metadata: Metadata, accepts: Accepts) -> str:
    """Which operator is missing, or how many there are."""
    needs = decode_operators(metadata.operators or b"")
    for need in needs:
        have = accepts.operators.get(need.id)
        needed = f"needs {name_of(need.id)} v{need.version}"
        if have is None:
            return f"{needed}, firmware has not linked it"
        if not have.lowest <= need.version <= have.highest:
            low = f"v{have.lowest} to " if have.lowest > 1 else "≤ "
            return f"{needed}, firmware has {low}v{have.highest}"
        if need.types & ~have.types:
            return f"{needed} for {type_names(need.types)}, firmware has {type_names(have.types)}"
    return f"needs {len(needs)} operators, firmware has all of them among its {result.have}"
