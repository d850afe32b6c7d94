"""The tensor arena that a model really needs: found by trying, on an emulated Cortex-M.

`samples/arena` is built in the user's own Zephyr workspace, with the TFLM and the kernels that are
there, and QEMU runs it once per trial. The firmware stays the same: model and size of the arena are
put into its memory by QEMU.

The minimum is the smallest arena, a multiple of 16 bytes that starts at one, with which
AllocateTensors() and one Invoke() succeed, the output is what it is with a large arena, and TFLM
prints no error that it does not print then: the one of 2021 goes on after some failed allocations.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Final, Protocol

from tinymldelta.arena import ArenaNeed
from tinymldelta.errors import Refusal

STEP: Final = 16  # MicroArenaBufferAlignment() in TFLM's micro_arena_constants.h
BELOW: Final = 8  # so many steps below the minimum have to fail

Progress = Callable[[str], None]


class Outcome(IntEnum):
    """How a trial ended: the firmware's exit codes (samples/arena/src/leave.h), and what it cannot
    tell by one.
    """

    DONE = 0
    ALLOCATION_FAILED = 20
    INVOCATION_FAILED = 21
    OVERRUN = 22
    FAULT = 23
    TIME_OUT = 256
    ERROR_PRINTED = 257

    @property
    def text(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Trial:
    """used: what `arena_used_bytes()` said; outputs: CRC-32 of the outputs; both 0 if it failed.

    log: what else the firmware printed, such as TFLM's reason.
    """

    outcome: Outcome
    used: int = 0
    outputs: int = 0
    log: str = ""

    @property
    def reason(self) -> str:
        """What went wrong, and TFLM's last words: a check of a kernel, and the node."""
        lines = [line.strip() for line in self.log.splitlines() if line.strip()]
        return "; ".join([self.outcome.text, *lines[-2:]])


class Runner(Protocol):
    """Tries a model with an arena of so many bytes; all of inference, or allocation only."""

    @property
    def largest(self) -> int: ...

    def __call__(self, arena: int, *, invoke: bool) -> Trial: ...


@dataclass(frozen=True, slots=True)
class Minimum:
    """used: `arena_used_bytes()` with that arena, which is less where start-up needs more."""

    bytes: int
    used: int
    trials: int

    @property
    def need(self) -> ArenaNeed:
        return ArenaNeed(self.bytes, "measured")


class _Search:
    """One model's search. Failures of allocation come fast, so inference is left to the end."""

    def __init__(self, run: Runner, reference: Trial, progress: Progress) -> None:
        self._run = run
        self._reference = reference
        self._progress = progress
        self._done: dict[tuple[int, bool], Trial] = {}

    @property
    def trials(self) -> int:
        return len(self._done)

    def trial(self, arena: int, *, invoke: bool) -> Trial:
        """The result of a trial, which is made once."""
        result = self._done.get((arena, invoke))
        if result is None:
            result = self._done[arena, invoke] = self._judge(self._run(arena, invoke=invoke))
            self._progress(_line(arena, invoke, result))
        return result

    def _judge(self, result: Trial) -> Trial:
        # Allocation alone prints the beginning of what inference prints too.
        if result.outcome is Outcome.DONE and not self._reference.log.startswith(result.log):
            return replace(result, outcome=Outcome.ERROR_PRINTED)
        return result

    def allocates(self, arena: int) -> bool:
        return self.trial(arena, invoke=False).outcome is Outcome.DONE

    def works(self, arena: int) -> bool:
        if not self.allocates(arena):
            return False
        result = self.trial(arena, invoke=True)
        return result.outcome is Outcome.DONE and result.outputs == self._reference.outputs


def _line(arena: int, invoke: bool, result: Trial) -> str:
    done = "runs" if invoke else "allocates"
    return f"{arena:,} bytes: {done if result.outcome is Outcome.DONE else result.outcome.text}"


