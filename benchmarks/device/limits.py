"""The limits that other benches set, held on the cores that they are for.

Code and RAM: footprint.py; instructions: speed.py; both for the Cortex-M33. None was set for the
Cortex-M0+, whose code is larger and takes more instructions: there, the same limits hold with
ALLOWED on top, so that what makes it worse is noticed. Stack: what was painted over is no more than
the bound that footprint.py finds in the call graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import footprint
import speed
from measure import toolchain
from measure.toolchain import M33

from .build import DECODERS
from .running import Run

_TARGETS = {target.key: target for target in toolchain.TARGETS}
TARGETS = {key: _TARGETS[key] for key in ("m33", "m0plus")}
# Percent on top of the Cortex-M33's limits.
ALLOWED = {"m33": {}, "m0plus": {"code": 10, "memory": 5, "instructions": 40}}
# Of the painted stack, what is the bench's own: the flash port, and what calls the store.
BENCH_STACK = 64

# footprint.py's whole store with each decoder, whose functions the firmware of this bench calls.
WHOLE = {"format1": footprint.WHOLE, "lean": footprint.STORES[0], "default": footprint.STORES[2]}


@dataclass(frozen=True)
class Limit:
    core: str
    what: str
    value: float
    most: float

    @property
    def holds(self) -> bool:
        return self.value <= self.most

    def __str__(self) -> str:
        verdict = "" if self.holds else ", EXCEEDED"
        value = f"{self.value:,.1f}" if isinstance(self.value, float) else f"{self.value:,}"
        return f"{self.what}: {value} of {self.most:,}{verdict}"


def measure(key: str, folder: Path) -> footprint.Footprint:
    """Of a core of TARGETS: what the limits are about. Raises ToolError, StackError."""
    target = TARGETS[key]
    configurations = (
        footprint.STREAMED, footprint.STAGED, *WHOLE.values(),
        *(variant.configuration for variant in footprint.VARIANTS),
    )  # fmt: skip
    out = footprint.Footprint()
    built: dict[tuple[str, ...], tuple[Path, list[Path]]] = {}
    for configuration in configurations:
        options = configuration.options
        if options not in built:
            build = folder / "limits" / key / str(len(built))
            built[options] = build, footprint.compile_device(target, build, options)
        code, memory = footprint.measure_one(target, configuration, *built[options])
        out.code[configuration.key] = code
        out.memory[configuration.key] = memory
    return out


def _with(allowed: int, limit: float) -> int:
    return int(limit * (100 + allowed) // 100)


def _static(key: str, found: footprint.Footprint) -> Iterator[Limit]:
    for limit in footprint.limits_of({M33: found}):  # whose core they are for
        what = "code" if limit.what.startswith("code") else "memory"
        name = limit.what.replace(M33.name, TARGETS[key].name)
        most = _with(ALLOWED[key].get(what, 0), limit.limit)
        yield Limit(key, f"{name}, bytes", limit.bytes, most)


def _instructions(key: str, runs: Iterable[Run]) -> Iterator[Limit]:
    mine = [
        speed.Run(r.pair, r.base_bytes, r.target_bytes, r.bare_bytes, r.decoder, r.decode, 0)
        for r in runs
        if r.core == key
    ]
    for what, value, most in speed.limits(mine):
        name = f"instructions per byte on {TARGETS[key].name}, {what}"
        yield Limit(key, name, value, _with(ALLOWED[key].get("instructions", 0), most))


def _stack(key: str, found: footprint.Footprint, runs: Iterable[Run]) -> Iterator[Limit]:
    for decoder in DECODERS:
        painted = [r.stack for r in runs if r.core == key and r.decoder == decoder.key]
        if painted:
            bound = found.memory[WHOLE[decoder.key].key].deepest() + BENCH_STACK
            name = f"stack on {TARGETS[key].name}, whole store, {decoder.name}, painted over, bytes"
            yield Limit(key, name, max(painted), bound)


def limits_of(key: str, found: footprint.Footprint, runs: list[Run]) -> list[Limit]:
    """runs: of any cores; those of `key` count."""
    return [*_static(key, found), *_instructions(key, runs), *_stack(key, found, runs)]
