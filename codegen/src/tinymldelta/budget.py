"""What models take of a device: a short table for each build, with warnings in good time."""

from __future__ import annotations

from dataclasses import dataclass

from tinymldelta.contract import Contract


@dataclass(frozen=True, slots=True)
class Budget:
    """`used` of `room` bytes. what: "slot", "arena" or "RAM"; note: where `used` comes from."""

    model: str
    what: str
    used: int
    room: int
    note: str = ""

    @property
    def left(self) -> int:
        return self.room - self.used

    @property
    def share(self) -> float:
        return self.used / self.room if self.room else 1.0


def budgets(contract: Contract, ram_bytes: int | None = None) -> list[Budget]:
    """Each model in its slot and its arena, and all arenas in the RAM of the device, if known."""
    rows = []
    for m in contract.models:
        rows.append(Budget(m.name, "slot", m.model_bytes, m.slot_bytes))
        need = m.arena_need
        rows.append(Budget(m.name, "arena", need.bytes, m.arena_bytes, need.origin))
    if ram_bytes is not None:
        arenas = sum(m.arena_bytes for m in contract.models)
        rows.append(Budget("all models", "RAM", arenas, ram_bytes, "arenas"))
    return rows


def budget_warnings(rows: list[Budget], percent: int) -> list[str]:
    """One sentence for each budget that is used to more than `percent`; 100 warns of none.

    An arena that was not given is as large as the need, and so always full: no warning of that.
    """
    return [
        f"{row.model} uses {row.share:.0%} of its {row.what} ({row.used:,} of {row.room:,} bytes, "
        f"{row.left:,} left), which is above {percent} %"
        for row in rows
        if row.used * 100 > percent * row.room and not (row.what == "arena" and not row.left)
    ]
