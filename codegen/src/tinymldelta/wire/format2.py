"""Format 2 as `codegen/wire.yaml` defines it, and the tables that follow from formulas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

_NUMBER_CONTEXTS = 10


@dataclass(frozen=True, slots=True)
class Constant:
    name: str
    value: int
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers of one kind. `type` is the C type that holds each."""

    name: str
    type: str
    values: tuple[int, ...]
    full_only: bool = False

    @property
    def lines(self) -> list[str]:
        """The values as the lines of an initialiser, at most 90 characters each."""
        lines, line = [], ""
        for value in self.values:
            if len(line) + len(f"{value}, ") > 90:
                lines.append(line.rstrip())
                line = ""
            line += f"{value}, "
        return [*lines, line.rstrip()]


@dataclass(frozen=True, slots=True)
class Contexts:
    """Contexts of one purpose: `count` of them from `offset` on."""

    name: str
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Format2:
    """Names are listed in the order of their numbers, from 0 on."""

    flags: tuple[Constant, ...]
    base_digest_bytes: int
    target_digest_bytes: int
    signed_target_digest_bytes: int
    crc_bytes: int
    operations: tuple[str, ...]
    element_types: tuple[str, ...]
    element_bytes: tuple[int, ...]
    modes: tuple[str, ...]
    range_parts: tuple[str, ...]
    sizes: tuple[Constant, ...]
    models: tuple[Constant, ...]
    numbers: tuple[str, ...]
    plan: tuple[Contexts, ...]
    plan_contexts: int
    tables: tuple[Table, ...]


def _constants(rows: list[dict[str, Any]]) -> tuple[Constant, ...]:
    return tuple(Constant(r["name"], r["value"], r["text"]) for r in rows)


def _stretch() -> tuple[int, ...]:
    """ln(p / (1 - p)) in 1/256 for the 64 probabilities p = (i + 0.5) / 128 from one half up."""
    return tuple(
        round(256 * math.log(p / (1 - p))) for p in ((i + 0.5) / 128 for i in range(64, 128))
    )


def _squash() -> tuple[int, ...]:
    """1 / (1 + e^-x) in 1/4096 for x = -8, -7.5 ... 8."""
    return tuple(round(4096 / (1 + math.exp(-(i - 16) / 2))) for i in range(33))


def read_format2(raw: dict[str, Any]) -> Format2:
    """Read and check the section. Raises ValueError or KeyError naming what is wrong in it."""
    plan = [Contexts("NUMBER", 0, _NUMBER_CONTEXTS * len(raw["numbers"]))]
    for name, count in raw["plan"]:
        plan.append(Contexts(name, plan[-1].offset + plan[-1].count, count))
    total = plan[-1].offset + plan[-1].count
    given = raw["tables"]
    if len(given["plan_start"]) != total:
        raise ValueError(f"wire.yaml: plan_start has not one value for each of {total} contexts")
    if len(raw["operations"]) != 8 or len(raw["element_types"]) != 8:
        raise ValueError("wire.yaml: operations and element types are coded with 3 bits")
    return Format2(
        flags=_constants(raw["flags"]),
        base_digest_bytes=raw["base_digest_bytes"],
        target_digest_bytes=raw["target_digest_bytes"],
        signed_target_digest_bytes=raw["signed_target_digest_bytes"],
        crc_bytes=raw["crc_bytes"],
        operations=tuple(raw["operations"]),
        element_types=tuple(raw["element_types"]),
        element_bytes=tuple(raw["element_bytes"]),
        modes=tuple(raw["modes"]),
        range_parts=tuple(raw["range_parts"]),
        sizes=_constants(raw["sizes"]),
        models=_constants(raw["models"]),
        numbers=tuple(raw["numbers"]),
        plan=tuple(plan),
        plan_contexts=total,
        tables=(
            Table("element_bytes", "uint8_t", tuple(raw["element_bytes"])),
            Table("scales", "uint16_t", tuple(given["scales"])),
            Table("rates", "uint16_t", tuple(given["rates"])),
            Table("start_counts", "uint8_t", tuple(given["start_counts"])),
            Table("plan_start", "uint8_t", tuple(given["plan_start"])),
            Table("top_start", "uint8_t", tuple(given["top_start"])),
            Table("levels", "uint16_t", tuple(given["levels"]), full_only=True),
            Table("stretch", "int16_t", _stretch(), full_only=True),
            Table("squash", "uint16_t", _squash(), full_only=True),
        ),
    )
