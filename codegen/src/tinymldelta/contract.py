"""The contract: what one firmware build accepts.

One object, rendered as `contract.json` and as `const struct tmd_contract` in the generated header;
patch metadata comes from the same facts, so that firmware and patches agree by construction.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinymldelta.arena import ArenaNeed
from tinymldelta.container.accepts import Accepts
from tinymldelta.errors import Refusal
from tinymldelta.facts import Facts, OperatorFact, TensorFact, io_hash, opset_hash
from tinymldelta.wire import constants as wire

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}\Z")
_U32_MAX = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class ModelContract:
    """What the firmware has for one model. Sizes in bytes.

    arena_bytes: the tensor arena that the application reserves; arena_need: what the model that the
    firmware was built with needs of it; version: of that model, 0 if it has none; lowest_version:
    lowest one that an update may have.
    """

    name: str
    arena_bytes: int
    arena_need: ArenaNeed
    slot_bytes: int
    version: int
    lowest_version: int
    model_bytes: int
    model_sha256: bytes
    opset_hash: int
    io_hash: int
    operators: tuple[OperatorFact, ...]
    inputs: tuple[TensorFact, ...]
    outputs: tuple[TensorFact, ...]

    @property
    def id(self) -> int:
        """Whose slots and records these are: the CRC-32 of the name."""
        return zlib.crc32(self.name.encode())


@dataclass(frozen=True, slots=True)
class Contract:
    """What one firmware accepts.

    accept: ACCEPT_* bits; formats: patch formats that are taken; decoder: how much of format 2;
    tflm_abi: kernel build * 256 + schema version; erase_bytes: largest erase unit of the slots;
    write_bytes: write unit.
    """

    accept: int
    formats: tuple[int, ...]
    decoder: wire.Decoder
    tflm_abi: int
    erase_bytes: int
    write_bytes: int
    models: tuple[ModelContract, ...]

    @property
    def operators(self) -> tuple[OperatorFact, ...]:
        """Every operator that the firmware links, each once, in a fixed order."""
        union = {op for model in self.models for op in model.operators}
        return tuple(sorted(union, key=lambda op: (op.code, op.name, op.version)))

    def model_index(self, name: str | None) -> int:
        """Index of the model of that name; with None, of the only one. Refuses otherwise."""
        names = [m.name for m in self.models]
        if name is None:
            if len(names) != 1:
                raise Refusal(
                    "contract",
                    f"it has the models {', '.join(names)}",
                    "say which one with --model NAME",
                )
            return 0
        if name not in names:
            raise Refusal("contract", f"no model is named {name!r}", f"it has {', '.join(names)}")
        return names.index(name)

    def accepts(self, index: int) -> Accepts:
        """The numbers that a patch for model `index` is judged by.

        A contract does not say whether its firmware runs test vectors; taken that it does.
        """
        model = self.models[index]
        return Accepts(
            formats=frozenset(self.formats),
            decoder=self.decoder,
            flags=self.accept,
            arena_bytes=model.arena_bytes,
            tflm_abi=self.tflm_abi,
            opset_hash=model.opset_hash,
            io_hash=model.io_hash,
            slot_bytes=model.slot_bytes,
            lowest_version=model.lowest_version,
            self_test=True,
        )


@dataclass(frozen=True, slots=True)
class OptionNames:
    """What whoever states the limits calls them, for messages: here, `tmd codegen`'s options."""

    slot: str = "--slot"
    arena: str = "--arena"
    arena_need: str = "--arena-need"
    version: str = "--model-version"
    lowest_version: str = "--lowest-version"
    erase: str = "--erase"
    write: str = "--write"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a firmware sets aside, in bytes, and takes. Per model by name; those left out have an
    arena as they need it, slots of slot_bytes, and versions of 0.
    """

    slot_bytes: int
    erase_bytes: int
    write_bytes: int
    arena_bytes: Mapping[str, int]
    arena_need: Mapping[str, int]
    kernel_build: int = 0
    accept: int = 0
    formats: tuple[int, ...] = (wire.FORMAT_1, wire.FORMAT_2)
    decoder: wire.Decoder = wire.Decoder.DEFAULT
    version: Mapping[str, int] = field(default_factory=dict)
    lowest_version: Mapping[str, int] = field(default_factory=dict)
    slots: Mapping[str, int] = field(default_factory=dict)
    names: OptionNames = OptionNames()

    def slot_of(self, name: str) -> int:
        """Bytes of each of a model's slots."""
        return self.slots.get(name, self.slot_bytes)


def tflm_abi(kernel_build: int, schema_version: int) -> int:
    """The number of SPEC.md: kernel build in the high byte, schema version in the low one."""
    return kernel_build << 8 | schema_version


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
    ):
        for name in of_model:
            if name not in names:
                raise Refusal(option, f"no model is named {name!r}", f"there is {', '.join(names)}")
    _check_geometry(limits)
    contracts = tuple(_model_contract(name, facts, limits) for name, facts in models)
    return Contract(
        accept=limits.accept,
        formats=limits.formats,
        decoder=limits.decoder,
        tflm_abi=tflm_abi(limits.kernel_build, models[0][1].schema_version),
        erase_bytes=limits.erase_bytes,
        write_bytes=limits.write_bytes,
        models=contracts,
    )


