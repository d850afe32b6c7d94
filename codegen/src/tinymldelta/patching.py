"""Making patches, each of which the device's own C code has been seen to take."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinymldelta import native
from tinymldelta.arena import ArenaNeed
from tinymldelta.container import format1_writer, format2_writer
from tinymldelta.container.metadata import kept_bytes
from tinymldelta.container.patch import Metadata
from tinymldelta.container.signed import sign_patch
from tinymldelta.contract import Contract
from tinymldelta.delta.encode import Progress, encode
from tinymldelta.errors import Refusal
from tinymldelta.generate import read_facts
from tinymldelta.interpreter import Interpreter
from tinymldelta.keys import (
    AgreementPublic,
    MacKey,
    PrivateKey,
    PublicKey,
    generate_agreement_private,
    seal,
)
from tinymldelta.limits import META_KEPT_MAX
from tinymldelta.proving import Proof, contract_taking, explained, prove
from tinymldelta.said import Said, fact_metadata, said_metadata
from tinymldelta.tflm import DEFAULT_KERNELS, KernelBuild
from tinymldelta.trust import (
    NO_KEYS,
    KeyRing,
    check_recipient,
    check_signer,
)
from tinymldelta.vectors import Vectors, build_image, run_vectors
from tinymldelta.versions import version_text
from tinymldelta.wire import constants as wire
from tinymldelta.wire.constants import DigestKind

# Metadata values by the TLV's name, as the first patchgen took them from its command line.
GIVEN_FIELDS = {
    "req_arena_bytes": 0xFFFFFFFF,
    "tflm_abi": 0xFFFF,
    "opset_hash": 0xFFFFFFFF,
    "io_hash": 0xFFFFFFFF,
}


@dataclass(frozen=True, slots=True)
class PatchOptions:
    """How a patch is made.

    format: 1 or 2; None for the best that the device takes. said: what only people know of the
    target; its name counts where there is no contract. kernels: on which its accuracy was proven;
    None: on those of the contract. accuracy: value of the TLV ACCURACY. given: metadata values
    typed by hand, which win over the facts; unguarded: leave the guardrails' values out. lean: for
    a lean decoder; None for what the device has. signer: who signs it; a public key if the
    signature is made elsewhere, and its bytes are 0 until then. encrypt_to: None for nobody. Of
    format 1 only: digest, and merge_gap, where ranges closer than so many bytes become one chunk.
    """

    format: int | None = None
    lean: bool | None = None
    digest: DigestKind = DigestKind.SHA256
    merge_gap: int = 16
    said: Said = Said("model")
    kernels: KernelBuild | None = None
    accuracy: bytes | None = None
    given: Metadata = Metadata()
    unguarded: bool = False
    signer: PrivateKey | MacKey | PublicKey | None = None
    encrypt_to: AgreementPublic | None = None


@dataclass(frozen=True, slots=True)
class MadePatch:
    """image: what the slot will hold, target and test vectors; the base of the next patch.

    explained: a clause on each of the proof's rules.
    """

    data: bytes
    image: bytes
    metadata: Metadata
    arena: ArenaNeed | None
    proof: Proof
    explained: list[str]


def target_metadata(
    target: bytes,
    where: str,
    said: Said,
    format_: int,
    linked: KernelBuild,
    given: Metadata,
    *,
    proven: KernelBuild | None = None,
    names: bool = False,
) -> tuple[Metadata, ArenaNeed | None]:
    """The metadata of a patch to `target`: from its facts, and what was typed by hand over them.

    linked: the kernels that the device has, which its arena depends on; proven: those on which the
    target's accuracy was proven, if they are others. A target that is no .tflite is accepted only
    in format 1, with all four values given. names: say those of in and out tensors.
    """
    typed = {n: getattr(given, n) for n in GIVEN_FIELDS if getattr(given, n) is not None}
    if format_ == wire.FORMAT_1 and len(typed) == len(GIVEN_FIELDS):
        metadata = replace(said_metadata(said, format_), **typed, vendor=given.vendor)
        return metadata, ArenaNeed(given.req_arena_bytes or 0, "given")
    only_1 = [name for name in typed if name != "req_arena_bytes"]
    if format_ != wire.FORMAT_1 and only_1:
        names_ = ", ".join("--" + name.replace("_", "-") for name in only_1)
        raise Refusal(where, f"format 2 has no place for {names_}", "add --format 1")
    facts = read_facts(target, where, given.req_arena_bytes, linked)
    metadata = fact_metadata(facts, said, proven or linked, format_, names=names)
    return replace(metadata, **typed, vendor=given.vendor), facts.arena


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
    _check_trust(options, contract, where)
    said, arena = _said_to(contract, index, options, format_, where), None
    metadata = said_metadata(said, format_)
    _check_floor(metadata, where)
    if not options.unguarded:
        linked = contract.kernels if contract else options.kernels or DEFAULT_KERNELS
        names = contract is not None and bool(contract.accept & wire.COMPARE_NAMES)
        metadata, arena = target_metadata(
            target,
            target_where,
            said,
            format_,
            linked,
            options.given,
            proven=options.kernels,
            names=names,
        )
    if options.accuracy is not None:
        metadata = replace(metadata, accuracy=options.accuracy)
    if vectors is not None:
        if interpreter is not None:
            run_vectors(target, vectors, target_where, interpreter)
        target, vectors_at = build_image(target, vectors)
        metadata = replace(metadata, self_test=vectors_at)
    _check_kept(metadata, format_, contract, where)
    try:
        if format_ == wire.FORMAT_1:
            data = format1_writer.write_patch(
                base, target, digest=options.digest, metadata=metadata, merge_gap=options.merge_gap
            )
        else:
            body = encode(base, target, lean=lean, progress=progress) if base and target else b""
            data = format2_writer.write_patch(
                base,
                target,
                metadata=metadata,
                lean=lean,
                body=body,
                signer=(options.signer.kind, options.signer.id) if options.signer else None,
            )
    except ValueError as error:
        raise Refusal(where, str(error), "") from error
    if isinstance(options.signer, PrivateKey | MacKey):
        data = sign_patch(data, options.signer)
    keys = _ring_of(options.signer)
    judge = contract or contract_taking(data, base, keys)
    proof = _prove_as_made(data, base, target, where, judge, index, interpreter, options)
    words = explained(proof.rules, data, judge, index)
    if options.encrypt_to is not None:
        data = seal(data, options.encrypt_to)
    return MadePatch(data, target, metadata, arena, proof, words)


def _said_to(
    contract: Contract | None, index: int, options: PatchOptions, format_: int, where: str
) -> Said:
    """What people say, and what the contract says for them: of which model and class it is."""
    said = options.said
    if contract is None:
        return said
    if said.device_class not in ("", contract.device_class):
        raise Refusal(
            where,
            f"the patch is for the class {said.device_class!r}, the firmware "
            + (f"is of {contract.device_class!r}" if contract.device_class else "has none"),
            "leave out --device-class: the contract says it",
        )
    said = replace(said, name=contract.models[index].name)
    if format_ != wire.FORMAT_1 and not options.unguarded:
        said = replace(said, device_class=contract.device_class)
    return said


def _check_trust(options: PatchOptions, contract: Contract | None, where: str) -> None:
    """Refuses what no device of this contract would take from this signer, or in this envelope."""
    check_signer(options.signer, contract, where)
    if options.signer is None and options.said.downgrade is not None:
        raise Refusal(where, "a downgrade counts only in a signed patch", "give --key, or --signer")
    if options.encrypt_to is None:
        return
    if not isinstance(options.signer, PrivateKey | MacKey):
        raise Refusal(
            where,
            "what is encrypted is a signed patch, and this one is not signed here",
            "give --key",
        )
    check_recipient(options.encrypt_to, contract, where)


def _ring_of(signer: PrivateKey | MacKey | PublicKey | None) -> KeyRing:
    """What verifies the signer's signatures."""
    if signer is None:
        return NO_KEYS
    return KeyRing((signer.public if isinstance(signer, PrivateKey) else signer,))


