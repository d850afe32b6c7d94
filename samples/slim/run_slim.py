#!/usr/bin/env python3
"""From a deployed model and new data to the smallest patch that keeps within an accuracy budget.

    python run_slim.py                 from samples/host's digits model to target.tflite
    python run_slim.py --retrain       trains that one anew, as retrain.py does, with TensorFlow
    python run_slim.py --max-drop 0.5  another budget, in percentage points

Data are scikit-learn's handwritten digits: pip install scikit-learn. The commands that do the work
are printed as one would type them. README.md has what they print.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from field import seen

from tinymldelta.accuracy import GateResult, choose_metric, judge, read_samples
from tinymldelta.interpreter import TFLM, find_interpreter
from tinymldelta.model import read_model

HERE = Path(__file__).resolve().parent
DEPLOYED = HERE.parent / "host" / "models" / "digits" / "base.tflite"


def write_data(folder: Path) -> None:
    """calibration.npz, without labels, of images that the new model was trained on; validation.npz
    and test.npz of images that no training has seen, each four times."""
    x, _ = seen("training", 1, seed=11)
    np.savez_compressed(folder / "calibration.npz", x=x)
    for seed, name in enumerate(("validation", "test"), 12):
        x, y = seen(name, 4, seed)
        np.savez_compressed(folder / f"{name}.npz", x=x, y=y)


def tmd(folder: Path, *arguments: str) -> None:
    """A command as one would type it in the folder; it ends this script if it fails."""
    print(f"\n$ tmd {' '.join(arguments)}", flush=True)
    call = [sys.executable, "-c", "from tinymldelta.cli.main import main; main()", *arguments]
    done = subprocess.run(call, cwd=folder)
    if done.returncode:
        sys.exit(done.returncode)


def on_test(folder: Path, name: str) -> GateResult:
    """How a model does beside the target on the test samples, run by an interpreter."""
    interpreter = find_interpreter(TFLM)
    if interpreter is None:
        sys.exit("no interpreter to run models with: pip install tflite-micro or ai-edge-litert")
    target, model = ((folder / f"{n}.tflite").read_bytes() for n in ("target", name))
    one, other = read_model(target, "target"), read_model(model, name)
    samples = read_samples((folder / "test.npz").read_bytes(), "test.npz", one)
    metric, _ = choose_metric("accuracy", samples, one, other)
    return judge(
        target, model, samples, metric, interpreter, base_where="target", target_where=name,
        max_drop=100.0,
    ).result  # fmt: skip


def compare(folder: Path, patches: Sequence[tuple[str, str]]) -> None:
    """patches: a model, and the patch that brings it; "" for none."""
    print("\non test samples, of images that no step has seen:")
    print(f"{'':10} {'patch, bytes':>12} {'accuracy':>9} {'worse by':>9} {'changed':>8}")
    for name, patch in patches:
        result = on_test(folder, name)
        size = (folder / patch).stat().st_size if patch else 0
        print(
            f"{name:10} {size:12,} {result.target:9.2%} {result.drop + 0.0:9.2f} "
            f"{result.changed / result.samples:8.1%}"
        )
    print(
        "worse by: than the target, percentage points; changed: answers that are not the target's"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/slim"), metavar="DIR")
    parser.add_argument("--max-drop", type=float, default=1.0, metavar="D")
    parser.add_argument("--retrain", action="store_true", help="train the new model (TensorFlow)")
    parser.add_argument("--share", type=float, metavar="S", help="of its weights may change")
    arguments = parser.parse_args()
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    base = DEPLOYED.read_bytes()
    (folder / "base.tflite").write_bytes(base)
    if arguments.retrain:
        from retrain import retrain  # TensorFlow, which takes its time

        target, (same, of) = retrain(base, arguments.share)
        print(f"retrained: {same:,} of {of:,} weights are the deployed ones")
    else:
        target = (HERE / "target.tflite").read_bytes()
    (folder / "target.tflite").write_bytes(target)
    write_data(folder)
    data = ("--calibration", "calibration.npz", "--validation", "validation.npz")
    budget = ("--max-drop", f"{arguments.max_drop:g}")
    for name in ("slimmed.tflite", "slimmed.tmd"):
        (folder / name).unlink(missing_ok=True)
    tmd(folder, "patch", "base.tflite", "target.tflite", "-o", "target.tmd")
    tmd(folder, "slim", "base.tflite", "target.tflite", *data, *budget, "-o", "slimmed.tflite")
    if not (folder / "slimmed.tflite").is_file():
        print("nothing to send: the base is within the budget")
        return
    # The same in one step, with the result in the patch's metadata.
    tmd(
        folder, "patch", "base.tflite", "target.tflite", "--slim", *data, *budget, "--slimmed",
        "again.tflite", "-o", "slimmed.tmd",
    )  # fmt: skip
    again, slimmed = ((folder / f"{n}.tflite").read_bytes() for n in ("again", "slimmed"))
    if again != slimmed:
        sys.exit("the two commands do not make the same model")
    tmd(folder, "apply", "base.tflite", "slimmed.tmd", "-o", "applied.tflite")
    if (folder / "applied.tflite").read_bytes() != slimmed:
        sys.exit("the patch does not give the slimmed model")
    compare(folder, (("base", ""), ("target", "target.tmd"), ("slimmed", "slimmed.tmd")))


if __name__ == "__main__":
    main()
