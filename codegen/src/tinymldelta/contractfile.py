"""`contract.json`: a contract as a file, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tinymldelta.arena import ArenaNeed
from tinymldelta.contract import Contract, ContractKey, LinkedOperator, ModelContract, SealedKey
from tinymldelta.contractkeys import key_faults
from tinymldelta.errors import Refusal
from tinymldelta.facts import OperatorFact, TensorFact
from tinymldelta.jsonread import Reader, parse_json
from tinymldelta.keys import KEY_ID_BYTES, AgreementPublic, PublicKey, is_mac
from tinymldelta.limits import META_KEPT_MAX, META_KEPT_MIN, OptionNames
from tinymldelta.tflm import KernelBuild
from tinymldelta.wire import constants as wire
from tinymldelta.words import check_class, class_id

_U32_MAX = 0xFFFFFFFF


def _hex32(value: int) -> str:
    return f"{value:#010x}"


def _tensor_json(tensor: TensorFact) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "type": tensor.type,
        "type_code": tensor.type_code,
        "shape": list(tensor.shape),
        "scale": list(tensor.scale),
        "zero_point": list(tensor.zero_point),
        "axis": tensor.axis,
    }


def _operator_json(op: OperatorFact) -> dict[str, Any]:
    return {
        "name": op.name,
        "code": op.code,
        "custom": op.custom,
        "version": op.version,
        "types": op.types,
    }


def _linked_json(op: LinkedOperator) -> dict[str, Any]:
    return {
        "name": op.name,
        "id": op.id,
        "lowest": op.lowest,
        "highest": op.highest,
        "types": op.types,
    }


def _key_json(key: ContractKey | SealedKey) -> dict[str, Any]:
    return {"kind": key.kind.name.lower(), "id": key.id.hex(), "public": key.public.hex()}


def contract_json(contract: Contract) -> str:
    """The contract as `contract.json`. The same contract always gives the same bytes."""
    document = {
        "wire_version": wire.WIRE_VERSION,
        "accept": contract.accept,
        "formats": list(contract.formats),
        "decoder": contract.decoder.name.lower(),
        "kernels": {
            "tflm": contract.kernels.revision,
            "set": contract.kernels.kernels,
            "identity": _hex32(contract.kernels.identity),
        },
        "tflm_abi": contract.tflm_abi,
        "operators": [_linked_json(op) for op in contract.operators],
        "meta_kept": contract.meta_kept,
        "erase_bytes": contract.erase_bytes,
        "write_bytes": contract.write_bytes,
        "device_class": contract.device_class,
        "keys": [_key_json(key) for key in contract.keys],
        "sealed_keys": [_key_json(key) for key in contract.sealed_keys],
        "models": [
            {
                "name": m.name,
                "arena_bytes": m.arena_bytes,
                "arena_need": {"bytes": m.arena_need.bytes, "origin": m.arena_need.origin},
                "slot_bytes": m.slot_bytes,
                "version": m.version,
                "lowest_version": m.lowest_version,
                "model_bytes": m.model_bytes,
                "model_sha256": m.model_sha256.hex(),
                "opset_hash": _hex32(m.opset_hash),
                "io_hash": _hex32(m.io_hash),
                "tensors": _hex32(m.tensors),
                "quantisation": _hex32(m.quantisation),
                "tensor_names": _hex32(m.tensor_names),
                "note": m.note,
                "labels": list(m.labels),
                "operators": [_operator_json(op) for op in m.operators],
                "inputs": [_tensor_json(t) for t in m.inputs],
                "outputs": [_tensor_json(t) for t in m.outputs],
            }
            for m in contract.models
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _read_tensor(r: Reader) -> TensorFact:
    return TensorFact(
        name=r.get("name").text(),
        type=r.get("type").text(),
        type_code=r.get("type_code").integer(0, 255),
        shape=tuple(d.integer(0, 2**31 - 1) for d in r.get("shape").items()),
        scale=tuple(s.number() for s in r.get("scale").items()),
        zero_point=tuple(z.integer(-(2**63), 2**63 - 1) for z in r.get("zero_point").items()),
        axis=r.get("axis").integer(0, 255),
    )


def _read_operator(r: Reader) -> OperatorFact:
    return OperatorFact(
        code=r.get("code").integer(0, 2**31 - 1),
        name=r.get("name").text(),
        custom=r.get("custom").boolean(),
        version=r.get("version").integer(0, 2**31 - 1),
        types=r.get("types").integer(0, 0xFF),
    )


def _read_linked(r: Reader) -> LinkedOperator:
    return LinkedOperator(
        id=r.get("id").integer(0, _U32_MAX),
        name=r.get("name").text(),
        lowest=r.get("lowest").integer(1, wire.OPERATOR_VERSION_MAX),
        highest=r.get("highest").integer(1, wire.OPERATOR_VERSION_MAX),
        types=r.get("types").integer(0, 0xFF),
    )


def _read_operators(r: Reader) -> tuple[LinkedOperator, ...]:
    operators = tuple(map(_read_linked, r.items()))
    ids = [op.id for op in operators]
    # The device walks them once, beside a patch's, which are in this order.
    if any(a >= b for a, b in pairwise(ids)) or len(ids) > 0xFFFF:
        raise r.fault("are not in the order of their ids, each once")
    if any(op.lowest > op.highest for op in operators):
        raise r.fault("have a lowest version above the highest")
    return operators


def _read_kernels(r: Reader) -> KernelBuild:
    kernels = KernelBuild(r.get("tflm").text(), r.get("set").text())
    if kernels.identity != r.get("identity").hex32():
        raise r.fault("has another identity than its text")
    return kernels


def _read_model(r: Reader) -> ModelContract:
    need = r.get("arena_need")
    slot_bytes = r.get("slot_bytes").integer(1, wire.MODEL_MAX)
    return ModelContract(
        name=r.get("name").text(),
        arena_bytes=r.get("arena_bytes").integer(0, _U32_MAX),
        arena_need=ArenaNeed(need.get("bytes").integer(0, _U32_MAX), need.get("origin").text()),
        slot_bytes=slot_bytes,
        version=r.get("version").integer(0, _U32_MAX),
        lowest_version=r.get("lowest_version").integer(0, _U32_MAX),
        model_bytes=r.get("model_bytes").integer(1, slot_bytes),
        model_sha256=r.get("model_sha256").digest(),
        opset_hash=r.get("opset_hash").hex32(),
        io_hash=r.get("io_hash").hex32(),
        operators=tuple(_read_operator(op) for op in r.get("operators").items()),
        inputs=tuple(_read_tensor(t) for t in r.get("inputs").items()),
        outputs=tuple(_read_tensor(t) for t in r.get("outputs").items()),
        tensors=r.get("tensors").hex32(),
        quantisation=r.get("quantisation").hex32(),
        tensor_names=r.get("tensor_names").hex32(),
        note=r.get("note").text(),
        labels=tuple(label.text() for label in r.get("labels").items()),
    )


def _one_of(r: Reader, names: Sequence[str]) -> str:
    if r.text() not in names:
        raise r.fault(f"is none of {', '.join(names)}")
    return r.text().upper()


def _check_id(r: Reader, key_id: bytes, make: Callable[[], PublicKey | AgreementPublic]) -> None:
    try:
        key = make()
    except ValueError as error:
        raise r.fault(f"is no key: {error}") from error
    if key.id != key_id:
        raise r.fault("has another id than its key")


def _read_key(r: Reader) -> ContractKey:
    kind = wire.SignatureKind[_one_of(r.get("kind"), [k.name.lower() for k in wire.SignatureKind])]
    key_id = r.get("id").hexadecimal(KEY_ID_BYTES)
    public = r.get("public").hexadecimal(wire.SIGNATURE_KEY_SIZE[kind])
    if not is_mac(kind):
        _check_id(r, key_id, lambda: PublicKey(kind, public))
    return ContractKey(kind, key_id, public)


def _read_sealed_key(r: Reader) -> SealedKey:
    kind = wire.AgreementKind[_one_of(r.get("kind"), [k.name.lower() for k in wire.AgreementKind])]
    key_id = r.get("id").hexadecimal(KEY_ID_BYTES)
    public = r.get("public").hexadecimal(wire.AGREEMENT_KEY_SIZE[kind])
    _check_id(r, key_id, lambda: AgreementPublic(kind, public))
    return SealedKey(kind, key_id, public)


def _check_keys(contract: Contract, where: str) -> Contract:
    """The same as codegen refuses: a contract that was edited by hand is to fail here."""
    fault = key_faults(
        contract.keys, contract.sealed_keys, contract.formats, contract.decoder, OptionNames()
    )
    if fault is not None:
        _, what, _ = fault
        raise Refusal(where, what, "make it again with `tmd codegen`")
    return contract


def parse_contract(text: str, where: str) -> Contract:
    """Read `contract.json`'s text. Any fault is a Refusal that names `where` and the place."""
    document = parse_json(text, where, "give the contract.json of codegen")
    r = Reader(where, document, "make it again with `tmd codegen`")
    version = r.get("wire_version").integer(0, 0xFFFF)
    if version != wire.WIRE_VERSION:
        raise Refusal(
            where,
            f"it is of wire version {version}, this tool knows {wire.WIRE_VERSION}",
            "use the tool of the same release as the firmware",
        )
    device_class = check_class(r.get("device_class").text(), where)
    models = tuple(_read_model(m) for m in r.get("models").items())
    if not models:
        raise r.fault("has no models")
    write_bytes = r.get("write_bytes").integer(1, wire.WRITE_UNIT_MAX)
    contract = Contract(
        accept=r.get("accept").integer(0, 0xFFFF),
        formats=tuple(f.integer(1, 15) for f in r.get("formats").items()),
        decoder=wire.Decoder[_one_of(r.get("decoder"), [d.name.lower() for d in wire.Decoder])],
        kernels=_read_kernels(r.get("kernels")),
        tflm_abi=r.get("tflm_abi").integer(0, 0xFFFF),
        operators=_read_operators(r.get("operators")),
        meta_kept=r.get("meta_kept").integer(META_KEPT_MIN, META_KEPT_MAX),
        erase_bytes=r.get("erase_bytes").integer(write_bytes, wire.MODEL_MAX),
        write_bytes=write_bytes,
        models=models,
        keys=tuple(map(_read_key, r.get("keys").items())),
        sealed_keys=tuple(map(_read_sealed_key, r.get("sealed_keys").items())),
        device_class=device_class,
        class_id=class_id(device_class),
    )
    return _check_keys(contract, where)


def read_contract(path: Path) -> Contract:
    """Read a `contract.json`. Refuses a file that is missing, unreadable or faulty."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise Refusal(
            str(path), f"cannot be read: {reason}", "give the contract.json of codegen"
        ) from error
    return parse_contract(text, str(path))