def _smallest(works: Callable[[int], bool], guess: int, largest: int) -> int:
    """The smallest multiple of STEP that works, if all larger ones do; a good guess is quick.

    The largest has to work.
    """
    low, high, stride = 0, min((guess + STEP - 1) // STEP * STEP, largest), STEP
    while not works(high):
        low, high, stride = high, min(high + stride, largest), 2 * stride
    if low == 0:  # the guess was enough: go down in the same way
        stride = STEP
        while high > stride and works(high - stride):
            high, stride = high - stride, 2 * stride
        low = max(high - stride, 0)
    while high - low > STEP:
        middle = (low + high) // 2 // STEP * STEP
        if works(middle):
            high = middle
        else:
            low = middle
    return high


def find_minimum(run: Runner, where: str, progress: Progress = lambda line: None) -> Minimum:
    """Search, then prove: the minimum works, and the BELOW steps under it do not.

    Raises Refusal if the model runs with no arena that there is room for.
    """
    largest = run.largest // STEP * STEP
    reference = run(largest, invoke=True)
    progress(_line(largest, True, reference))
    if reference.outcome is not Outcome.DONE:
        raise Refusal(
            where,
            f"does not run with an arena of {largest:,} bytes: {reference.reason}",
            "give it more time"
            if reference.outcome is Outcome.TIME_OUT
            else "see whether TFLM has all of its operators, in these versions and types",
        )
    search = _Search(run, reference, progress)
    allocated = _smallest(search.allocates, reference.used, largest)
    found = _smallest(search.works, allocated, largest)
    below = found - STEP
    while below > 0 and below >= found - BELOW * STEP:
        if search.works(below):
            found = below
        below -= STEP
    return Minimum(found, search.trial(found, invoke=True).used, 1 + search.trials)


# The firmware.

_TRIAL = struct.Struct("<IIII")  # struct Trial in samples/arena/src/main.cpp
_MAGIC = 0x616E7261
_INVOKE = 1
_MEMORY = 0x1000000  # the PSRAM of both boards
_ALLOCATION_LIMIT = 60  # seconds; it takes less than one
_BESIDES = 1024  # for the trial's header, alignment and the guards around the arena
_REPORT = re.compile(r"^arena: used (\d+), outputs ([0-9a-f]{8})\r?$", re.MULTILINE)
_QEMU = "qemu-system-arm"


@dataclass(frozen=True, slots=True)
class Board:
    """An emulated board. name, since_3_7: how Zephyr calls it, since 3.7 with its processor.

    machine: QEMU's name of it. address: of its PSRAM, as in samples/arena/boards.
    """

    name: str
    since_3_7: str
    machine: str
    address: int


BOARDS: Final = {
    "cortex-m3": Board("mps2_an385", "mps2/an385", "mps2-an385", 0x21000000),
    # Has the DSP instructions that a Cortex-M4 and M7 have, for which CMSIS-NN asks for more.
    "cortex-m33": Board("mps2_an521", "mps2/an521/cpu0", "mps2-an521", 0x80000000),
}


@dataclass(frozen=True, slots=True)
class EmulatedModel:
    """Runs a model on the firmware in QEMU. time_limit: seconds for a trial with inference."""

    board: Board
    firmware: Path
    model: bytes
    time_limit: float = 600

    @property
    def largest(self) -> int:
        return max((_MEMORY - _BESIDES - len(self.model)) // STEP * STEP, 0)

    def __call__(self, arena: int, *, invoke: bool) -> Trial:
        header = _TRIAL.pack(_MAGIC, len(self.model), arena, _INVOKE if invoke else 0)
        with tempfile.TemporaryDirectory(prefix="tmd-arena-") as folder:
            trial = Path(folder, "trial.bin")
            trial.write_bytes(header + self.model)
            command = [
                *(_QEMU, "-M", self.board.machine, "-nographic", "-semihosting"),
                *("-monitor", "none", "-serial", "stdio", "-kernel", str(self.firmware)),
                "-device",
                f"loader,file={_option(trial)},addr={self.board.address:#x},force-raw=on",
            ]
            try:
                ended = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=self.time_limit if invoke else min(self.time_limit, _ALLOCATION_LIMIT),
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return Trial(Outcome.TIME_OUT)
        return self._result(ended.returncode, ended.stdout.decode("utf-8", "replace"))

    def _result(self, code: int, log: str) -> Trial:
        report = _REPORT.search(log)
        if code == Outcome.DONE and report:
            rest = log.replace(report[0], "")
            return Trial(Outcome.DONE, int(report[1]), int(report[2], 16), rest)
        if code == Outcome.DONE or code not in list(Outcome):
            raise Refusal(
                str(self.firmware),
                f"{_QEMU} ended with {code} and not as samples/arena does: {_last_line(log)}",
                "delete the build folder and try again",
            )
        return Trial(Outcome(code), log=log)


def _option(path: Path) -> str:
    return str(path).replace(",", ",,")  # within an option, QEMU reads two commas as one


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


# Building it.

_TFLM_HELP = (
    "add TFLM to the workspace: `west config manifest.project-filter -- +tflite-micro` and "
    "`west update tflite-micro`"
)
# What a failed build says -> what was wrong, and what to do.
_BUILD_FAULTS: Final = (
    (
        re.compile(r"undefined symbol TENSORFLOW_LITE_MICRO\b|micro_mutable_op_resolver\.h"),
        "TensorFlow Lite Micro is not in this workspace",
        _TFLM_HELP,
    ),
    (
        re.compile(r"Zephyr-sdk|ZEPHYR_TOOLCHAIN_VARIANT|No toolchain|GNUARMEMB_TOOLCHAIN_PATH"),
        "there is no toolchain for Arm",
        "install the Zephyr SDK, or set ZEPHYR_TOOLCHAIN_VARIANT to another that is there",
    ),
)
_BUILD_ERROR = re.compile(r"error:|CMake Error|FATAL ERROR|undefined reference")


def _sample() -> Path:
    """The firmware's sources: of the checkout, or as the package was installed with them."""
    package = Path(__file__).resolve().parent
    for folder in (package.parents[2] / "samples" / "arena", package / "samples" / "arena"):
        if (folder / "CMakeLists.txt").is_file():
            return folder
    raise Refusal(
        "samples/arena", "is not in this installation", "install the package from a checkout"
    )


def _require_program(name: str, fix: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Refusal(name, "is not installed, or not on the path", fix)
    return found


def find_workspace(given: Path | None) -> Path:
    """The folder of Zephyr itself. Raises Refusal if none was named or it is none."""
    base = given or Path(os.environ.get("ZEPHYR_BASE", ""))
    if given is None and not os.environ.get("ZEPHYR_BASE"):
        raise Refusal(
            "ZEPHYR_BASE",
            "is not set, and measuring needs a Zephyr workspace",
            "set it to the workspace's zephyr folder, or give --zephyr-base",
        )
    if not (base / "VERSION").is_file() or not (base / "Kconfig.zephyr").is_file():
        raise Refusal(str(base), "is not a zephyr folder", "name the one that has Kconfig.zephyr")
    return base.resolve()


def _name_of(board: Board, base: Path) -> str:
    """How this Zephyr spells the board."""
    numbers = dict(re.findall(r"^(VERSION_\w+) *= *(\d+)", (base / "VERSION").read_text(), re.M))
    version = (int(numbers.get("VERSION_MAJOR", 0)), int(numbers.get("VERSION_MINOR", 0)))
    return board.since_3_7 if version >= (3, 7) else board.name


def default_folder(board: Board, base: Path) -> Path:
    """Where the firmware is built if the user names no folder: in the cache, for this workspace."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    workspace = hashlib.sha256(os.fsencode(base)).hexdigest()[:12]
    return cache / "tinymldelta" / f"arena-{board.name}-{workspace}"


def build_firmware(
    board: Board, base: Path, folder: Path, cmake_arguments: Sequence[str] = ()
) -> Path:
    """Build samples/arena with the workspace of `base`. Returns the file that QEMU loads.

    Raises Refusal if a program is missing or the build fails.
    """
    _require_program(_QEMU, "install QEMU for Arm, e.g. `apt install qemu-system-arm`")
    west = _require_program("west", "`pip install west`, or activate the workspace's environment")
    command = [west, "build", "-b", _name_of(board, base), "-d", str(folder), str(_sample())]
    ended = subprocess.run(
        [*command, *(["--", *cmake_arguments] if cmake_arguments else [])],
        cwd=base,
        env={**os.environ, "ZEPHYR_BASE": str(base)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    firmware = folder / "zephyr" / "zephyr.elf"
    if ended.returncode or not firmware.is_file():
        raise _build_refusal(folder, ended.stdout.decode("utf-8", "replace"))
    return firmware


def _build_refusal(folder: Path, log: str) -> Refusal:
    for pattern, what, fix in _BUILD_FAULTS:
        if pattern.search(log):
            return Refusal(str(folder), what, fix)
    errors = [line.strip() for line in log.splitlines() if _BUILD_ERROR.search(line)]
    return Refusal(
        str(folder),
        f"the firmware that measures does not build: {errors[0] if errors else _last_line(log)}",
        f"run `west build -d {folder}` to see all of it",
    )
