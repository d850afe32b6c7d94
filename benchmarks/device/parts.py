"""Named parts, read from parts.toml: time and energy of what was counted.

    time   = instructions * CPI / clock + erases * t_erase + writes * t_write
    energy = V * (I_run * t_processor + I_flash * t_flash)

writes are units of what the part programs at once. QEMU counts instructions, not cycles: CPI,
cycles per instruction, is a range that parts.toml assumes, and so is the time.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cores import BY_KEY
from .jobs import Geometry

FILE = Path(__file__).with_name("parts.toml")
_NUMBERS = ("clock_mhz", "erase", "write")
_RANGES = ("erase_ms", "write_us", "cpi")
_TEXTS = ("name", "core", "source", "seen", "cpi_why")
_OPTIONAL = ("run_ma", "flash_ma", "volts", "radio_ma")


class PartsError(Exception):
    """parts.toml is not as it has to be; the message says where, what, and what to do."""


@dataclass(frozen=True)
class Part:
    """A part. Ranges are (typical or least, most); milliamperes and volts are None if not known."""

    name: str
    core: str
    clock_mhz: float
    erase: int
    write: int
    erase_ms: tuple[float, float]
    write_us: tuple[float, float]
    cpi: tuple[float, float]
    source: str
    seen: str
    cpi_why: str
    run_ma: float | None = None
    flash_ma: float | None = None
    volts: float | None = None
    radio_ma: float | None = None

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.erase, self.write)


@dataclass(frozen=True)
class Cost:
    """Of an update on a part: seconds, and millijoules if its currents are known.

    Each is (typical, most). processor_mj: all that is known where flash has no current.
    """

    processor: tuple[float, float]
    flash: tuple[float, float]
    processor_mj: tuple[float, float] | None
    flash_mj: tuple[float, float] | None

    @property
    def seconds(self) -> tuple[float, float]:
        return (self.processor[0] + self.flash[0], self.processor[1] + self.flash[1])


def cost(part: Part, instructions: int, erases: int, written: int) -> Cost:
    """written: bytes that were programmed. The formulas are those of the module."""
    writes = -(-written // part.write)
    processor = [instructions * cpi / (part.clock_mhz * 1e6) for cpi in part.cpi]
    flash = [
        erases * erase * 1e-3 + writes * write * 1e-6
        for erase, write in zip(part.erase_ms, part.write_us, strict=True)
    ]

    def energy(milliamperes: float | None, seconds: list[float]) -> tuple[float, float] | None:
        if milliamperes is None or part.volts is None:
            return None
        least, most = (part.volts * milliamperes * s for s in seconds)
        return least, most

    return Cost(
        (processor[0], processor[1]), (flash[0], flash[1]), energy(part.run_ma, processor),
        energy(part.flash_ma, flash),
    )  # fmt: skip


def read_parts(file: Path = FILE) -> list[Part]:
    """Raises PartsError."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PartsError(f"{file.name}: cannot be read: {error}; mend the file") from error
    found = document.get("part")
    if not isinstance(found, list) or not found or set(document) != {"part"}:
        raise PartsError(f"{file.name}: no parts; give each a table [[part]]")
    parts = [_part(entry, f"{file.name}: part {n}") for n, entry in enumerate(found, 1)]
    names = [part.name for part in parts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise PartsError(f"{file.name}: {', '.join(sorted(twice))} is there twice; name each once")
    return parts


def _part(entry: Any, where: str) -> Part:
    if not isinstance(entry, dict):
        raise PartsError(f"{where}: not a table; write it as [[part]]")
    where = f"{where} ({entry['name']})" if isinstance(entry.get("name"), str) else where
    known = {*_NUMBERS, *_RANGES, *_TEXTS, *_OPTIONAL}
    needed = known - set(_OPTIONAL)
    if odd := sorted(set(entry) - known):
        raise PartsError(
            f"{where}: {', '.join(odd)} is not known; known are {', '.join(sorted(known))}"
        )
    if missing := sorted(needed - set(entry)):
        raise PartsError(
            f"{where}: {', '.join(missing)} is missing; give it, or leave the part out"
        )
    for key in _TEXTS:
        if not isinstance(entry[key], str) or not entry[key]:
            raise PartsError(f"{where}: {key} is not a text; write it in quotes")
    if entry["core"] not in BY_KEY:
        raise PartsError(
            f"{where}: no core is called {entry['core']!r}; choose from {', '.join(BY_KEY)}"
        )
    for key in (*_NUMBERS, *(key for key in _OPTIONAL if key in entry)):
        _check_number(entry[key], f"{where}: {key}")
    for key in ("erase", "write"):
        if not isinstance(entry[key], int):
            raise PartsError(f"{where}: {key} is {entry[key]}; give whole bytes")
    if entry["erase"] % entry["write"] or 256 % entry["write"]:
        raise PartsError(
            f"{where}: units of {entry['write']} bytes do not make up the write buffer of 256 bytes"
            f" and erase units of {entry['erase']}; give the sizes of the data sheet"
        )
    for key in _RANGES:
        value = entry[key]
        if not isinstance(value, list) or len(value) != 2:
            raise PartsError(f"{where}: {key} is {value}; give [typical, most]")
        for number in value:
            _check_number(number, f"{where}: {key}")
        if value[0] > value[1]:
            raise PartsError(f"{where}: {key} is {value}; the most stands second")
    if ("volts" in entry) != ("run_ma" in entry):
        raise PartsError(f"{where}: volts and run_ma stand together; give both or neither")
    if "run_ma" not in entry and ("flash_ma" in entry or "radio_ma" in entry):
        raise PartsError(f"{where}: flash_ma and radio_ma stand beside run_ma; give that too")
    return Part(**{key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()})


def _check_number(value: Any, where: str) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1e9:
        raise PartsError(f"{where} is {value!r}; give a number above 0")
