#!/usr/bin/env python3
"""The thermocouple sample's whole story on a PC.

    run_thermo.py [--board B] [--build DIR] [--retrain] needs ZEPHYR_BASE
    run_thermo.py retrain READINGS.csv -o target.tflite needs TensorFlow

The story: build the sample for native_sim and start it. It learns its baseline, and the model it
was built with finds the normal process of this oven out of the ordinary, as it was trained on
another one. Retrain the model, make the patch with `tmd patch`, send it with `tmd push` over the
pseudo-terminal while the sample runs. From then on normal is normal, and the fault is still found.
Then the power is cut (SIGKILL) and the device started again from the same flash file.

With `--board mps2_an521` the same under QEMU, over mcumgr's own UART transport; but for the power
cut, as that board's flash is simulated in RAM.

Exits with 0 only if all of that was so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODELS = HERE / "models"
sys.path.insert(0, str(MODELS))

import numpy as np  # noqa: E402
import series  # noqa: E402

from tinymldelta.interpreter import find_interpreter  # noqa: E402

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 100)

# In steps of 1/256. LiteRT and TensorFlow Lite Micro round differently, by a step or two here.
TOLERANCE = 8
# The fault, or a part of it that is large enough to be seen, is in the window.
FAULT_READINGS = 8
PATIENCE = 60.0  # seconds, for anything that the device is to do


class StoryError(Exception):
    """The story did not go as it has to."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise StoryError(what)


def run(*command: str | Path) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise StoryError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


# --- What the device prints ------------------------------------------------------------------

SCORE = re.compile(r"^(\d+): (-?[\d.]+) C, (?:(learning)|([\w-]+) ([\d.]+)( ANOMALY)?)$")
MODEL = re.compile(r"^model ([0-9a-f]{8}) version (\S+) from (.*?)(, on trial)?$")


@dataclass(frozen=True)
class Reading:
    number: int
    celsius: float
    how: str  # "learning", "z-score" or "autoencoder"
    anomaly: bool
    model: str  # the first eight digits of its digest


@dataclass(frozen=True)
class Board:
    """How the sample runs for a board, and how it says which pseudo-terminal takes patches."""

    program: str  # in the build folder's zephyr/
    command: tuple[str, ...]
    port: re.Pattern[str]
    keeps_flash: bool


BOARDS = {
    "native_sim": Board(
        "zephyr.exe",
        ("{program}", "-flash={flash}"),
        re.compile(r"^uart_1 connected to pseudotty: (\S+)$"),
        keeps_flash=True,
    ),
    "mps2_an521": Board(
        "zephyr.elf",
        ("qemu-system-arm", "-machine", "mps2-an521", "-nographic", "-monitor", "none",
         "-serial", "stdio", "-chardev", "pty,id=smp", "-serial", "chardev:smp",
         "-kernel", "{program}"),
        re.compile(r"^char device redirected to (\S+) \(label smp\)$"),
        keeps_flash=False,
    ),
}  # fmt: skip


