"""Simulated flash: its kinds, what was done to it, and how its power fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from tinymldelta.contract import Contract
from tinymldelta.native.binding import ffi, lib

CUT_ANYWHERE: Final = 0xFFFFFFFF  # TMD_SIM_ANY; the binding has no macros


@dataclass(frozen=True, slots=True)
class Geometry:
    """A kind of simulated flash. Sizes in bytes; `pattern` is (erase unit, count), repeated."""

    name: str
    text: str
    pattern: tuple[tuple[int, int], ...]
    write_bytes: int
    erased_value: int
    needs_erase: bool
    write_once: bool

    @property
    def erase_bytes(self) -> int:
        """The largest erase unit."""
        return max(size for size, _ in self.pattern)

    @property
    def pattern_bytes(self) -> int:
        return sum(size * count for size, count in self.pattern)


class CutShape(IntEnum):
    """What is left of the write or erase that a power cut hits."""

    BEFORE = lib.TMD_SIM_CUT_BEFORE
    PREFIX = lib.TMD_SIM_CUT_PREFIX
    TORN = lib.TMD_SIM_CUT_TORN
    SUBSET = lib.TMD_SIM_CUT_SUBSET
    AFTER = lib.TMD_SIM_CUT_AFTER


@dataclass(frozen=True, slots=True)
class Counts:
    """What was done to a simulated flash since it was made."""

    operations: int
    reads: int
    writes: int
    erases: int
    bytes_read: int
    bytes_written: int
    rewrites: int
    illegal: int


def _each_geometry() -> Iterator[tuple[Geometry, Any]]:
    index = 0
    while lib.tmd_sim_geometries[index].name != ffi.NULL:
        g = lib.tmd_sim_geometries[index]
        pattern = tuple((g.pattern[i].bytes, g.pattern[i].count) for i in range(g.pattern_n))
        yield (
            Geometry(
                name=ffi.string(g.name).decode(),
                text=ffi.string(g.text).decode(),
                pattern=pattern,
                write_bytes=g.write_bytes,
                erased_value=g.erased_value,
                needs_erase=not g.flags & lib.TMD_FLASH_NO_ERASE,
                write_once=g.flags & lib.TMD_SIM_WRITE_ONCE != 0,
            ),
            g,
        )
        index += 1


def geometries() -> tuple[Geometry, ...]:
    """Every kind of flash that the simulator knows by name."""
    return tuple(geometry for geometry, _ in _each_geometry())


def geometry_of(contract: Contract) -> Geometry:
    """A known kind of flash with the contract's erase and write units, or a plain one like it."""
    for geometry in geometries():
        if (geometry.erase_bytes, geometry.write_bytes) == (
            contract.erase_bytes,
            contract.write_bytes,
        ):
            return geometry
    return Geometry(
        "contract",
        "as the contract says",
        ((contract.erase_bytes, 1),),
        contract.write_bytes,
        0xFF,
        True,
        True,
    )
