"""The rows of the campaign: which update, on which flash, from where, cut how densely."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from powercut.pairs import FORMATS, NEEDS, Pair

MODES = ("streamed", "staged", "region")
PLACES = ("factory", "compiled in", "updated", "full log", "older")

# Kinds of real flash, as the simulator knows them.
REAL = (
    "stm32u5", "nrf52", "rram", "rp2350", "esp32", "stm32h7", "ra4m1", "stm32l0", "eeprom",
    "unequal",
)  # fmt: skip
# Small ones with each of their properties, in the campaign's program.
SMALL = (
    "small-once", "small-words", "small-bytes", "small-zeros", "small-wide", "small-unequal",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """As the program reads it; the meanings stand in campaign.h."""

    geometry: str
    pair: Pair
    format: int
    mode: int
    place: int
    progress: int = 4096
    parts: int = 0
    second: int = 0
    every: int = 1

    @property
    def text(self) -> str:
        return (
            f"{self.geometry}, {self.pair.name}, format {self.format}, {MODES[self.mode]}, "
            f"{PLACES[self.place]}"
        )

    @property
    def line(self) -> str:
        seed = zlib.crc32(self.text.encode()) | 1
        numbers = (
            self.geometry, self.mode, self.place, self.progress, self.parts, self.second,
            self.every, seed, NEEDS.req_arena_bytes, NEEDS.tflm_abi, NEEDS.opset_hash,
            NEEDS.io_hash,
        )  # fmt: skip
        return "\t".join([" ".join(str(n) for n in numbers), *self.pair.files(self.format)])


def _each(pairs: dict[str, Pair], names: tuple[str, ...]) -> Iterator[tuple[Pair, int, int, int]]:
    """Pair, format, mode, place."""
    for name in names:
        for patch_format in FORMATS:
            for mode in range(len(MODES)):
                for place in range(len(PLACES)):
                    if place < 4 or "older" in pairs[name].models:
                        yield pairs[name], patch_format, mode, place


def full_rows(pairs: dict[str, Pair]) -> list[Row]:
    """
    On real kinds of flash, every operation of real updates, at 64 places inside of it (which is
    every write unit of 4 bytes or more); with a sample of second cuts. On small ones every
    operation is also cut during the recovery from every cut.
    """
    rows = []
    for geometry in REAL:
        for pair, f, mode, place in _each(pairs, ("digits", "sst", "layer")):
            # Format 2 takes its time to decode: of the larger model, the places that differ most.
            if pair.name == "digits" and f == 2 and place in (1, 2):
                continue
            progress = 4096 if place % 2 else 1
            rows.append(Row(geometry, pair, f, mode, place, progress, parts=64))
        for pair, f, mode, place in _each(pairs, ("sst",)):
            if f == 1 and place in (0, 3):
                rows.append(Row(geometry, pair, f, mode, place, 1, parts=4, second=40, every=4))
    for geometry in SMALL:
        for pair, f, mode, place in _each(pairs, ("tiny", "edge")):
            if f == 2 or pair.name == "tiny":
                rows.append(Row(geometry, pair, f, mode, place, 1, parts=4, second=1))
    return rows


def sample_rows(pairs: dict[str, Pair]) -> list[Row]:
    """What a test run does: every kind of flash, patch format, way and place, less densely."""
    rows = []
    for geometry in REAL:
        for pair, f, mode, place in _each(pairs, ("sst", "layer")):
            if f == 1 or (place == 0 and pair.name == "sst"):
                every = 8 if f == 1 else 60
                rows.append(Row(geometry, pair, f, mode, place, 1, parts=8, every=every))
    for geometry in SMALL:
        for pair, f, mode, place in _each(pairs, ("tiny", "edge")):
            if (f == 1 and pair.name == "tiny") or (f == 2 and place == 0):
                rows.append(Row(geometry, pair, f, mode, place, 1, parts=2, second=5))
    return rows


def mutant_rows(pairs: dict[str, Pair]) -> list[Row]:
    """The rows that a seeded bug has to survive to count as not found."""
    rows = []
    for geometry in SMALL:
        for pair, f, mode, place in _each(pairs, ("tiny",)):
            if f == 1:
                rows.append(Row(geometry, pair, f, mode, place, 1, parts=2, second=4))
    # What a patch says of the target, behind it.
    for geometry in ("small-words", "small-once"):
        for pair, f, mode, place in _each(pairs, ("tiny", "edge")):
            if f == 2 and mode < 2 and place in (0, 2):
                rows.append(Row(geometry, pair, f, mode, place, 1, parts=1, second=4))
    # A staged patch of several blocks, in erase units that hold several.
    for geometry in ("small-wide", "small-unequal"):
        for place in (0, 3):
            rows.append(Row(geometry, pairs["sst"], 1, 2, place, 1, parts=2, every=2))
    return rows
