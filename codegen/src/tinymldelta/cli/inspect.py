"""`tmd inspect`: a model, a patch or a contract, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tinymldelta.accuracy.record import AccuracyRecord
from tinymldelta.arena import ArenaNeed
from tinymldelta.cli.console import (
    FILE,
    JSON_OPTION,
    console,
    metadata_json,
    print_json,
    read_bytes,
    refusals_exit_1,
    table,
)
from tinymldelta.cli.keyfiles import (
    DECRYPTION_KEYS_OPTION,
    PASSWORD_OPTION,
    opened,
    read_decryption_keys,
)
from tinymldelta.container.operators import decode_operators
from tinymldelta.container.patch import Patch, PatchFault
from tinymldelta.container.reader import is_format2, read_patch
from tinymldelta.contract import Contract, ContractKey, LinkedOperator, SealedKey
from tinymldelta.contractfile import parse_contract
from tinymldelta.errors import PatchRefused, Refusal
from tinymldelta.explain import name_of
from tinymldelta.facts import Facts, TensorFact, io_hash, opset_hash
from tinymldelta.generate import read_facts
from tinymldelta.keys import (
    AgreementPrivate,
    Envelope,
    is_sealed,
    key_text,
    read_envelope,
    type_name,
)
from tinymldelta.tflm import kernels_text, type_names
from tinymldelta.versions import version_text
from tinymldelta.wire import constants as wire

_TFLITE_IDENTIFIER = b"TFL3"
_OPTIONAL = (wire.Tlv.TENSOR_NAMES, wire.Tlv.DEVICE_CLASS)  # asked for by some firmware alone


def _tensor_json(tensor: TensorFact) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "type": tensor.type,
        "shape": list(tensor.shape),
        "scale": list(tensor.scale),
        "zero_point": list(tensor.zero_point),
    }


def _model_json(facts: Facts, arena: ArenaNeed | None) -> dict[str, Any]:
    return {
        "kind": "model",
        "bytes": facts.length,
        "sha256": facts.sha256.hex(),
        "schema_version": facts.schema_version,
        "arena": {"bytes": arena.bytes, "origin": arena.origin} if arena else None,
        "opset_hash": f"{opset_hash(facts):#010x}",
        "io_hash": f"{io_hash(facts):#010x}",
        "operators": [
            {"name": op.name, "version": op.version, "custom": op.custom} for op in facts.operators
        ],
        "inputs": [_tensor_json(t) for t in facts.inputs],
        "outputs": [_tensor_json(t) for t in facts.outputs],
    }


def _quantisation(tensor: TensorFact) -> str:
    if not tensor.scale:
        return "-"
    if len(tensor.scale) > 1:
        return f"{len(tensor.scale)} scales along dimension {tensor.axis}"
    return f"scale {tensor.scale[0]:.6g}, zero point {tensor.zero_point[0]}"


def _print_model(facts: Facts, arena: ArenaNeed | None, where: str) -> None:
    t = table("fact", "value", title=f"model {where}")
    t.add_row("length", f"{facts.length:,} bytes")
    t.add_row("SHA-256", facts.sha256.hex())
    t.add_row("schema version", str(facts.schema_version))
    unknown = "cannot be predicted: `tmd arena MODEL` says why"
    t.add_row("arena", f"{arena.bytes:,} bytes, {arena.origin}" if arena else unknown)
    t.add_row("operators", ", ".join(f"{op.name} v{op.version}" for op in facts.operators))
    t.add_row("operator hash", f"{opset_hash(facts):#010x}")
    for role, tensors in (("in", facts.inputs), ("out", facts.outputs)):
        for tensor in tensors:
            shape = "x".join(map(str, tensor.shape)) or "scalar"
            t.add_row(f"{role} {tensor.name}", f"{tensor.type} {shape}, {_quantisation(tensor)}")
    t.add_row("in/out hash", f"{io_hash(facts):#010x}")
    console().print(t)


def _decoder_for(patch: Patch) -> str | None:
    """What the firmware needs to decode it; None for format 1."""
    if patch.header.version == wire.FORMAT_1:
        return None
    return "lean" if patch.header.flags & wire.F2_FLAG_LEAN else "default"


def _signer_json(patch: Patch) -> dict[str, Any] | None:
    signer = patch.header.signer
    if signer is None:
        return None
    return {
        "type": type_name(signer.kind),
        "key_id": signer.key_id.hex(),
        "body_crc": f"{signer.body_crc:#010x}",
        "signature": patch.signature.hex(),
        "awaited": patch.awaits_signature,
    }


def _envelope_json(envelope: Envelope) -> dict[str, Any]:
    return {
        "type": type_name(envelope.kind),
        "key_id": envelope.key_id.hex(),
        "head_bytes": envelope.head_bytes,
        "patch_bytes": envelope.patch_bytes,
    }


def _patch_json(patch: Patch) -> dict[str, Any]:
    header = patch.header
    size = wire.DIGEST_SIZE[header.digest_kind]
    return {
        "kind": "patch",
        "format": header.version,
        "digest_kind": header.digest_kind.name,
        "base_bytes": header.base_bytes,
        "target_bytes": header.target_bytes,
        "base_digest": header.base_digest[:size].hex(),
        "target_digest": header.target_digest[:size].hex(),
        "metadata": metadata_json(patch.metadata),
        "chunks": len(patch.chunks),
        "decoder": _decoder_for(patch),
        "signer": _signer_json(patch),
        "sizes": patch.sizes,
    }


def _tlv_text(tag: wire.Tlv, value: int | bytes | None, format_: int) -> str:
    if value is None:
        wanted = any(rule.tlvs.get(format_) == tag for rule in wire.RULES.values())
        return "missing" if wanted and tag not in _OPTIONAL else "-"
    if isinstance(value, bytes):
        return _bytes_text(tag, value)
    if tag in (wire.Tlv.MODEL_VERSION, wire.Tlv.VERSION_FLOOR):
        return version_text(value)
    if tag is wire.Tlv.SELF_TEST:
        return f"test vectors from byte {value:,} on"
    if tag is wire.Tlv.KERNELS:
        return kernels_text(value)
    return str(value) if tag is wire.Tlv.REQ_ARENA_BYTES else f"{value:#x}"


def _bytes_text(tag: wire.Tlv, value: bytes) -> str:
    if tag is wire.Tlv.OPERATORS:
        needs = decode_operators(value)
        return ", ".join(f"{name_of(op.id)} v{op.version} ({type_names(op.types)})" for op in needs)
    if tag is wire.Tlv.ACCURACY:
        return _accuracy_text(value)
    if tag is wire.Tlv.DEVICE_CLASS:
        return f"{int.from_bytes(value, 'little'):#010x}"
    if tag is wire.Tlv.DOWNGRADE:
        return f"for devices with a floor up to {version_text(int.from_bytes(value, 'little'))}"
    text = value.decode("utf-8", "replace")
    return ", ".join(text.split("\n")) if tag is wire.Tlv.LABELS else text


def _accuracy_text(value: bytes) -> str:
    try:
        return AccuracyRecord.decode(value).text()
    except ValueError:
        return value.hex()  # of a later tool


def _linked_text(op: LinkedOperator) -> str:
    return f"{op.name} ≤ v{op.highest}"


def _signature_text(patch: Patch) -> str:
    signer = patch.header.signer
    if signer is None:
        return "-"
    who = key_text(signer.kind, signer.key_id)
    return f"none yet, made for the {who}" if patch.awaits_signature else f"by the {who}"


def _print_envelope(envelope: Envelope, where: str) -> None:
    t = table("", "value", title=f"encrypted patch {where}")
    t.add_row("encrypted to", key_text(envelope.kind, envelope.key_id))
    t.add_row("bytes of envelope", f"{envelope.head_bytes:,}")
    t.add_row("bytes of patch", f"{envelope.patch_bytes:,}, encrypted")
    console().print(t)


def _print_patch(patch: Patch, where: str) -> None:
    header, metadata = patch.header, patch.metadata
    size = wire.DIGEST_SIZE[header.digest_kind]
    t = table("", "value", title=f"patch {where}")
    t.add_row("format", str(header.version))
    t.add_row(
        "base",
        f"{header.base_bytes:,} bytes, {header.digest_kind.name} "
        f"{header.base_digest[:size].hex() or '-'}",
    )
    t.add_row(
        "target",
        f"{header.target_bytes:,} bytes, {header.digest_kind.name} "
        f"{header.target_digest[:size].hex() or '-'}",
    )
    for tag in wire.Tlv:
        if header.version in wire.TLVS[tag].formats:
            t.add_row(tag.name, _tlv_text(tag, metadata.value(tag), header.version))
    for vendor_tag, vendor_value in metadata.vendor:
        t.add_row(f"vendor {vendor_tag:#04x}", vendor_value.hex() or "empty")
    if header.version == wire.FORMAT_1:
        t.add_row("chunks", str(len(patch.chunks)))
    else:
        t.add_row("decoder", _decoder_for(patch))
        t.add_row("signature", _signature_text(patch))
    for part, count in patch.sizes.items():
        t.add_row(f"bytes of {part}", f"{count:,}")
    console().print(t)


def _key_json(key: ContractKey | SealedKey) -> dict[str, Any]:
    return {"type": type_name(key.kind), "key_id": key.id.hex(), "public": key.public.hex()}


def _contract_json(contract: Contract) -> dict[str, Any]:
    return {
        "kind": "contract",
        "formats": list(contract.formats),
        "decoder": contract.decoder.name.lower(),
        "accept": contract.accept,
        "tflm_abi": contract.tflm_abi,
        "kernels": contract.kernels.text,
        "device_class": contract.device_class,
        "keys": list(map(_key_json, contract.keys)),
        "sealed_keys": list(map(_key_json, contract.sealed_keys)),
        "operators": list(map(_linked_text, contract.operators)),
        "models": [
            {
                "name": m.name,
                "arena_bytes": m.arena_bytes,
                "slot_bytes": m.slot_bytes,
                "version": m.version,
                "lowest_version": m.lowest_version,
                "model_bytes": m.model_bytes,
                "model_sha256": m.model_sha256.hex(),
            }
            for m in contract.models
        ],
    }


def _keys_text(keys: Sequence[ContractKey | SealedKey]) -> str:
    return ", ".join(key.text for key in keys)


def _other_kernels(accept: int) -> str:
    if accept & wire.ACCEPT_KERNELS:
        return "taken"
    return "taken with a warning" if accept & wire.ACCEPT_KERNELS_WARNED else "no"


def _print_contract(contract: Contract, where: str) -> None:
    t = table("", "value", title=f"contract {where}")
    t.add_row("patch formats", ", ".join(map(str, contract.formats)))
    t.add_row("decoder of format 2", contract.decoder.name.lower())
    t.add_row("kernels", contract.kernels.text)
    t.add_row("patches proven on others", _other_kernels(contract.accept))
    t.add_row("TFLM ABI of format 1", f"{contract.tflm_abi:#06x}")
    t.add_row("unguarded patches", "taken" if contract.accept & wire.ACCEPT_UNGUARDED else "no")
    t.add_row(
        "patches without digest", "taken" if contract.accept & wire.ACCEPT_NO_DIGEST else "no"
    )
    t.add_row("device class", contract.device_class or "none")
    t.add_row("signed by", _keys_text(contract.keys) or "nobody: unsigned patches are taken")
    t.add_row("encrypted to", _keys_text(contract.sealed_keys) or "nobody")
    t.add_row("anti-rollback", "yes" if contract.accept & wire.ANTI_ROLLBACK else "no")
    t.add_row("erase / write unit", f"{contract.erase_bytes:,} / {contract.write_bytes} bytes")
    t.add_row("operators", ", ".join(map(_linked_text, contract.operators)))
    for m in contract.models:
        t.add_row(
            f"model {m.name}",
            f"version {version_text(m.version)}, {m.model_bytes:,} bytes in a slot of "
            f"{m.slot_bytes:,}, arena {m.arena_bytes:,}, updates from version "
            f"{version_text(m.lowest_version)} on",
        )
    console().print(t)


def _inspect_patch(
    data: bytes, where: str, openers: tuple[AgreementPrivate, ...], as_json: bool
) -> None:
    """A patch; of an encrypted one what can be seen of it, and with its key all."""
    envelope = None
    try:
        if is_sealed(data):
            envelope = read_envelope(data)
            if openers:
                data = opened(data, where, openers)
        if envelope is None or openers:
            patch = read_patch(data, None)
    except PatchFault as fault:
        raise PatchRefused(where, fault.status, str(fault)) from fault
    if as_json:
        seen = _patch_json(patch) if envelope is None or openers else {"kind": "encrypted patch"}
        print_json(seen | ({"envelope": _envelope_json(envelope)} if envelope else {}))
        return
    if envelope is not None:
        _print_envelope(envelope, where)
    if envelope is None or openers:
        _print_patch(patch, where)
    else:
        click.echo("the rest is encrypted: give the private key with --decryption-key")


@click.command()
@click.argument("file", type=FILE)
@DECRYPTION_KEYS_OPTION
@PASSWORD_OPTION
@JSON_OPTION
@refusals_exit_1
def inspect(
    file: Path, decryption_keys: tuple[Path, ...], password_env: str | None, as_json: bool
) -> None:
    """Say what FILE is and what it holds: a .tflite model, a patch, or a contract.json."""
    data = read_bytes(file)
    where = str(file)
    if data[4:8] == _TFLITE_IDENTIFIER or file.suffix == ".tflite":
        facts = read_facts(data, where, arena_need=0)
        try:
            arena = read_facts(data, where).arena
        except Refusal:  # the model itself was read: its arena cannot be predicted
            arena = None
        if as_json:
            print_json(_model_json(facts, arena))
        else:
            _print_model(facts, arena, where)
    elif data[:1] == b"{":
        contract = parse_contract(data.decode("utf-8", errors="replace"), where)
        if as_json:
            print_json(_contract_json(contract))
        else:
            _print_contract(contract, where)
    elif data[:1] == bytes((wire.FORMAT_1,)) or is_format2(data) or is_sealed(data):
        openers = read_decryption_keys(decryption_keys, password_env)
        _inspect_patch(data, where, openers, as_json)
    else:
        raise Refusal(
            where, "neither a .tflite model, nor a patch, nor a contract", "give one of these"
        )
