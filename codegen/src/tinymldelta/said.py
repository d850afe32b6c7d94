"""What a patch says of its target: metadata from the same facts that the contract is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinymldelta.container.operators import encode_operators
from tinymldelta.container.patch import Header, Metadata
from tinymldelta.contract import tflm_abi
from tinymldelta.errors import Refusal
from tinymldelta.facts import (
    Facts,
    io_hash,
    operator_needs,
    opset_hash,
    quantisation_hash,
    tensor_names_hash,
    tensors_hash,
)
from tinymldelta.tflm import KernelBuild
from tinymldelta.wire import constants as wire
from tinymldelta.words import check_class, class_id, words_of


@dataclass(frozen=True, slots=True)
class Said:
    """What only people know of a target. name: of the firmware's model that it is for.

    device_class: of the devices that it is for, empty for any; downgrade: up to this version floor
    it may be taken though its own version is lower.
    """

    name: str
    version: int | None = None
    version_floor: int | None = None
    note: str = ""
    labels: tuple[str, ...] = ()
    device_class: str = ""
    downgrade: int | None = None


def said_metadata(said: Said, format_: int) -> Metadata:
    """What people say, as far as the format has a place for it. Refuses what does not fit."""
    metadata = Metadata(model_version=said.version, version_floor=said.version_floor)
    if format_ == wire.FORMAT_1:
        if said.note or said.labels:
            raise Refusal(said.name, "format 1 has no note and no labels", "use format 2")
        if said.device_class or said.downgrade is not None:
            raise Refusal(
                said.name, "format 1 has no device class and no downgrade", "use format 2"
            )
        return metadata
    words = words_of(said.name, said.note, said.labels)
    return replace(
        metadata,
        note=words.note,
        labels=words.labels,
        device_class=_u32(class_id(check_class(said.device_class, said.name)) or None),
        downgrade=_u32(said.downgrade),
    )


def _u32(value: int | None) -> bytes | None:
    return None if value is None else value.to_bytes(4, "little")


def fact_metadata(
    facts: Facts, said: Said, kernels: KernelBuild, format_: int, *, names: bool
) -> Metadata:
    """The metadata of a patch to a model with these facts.

    kernels: on which its accuracy was proven; names: say those of in and out tensors too, for a
    firmware that compares them.
    """
    metadata = replace(said_metadata(said, format_), req_arena_bytes=facts.arena.bytes)
    if format_ == wire.FORMAT_1:
        return replace(
            metadata,
            tflm_abi=tflm_abi(kernels, facts.schema_version),
            opset_hash=opset_hash(facts),
            io_hash=io_hash(facts),
        )
    if not said.name.isascii():
        raise Refusal(
            repr(said.name), "not a name for a model", "give the firmware's, with --model"
        )
    try:
        operators = encode_operators(operator_needs(facts))
    except ValueError as error:
        raise Refusal(said.name, str(error), "use a lower version of it in the model") from error
    return replace(
        metadata,
        model_name=said.name.encode(),
        kernels=kernels.identity,
        operators=operators,
        tensors=tensors_hash(facts),
        quantisation=quantisation_hash(facts),
        tensor_names=tensor_names_hash(facts) if names else None,
    )


def head_of(model: bytes) -> Header:
    """A header that says only how long the model is, for guardrails without a patch."""
    return Header(
        version=wire.FORMAT_2,
        digest_kind=wire.DigestKind.SHA256,
        chunks_n=0,
        base_bytes=len(model),
        target_bytes=len(model),
        base_digest=b"",
        target_digest=b"",
        meta_bytes=0,
        flags=0,
    )
