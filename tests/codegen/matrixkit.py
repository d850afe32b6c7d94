"""Single changes of a model or its patch, firmwares that judge them, and what must come of each.

A `Change` says which rules it breaks, in each format; a `Firmware` has one policy or one size that
is another. `expected` works the verdicts out from these two and from nothing of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headkit import take_head_apart
from modelkit import ModelSpec, NodeSpec, OperatorSpec, build, default_spec
from tinymldelta.container import format1_writer, format2_writer
from tinymldelta.container.signed import sign_patch
from tinymldelta.contract import Contract, ContractKey
from tinymldelta.delta.encode import encode
from tinymldelta.errors import Refusal
from tinymldelta.facts import Facts
from tinymldelta.generate import ModelSource, model_contracts, read_facts
from tinymldelta.keys import generate_private_key
from tinymldelta.limits import Limits
from tinymldelta.said import Said, fact_metadata
from tinymldelta.tflm import KernelBuild
from tinymldelta.wire import constants as wire

# ---- the table: what a device evaluates, in its order, and what it then says

RULES = {
    1: ("ARENA", "ABI", "OPERATORS", "IO", "SLOT"),
    2: ("NAME", "ARENA", "ABI", "OPERATORS", "IO", "QUANTISATION", "TENSOR_NAMES", "CLASS",
        "SLOT"),
}  # fmt: skip
# Rule -> the TLV that it reads, by format. Left out, no rule can be skipped but TENSOR_NAMES, and
# CLASS by firmware of no class.
READS = {
    1: {"ARENA": 1, "ABI": 2, "OPERATORS": 3, "IO": 4},
    2: {"NAME": 12, "ARENA": 1, "ABI": 8, "OPERATORS": 13, "IO": 9, "QUANTISATION": 10,
        "TENSOR_NAMES": 11, "CLASS": 17},
}  # fmt: skip
# What a firmware makes of a rule that does not hold, if not "FAIL".
POLICIES = {
    ("other kernels with a warning", "ABI"): "WARNED",
    ("other kernels", "ABI"): "FREE",
    ("free quantisation", "QUANTISATION"): "FREE",
}
EXTRA_OPERATORS = ("RELU", "TANH")
LOWEST_VERSION = 5
CLASS = "board"
# What a firmware is of, if not of CLASS.
CLASSES = {"no class": "", "another class": "other"}
SIGNER = generate_private_key(wire.SignatureKind.ED25519)
WRITE_BYTES = 64
SLOT_BYTES, ARENA_BYTES = 8192, 16384
KERNELS = KernelBuild()


def _base_spec() -> ModelSpec:
    """The chain of modelkit behind a QUANTIZE, so that the input can have many element types."""
    spec = default_spec()
    moved = replace(spec.tensors[0], name="quantised")
    nodes = (NodeSpec(4, (0,), (9,)), NodeSpec(0, (9, 1, 2), (3,)), *spec.nodes[1:])
    return replace(
        spec,
        tensors=(*spec.tensors, moved),
        operators=(*spec.operators, OperatorSpec("QUANTIZE", 1)),
        nodes=nodes,
    )


SPEC = _base_spec()
BASE = build(SPEC)
IN, OUT = 0, 8
SMALL_SLOT = -(-len(BASE) // WRITE_BYTES) * WRITE_BYTES + 2 * WRITE_BYTES


@dataclass(frozen=True)
class Firmware:
    """One policy or size that is another than the default firmware's, under its name."""

    name: str
    contract: Contract
    arena: int
    slot: int


def _firmware(
    name: str, *, arena: int = ARENA_BYTES, slot: int = SLOT_BYTES, **limits: Any
) -> Firmware:
    needed = replace(
        Limits(SLOT_BYTES, 1024, WRITE_BYTES, {"m": arena}, {}, device_class=CLASS),
        **limits,
    )
    contract = model_contracts([ModelSource("m", BASE, "base")], needed)
    model = replace(contract.models[0], slot_bytes=slot)
    return Firmware(name, replace(contract, models=(model,)), arena, slot)


def firmwares() -> list[Firmware]:
    arena = read_facts(BASE, "base").arena.bytes
    return [
        _firmware("default"),
        _firmware("other kernels with a warning", accept=wire.ACCEPT_KERNELS_WARNED),
        _firmware("other kernels", accept=wire.ACCEPT_KERNELS),
        _firmware("free quantisation", accept=wire.ACCEPT_QUANTISATION),
        _firmware("names compared", accept=wire.COMPARE_NAMES),
        _firmware("unguarded", accept=wire.ACCEPT_UNGUARDED),
        _firmware("extra operators", extra_operators=EXTRA_OPERATORS),
        _firmware("lowest version", lowest_version={"m": LOWEST_VERSION}),
        _firmware("no arena to spare", arena=arena),
        _firmware("a small slot", slot=SMALL_SLOT),
        _firmware("no class", device_class=""),
        _firmware("another class", device_class="other"),
        _firmware(
            "keys", formats=(2,), keys=(ContractKey(SIGNER.kind, SIGNER.id, SIGNER.public.data),)
        ),
    ]