def _check_geometry(limits: Limits) -> None:
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


# ---- contract.json ----


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
    return {"name": op.name, "code": op.code, "custom": op.custom, "version": op.version}


def contract_json(contract: Contract) -> str:
    """The contract as `contract.json`. The same contract always gives the same bytes."""
    document = {
        "wire_version": wire.WIRE_VERSION,
        "accept": contract.accept,
        "formats": list(contract.formats),
        "decoder": contract.decoder.name.lower(),
        "tflm_abi": contract.tflm_abi,
        "erase_bytes": contract.erase_bytes,
        "write_bytes": contract.write_bytes,
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
                "operators": [_operator_json(op) for op in m.operators],
                "inputs": [_tensor_json(t) for t in m.inputs],
                "outputs": [_tensor_json(t) for t in m.outputs],
            }
            for m in contract.models
        ],
    }
    return json.dumps(document, indent=2) + "\n"


class _Reader:
    """Takes checked values out of parsed JSON; every fault names the place in the document."""

    def __init__(self, where: str, value: Any, path: str = "") -> None:
        self._where, self._value, self._path = where, value, path

    def fault(self, what: str) -> Refusal:
        return Refusal(
            self._where,
            f"{self._path or 'the document'} {what}",
            "make it again with `tmd codegen`",
        )

    def get(self, key: str) -> _Reader:
        if not isinstance(self._value, dict) or key not in self._value:
            raise self.fault(f"lacks {key!r}")
        return _Reader(self._where, self._value[key], f"{self._path}.{key}".lstrip("."))

    def items(self) -> list[_Reader]:
        if not isinstance(self._value, list):
            raise self.fault("is not a list")
        return [_Reader(self._where, v, f"{self._path}[{i}]") for i, v in enumerate(self._value)]

    def integer(self, low: int, high: int) -> int:
        if type(self._value) is not int or not low <= self._value <= high:
            raise self.fault(f"is not a whole number from {low} to {high}")
        return self._value

    def number(self) -> float:
        if type(self._value) not in (int, float):
            raise self.fault("is not a number")
        return float(self._value)

    def text(self) -> str:
        if not isinstance(self._value, str):
            raise self.fault("is not a text")
        return self._value

    def boolean(self) -> bool:
        if type(self._value) is not bool:
            raise self.fault("is neither true nor false")
        return self._value

    def hex32(self) -> int:
        if not re.fullmatch(r"0x[0-9a-f]{8}", self.text()):
            raise self.fault("is not a number like 0x0123abcd")
        return int(self.text(), 16)

    def digest(self) -> bytes:
        if not re.fullmatch(r"[0-9a-f]{64}", self.text()):
            raise self.fault("is not a SHA-256 in hexadecimal")
        return bytes.fromhex(self.text())


def _read_tensor(r: _Reader) -> TensorFact:
    return TensorFact(
        name=r.get("name").text(),
        type=r.get("type").text(),
        type_code=r.get("type_code").integer(0, 255),
        shape=tuple(d.integer(0, 2**31 - 1) for d in r.get("shape").items()),
        scale=tuple(s.number() for s in r.get("scale").items()),
        zero_point=tuple(z.integer(-(2**63), 2**63 - 1) for z in r.get("zero_point").items()),
        axis=r.get("axis").integer(0, 255),
    )


def _read_operator(r: _Reader) -> OperatorFact:
    return OperatorFact(
        code=r.get("code").integer(0, 2**31 - 1),
        name=r.get("name").text(),
        custom=r.get("custom").boolean(),
        version=r.get("version").integer(0, 2**31 - 1),
    )


def _read_model(r: _Reader) -> ModelContract:
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
    )


def _read_decoder(r: _Reader) -> wire.Decoder:
    names = [d.name.lower() for d in wire.Decoder]
    if r.text() not in names:
        raise r.fault(f"is none of {', '.join(names)}")
    return wire.Decoder[r.text().upper()]


def parse_contract(text: str, where: str) -> Contract:
    """Read `contract.json`'s text. Any fault is a Refusal that names `where` and the place."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(where, f"not JSON: {error}", "give the contract.json of codegen") from error
    r = _Reader(where, document)
    version = r.get("wire_version").integer(0, 0xFFFF)
    if version != wire.WIRE_VERSION:
        raise Refusal(
            where,
            f"it is of wire version {version}, this tool knows {wire.WIRE_VERSION}",
            "use the tool of the same release as the firmware",
        )
    models = tuple(_read_model(m) for m in r.get("models").items())
    if not models:
        raise r.fault("has no models")
    write_bytes = r.get("write_bytes").integer(1, wire.WRITE_UNIT_MAX)
    return Contract(
        accept=r.get("accept").integer(0, 0xFFFF),
        formats=tuple(f.integer(1, 15) for f in r.get("formats").items()),
        decoder=_read_decoder(r.get("decoder")),
        tflm_abi=r.get("tflm_abi").integer(0, 0xFFFF),
        erase_bytes=r.get("erase_bytes").integer(write_bytes, wire.MODEL_MAX),
        write_bytes=write_bytes,
        models=models,
    )


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
