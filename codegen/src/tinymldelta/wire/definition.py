"""Reads `codegen/wire.yaml` into checked, frozen data.

This is the only reader of the file. What it computes (offsets, sizes) is computed nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tinymldelta.wire.format2 import Format2, read_format2

_TYPE_BYTES = {"u8": 1, "u16": 2, "u32": 4}
_BYTES = re.compile(r"u8\[(\d+)\]")
_NO_RULE = 0xFF


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a packed little-endian layout."""

    name: str
    type: str
    count: int
    offset: int
    text: str

    @property
    def size(self) -> int:
        """Size of the whole field in bytes."""
        return _TYPE_BYTES[self.type] * self.count

    @property
    def type_text(self) -> str:
        return self.type if self.count == 1 else f"{self.type}[{self.count}]"


@dataclass(frozen=True, slots=True)
class Layout:
    """A packed little-endian structure; `size` is in bytes."""

    name: str
    title: str
    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        last = self.fields[-1]
        return last.offset + last.size


@dataclass(frozen=True, slots=True)
class Value:
    """A named number with its meaning; `bytes` is the size of what it stands for, if it has one."""

    name: str
    value: int
    text: str
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class SignatureKind:
    """`bytes`: of a signature; `key_bytes`: of a public key, 0 where the key is a secret."""

    name: str
    value: int
    bytes: int
    key_bytes: int
    text: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted patch. first: low 4 bits of its first byte; key_bytes: of each of the two keys.

    chunk_bytes: of ciphertext that have a tag of tag_bytes behind them.
    """

    first: int
    key_bytes: int
    chunk_bytes: int
    tag_bytes: int
    info: str


@dataclass(frozen=True, slots=True)
class Tlv:
    """A kind of metadata. `least` to `most`: lengths of the value in bytes; others are refused."""

    name: str
    tag: int
    type: str
    least: int
    most: int
    formats: tuple[int, ...]
    text: str

    @property
    def is_number(self) -> bool:
        return self.type in _TYPE_BYTES

    @property
    def type_text(self) -> str:
        if self.is_number:
            return self.type
        return f"{self.least} to {self.most} bytes"


@dataclass(frozen=True, slots=True)
class Rule:
    """A guardrail. `compare`: "at_most" (need <= have), "equal", or "included".

    tlvs: by format, what it reads of the patch; None: of the header. The rule does not exist in a
    format that is left out.
    """

    name: str
    index: int
    tlvs: dict[int, Tlv | None]
    status: str
    compare: str
    text: str
    explain: str

    def tag(self, format_: int) -> int:
        """The tag that the rule reads in that format; 0: the header, 0xFF: it does not exist."""
        if format_ not in self.tlvs:
            return _NO_RULE
        tlv = self.tlvs[format_]
        return tlv.tag if tlv else 0

    @property
    def reads_text(self) -> str:
        tlvs = list(dict.fromkeys(self.tlvs.values()))
        if len(tlvs) == 1 and len(self.tlvs) == 1:
            return f"`{tlvs[0].name}`, in format {next(iter(self.tlvs))} alone" if tlvs[0] else ""
        names = [f"`{tlv.name}`" if tlv else "header" for tlv in tlvs]
        return names[0] if len(names) == 1 else f"in format 1 {names[0]}, in format 2 {names[1]}"


@dataclass(frozen=True, slots=True)
class Status:
    name: str
    code: int
    text: str
    fix: str

    @property
    def symbol(self) -> str:
        return "OK" if self.code == 0 else f"ERR_{self.name}"


@dataclass(frozen=True, slots=True)
class SmpCommand:
    """A command of the management group. `request` and `reply` name its fields."""

    name: str
    value: int
    op: str
    request: str
    reply: str
    text: str


@dataclass(frozen=True, slots=True)
class SmpField:
    """An entry of the group's CBOR maps; `of`: which commands have it."""

    name: str
    type: str
    of: str
    text: str


@dataclass(frozen=True, slots=True)
class Smp:
    """The management group of SMP. `rc_1`: where its refusals begin in version 1."""

    group: int
    rc_1: int
    commands: tuple[SmpCommand, ...]
    fields: tuple[SmpField, ...]


@dataclass(frozen=True, slots=True)
class WireDefinition:
    wire_version: int
    tlv_vendor_first: int
    record_magic: int
    record_version: int
    staging_magic: int
    slot_states: tuple[Value, ...]
    limits: tuple[Value, ...]
    formats: tuple[Value, ...]
    decoders: tuple[Value, ...]
    format2: Format2
    accept_flags: tuple[Value, ...]
    digest_kinds: tuple[Value, ...]
    signature_kinds: tuple[SignatureKind, ...]
    signed_info: str
    agreement_kinds: tuple[Value, ...]
    sealed: Sealed
    encodings: tuple[Value, ...]
    verdicts: tuple[Value, ...]
    layouts: tuple[Layout, ...]
    tlvs: tuple[Tlv, ...]
    rules: tuple[Rule, ...]
    smp: Smp
    statuses: tuple[Status, ...]

    def tlv_mask(self, format_: int) -> int:
        """Bit n says that the TLV with tag n + 1 may stand in that format."""
        return sum(1 << (t.tag - 1) for t in self.tlvs if format_ in t.formats)

    def refusal(self, rule: Rule) -> int:
        """The number, without its sign, of the status with which a rule refuses."""
        return next(-s.code for s in self.statuses if s.name == rule.status)


def _layout(name: str, title: str, rows: list[dict[str, Any]]) -> Layout:
    fields: list[Field] = []
    offset = 0
    for row in rows:
        field = Field(row["name"], row["type"], row.get("count", 1), offset, row["text"])
        fields.append(field)
        offset += field.size
    return Layout(name, title, tuple(fields))


