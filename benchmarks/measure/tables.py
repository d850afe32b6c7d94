"""Tables that look the same in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import rich.box
import rich.console
import rich.table

Cell = str | int | None


@dataclass
class Table:
    """The first column names the row; the others hold numbers, or text, or nothing."""

    title: str
    header: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)
    note: str = ""

    def add(self, *cells: Cell) -> None:
        self.rows.append(cells)


def show(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:,}" if isinstance(cell, int) else cell


def print_all(tables: Iterable[Table], lines: Sequence[str] = ()) -> None:
    """To the terminal, with `lines` below."""
    console = rich.console.Console()
    for table in tables:
        _print(table, console)
    for line in lines:
        console.print(line, highlight=False, markup=False)


def _print(table: Table, console: rich.console.Console) -> None:
    out = rich.table.Table(
        title=table.title,
        caption=table.note or None,
        box=rich.box.SIMPLE_HEAD,
        title_justify="left",
    )
    for number, name in enumerate(table.header):
        out.add_column(name, justify="right" if number > 0 else "left")
    for row in table.rows:
        out.add_row(*(show(cell) for cell in row))
    console.print(out)


def markdown(table: Table) -> str:
    """With a heading, and a blank line at the end."""
    lines = [f"## {table.title}", ""]
    if table.note:
        lines += [table.note, ""]
    lines.append(f"| {' | '.join(table.header)} |")
    lines.append(f"|---{'|---:' * (len(table.header) - 1)}|")
    lines += [f"| {' | '.join(show(cell) for cell in row)} |" for row in table.rows]
    return "\n".join(lines) + "\n\n"
