"""Running a job on an emulated board, and what it said."""

from __future__ import annotations

import subprocess
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from measure.boards import emulated
from measure.pairs import Pair

from .build import Built, Decoder
from .cores import Core
from .jobs import Geometry, Patch, make_job, write_files

TIMEOUT = 600  # seconds
ROUND = 1 << 24  # ticks, after which a board's counter begins anew


@dataclass(frozen=True)
class Phase:
    """What one phase took. Instructions in steps of the board's tick; the rest is flash and stack.

    erases, writes, reads: operations; written, read: bytes.
    """

    status: int
    instructions: int
    stack: int
    erases: int
    writes: int
    written: int
    reads: int
    read: int


@dataclass
class Way:
    """How a patch is taken, streamed or staged: its phases, in order."""

    phases: dict[str, Phase] = field(default_factory=dict)

    def total(self, what: str) -> int:
        return sum(getattr(phase, what) for phase in self.phases.values())

    @property
    def stack(self) -> int:
        return max(phase.stack for phase in self.phases.values())


@dataclass
class Run:
    """One pair on one core. `staged` is None where no staging region fits; alone: the decoder."""

    core: str
    decoder: str
    pair: str
    base_bytes: int
    target_bytes: int
    patch_bytes: int
    bare_bytes: int  # of the patch, without metadata
    guarded: bool
    streamed: Way
    staged: Way | None
    alone: dict[str, Phase]
    structs: dict[str, int]

    @property
    def decode(self) -> int:
        """Instructions of the decoder alone: head and body."""
        return self.alone["head"].instructions + self.alone["decode"].instructions

    @property
    def decode_per_byte(self) -> float:
        return self.decode / self.target_bytes

    @property
    def stack(self) -> int:
        """The deepest of all that the store did."""
        return max(way.stack for way in (self.streamed, self.staged) if way is not None)

    @property
    def ram(self) -> int:
        """Of the whole store: structs and deepest stack; with a staging region, its struct too."""
        held = ("store", "update", *(("staging",) if self.staged else ()))
        return sum(self.structs[name] for name in held) + self.stack

    @property
    def decoder_ram(self) -> int:
        """Of the decoder alone: its struct and deepest stack."""
        return self.structs["patch"] + max(self.alone[n].stack for n in ("head", "decode"))


STRUCTS = ("store", "update", "staging", "patch")
ALONE = ("head", "guard", "decode", "digest")
STREAMED = ("mount", "stream", "start")
STAGED = ("mount", "receive", "apply", "start")


class RunError(Exception):
    """A run that did not end with the target; the message says which, and how it ended."""


def run(
    core: Core, built: Built, decoder: Decoder, pair: Pair, patch: Patch, geometry: Geometry,
    folder: Path,
) -> Run:  # fmt: skip
    """One power-on: staged if there is room, streamed, and the decoder alone.

    Raises RunError, and ValueError if the pair does not fit the board, or its counter.
    """
    job = make_job(core, pair, patch, decoder, geometry)
    try:
        ended = emulated.run(
            core.board, built.elf, folder=folder, load=write_files(job, folder), timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"{pair.name} on {core.name}: no end after {TIMEOUT} s") from error
    return read_run(core, decoder, pair, patch, ended.status, ended.output, job.staged)


def read_run(
    core: Core, decoder: Decoder, pair: Pair, patch: Patch, status: int, output: str, staged: bool
) -> Run:
    """From what the firmware said. Raises RunError if that is not a whole, right update.

    Raises ValueError if the board's counter may have lost instructions.
    """
    where = f"{pair.name}, {decoder.name}, on {core.name}"
    lines = [line.split() for line in output.splitlines() if line.strip()]
    try:
        said = [(words[0], [int(word) for word in words[1:]]) for words in lines]
    except ValueError as error:
        raise RunError(f"{where}: {output.strip()[:200]}") from error
    failed = [f"{name} ended with status -{n[0]}" for name, n in said if len(n) == 8 and n[0]]
    if status != 0 or failed:
        raise RunError(f"{where}: {', '.join(failed) or output.strip()[:200] or 'no result'}")
    want = ["sizes", *([*STAGED[:-1], "active", "start"] if staged else [])]
    want += [*STREAMED[:-1], "active", "start", *ALONE[:-1], "decoded", "digest", "rounds"]
    if [name for name, _ in said] != want:
        raise RunError(f"{where}: said {[name for name, _ in said]}, not {want}")
    target = [1, len(pair.target), zlib.crc32(pair.target)]
    for name, numbers in said:
        if name == "active" and numbers != target:
            raise RunError(f"{where}: slot, bytes and CRC-32 are {numbers}, not {target}")
        if name == "decoded" and numbers != [len(pair.target), 0]:
            raise RunError(
                f"{where}: decoded {numbers[0]} bytes, {numbers[1]} pieces of them wrong"
            )
    phases = [(name, Phase(*n)) for name, n in said if len(n) == 8]
    # A phase that took more than a round was told without it; the counter went round all the same.
    told = sum(phase.instructions for _, phase in phases)
    if said[-1][1][0] > told // (core.board.tick * ROUND):
        raise ValueError(
            f"{pair.name} takes more instructions on {core.name} than its counter can count"
        )
    cut = len(STAGED) if staged else 0
    return Run(
        core.key, decoder.key, pair.name, len(pair.base), len(pair.target), len(patch.data),
        len(patch.data) - patch.metadata_bytes, patch.contract is not None,
        Way(dict(phases[cut : cut + len(STREAMED)])),
        Way(dict(phases[:cut])) if staged else None,
        dict(phases[cut + len(STREAMED) :]),
        dict(zip(STRUCTS, said[0][1], strict=True)),
    )  # fmt: skip
