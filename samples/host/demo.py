"""One model update, end to end: `./run demo`.

For each pair of models: generate the contract and headers for the base, compile a firmware with
them, put the base into a fresh simulated flash, make the patch, send it a few bytes at a time, and
run the model out of the flash before and after. The new one is on trial until it has run, and is
then confirmed. Then three updates that must be refused.

Every number that is printed was measured in this run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tinymldelta.contractfile import read_contract
from tinymldelta.facts import facts_of
from tinymldelta.model import read_model
from tinymldelta.native import Counts, Device
from tinymldelta.proving import check_patch, explained

HERE = Path(__file__).resolve().parent
MODELS = HERE / "models"
CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
BUILD_TYPE = "-DCMAKE_BUILD_TYPE=Release"

Samples = NDArray[np.int8]


@dataclass(frozen=True)
class Runtime:
    """What runs the models: int8 inputs and model bytes to int8 outputs."""

    name: str
    run: Callable[[bytes, Samples], Samples]


def find_runtime() -> Runtime:
    """Real TFLM where it is to be had; LiteRT elsewhere, and says so."""
    try:
        from tflite_micro import runtime
    except ImportError:
        return _litert()

    def run(model: bytes, inputs: Samples) -> Samples:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=256 * 1024)
        outputs = []
        for sample in inputs:
            interpreter.set_input(sample[np.newaxis], 0)
            interpreter.invoke()
            outputs.append(interpreter.get_output(0)[0].copy())
        return np.stack(outputs)

    return Runtime("TensorFlow Lite Micro (tflite-micro)", run)


def _litert() -> Runtime:
    from ai_edge_litert.interpreter import Interpreter

    def run(model: bytes, inputs: Samples) -> Samples:
        interpreter = Interpreter(model_content=model)
        interpreter.allocate_tensors()
        where_in = interpreter.get_input_details()[0]["index"]
        where_out = interpreter.get_output_details()[0]["index"]
        outputs = []
        for sample in inputs:
            interpreter.set_tensor(where_in, sample[np.newaxis])
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(where_out)[0].copy())
        return np.stack(outputs)

    return Runtime("LiteRT (tflite-micro has no wheel for this machine)", run)


def _accuracy(model: bytes, runtime: Runtime, folder: Path) -> str:
    data = np.load(folder / "eval.npz")
    outputs = runtime.run(model, data["inputs"])
    correct = int((outputs.argmax(axis=1) == data["labels"]).sum())
    return f"{correct / len(outputs):.1%} of {len(outputs)} right"


def _reconstruction(model: bytes, runtime: Runtime, folder: Path) -> str:
    """Mean absolute error over the years without an anomaly, as a part of the sensor's range."""
    data = np.load(folder / "eval.npz")
    facts = facts_of(read_model(model, "the model in flash"))
    (tensor_in,), (tensor_out,) = facts.inputs, facts.outputs
    normal = data["inputs"][data["labels"] == 0]
    wanted = (normal.astype(np.float64) - tensor_in.zero_point[0]) * tensor_in.scale[0]
    got = runtime.run(model, normal).astype(np.float64) - tensor_out.zero_point[0]
    error = np.abs(got * tensor_out.scale[0] - wanted).mean()
    return f"{error:.4f} mean error, {len(normal)} years"


@dataclass(frozen=True)
class Pair:
    name: str
    text: str
    slot_bytes: int
    measure: Callable[[bytes, Runtime, Path], str]


PAIRS = (
    Pair("digits", "digits CNN, int8", 16384, _accuracy),
    Pair("sst", "sea-surface temperature autoencoder, int8", 8192, _reconstruction),
)
REFUSED = (
    ("refused_new_operator.tflite", "a new operator"),
    ("refused_larger_arena.tflite", "a larger arena"),
    ("refused_input_shape.tflite", "another input shape"),
)


def say(text: str) -> None:
    CONSOLE.print(f"[bold]{text}[/bold]")


def run(*command: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(c) for c in command], input=stdin, capture_output=True)


def must(*command: str | Path, stdin: bytes | None = None) -> bytes:
    """Run a command that has to succeed; show what it printed if it does not."""
    result = run(*command, stdin=stdin)
    if result.returncode != 0:
        sys.exit(
            f"{' '.join(map(str, command))} failed:\n"
            f"{result.stdout.decode()}{result.stderr.decode()}"
        )
    return result.stdout


@dataclass(frozen=True)
class Firmware:
    """A built firmware, and the flash of one device that runs it."""

    program: Path
    contract: Path
    flash: Path

    def device(self) -> Device:
        return Device.load(read_contract(self.contract), 0, self.flash)

    def flash_bytes(self) -> bytes:
        with self.device() as device:
            return device.flash

    def counts(self) -> Counts:
        with self.device() as device:
            return device.counts

    def model(self) -> bytes:
        return must(self.program, "model", self.flash)

    def start(self) -> tuple[bytes, str]:
        """Open the model: its bytes, and what the device says of its trial."""
        done = run(self.program, "model", self.flash)
        if done.returncode != 0:
            sys.exit(done.stderr.decode())
        return done.stdout, done.stderr.decode().strip()

    def on_trial(self) -> bool:
        with self.device() as device:
            return device.info.trial

    def send(self, patch: Path) -> subprocess.CompletedProcess[bytes]:
        return run(self.program, "update", self.flash, stdin=patch.read_bytes())


def build_firmware(pair: Pair, work: Path) -> Firmware:
    folder = work / pair.name
    base = MODELS / pair.name / "base.tflite"
    must(
        "cmake",
        "-S",
        HERE,
        "-B",
        folder,
        f"-DMODEL={base}",
        f"-DSLOT={pair.slot_bytes}",
        BUILD_TYPE,
    )
    must("cmake", "--build", folder)
    firmware = Firmware(
        folder / "host_firmware", folder / "generated" / "contract.json", folder / "flash.sim"
    )
    must(firmware.program, "make", firmware.flash)
    return firmware