@dataclass(frozen=True)
class Change:
    """What is not as the firmware expects it. breaks, missing: rules, by format; adds: an operator
    that is new; head: the status if the head is refused; version, floor, arena: as the patch says;
    patches: by format, where it exists; device_class: as the patch says, empty for none; signed: it
    is; signature: the status, if it is wrong."""

    name: str
    target: bytes
    patches: Mapping[int, bytes]
    breaks: Mapping[int, frozenset[str]] = field(default_factory=dict)
    missing: Mapping[int, frozenset[str]] = field(default_factory=dict)
    adds: str = ""
    head: str = ""
    version: int = 9
    floor: int = 0
    arena: int = 0
    device_class: str = CLASS
    signed: bool = False
    signature: str = ""


@dataclass(frozen=True)
class Expected:
    """status of the whole; rule: the first that refuses; verdicts: none if the head is refused."""

    status: str
    rule: str | None
    verdicts: Mapping[str, str]


def slot_need(change: Change, format_: int) -> int:
    if format_ == 1:
        return len(change.target)
    kept = take_head_apart(change.patches[2]).kept
    return (
        -(-len(change.target) // WRITE_BYTES) * WRITE_BYTES + kept if kept else len(change.target)
    )


def _head(change: Change, format_: int, firmware: Firmware) -> str:
    """What is said before any rule is asked; empty if nothing is."""
    has_keys = firmware.name == "keys"
    if has_keys and format_ == 1:
        return "FORMAT"
    if has_keys != change.signed:
        return "UNSIGNED" if has_keys else "KEY"
    return change.head or change.signature


def _class_verdict(change: Change, missing: bool, firmware: Firmware) -> str:
    have = CLASSES.get(firmware.name, CLASS)
    if missing or not change.device_class:
        if not have:
            return "FREE"
        return "WAIVED" if firmware.name == "unguarded" else "MISSING"
    return "PASS" if change.device_class == have else "FAIL"


def expected(change: Change, format_: int, firmware: Firmware) -> Expected:
    if head := _head(change, format_, firmware):
        return Expected(head, None, {})
    broken = set(change.breaks.get(format_, ()))
    missing = change.missing.get(format_, frozenset())
    if change.adds in EXTRA_OPERATORS and firmware.name == "extra operators" and format_ == 2:
        broken.discard("OPERATORS")
    if change.arena > firmware.arena and "ARENA" not in missing:
        broken.add("ARENA")
    if slot_need(change, format_) > firmware.slot:
        broken.add("SLOT")
    verdicts = {}
    for rule in RULES[format_]:
        free_names = rule == "TENSOR_NAMES" and firmware.name != "names compared"
        if rule == "CLASS":
            verdicts[rule] = _class_verdict(change, rule in missing, firmware)
        elif rule in missing:
            waived = "WAIVED" if firmware.name == "unguarded" else "MISSING"
            verdicts[rule] = "FREE" if free_names else waived
        elif rule in broken:
            policy = POLICIES.get((firmware.name, rule), "FAIL")
            verdicts[rule] = "FREE" if free_names else policy
        else:
            verdicts[rule] = "PASS"
    refusing = next((r for r, v in verdicts.items() if v in ("FAIL", "MISSING")), None)
    if refusing is not None:
        status = "UNGUARDED" if verdicts[refusing] == "MISSING" else refusing
    elif firmware.name == "lowest version" and change.version < LOWEST_VERSION:
        status = "VERSION"
    else:
        status = "METADATA" if change.floor > change.version else "OK"
    return Expected(status, refusing, verdicts)


# ---- how changes become patches


def _facts(target: bytes) -> Facts:
    """With the arena as it is predicted; what cannot be predicted is said to need little."""
    try:
        return read_facts(target, "target")
    except Refusal:
        return read_facts(target, "target", 1024)


SAID = Said("m", version=9, note="run 7", labels=("cat", "dog"), device_class=CLASS)


def patches_to(
    target: bytes, said: Said = SAID, kernels: KernelBuild = KERNELS
) -> tuple[dict[int, bytes], int]:
    """The patch from BASE in both formats, from the target's facts; and the arena it says."""
    facts = _facts(target)
    plain = replace(said, note="", labels=(), device_class="")
    metadata = fact_metadata(facts, plain, kernels, wire.FORMAT_1, names=True)
    old = format1_writer.write_patch(BASE, target, digest=wire.DigestKind.SHA256, metadata=metadata)
    metadata = replace(
        fact_metadata(facts, said, kernels, wire.FORMAT_2, names=True), accuracy=bytes(range(18))
    )
    new = format2_writer.write_patch(
        BASE, target, metadata=metadata, lean=False, body=encode(BASE, target)
    )
    return {1: old, 2: new}, facts.arena.bytes


def signed_to(target: bytes, said: Said = SAID) -> Change:
    """The signed patch from BASE, in format 2."""
    facts = _facts(target)
    patch = format2_writer.write_patch(
        BASE,
        target,
        metadata=fact_metadata(facts, said, KERNELS, wire.FORMAT_2, names=True),
        lean=False,
        body=encode(BASE, target),
        signer=(SIGNER.kind, SIGNER.id),
    )
    return Change(
        "signed", target, {2: sign_patch(patch, SIGNER)}, arena=facts.arena.bytes, signed=True
    )


def change_of(
    name: str, spec: ModelSpec, old: str = "", new: str = "", *, adds: str = ""
) -> Change:
    """Of the model itself; old, new: the rules that it breaks in format 1 and in format 2."""
    target = build(spec)
    patches, arena = patches_to(target)
    breaks = {1: frozenset(old.split()), 2: frozenset(new.split())}
    return Change(name, target, patches, breaks, adds=adds, arena=arena)
