"""Making, checking and applying patches. The verdicts come from the device's own C code."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinymldelta import native
from tinymldelta.arena import ArenaNeed
from tinymldelta.container import format1_writer, format2_writer
from tinymldelta.container.patch import Metadata, Patch, PatchFault
from tinymldelta.container.reader import read_patch
from tinymldelta.contract import Contract, ModelContract, tflm_abi
from tinymldelta.delta.encode import Progress, encode
from tinymldelta.errors import Refusal
from tinymldelta.facts import io_hash, opset_hash
from tinymldelta.generate import read_facts
from tinymldelta.interpreter import Interpreter, ModelInference
from tinymldelta.vectors import Vectors, build_image, run_vectors
from tinymldelta.versions import version_text
from tinymldelta.wire import constants as wire
from tinymldelta.wire.constants import RULES, STATUSES, DigestKind, Status, Verdict

# A simulated device holds two slots and is kept in memory. No microcontroller's model is larger.
_SIMULATED_MODEL_MAX = 64 << 20

# Metadata values by the TLV's name, as the first patchgen took them from its command line.
GIVEN_FIELDS = {
    "req_arena_bytes": 0xFFFFFFFF,
    "tflm_abi": 0xFFFF,
    "opset_hash": 0xFFFFFFFF,
    "io_hash": 0xFFFFFFFF,
}


class PatchRefused(Refusal):
    """A device refuses the patch: `status` is its reason."""

    def __init__(self, where: str, status: Status, detail: str = "") -> None:
        text = STATUSES[status]
        what = f"refused with {status.name}: {detail or text.text}"
        super().__init__(where, what, text.fix)
        self.status = status


@dataclass(frozen=True, slots=True)
class PatchOptions:
    """How a patch is made.

    format: 1 or 2; None for the best that the device takes. given: metadata values typed by hand,
    which win over the facts, and versions; unguarded: leave the guardrails' values out. lean: for a
    lean decoder; None for what the device has. Of format 1 only: digest, and merge_gap, where
    ranges closer than so many bytes become one chunk.
    """

    format: int | None = None
    lean: bool | None = None
    digest: DigestKind = DigestKind.SHA256
    merge_gap: int = 16
    given: Metadata = Metadata()
    unguarded: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """What the device's C code did with the patch on simulated flash."""

    rules: tuple[native.RuleResult, ...]
    streamed: native.Counts
    staged: native.Counts