def _prove_as_made(
    patch: bytes,
    base: bytes,
    target: bytes,
    where: str,
    contract: Contract,
    index: int,
    interpreter: Interpreter | None,
    options: PatchOptions,
) -> Proof:
    """The proof of a patch that may not be signed yet, or is going to be encrypted.

    Who encrypts to a device cannot decrypt for it. So the device of the proof has a key of its own
    of that kind, and gets the patch encrypted to that one.
    """
    keys, crypto = _ring_of(options.signer), None
    if isinstance(options.signer, PublicKey):
        crypto = native.AwaitedSignatureCrypto()
    if options.encrypt_to is not None:
        stand_in = generate_agreement_private(options.encrypt_to.kind)
        keys = replace(keys, openers=(stand_in,))
        contract = replace(contract, sealed_keys=keys.sealed_keys)
        patch = seal(patch, stand_in.public)
    return prove(patch, base, target, where, contract, index, interpreter, keys, crypto)


def _check_kept(metadata: Metadata, format_: int, contract: Contract | None, where: str) -> None:
    """What the firmware has no room for would be refused there without saying what it was."""
    room = contract.meta_kept if contract else META_KEPT_MAX
    kept = kept_bytes(metadata)
    if format_ != wire.FORMAT_1 and kept > room:
        raise Refusal(
            where,
            f"its metadata take {kept} bytes, and {room} stay with a model on the device",
            "shorten note and labels, or build the firmware with room for more",
        )


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
    allowed = metadata.number(wire.Tlv.DOWNGRADE)
    if allowed is not None and allowed <= version:
        raise Refusal(
            where,
            f"a downgrade that is allowed up to a floor of {version_text(allowed)} allows nothing "
            f"to a model of version {version_text(version)}",
            "give --allow-downgrade the floor of the devices, which is above --model-version",
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
    if format_ == wire.FORMAT_1 and (options.signer or options.encrypt_to):
        raise Refusal(where, "patches of format 1 are not signed", "use format 2")
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
