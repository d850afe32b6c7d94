"""Reads `codegen/wire.yaml` into checked, frozen data.

This is the only reader of the file. What it computes (offsets, sizes) is computed nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tinymldelta.wire.format2 import Format2, read_format2

_TYPE_BYTES = {"u8": 1, "u16": 2, "u32": 4}


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
class Tlv:
    name: str
    tag: int
    type: str
    text: str

    @property
    def size(self) -> int:
        """Length of the value in bytes; any other length is refused."""
        return _TYPE_BYTES[self.type]


@dataclass(frozen=True, slots=True)
class Rule:
    """A guardrail. `compare` is "at_most" (need <= have) or "equal"."""

    name: str
    index: int
    tlv: Tlv | None
    status: str
    compare: str
    text: str
    explain: str


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
    encodings: tuple[Value, ...]
    verdicts: tuple[Value, ...]
    layouts: tuple[Layout, ...]
    tlvs: tuple[Tlv, ...]
    rules: tuple[Rule, ...]
    smp: Smp
    statuses: tuple[Status, ...]


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


def load_wire_definition(path: Path) -> WireDefinition:
    """Load and check the definition. Raises ValueError or KeyError naming what is wrong in it."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    tlvs = tuple(Tlv(t["name"], t["tag"], t["type"], t["text"]) for t in raw["tlvs"])
    _require_unique("TLV tag", [t.tag for t in tlvs])
    if any(t.tag >= raw["tlv_vendor_first"] for t in tlvs):
        raise ValueError("wire.yaml: a TLV of ours lies in the vendor range")
    by_name = {t.name: t for t in tlvs}
    statuses = tuple(Status(s["name"], s["code"], s["text"], s["fix"]) for s in raw["statuses"])
    _require_unique("status code", [s.code for s in statuses])
    rules = tuple(
        Rule(
            r["name"],
            i,
            by_name[r["tlv"]] if r["tlv"] else None,
            r["status"],
            r["compare"],
            r["text"],
            r["explain"],
        )
        for i, r in enumerate(raw["rules"])
    )
    for rule in rules:
        if rule.status not in {s.name for s in statuses}:
            raise ValueError(f"wire.yaml: rule {rule.name} names an unknown status {rule.status}")
        if rule.compare not in ("at_most", "equal"):
            raise ValueError(f"wire.yaml: rule {rule.name} compares by {rule.compare}")
    # The C core finds a rule's TLV and status by arithmetic instead of by tables.
    if [t.tag for t in tlvs] != list(range(1, len(tlvs) + 1)):
        raise ValueError("wire.yaml: TLV tags do not count up from 1")
    ruled = sum(r.tlv is not None for r in rules)
    if [r.tlv for r in rules] != [*tlvs[:ruled], *[None] * (len(rules) - ruled)]:
        raise ValueError("wire.yaml: rules do not stand in the order of the TLV tags")
    codes = {s.name: s.code for s in statuses}
    if [codes[r.status] for r in rules] != [codes[rules[0].status] - r.index for r in rules]:
        raise ValueError("wire.yaml: the rules' statuses do not count down")
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
        encodings=_values(raw["format1"]["encodings"]),
        verdicts=_values(raw["verdicts"]),
        layouts=(
            _layout("F1_HEADER", "header of format 1", raw["format1"]["header"]),
            _layout("F1_CHUNK", "chunk header of format 1", raw["format1"]["chunk"]),
            _layout("RECORD", "record in flash", raw["record"]),
            _layout("ENTRY", "record's entry for one slot", raw["record_slot"]),
            _layout("STAGING", "first block of a staging region", raw["staging"]),
            _layout("SELF_TEST", "head of test vectors", raw["self_test"]),
        ),
        tlvs=tlvs,
        rules=rules,
        smp=_smp(raw["smp"]),
        statuses=statuses,
    )
