"""From models and a firmware's limits to its contract; what cannot work is refused here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinymldelta.container.metadata import write_metadata
from tinymldelta.contract import Contract, LinkedOperator, ModelContract, tflm_abi
from tinymldelta.contractkeys import key_faults
from tinymldelta.errors import Refusal
from tinymldelta.facts import (
    Facts,
    OperatorFact,
    io_hash,
    opset_hash,
    quantisation_hash,
    tensor_names_hash,
    tensors_hash,
)
from tinymldelta.limits import META_KEPT_MAX, META_KEPT_MIN, Limits
from tinymldelta.model import operator_code
from tinymldelta.tflm import supported, type_names
from tinymldelta.wire import constants as wire
from tinymldelta.words import check_class, class_id

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}\Z")
_U32_MAX = 0xFFFFFFFF
_ALL_TYPES = 0xFF


def _model_contract(name: str, facts: Facts, limits: Limits) -> ModelContract:
    if not _NAME.match(name):
        raise Refusal(
            name,
            "not a name for a model",
            "use a to z, 0 to 9 and _, at most 31 characters, a letter first",
        )
    need = facts.arena
    supply = limits.arena_bytes.get(name, need.bytes)
    if supply < need.bytes:
        raise Refusal(
            name,
            f"an arena of {supply} bytes is too small: "
            f"the model needs {need.bytes} ({need.origin})",
            f"raise {limits.names.arena} to {need.bytes}, "
            f"or give what you measured with {limits.names.arena_need}",
        )
    if supply > _U32_MAX:
        raise Refusal(
            name,
            f"an arena of {supply} bytes does not fit 32 bits",
            f"lower {limits.names.arena}",
        )
    if facts.length > limits.slot_of(name):
        raise Refusal(
            name,
            f"the model is {facts.length} bytes, a slot {limits.slot_of(name)}",
            f"raise {limits.names.slot} or use a smaller model",
        )
    return ModelContract(
        name=name,
        arena_bytes=supply,
        arena_need=need,
        slot_bytes=limits.slot_of(name),
        version=limits.version.get(name, 0),
        lowest_version=limits.lowest_version.get(name, 0),
        model_bytes=facts.length,
        model_sha256=facts.sha256,
        opset_hash=opset_hash(facts),
        io_hash=io_hash(facts),
        operators=facts.operators,
        inputs=facts.inputs,
        outputs=facts.outputs,
        tensors=tensors_hash(facts),
        quantisation=quantisation_hash(facts),
        tensor_names=tensor_names_hash(facts),
        note=limits.note.get(name, ""),
        labels=limits.labels.get(name, ()),
    )


def _linked(operators: Sequence[OperatorFact], limits: Limits) -> tuple[LinkedOperator, ...]:
    """What the resolver registers: what the models need, and what is linked for models to come."""
    table = supported(limits.kernels.revision, limits.kernels.kernels)
    linked: dict[int, LinkedOperator] = {}
    for op in operators:
        if op.custom:
            # Its kernel is the firmware's own: nobody here knows what else that takes.
            highest = linked[op.id].highest if op.id in linked else 0
            if op.version > wire.OPERATOR_VERSION_MAX:
                raise Refusal(
                    f"{op.name} v{op.version}",
                    f"patches know versions up to {wire.OPERATOR_VERSION_MAX}",
                    "give the custom operator a lower version",
                )
            linked[op.id] = LinkedOperator(op.id, op.name, 1, max(op.version, highest), _ALL_TYPES)
            continue
        has = table.get(op.name)
        if has is None:
            raise Refusal(
                op.name,
                f"{limits.kernels.text} has no kernel for it",
                "use another operator in the model",
            )
        if not has.lowest <= op.version <= has.highest or op.types & ~has.types:
            raise Refusal(
                f"{op.name} v{op.version} for {type_names(op.types)}",
                f"{limits.kernels.text} has v{has.lowest} to v{has.highest} for "
                f"{type_names(has.types)}",
                "convert the model for this version of TensorFlow Lite Micro, or use another one",
            )
        linked[op.id] = LinkedOperator(op.id, op.name, has.lowest, has.highest, has.types)
    for name in limits.extra_operators:
        code, has = operator_code(name), table.get(name)
        if code is None or has is None:
            raise Refusal(
                f"{limits.names.extra_operators} {name}",
                f"{limits.kernels.text} has no operator of that name",
                "spell it as the schema does, like CONV_2D",
            )
        linked[code] = LinkedOperator(code, name, has.lowest, has.highest, has.types)
    return tuple(linked[i] for i in sorted(linked))


def _check_said(model: ModelContract, limits: Limits) -> None:
    """A device that has to tell something has to have room for it."""
    bytes_ = len(write_metadata(model.said, wire.FORMAT_2))
    if bytes_ > limits.meta_kept:
        raise Refusal(
            model.name,
            f"note and labels take {bytes_} bytes, {limits.meta_kept} stay with a model",
            f"shorten them, or raise {limits.names.meta_kept}",
        )


def build_contract(models: Sequence[tuple[str, Facts]], limits: Limits) -> Contract:
    """The contract of a firmware with these models. Refuses what cannot work, with what to do."""
    names = [name for name, _ in models]
    if len(set(names)) != len(names):
        raise Refusal(", ".join(names), "two models have one name", "give each a name of its own")
    for name in names:
        if f"{name}_bytes" in names:
            raise Refusal(
                f"{name}_bytes",
                f"TMD_MODEL_{name.upper()}_BYTES is a macro of the model {name}",
                "give it another name",
            )
    for option, of_model in (
        (limits.names.arena, limits.arena_bytes),
        (limits.names.arena_need, limits.arena_need),
        (limits.names.version, limits.version),
        (limits.names.lowest_version, limits.lowest_version),
        (limits.names.slot, limits.slots),
        ("note", limits.note),
        (limits.names.labels, limits.labels),
    ):
        for name in of_model:
            if name not in names:
                raise Refusal(option, f"no model is named {name!r}", f"there is {', '.join(names)}")
    _check_geometry(limits)
    _check_trust(limits)
    contracts = tuple(_model_contract(name, facts, limits) for name, facts in models)
    for model in contracts:
        _check_said(model, limits)
    return Contract(
        accept=limits.accept,
        formats=limits.formats,
        decoder=limits.decoder,
        kernels=limits.kernels,
        tflm_abi=tflm_abi(limits.kernels, models[0][1].schema_version),
        operators=_linked([op for _, facts in models for op in facts.operators], limits),
        meta_kept=limits.meta_kept,
        erase_bytes=limits.erase_bytes,
        write_bytes=limits.write_bytes,
        models=contracts,
        keys=limits.keys,
        sealed_keys=limits.sealed_keys,
        device_class=limits.device_class,
        class_id=class_id(limits.device_class),
    )


def _check_trust(limits: Limits) -> None:
    """What signed patches need, and what would let others in."""
    check_class(limits.device_class, limits.names.device_class)
    fault = key_faults(
        limits.keys, limits.sealed_keys, limits.formats, limits.decoder, limits.names
    )
    if fault is not None:
        raise Refusal(*fault)


def _check_geometry(limits: Limits) -> None:
    if not META_KEPT_MIN <= limits.meta_kept <= META_KEPT_MAX:
        raise Refusal(
            limits.names.meta_kept,
            f"{limits.meta_kept} bytes of metadata cannot be kept",
            f"give {META_KEPT_MIN} to {META_KEPT_MAX}",
        )
    write, erase = limits.write_bytes, limits.erase_bytes
    if not 1 <= write <= wire.WRITE_UNIT_MAX or wire.WRITE_UNIT_MAX % write:
        raise Refusal(
            limits.names.write,
            f"a write unit of {write} bytes is not supported",
            f"give a power of two from 1 to {wire.WRITE_UNIT_MAX}",
        )
    if erase < 1 or erase % write:
        raise Refusal(
            limits.names.erase,
            f"an erase unit of {erase} bytes is no multiple of the write unit",
            f"give a multiple of {write}",
        )
    for slot in {limits.slot_bytes, *limits.slots.values()}:
        if slot < 1 or slot % write or slot > wire.MODEL_MAX:
            raise Refusal(
                limits.names.slot,
                f"a slot of {slot} bytes is no multiple of the write unit",
                f"give a multiple of {write}, at most {wire.MODEL_MAX}",
            )