def _values(rows: list[dict[str, Any]]) -> tuple[Value, ...]:
    values = tuple(Value(r["name"], r["value"], r["text"], r.get("bytes", 0)) for r in rows)
    _require_unique("name", [v.name for v in values])
    return values


def _smp(raw: dict[str, Any]) -> Smp:
    commands = tuple(SmpCommand(**command) for command in raw["commands"])
    fields = tuple(SmpField(**field) for field in raw["fields"])
    if [c.value for c in commands] != list(range(len(commands))):
        raise ValueError("wire.yaml: the commands of SMP do not count up from 0")
    _require_unique("field of SMP", [f.name for f in fields])
    return Smp(raw["group"], raw["rc_1"], commands, fields)


def _require_unique(what: str, items: list[Any]) -> None:
    if len(set(items)) != len(items):
        raise ValueError(f"wire.yaml: a {what} stands twice among {items}")


def _tlvs(raw: dict[str, Any]) -> tuple[Tlv, ...]:
    tlvs = []
    for t in raw["tlvs"]:
        if match := _BYTES.fullmatch(t["type"]):
            least, most = t["least"], int(match[1])
        else:
            least = most = _TYPE_BYTES[t["type"]]
        tlvs.append(
            Tlv(t["name"], t["tag"], t["type"], least, most, tuple(t["formats"]), t["text"])
        )
    # The C core finds what belongs to a TLV by its tag, and holds the numbers in an array.
    if [t.tag for t in tlvs] != list(range(1, len(tlvs) + 1)):
        raise ValueError("wire.yaml: TLV tags do not count up from 1")
    if tlvs != sorted(tlvs, key=lambda t: not t.is_number):
        raise ValueError("wire.yaml: a number stands behind a TLV that is none")
    if tlvs[-1].tag >= min(raw["tlv_vendor_first"], 33):
        raise ValueError("wire.yaml: a TLV of ours lies in the vendor range, or is the 33rd")
    return tuple(tlvs)


def _rules(
    raw: dict[str, Any], tlvs: tuple[Tlv, ...], statuses: tuple[Status, ...]
) -> tuple[Rule, ...]:
    by_name = {t.name: t for t in tlvs}
    formats = [f["value"] for f in raw["formats"]]
    rules = []
    for i, r in enumerate(raw["rules"]):
        of_rule: dict[int, Tlv | None] = dict.fromkeys(formats)
        if r["tlv"] != "header":
            of_rule = {f: by_name[name] for f, name in r["tlv"].items()}
        rules.append(
            Rule(r["name"], i, of_rule, r["status"], r["compare"], r["text"], r["explain"])
        )
        if r["status"] not in {s.name for s in statuses}:
            raise ValueError(f"wire.yaml: rule {r['name']} names an unknown status {r['status']}")
        if r["compare"] not in ("at_most", "equal", "included"):
            raise ValueError(f"wire.yaml: rule {r['name']} compares by {r['compare']}")
        for format_, tlv in of_rule.items():
            if tlv is not None and format_ not in tlv.formats:
                raise ValueError(f"wire.yaml: {tlv.name} does not stand in format {format_}")
    return tuple(rules)


def load_wire_definition(path: Path) -> WireDefinition:
    """Load and check the definition. Raises ValueError or KeyError naming what is wrong in it."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    tlvs = _tlvs(raw)
    statuses = tuple(Status(s["name"], s["code"], s["text"], s["fix"]) for s in raw["statuses"])
    _require_unique("status code", [s.code for s in statuses])
    rules = _rules(raw, tlvs, statuses)
    return WireDefinition(
        wire_version=raw["wire_version"],
        tlv_vendor_first=raw["tlv_vendor_first"],
        record_magic=raw["record_magic"],
        record_version=raw["record_version"],
        staging_magic=raw["staging_magic"],
        slot_states=_values(raw["slot_states"]),
        limits=_values(raw["limits"]),
        formats=_values(raw["formats"]),
        decoders=_values(raw["decoders"]),
        format2=read_format2(raw["format2"]),
        accept_flags=_values(raw["accept_flags"]),
        digest_kinds=_values(raw["digest_kinds"]),
        signature_kinds=tuple(SignatureKind(**kind) for kind in raw["signature_kinds"]),
        signed_info=raw["signed_info"],
        agreement_kinds=_values(raw["agreement_kinds"]),
        sealed=Sealed(
            raw["sealed_first"],
            raw["sealed_key_bytes"],
            raw["sealed_chunk_bytes"],
            raw["sealed_tag_bytes"],
            raw["sealed_info"],
        ),
        encodings=_values(raw["format1"]["encodings"]),
        verdicts=_values(raw["verdicts"]),
        layouts=(
            _layout("F1_HEADER", "header of format 1", raw["format1"]["header"]),
            _layout("F1_CHUNK", "chunk header of format 1", raw["format1"]["chunk"]),
            _layout("F2_SIGNER", "signer of format 2", raw["format2"]["signer"]),
            _layout("RECORD", "record in flash", raw["record"]),
            _layout("ENTRY", "record's entry for one slot", raw["record_slot"]),
            _layout("STAGING", "first block of a staging region", raw["staging"]),
            _layout("SELF_TEST", "head of test vectors", raw["self_test"]),
            _layout("ACCURACY", "value of ACCURACY", raw["accuracy"]),
        ),
        tlvs=tlvs,
        rules=rules,
        smp=_smp(raw["smp"]),
        statuses=statuses,
    )