@dataclass(frozen=True, slots=True)
class MadePatch:
    """image: what the slot will hold, target and test vectors; the base of the next patch."""

    data: bytes
    image: bytes
    metadata: Metadata
    arena: ArenaNeed | None
    proof: Proof


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`status` is the verdict on the whole; `applied` tells whether a base was there to apply."""

    status: Status
    rules: tuple[native.RuleResult, ...]
    applied: bool


def explain(result: native.RuleResult) -> str:
    """One clause on one guardrail, with both numbers."""
    text = RULES[result.rule]
    if result.verdict in (Verdict.MISSING, Verdict.WAIVED):
        tlv = wire.Tlv(text.tlv).name
        taken = ", which this firmware takes" if result.verdict is Verdict.WAIVED else ""
        return f"the patch carries no {tlv}{taken}"
    return text.explain.format(need=result.need, have=result.have)


def _refusal(where: str, status: Status, rules: tuple[native.RuleResult, ...]) -> PatchRefused:
    failed = next((r for r in rules if r.status is status), None)
    return PatchRefused(where, status, explain(failed) if failed else "")


def target_metadata(
    target: bytes, where: str, contract: Contract | None, given: Metadata
) -> tuple[Metadata, ArenaNeed | None]:
    """The metadata of a patch to `target`: from its facts, and what was typed by hand over them.

    A target that is no .tflite is accepted only with all four values given.
    """
    if all(getattr(given, name) is not None for name in GIVEN_FIELDS):
        return given, ArenaNeed(given.req_arena_bytes or 0, "given")
    facts = read_facts(target, where, given.req_arena_bytes)
    kernel_build = contract.tflm_abi >> 8 if contract else 0
    from_facts = Metadata(
        req_arena_bytes=facts.arena.bytes,
        tflm_abi=tflm_abi(kernel_build, facts.schema_version),
        opset_hash=opset_hash(facts),
        io_hash=io_hash(facts),
        model_version=given.model_version,
        version_floor=given.version_floor,
        vendor=given.vendor,
    )
    typed = {n: getattr(given, n) for n in GIVEN_FIELDS if getattr(given, n) is not None}
    return replace(from_facts, **typed), facts.arena


def make_patch(
    base: bytes,
    target: bytes,
    *,
    where: str,
    target_where: str,
    options: PatchOptions,
    contract: Contract | None,
    index: int,
    vectors: Vectors | None = None,
    interpreter: Interpreter | None = None,
    progress: Progress | None = None,
) -> MadePatch:
    """Make the patch from `base` to `target`, and prove it on the device's C code.

    where, target_where: what to call patch and target in messages. vectors: test vectors to send
    along; with an interpreter they are run, here and by the device's code. With a contract, the
    proof is against it; without, against one that takes whatever metadata the patch carries. Raises
    Refusal (PatchRefused if it is the device that refuses).
    """
    format_, lean = choose_format(options, contract, where)
    given, arena = options.given, None
    metadata = Metadata(
        model_version=given.model_version, version_floor=given.version_floor, vendor=given.vendor
    )
    _check_floor(metadata, where)
    if not options.unguarded:
        metadata, arena = target_metadata(target, target_where, contract, given)
    if vectors is not None:
        if interpreter is not None:
            run_vectors(target, vectors, target_where, interpreter)
        target, vectors_at = build_image(target, vectors)
        metadata = replace(metadata, self_test=vectors_at)
    try:
        if format_ == wire.FORMAT_1:
            data = format1_writer.write_patch(
                base, target, digest=options.digest, metadata=metadata, merge_gap=options.merge_gap
            )
        else:
            body = encode(base, target, lean=lean, progress=progress) if base and target else b""
            data = format2_writer.write_patch(base, target, metadata=metadata, lean=lean, body=body)
    except ValueError as error:
        raise Refusal(where, str(error), "") from error
    proof = prove(data, base, target, where, contract, index, interpreter)
    return MadePatch(data, target, metadata, arena, proof)


def _check_floor(metadata: Metadata, where: str) -> None:
    """A model below the floor that it sets would not be taken by the device that confirmed it."""
    version, floor = metadata.model_version or 0, metadata.version_floor or 0
    if floor > version:
        raise Refusal(
            where,
            f"the version floor {version_text(floor)} is above the model's own version, "
            f"{version_text(version)}",
            "give --model-version, and --version-floor no higher than that",
        )


def choose_format(options: PatchOptions, contract: Contract | None, where: str) -> tuple[int, bool]:
    """The format of the patch, and whether it is made for a lean decoder.

    Refuses what the contract's firmware does not take.
    """
    takes = (
        (wire.FORMAT_1, wire.FORMAT_2)
        if contract is None
        else tuple(
            f
            for f in contract.formats
            if f != wire.FORMAT_2 or contract.decoder is not wire.Decoder.NONE
        )
    )
    format_ = max(takes, default=0) if options.format is None else options.format
    if format_ not in takes:
        names = " and ".join(str(f) for f in takes) or "none"
        raise Refusal(
            where,
            f"the firmware takes no patches of format {format_}",
            f"of the formats it takes {names}: give one with --format, or leave it out",
        )
    has_lean = contract is not None and contract.decoder is wire.Decoder.LEAN
    lean = has_lean if options.lean is None else options.lean
    if contract is not None and format_ == wire.FORMAT_2 and lean != has_lean:
        has = contract.decoder.name.lower()
        raise Refusal(
            where,
            f"the firmware has the {has} decoder of format 2",
            f"leave out --decoder, or give --decoder {has}",
        )
    return format_, lean


def prove(
    patch: bytes,
    base: bytes,
    target: bytes,
    where: str,
    contract: Contract | None,
    index: int,
    interpreter: Interpreter | None = None,
) -> Proof:
    """Apply the patch with the device's C code, streamed and staged, and compare the results.

    With an interpreter, the device opens the new model once: that runs its test vectors.
    """
    contract = contract or contract_taking(patch, base)
    rules = _rules(contract, index, patch)
    counts = []
    for staged in (False, True):
        with _device_with(contract, index, base, where, interpreter) as device:
            before = device.counts
            status = device.staged(patch) if staged else device.stream(patch, piece=64)
            if status is not Status.OK:
                raise _refusal(where, status, rules)
            if device.boot() is not Status.OK or device.read_active() != target:
                raise Refusal(
                    where,
                    "the device's code did not rebuild the target",
                    "please report this as a bug",
                )
            counts.append(_since(before, device.counts, where))
            if interpreter is not None:
                slot = device.active.slot
                if device.open() is not Status.OK or device.active.slot != slot:
                    raise PatchRefused(where, Status.SELF_TEST, device.inference_error)
                device.close()
    return Proof(rules, *counts)


def check_patch(
    patch: bytes, where: str, contract: Contract, index: int, base: bytes | None
) -> CheckResult:
    """Would a device with this contract, and this base if given, take the patch?"""
    rules = _rules(contract, index, patch)
    failed = next((r.status for r in rules if r.status is not Status.OK), None)
    if failed is None and rules and base is not None:
        with _device_with(contract, index, base, where) as device:
            return CheckResult(device.check(patch), rules, applied=True)
    if failed is None and rules:
        # Without a base no byte of the body can be judged; the container still can.
        try:
            read_patch(patch, contract.accepts(index))
        except PatchFault as fault:
            return CheckResult(fault.status, rules, applied=False)
    head, _ = native.check_rules(contract, index, patch)
    return CheckResult(failed or head, rules, applied=False)


def apply_patch(
    patch: bytes, base: bytes, where: str, contract: Contract | None, index: int
) -> bytes:
    """The target, as the device's C code makes it on simulated flash. Raises PatchRefused."""
    contract = contract or contract_taking(patch, base)
    with _device_with(contract, index, base, where) as device:
        status = device.staged(patch)
        if status is not Status.OK:
            raise _refusal(where, status, _rules(contract, index, patch))
        return device.read_active()


