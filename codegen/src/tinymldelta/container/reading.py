"""What the readers of both formats share: what becomes of a patch, and the guardrails."""

from __future__ import annotations

from dataclasses import dataclass

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.guardrails import evaluate, first_refusal, store_refusal
from tinymldelta.container.patch import Header, Metadata, PatchFault
from tinymldelta.explain import explain
from tinymldelta.wire.constants import RULES, Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a patch: `target` is None unless `status` is OK; `reason` is for people."""

    status: Status
    target: bytes | None
    reason: str


def check_guardrails(
    header: Header, metadata: Metadata, accepts: Accepts | None, *, lengths_at: int, tlvs_at: int
) -> None:
    """The guardrails in their order, then what else a store asks; PatchFault for the first refusal.

    lengths_at, tlvs_at: where in the patch the two lengths and the TLVs stand
    """
    if accepts is not None:
        refusal = first_refusal(evaluate(metadata, header, accepts))
        if refusal is not None:
            at = tlvs_at if RULES[refusal.rule].tlvs[header.version] else lengths_at
            raise PatchFault(
                refusal.status, at, explain(refusal, header.version, metadata, accepts)
            )
    if (found := store_refusal(metadata, header, accepts)) is not None:
        raise PatchFault(found[0], tlvs_at, found[1])
