"""What the device's own C makes of a patch: proving one that was made, checking, applying."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tinymldelta import native
from tinymldelta.arena import ArenaNeed
from tinymldelta.container.guardrails import slot_need
from tinymldelta.container.operators import decode_operators
from tinymldelta.container.patch import Metadata, Patch, PatchFault
from tinymldelta.container.reader import read_patch
from tinymldelta.contract import Contract, LinkedOperator, ModelContract
from tinymldelta.errors import PatchRefused, Refusal
from tinymldelta.explain import explain, name_of
from tinymldelta.interpreter import Interpreter, ModelInference
from tinymldelta.limits import META_KEPT_MAX
from tinymldelta.tflm import DEFAULT_KERNELS
from tinymldelta.trust import (
    NO_KEYS,
    KeyRing,
    in_clear,
    missing_key,
    read_head,
)
from tinymldelta.wire import constants as wire
from tinymldelta.wire.constants import STATUSES, Status

# A simulated device holds two slots and is kept in memory. No microcontroller's model is larger.
_SIMULATED_MODEL_MAX = 64 << 20
_TAKING_WRITE_BYTES = 16  # of the device that takes any patch


@dataclass(frozen=True, slots=True)
class Proof:
    """What the device's C code did with the patch on simulated flash."""

    rules: tuple[native.RuleResult, ...]
    streamed: native.Counts
    staged: native.Counts


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`status` is the verdict on the whole; `applied` tells whether a base was there to apply.

    once_signed: of a patch that only awaits its signature, by a key that the firmware has, the
    verdict on it when it has that. `rules` and `applied` are then those of the signed patch, whose
    other bytes are the same.
    """

    status: Status
    rules: tuple[native.RuleResult, ...]
    applied: bool
    once_signed: Status | None = None


def explained(
    results: Sequence[native.RuleResult],
    patch: bytes,
    contract: Contract,
    index: int,
    keys: KeyRing = NO_KEYS,
) -> list[str]:
    """One clause on each guardrail of a patch, with both sides of it."""
    head = read_head(patch, keys)
    if head is None:  # the C core took its head, and the plain reader does not
        return [f"{r.need:#x}, firmware has {r.have:#x}" for r in results]
    accepts = contract.accepts(index)
    return [explain(r, head.header.version, head.metadata, accepts) for r in results]


def _refusal(
    where: str,
    status: Status,
    rules: tuple[native.RuleResult, ...],
    patch: bytes,
    contract: Contract,
    index: int,
    keys: KeyRing,
) -> PatchRefused:
    words = explained(rules, patch, contract, index, keys)
    failed = [clause for r, clause in zip(rules, words, strict=True) if r.status is status]
    return PatchRefused(where, status, *failed[:1], rules=rules, explained=words)


def prove(
    patch: bytes,
    base: bytes,
    target: bytes,
    where: str,
    contract: Contract | None,
    index: int,
    interpreter: Interpreter | None = None,
    keys: KeyRing = NO_KEYS,
    crypto: native.Crypto | None = None,
) -> Proof:
    """Apply the patch with the device's C code, streamed and staged, and compare the results.

    With an interpreter, the device opens the new model once: that runs its test vectors. keys: what
    the device has in secret; crypto: another crypto port than one with these.
    """
    contract = contract or contract_taking(patch, base, keys)
    rules = _rules(contract, index, patch, keys, crypto)
    counts = []
    for staged in (False, True):
        with _device_with(contract, index, base, where, interpreter, keys, crypto) as device:
            before = device.counts
            status = device.staged(patch) if staged else device.stream(patch, piece=64)
            if status is not Status.OK:
                raise _refusal(where, status, rules, patch, contract, index, keys)
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


@dataclass(frozen=True, slots=True)
class _AnySignature:
    """A key that takes whatever stands where its signature is going to be."""

    kind: wire.SignatureKind
    id: bytes

    def verify(self, digest: bytes, signature: bytes) -> bool:
        return True


def _check_body(read: Patch, patch: bytes) -> None:
    """Of a signed patch, the body is the one that was signed. PatchFault if not."""
    body_at = len(patch) - read.sizes["body"]
    signer = read.header.signer
    if signer is not None and zlib.crc32(patch[body_at:]) != signer.body_crc:
        raise PatchFault(Status.BODY, body_at, "the body is not the signed one")


def check_patch(
    patch: bytes,
    where: str,
    contract: Contract,
    index: int,
    base: bytes | None,
    keys: KeyRing = NO_KEYS,
) -> CheckResult:
    """Would a device with this contract, and this base if given, take the patch?

    keys: what the device has in secret. Raises PatchRefused with KEY if one that it needs is not
    given.
    """
    _require_keys(patch, where, contract, keys)
    result = _check(patch, where, contract, index, base, keys)
    head = read_head(patch, keys)
    if result.status is not Status.SIGNATURE or head is None or not head.awaits_signature:
        return result
    signed = _check(patch, where, contract, index, base, keys, awaited=True)
    return replace(signed, status=result.status, once_signed=signed.status)


def _check(
    patch: bytes,
    where: str,
    contract: Contract,
    index: int,
    base: bytes | None,
    keys: KeyRing,
    *,
    awaited: bool = False,
) -> CheckResult:
    """awaited: as if the signature, whatever it is, were that of the key which the patch names."""
    kind = native.AwaitedSignatureCrypto if awaited else native.Crypto
    crypto = kind(keys.secrets, keys.openers)
    rules = _rules(contract, index, patch, keys, crypto)
    failed = next((r.status for r in rules if r.status is not Status.OK), None)
    if failed is None and rules and base is not None:
        with _device_with(contract, index, base, where, keys=keys, crypto=crypto) as device:
            return CheckResult(device.check(patch), rules, applied=True)
    if failed is None and rules:
        # Without a base no byte of the body can be judged; the container still can.
        try:
            accepts = contract.accepts(index, secrets=keys.secrets, openers=keys.openers)
            if awaited:
                accepts = replace(accepts, keys={who: _AnySignature(*who) for who in accepts.keys})
            _check_body(read_patch(patch, accepts), in_clear(patch, keys))
        except PatchFault as fault:
            return CheckResult(fault.status, rules, applied=False)
    head, _ = native.check_rules(contract, index, patch, crypto)
    return CheckResult(failed or head, rules, applied=False)


def apply_patch(
    patch: bytes,
    base: bytes,
    where: str,
    contract: Contract | None,
    index: int,
    keys: KeyRing = NO_KEYS,
) -> bytes:
    """The target, as the device's C code makes it on simulated flash. Raises PatchRefused.

    keys: what the device has in secret; without a contract, all keys that it has.
    """
    _require_keys(patch, where, contract, keys)
    contract = contract or contract_taking(patch, base, keys)
    with _device_with(contract, index, base, where, keys=keys) as device:
        status = device.staged(patch)
        if status is not Status.OK:
            rules = _rules(contract, index, patch, keys)
            raise _refusal(where, status, rules, patch, contract, index, keys)
        return device.read_active()


def _require_keys(patch: bytes, where: str, contract: Contract | None, keys: KeyRing) -> None:
    if (missing := missing_key(patch, contract, keys)) is not None:
        raise PatchRefused(where, Status.KEY, *missing)


def contract_taking(patch: bytes, base: bytes, keys: KeyRing = NO_KEYS) -> Contract:
    """A contract whose guardrails the patch meets, for use where no firmware is known.

    Its numbers are the patch's own, so the C core checks everything but guardrails. With keys,
    patches that none of them signed are refused.
    """
    target_bytes, metadata, decoder = len(base), Metadata(), wire.Decoder.DEFAULT
    slot_bytes = max(target_bytes, 1)
    parsed = read_head(patch, keys)
    if parsed is not None:
        metadata = parsed.metadata
        slot_bytes = max(slot_need(metadata, parsed.header, _TAKING_WRITE_BYTES), slot_bytes)
        if parsed.header.version == wire.FORMAT_2 and parsed.header.flags & wire.F2_FLAG_LEAN:
            decoder = wire.Decoder.LEAN
    model = ModelContract(
        name=(metadata.model_name or b"any").decode("ascii", "replace"),
        arena_bytes=metadata.req_arena_bytes or 0,
        arena_need=ArenaNeed(metadata.req_arena_bytes or 0, "given"),
        slot_bytes=min(slot_bytes, _SIMULATED_MODEL_MAX),
        version=0,
        lowest_version=0,
        model_bytes=len(base),
        model_sha256=bytes(32),
        opset_hash=metadata.opset_hash or 0,
        io_hash=metadata.io_hash or 0,
        operators=(),
        inputs=(),
        outputs=(),
        tensors=metadata.tensors or 0,
        quantisation=metadata.quantisation or 0,
        tensor_names=metadata.tensor_names or 0,
    )
    return Contract(
        accept=wire.ACCEPT_UNGUARDED | wire.ACCEPT_NO_DIGEST | wire.ACCEPT_KERNELS,
        formats=(wire.FORMAT_1, wire.FORMAT_2),
        decoder=decoder,
        kernels=DEFAULT_KERNELS,
        tflm_abi=metadata.tflm_abi or 0,
        operators=tuple(
            LinkedOperator(need.id, name_of(need.id), 1, need.version, need.types)
            for need in decode_operators(metadata.operators or b"")
        ),
        meta_kept=META_KEPT_MAX,
        erase_bytes=4096,
        write_bytes=_TAKING_WRITE_BYTES,
        models=(model,),
        keys=keys.contract_keys,
        sealed_keys=keys.sealed_keys if keys.verifiers else (),
        class_id=metadata.number(wire.Tlv.DEVICE_CLASS) or 0,
    )


def _crypto_of(keys: KeyRing) -> native.Crypto:
    return native.Crypto(keys.secrets, keys.openers)


def _rules(
    contract: Contract,
    index: int,
    patch: bytes,
    keys: KeyRing,
    crypto: native.Crypto | None = None,
) -> tuple[native.RuleResult, ...]:
    return tuple(native.check_rules(contract, index, patch, crypto or _crypto_of(keys))[1])


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
    keys: KeyRing = NO_KEYS,
    crypto: native.Crypto | None = None,
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
        crypto=crypto or _crypto_of(keys),
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
