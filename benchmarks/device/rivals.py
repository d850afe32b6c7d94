"""What other tools' decoders cost, as decoders.py has measured it: beside ours, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from decoders.decoder import COPY, OURS
from decoders.rows import Row, read
from measure import tables
from measure.pairs import REPOSITORY
from peers.compare import geometric_mean

FILE = REPOSITORY / "benchmarks" / "decoders.tsv"
Key = tuple[str, str]  # tool, options


@dataclass(frozen=True)
class Field:
    """A column that is compared; `per_pair`: each pair has its own winner."""

    attribute: str
    name: str
    per_pair: bool


FIELDS = (
    Field("patch_bytes", "bytes sent", True),
    Field("instructions", "instructions", True),
    Field("ram_and_stack", "RAM with stack", False),
    Field("code_bytes", "code", False),
)


def read_rows(file: Path = FILE) -> list[Row]:
    """Without the plain copy. Empty if there is no such file; raises ValueError if it is broken."""
    return [row for row in read(file) if row.tool != COPY] if file.is_file() else []


def _value(row: Row, field: Field) -> int:
    if field.attribute == "ram_and_stack":
        return (row.ram_bytes or 0) + (row.stack_bytes or 0)
    return int(getattr(row, field.attribute) or 0)


def by_key(rows: Sequence[Row], core: str) -> dict[Key, dict[str, Row]]:
    """Of a core: by tool and options, rows by pair, those that failed left out."""
    found: dict[Key, dict[str, Row]] = {}
    for row in rows:
        if row.core == core and not row.failed:
            found.setdefault((row.tool, row.options), {})[row.pair] = row
    return found


def common_pairs(found: dict[Key, dict[str, Row]]) -> list[str]:
    """That every decoder has."""
    sets = [set(rows) for rows in found.values()]
    return sorted(set.intersection(*sets)) if sets else []


def label(key: Key) -> str:
    return f"{key[0]}, {key[1]}" if key[1] else key[0]


def telling(found: dict[Key, dict[str, Row]]) -> list[Key]:
    """Of each other tool, the options that send least, and those that take fewest instructions."""
    out: list[Key] = []
    pairs = common_pairs(found)
    for tool in dict.fromkeys(key[0] for key in found if key[0] != OURS):
        keys = [key for key in found if key[0] == tool]
        for field in FIELDS[:2] if pairs else ():
            best = min(keys, key=lambda key: _mean(found[key], pairs, field))
            if best not in out:
                out.append(best)
    return out


def _mean(rows: dict[str, Row], pairs: Sequence[str], field: Field) -> float:
    if field.per_pair:
        return geometric_mean([max(1, _value(rows[pair], field)) for pair in pairs])
    return max(_value(rows[pair], field) for pair in pairs)


def table(rows: Sequence[Row], core: str, name: str, sizes: dict[str, int]) -> tables.Table | None:
    """sizes: of the targets, by pair. None if there is nothing of other tools."""
    found = by_key(rows, core)
    pairs = [pair for pair in common_pairs(found) if pair in sizes]
    if not pairs or all(key[0] == OURS for key in found):
        return None
    versions = {key[0]: by_pair[pairs[0]].version for key, by_pair in found.items()}
    out = tables.Table(
        f"Decoders side by side, on {name}",
        ("decoder", "sent ÷ model", "instructions per byte", "most", "RAM", "stack", "code"),
        note="From `benchmarks/decoders.tsv`, where all were measured in the same way. Geometric"
        f" means over {len(pairs)} pairs; RAM, stack and code are the most of any. RAM: static,"
        " heap, and buffers that the decoder needs. Code: with libraries.\n\n"
        + "\n".join(f"- {tool}: {version}" for tool, version in versions.items()),
    )  # fmt: skip
    for key, by_pair in found.items():
        mine = [by_pair[pair] for pair in pairs]
        per_byte = [(r.instructions or 0) / sizes[r.pair] for r in mine]
        sent = [(r.patch_bytes or 0) / sizes[r.pair] for r in mine]
        most = (
            max(getattr(r, attribute) or 0 for r in mine)
            for attribute in ("ram_bytes", "stack_bytes", "code_bytes")
        )
        out.add(
            label(key), f"{geometric_mean(sent):.3f}", f"{geometric_mean(per_byte):,.1f}",
            f"{max(per_byte):,.1f}", *most,
        )  # fmt: skip
    return out


def _against(
    ours: dict[str, Row], theirs: dict[str, Row], pairs: Sequence[str], field: Field
) -> float:
    """Ours as a multiple of theirs."""
    return _mean(ours, pairs, field) / _mean(theirs, pairs, field)


def _duel(
    ours: dict[str, Row], others: dict[Key, dict[str, Row]], pairs: Sequence[str], field: Field
) -> tuple[float, str]:
    """Against whoever of the others needs least of this: the multiple, and it in words."""
    rival = min(others, key=lambda key: _mean(others[key], pairs, field))
    ratio = _against(ours, others[rival], pairs, field)
    said = f"{field.name}, {ratio:.2f} × {label(rival)}"
    if field.per_pair:
        wins = sum(
            _value(ours[pair], field) < min(_value(o[pair], field) for o in others.values())
            for pair in pairs
        )
        said += f", ahead of all on {wins} of {len(pairs)} pairs"
    return ratio, f"{said}"


def verdicts(rows: Sequence[Row], core: str) -> Iterator[str]:
    """Who wins where: sentences on each of our decoders, from the rows alone."""
    found = by_key(rows, core)
    pairs = common_pairs(found)
    others = {key: by_pair for key, by_pair in found.items() if key[0] != OURS}
    if not pairs or not others:
        return
    least = min(others, key=lambda key: _mean(others[key], pairs, FIELDS[0]))
    for key, ours in found.items():
        if key[0] != OURS:
            continue
        duels = [_duel(ours, others, pairs, field) for field in FIELDS]
        ahead = "; ".join(said for ratio, said in duels if ratio < 1)
        behind = "; ".join(said for ratio, said in duels if ratio >= 1)
        name = key[1] or key[0]
        yield f"Ours, {name}, against the best of the others in each: " + " ".join(
            f"{word}: {what}." for word, what in (("Ahead", ahead), ("Behind", behind)) if what
        )
        multiples = ", ".join(
            f"{field.name} {_against(ours, others[least], pairs, field):.2f} ×" for field in FIELDS
        )
        yield f"Ours, {name}, against {label(least)}, which sends least of the others: {multiples}."