def contract_taking(patch: bytes, base: bytes) -> Contract:
    """A contract whose guardrails the patch meets, for use where no firmware is known.

    Its numbers are the patch's own, so the C core checks everything but guardrails.
    """
    target_bytes, metadata, decoder = len(base), Metadata(), wire.Decoder.DEFAULT
    parsed = read_head(patch)
    if parsed is not None:
        target_bytes, metadata = parsed.header.target_bytes, parsed.metadata
        if parsed.header.version == wire.FORMAT_2 and parsed.header.flags & wire.F2_FLAG_LEAN:
            decoder = wire.Decoder.LEAN
    model = ModelContract(
        name="any",
        arena_bytes=metadata.req_arena_bytes or 0,
        arena_need=ArenaNeed(metadata.req_arena_bytes or 0, "given"),
        slot_bytes=min(max(target_bytes, len(base), 1), _SIMULATED_MODEL_MAX),
        version=0,
        lowest_version=0,
        model_bytes=len(base),
        model_sha256=bytes(32),
        opset_hash=metadata.opset_hash or 0,
        io_hash=metadata.io_hash or 0,
        operators=(),
        inputs=(),
        outputs=(),
    )
    return Contract(
        accept=wire.ACCEPT_UNGUARDED | wire.ACCEPT_NO_DIGEST,
        formats=(wire.FORMAT_1, wire.FORMAT_2),
        decoder=decoder,
        tflm_abi=metadata.tflm_abi or 0,
        erase_bytes=4096,
        write_bytes=16,
        models=(model,),
    )


def read_head(patch: bytes) -> Patch | None:
    """The patch as the plain reader sees it without a contract, or None if it is faulty."""
    try:
        return read_patch(patch, None)
    except PatchFault:
        return None


def _rules(contract: Contract, index: int, patch: bytes) -> tuple[native.RuleResult, ...]:
    return tuple(native.check_rules(contract, index, patch)[1])


def _since(before: native.Counts, after: native.Counts, where: str) -> native.Counts:
    """What was done to flash between the two. An illegal operation is a bug of ours."""
    delta = native.Counts(
        *(getattr(after, f) - getattr(before, f) for f in native.Counts.__slots__)
    )
    if delta.illegal or delta.rewrites:
        raise Refusal(
            where, "the update did what flash does not allow", "please report this as a bug"
        )
    return delta


def _device_with(
    contract: Contract,
    index: int,
    base: bytes,
    where: str,
    interpreter: Interpreter | None = None,
) -> native.Device:
    """A fresh simulated device of this contract on which `base` is the active model.

    It has trials, without which no firmware takes test vectors.
    """
    model = contract.models[index]
    if not 1 <= len(base) <= model.slot_bytes:
        raise Refusal(
            where,
            f"the base is {len(base)} bytes, a slot holds {model.slot_bytes}",
            "give the model that is on the device",
        )
    # The device may be some updates past the model that its firmware was built with.
    on_device = replace(model, model_bytes=len(base), model_sha256=native.sha256(base))
    models = (*contract.models[:index], on_device, *contract.models[index + 1 :])
    shaped = replace(contract, models=models)
    device = native.Device.create(
        shaped,
        index,
        native.geometry_of(shaped),
        native.Options(trial_starts=1),
        inference=ModelInference(interpreter) if interpreter else None,
    )
    device.factory(base)
    status = device.boot()
    if status is not Status.OK:
        raise Refusal(
            where,
            f"the simulated device does not start: {STATUSES[status].text}",
            STATUSES[status].fix,
        )
    return device