@dataclass
class Device:
    """A device that is on. Its power is cut by killing what runs it."""

    board: Board
    program: Path
    flash: Path
    readings: list[Reading] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    port: str = ""
    model: str = ""

    def __enter__(self) -> Device:
        self._process = subprocess.Popen(
            [part.format(program=self.program, flash=self.flash) for part in self.board.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            line = raw.rstrip()
            with self._news:
                self.lines.append(line)
                self._take(line)
                self._news.notify_all()

    def _take(self, line: str) -> None:
        if score := SCORE.match(line):
            number, celsius, learning, how, _, anomaly = score.groups()
            self.readings.append(
                Reading(int(number), float(celsius), learning or how, bool(anomaly), self.model)
            )
        elif model := MODEL.match(line):
            self.model = model[1]
        elif port := self.board.port.match(line):
            self.port = port[1]

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        with self._news:
            while not condition():
                if self._process.poll() is not None or not self._news.wait(end - time.monotonic()):
                    last = "\n".join(self.lines[-15:])
                    raise StoryError(f"waited in vain for {what}; the device said last:\n{last}")

    def wait_for_line(self, pattern: str) -> str:
        def found() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        self.wait(f"a line like {pattern!r}", lambda: found() is not None)
        return found() or ""

    def wait_for_reading(self, number: int) -> None:
        self.wait(
            f"reading {number}", lambda: bool(self.readings) and self.readings[-1].number >= number
        )


# --- What it means ---------------------------------------------------------------------------


@dataclass
class Tally:
    """How many windows of a kind there were, and how many of them were an ANOMALY."""

    windows: int = 0
    anomalies: int = 0

    @property
    def rate(self) -> float:
        return self.anomalies / self.windows if self.windows else 0.0

    def __str__(self) -> str:
        return f"{self.anomalies} of {self.windows} ({self.rate:.0%})"


@dataclass
class Verdicts:
    normal: Tally = field(default_factory=Tally)
    fault: Tally = field(default_factory=Tally)


def verdicts(readings: Iterable[Reading], model: str, fault: series.Array) -> Verdicts:
    """Of the scores by one model, those of windows without a fault and of those full of it."""
    result = Verdicts()
    for reading in readings:
        if reading.how != "autoencoder" or reading.model != model:
            continue
        window = [(reading.number - back) % len(fault) for back in range(series.WINDOW)]
        bad = int(fault[window].sum())
        if 0 < bad < FAULT_READINGS:
            continue
        tally = result.fault if bad else result.normal
        tally.windows += 1
        tally.anomalies += reading.anomaly
    return result


def digest(model: Path) -> str:
    return hashlib.sha256(model.read_bytes()).hexdigest()[:8]


# --- The story -------------------------------------------------------------------------------


def build(board: str, folder: Path) -> None:
    require(
        bool(os.environ.get("ZEPHYR_BASE")) and shutil.which("west") is not None,
        "building needs a Zephyr workspace: set ZEPHYR_BASE, and have west in PATH",
    )
    CONSOLE.print(f"[bold]Building for {board} in {folder}[/bold]")
    run("west", "build", "-b", board, HERE, "-d", folder, "--",
        f"-DZEPHYR_EXTRA_MODULES={ROOT}")  # fmt: skip


def retrain(base: Path, readings: Path, target: Path) -> None:
    run(sys.executable, MODELS / "thermo_models.py", "retrain", base, readings, target)


def record(readings: list[Reading], fault: series.Array, path: Path) -> None:
    """What the device read, with the stretch left out that somebody knows to be the fault."""
    celsius = np.array([r.celsius for r in readings])
    series.write_csv(path, celsius, fault[[r.number % len(fault) for r in readings]])


def make_target(arguments: argparse.Namespace, device: Device, base: Path, work: Path) -> Path:
    _, fault = series.read_csv(series.READINGS)
    readings = work / "readings.csv"
    record(device.readings, fault, readings)
    if not arguments.retrain:
        return MODELS / "target.tflite"
    CONSOLE.print(f"[bold]Retraining with {len(device.readings)} readings of the device[/bold]")
    target = work / "target.tflite"
    retrain(base, readings, target)
    return target


def make_vectors(target: Path, path: Path) -> list[str | Path]:
    """Test vectors of the target, as options of `tmd patch`; none without an interpreter here."""
    interpreter = find_interpreter()
    if interpreter is None:
        return []
    celsius, _ = series.read_csv(series.READINGS)
    windows = np.rint(series.windows(celsius)[[0, 200, 400, 550]] * 255) - 128
    loaded = interpreter.load(target.read_bytes())
    rows = windows.astype(np.int8)
    outputs = [np.frombuffer(loaded.run(row.tobytes()), np.int8) for row in rows]
    np.savez(path, input=rows, output=np.stack(outputs))
    return ["--test-vectors", path, "--tolerance", str(TOLERANCE)]


def make_patch(base: Path, target: Path, contract: Path, patch: Path) -> str:
    """Write the patch. Returns how the device will name the model, with its test vectors."""
    vectors = make_vectors(target, patch.with_suffix(".npz"))
    run("tmd", "patch", base, target, "-o", patch, "--contract", contract,
        "--model-version", "1.1.0", *vectors)  # fmt: skip
    CONSOLE.print(
        f"{patch.stat().st_size} bytes for a model of {target.stat().st_size}, "
        f"with{'' if vectors else 'out'} test vectors"
    )
    return str(json.loads(run("tmd", "inspect", "--json", patch))["target_digest"])[:8]


def story(arguments: argparse.Namespace, work: Path) -> None:
    board = BOARDS[arguments.board]
    folder = arguments.build or work / "build"
    program = folder / "zephyr" / board.program
    if not program.exists():
        build(arguments.board, folder)
    base = folder / "tinymldelta" / "thermo.tflite"
    contract = folder / "tinymldelta" / "contract.json"
    flash = work / "flash.bin"
    flash.unlink(missing_ok=True)
    patch = work / "update.tmd"
    _, fault = series.read_csv(series.READINGS)
    once = len(fault)

    with Device(board, program, flash) as device:
        CONSOLE.print("[bold]The device learns, then scores by the model it was built with[/bold]")
        CONSOLE.print(device.wait_for_line("^baseline: "))
        device.wait_for_reading(once - 1)
        require(device.model == digest(base), "the device does not run the model of its firmware")
        target = make_target(arguments, device, base, work)

        CONSOLE.print("[bold]The patch, pushed while it runs[/bold]")
        new = make_patch(base, target, contract, patch)
        device.wait("the second pseudo-terminal", lambda: bool(device.port))
        CONSOLE.print(run("tmd", "push", patch, "--port", device.port).strip())
        CONSOLE.print(device.wait_for_line(f"^model {new} .*on trial"))
        first = device.readings[-1].number
        CONSOLE.print(device.wait_for_line("^model confirmed"))
        device.wait_for_reading(first + once)
        boots = sum(line.startswith("*** Booting") for line in device.lines)
        require(boots == 1, f"the device has started {boots} times")
        before = verdicts(device.readings, digest(base), fault)
        after = verdicts(device.readings, new, fault)

    results = {"base": before, "target": after}
    if board.keeps_flash:
        CONSOLE.print("[bold]The power is cut; the device starts again from the same flash[/bold]")
        with Device(board, program, flash) as device:
            line = device.wait_for_line("^model ")
            CONSOLE.print(line)
            require(device.model == new, "the new model did not survive the power cut")
            require("on trial" not in line, "the new model is on trial again")
            device.wait_for_reading(once - 1)
        results["target, after the power cut"] = verdicts(device.readings, new, fault)

    show(results)
    require(before.normal.rate > 0.8, "the base does not find the new normal process anomalous")
    require(before.fault.rate == 1.0, "the base does not find the fault")
    for which in list(results.values())[1:]:
        require(which.normal.windows > 200, "too few readings were scored by the target")
        require(which.normal.rate < 0.01, "the target finds the normal process anomalous")
        require(which.fault.rate == 1.0, "the target does not find the fault")


def show(rows: dict[str, Verdicts]) -> None:
    table = Table(title="Windows that were an ANOMALY", title_justify="left")
    for column in ("model", "normal process", "fault"):
        table.add_column(column)
    for name, row in rows.items():
        table.add_row(name, str(row.normal), str(row.fault))
    CONSOLE.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--board", choices=BOARDS, default="native_sim", help="default: %(default)s"
    )
    parser.add_argument(
        "--build", type=Path, metavar="DIR", help="use this build folder, made by west build"
    )
    parser.add_argument(
        "--retrain",
        action="store_true",
        help="retrain from the device's readings instead of taking models/target.tflite",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="work in DIR and leave everything there to look at"
    )
    commands = parser.add_subparsers(dest="command", metavar="retrain")
    again = commands.add_parser("retrain", help="make a model from recorded readings")
    again.add_argument("readings", type=Path, help="CSV with a column celsius, oldest first")
    again.add_argument("-o", "--out", type=Path, required=True, help="the .tflite to write")
    again.add_argument("--base", type=Path, default=MODELS / "base.tflite",
                       help="the model that the device has now (default: %(default)s)")  # fmt: skip
    arguments = parser.parse_args()
    try:
        if arguments.command == "retrain":
            retrain(arguments.base, arguments.readings, arguments.out)
            return 0
        with tempfile.TemporaryDirectory() as temporary:
            work = arguments.keep or Path(temporary)
            work.mkdir(parents=True, exist_ok=True)
            if arguments.build is not None:
                arguments.build = arguments.build.resolve()
            story(arguments, work.resolve())
    except StoryError as error:
        print(f"run_thermo.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