@dataclass(frozen=True)
class Updated:
    pair: Pair
    base: bytes
    target: bytes
    patch: bytes
    before: str
    after: str
    erases: int
    bytes_written: int
    seconds: float


def update(pair: Pair, firmware: Firmware, runtime: Runtime, work: Path) -> Updated:
    folder = MODELS / pair.name
    base, target = ((folder / f"{n}.tflite").read_bytes() for n in ("base", "target"))
    if firmware.model() != base:
        sys.exit(f"{pair.name}: the device does not start with the base")
    before = pair.measure(firmware.model(), runtime, folder)
    counts_before = firmware.counts()

    patch = work / f"{pair.name}.tmd"
    must(
        "tmd",
        "patch",
        folder / "base.tflite",
        folder / "target.tflite",
        "-o",
        patch,
        "--contract",
        firmware.contract,
    )
    begin = time.monotonic()
    sent = firmware.send(patch)
    seconds = time.monotonic() - begin
    if sent.returncode != 0:
        sys.exit(f"{pair.name}: {sent.stderr.decode()}")
    CONSOLE.print(f"  {pair.name}: {sent.stdout.decode().strip()}")
    model, trial = firmware.start()
    if model != target or not firmware.on_trial():
        sys.exit(f"{pair.name}: the device's model is not the target, on trial")
    after = pair.measure(model, runtime, folder)
    must(firmware.program, "confirm", firmware.flash)
    if firmware.on_trial() or firmware.model() != target:
        sys.exit(f"{pair.name}: the target is not confirmed")
    CONSOLE.print(f"  {pair.name}: {trial}: {after}; confirmed")
    counts = firmware.counts()
    return Updated(
        pair,
        base,
        target,
        patch.read_bytes(),
        before,
        after,
        counts.erases - counts_before.erases,
        counts.bytes_written - counts_before.bytes_written,
        seconds,
    )


def print_updates(updates: list[Updated]) -> None:
    table = Table(title="Updates that were taken", title_justify="left")
    for column in (
        "model",
        "base",
        "target",
        "patch",
        "patch / target",
        "flash",
        "before",
        "after",
    ):
        table.add_column(
            column, justify="left" if column in ("model", "flash", "before", "after") else "right"
        )
    for u in updates:
        table.add_row(
            u.pair.text,
            f"{len(u.base):,}",
            f"{len(u.target):,}",
            f"{len(u.patch):,}",
            f"{len(u.patch) / len(u.target):.1%}",
            f"{u.erases} erase{'' if u.erases == 1 else 's'}, {u.bytes_written:,} bytes written",
            u.before,
            u.after,
        )
    CONSOLE.print(table)


def print_guardrails(updates: list[Updated], firmwares: dict[str, Firmware]) -> None:
    table = Table(
        title="Every guardrail, as the device's C code evaluates it", title_justify="left"
    )
    for column in ("model", "rule", "verdict", "what was compared"):
        table.add_column(column)
    for u in updates:
        contract = read_contract(firmwares[u.pair.name].contract)
        rules = check_patch(u.patch, u.pair.name, contract, 0, u.base).rules
        for rule, words in zip(rules, explained(rules, u.patch, contract, 0), strict=True):
            table.add_row(u.pair.name, rule.rule.name, rule.verdict.name, words)
    CONSOLE.print(table)


def refusals(firmware: Firmware, work: Path) -> bool:
    """Send what must be refused. True if each was, by its rule, with flash unchanged."""
    folder = MODELS / "digits"
    active = work / "active.tflite"
    active.write_bytes(firmware.model())
    table = Table(title="Updates that were refused", title_justify="left")
    for column in ("what changed", "tmd check says", "device says", "flash"):
        table.add_column(column)
    good = True
    name = read_contract(firmware.contract).models[0].name
    for file, what in REFUSED:
        patch = work / f"{file}.tmd"
        # Without a contract: as if somebody had sent it to the wrong device.
        must("tmd", "patch", active, folder / file, "-o", patch, "--model", name)
        checked = run(
            "tmd", "check", patch, "--contract", firmware.contract, "--base", active, "--json"
        )
        verdict = json.loads(checked.stdout)
        failed = [r for r in verdict["rules"] if r["verdict"] == "FAIL"]
        before = firmware.flash_bytes()
        sent = firmware.send(patch)
        unchanged = firmware.flash_bytes() == before
        device = sent.stderr.decode().strip().removeprefix("update: ")
        good &= (
            checked.returncode == 1
            and sent.returncode == 1
            and unchanged
            and device.startswith(verdict["status"])
            and verdict["status"] == failed[0]["rule"]
        )
        table.add_row(
            what,
            "\n".join(f"{r['rule']}: {r['explain']}" for r in failed),
            device.split(":")[0],
            "unchanged" if unchanged else "CHANGED",
        )
    CONSOLE.print(table)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="work in DIR and leave everything there to look at"
    )
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        if keep is not None:
            work = keep.resolve()
            work.mkdir(parents=True, exist_ok=True)
        runtime = find_runtime()
        say("Contract, guardrail header and firmware from each base")
        firmwares = {pair.name: build_firmware(pair, work) for pair in PAIRS}
        say(f"Patches, sent 20 bytes at a time; inference by {runtime.name}")
        updates = [update(pair, firmwares[pair.name], runtime, work) for pair in PAIRS]
        say("Three updates that this firmware must refuse")
        good = refusals(firmwares["digits"], work)
        print_updates(updates)
        print_guardrails(updates, firmwares)
        if not good:
            print("demo: a refusal was not as it must be", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
