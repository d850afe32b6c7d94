"""decoders.tsv: one line for each decoder, core and pair, and the table that sums them up."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from measure import tables
from peers.compare import geometric_mean

from .cores import CORES
from .decoder import COPY, OURS


@dataclass(frozen=True)
class Row:
    """Numbers are None where the decoder failed; the note says how.

    code_bytes: decoder, decompressor and what they need of libraries; ram_bytes: all but the stack
    """

    pair: str
    core: str
    tool: str
    version: str
    options: str
    patch_bytes: int | None
    instructions: int | None
    code_bytes: int | None
    ram_bytes: int | None
    stack_bytes: int | None
    note: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.pair, self.core, self.tool, self.options

    @property
    def failed(self) -> bool:
        return self.instructions is None


COLUMNS = tuple(field.name for field in fields(Row))
_NUMBERS = tuple(name for name in COLUMNS if name.endswith(("_bytes", "instructions")))


def read(file: Path) -> list[Row]:
    """Raises ValueError, which names the file, if it is not such a table."""
    lines = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")), delimiter="\t",
                           quoting=csv.QUOTE_NONE)  # fmt: skip
    if tuple(lines.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{file}: its columns are not {', '.join(COLUMNS)}")
    try:
        return [Row(**{name: _value(name, line[name]) for name in COLUMNS}) for line in lines]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: a line of it is broken: {error}") from error


def _value(name: str, text: str) -> Any:
    if name not in _NUMBERS:
        return text
    return int(text) if text else None


def merge(before: Iterable[Row], measured: Iterable[Row]) -> list[Row]:
    """What was measured now, and of before what was not; ours, then by tool."""
    found = {row.key: row for row in before}
    found.update((row.key, row) for row in measured)
    return sorted(found.values(), key=_order)


def _order(row: Row) -> tuple[str, int, int, str, str]:
    """Ours start with what they are; others have their options in the order of the alphabet."""
    core = [core.key for core in CORES].index(row.core)
    tool = [COPY, OURS].index(row.tool) if row.tool in (COPY, OURS) else 2
    return row.pair, core, tool, row.tool, row.options


def render(rows: Sequence[Row]) -> str:
    lines = [COLUMNS, *(astuple(row) for row in rows)]
    return "".join(
        "\t".join("" if cell is None else str(cell) for cell in line) + "\n" for line in lines
    )


def summary(rows: Sequence[Row], core: str, title: str) -> tables.Table:
    """Over the pairs of `rows` that all decoders have, on one core: means and the most."""
    groups: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if row.core == core:
            groups.setdefault((row.tool, row.options), {})[row.pair] = row
    sent = {row.pair: row.patch_bytes or 0 for row in rows if row.tool == COPY}
    out = tables.Table(
        title,
        ("decoder", "pairs", "patch ÷ model", "instructions per byte", "worst", "code", "RAM",
         "stack"),
        note="Geometric means over the pairs; code, RAM and stack are the most of any pair.",
    )  # fmt: skip
    for (tool, options), by_pair in groups.items():
        good = [row for row in by_pair.values() if not row.failed and row.pair in sent]
        failed = len(by_pair) - len(good)
        shown = f"{len(good)}, {failed} failed" if failed else str(len(good))
        if good:
            out.add(f"{tool}, {options}", shown, *_figures(good, sent))
        else:
            out.add(f"{tool}, {options}", shown, *[None] * 6)
    return out


def _figures(good: Sequence[Row], sent: Mapping[str, int]) -> list[tables.Cell]:
    shares = [(row.patch_bytes or 0) / sent[row.pair] for row in good]
    per_byte = [(row.instructions or 0) / sent[row.pair] for row in good]
    most = [
        max(getattr(row, name) for row in good)
        for name in ("code_bytes", "ram_bytes", "stack_bytes")
    ]
    return [
        f"{geometric_mean(shares):.3f}", f"{geometric_mean(per_byte):,.1f}",
        f"{max(per_byte):,.1f}", *most,
    ]  # fmt: skip
