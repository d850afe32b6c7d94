#!/usr/bin/env python3
"""Train the autoencoders of the thermo sample.

    python thermo_models.py                                  base.tflite and target.tflite, here
    python thermo_models.py retrain BASE READINGS OUT        a model from a device's own readings

`base.tflite` knows the oven on the bench, `target.tflite` is `base.tflite` retrained with
`readings.csv` (series.py says what both are). Retraining starts from the weights in BASE, so that
it works for whatever model a device has now, and the update stays small.

Needs TensorFlow: pip install -r requirements/train.txt. Training and export are those of the host
sample's fixtures (samples/host/models/make_models.py).
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import series

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "host" / "models"))

# First of all, because it sets how TensorFlow is to start.
from make_models import (  # noqa: E402
    SEED,
    Array,
    Fixture,
    FixtureError,
    check_update,
    keras,
    layers,
    require,
    tf,
    tflite,
    train,
    write_model,
)

CODE, HIDDEN = 6, 32
BENCH_READINGS = 3000
LEAST_READINGS = series.BASELINE + 10 * series.WINDOW


def autoencoder() -> keras.Model:
    keras.utils.set_random_seed(SEED)
    return keras.Sequential(
        [
            keras.Input((series.WINDOW,)),
            layers.Dense(HIDDEN, activation="relu", name="encode"),
            # All positive at the start: of so few units none may be lost to a dead ReLU.
            layers.Dense(
                CODE,
                activation="relu",
                bias_initializer=keras.initializers.Constant(0.5),
                name="code",
            ),
            layers.Dense(HIDDEN, activation="relu", name="decode"),
            layers.Dense(series.WINDOW, activation="sigmoid", name="restore"),
        ],
        name="thermo",
    )


def weights_of(model: bytes) -> list[Array]:
    """The weights and biases of an exported autoencoder's dense layers, as Keras orders them."""
    root = tflite.Model.GetRootAs(model)
    graph = root.Subgraphs(0)

    def values(index: int, kind: type) -> Array:
        tensor = graph.Tensors(index)
        raw = root.Buffers(tensor.Buffer()).DataAsNumpy().view(kind)
        # Per tensor, symmetric: export() asks for it.
        scale = np.float32(tensor.Quantization().Scale(0))
        return raw.reshape(tensor.ShapeAsNumpy()).astype(np.float32) * scale

    weights = []
    for i in range(graph.OperatorsLength()):
        node = graph.Operators(i)
        if node.InputsLength() == 3:
            weights += [values(node.Inputs(1), np.int8).T, values(node.Inputs(2), np.int32)]
    return weights


def retrain(name: str, base: bytes, celsius: Array, fault: Array) -> Fixture:
    """The model `base`, trained further with all windows of readings that have no fault in them."""
    if len(celsius) < LEAST_READINGS:
        raise ValueError(f"{len(celsius)} readings are too few: give {LEAST_READINGS} or more")
    net = autoencoder()
    before, wanted = weights_of(base), net.get_weights()
    if [w.shape for w in before] != [w.shape for w in wanted]:
        raise ValueError("the base is no autoencoder of this sample: its layers are others")
    net.set_weights(before)
    with_fault = np.lib.stride_tricks.sliding_window_view(fault, series.WINDOW).any(axis=1)
    windows = series.windows(celsius)[~with_fault]
    train(net, windows, windows, loss="mse", rate=3e-3, epochs=300)
    return Fixture.of(name, net, windows)


def make(out: Path) -> None:
    windows = series.windows(series.bench_readings(BENCH_READINGS))
    net = autoencoder()
    train(net, windows, windows, loss="mse", rate=4e-3, epochs=40)
    base = Fixture.of("base", net, windows)
    target = retrain("target", base.model, *series.read_csv(series.READINGS))
    check_update(base, target)
    changed = [f.name for f in (base, target) if write_model(out / f"{f.name}.tflite", f.model)]
    print(f"written: {', '.join(changed) or 'nothing, both files are as before'}")


def retrain_file(base: Path, readings: Path, out: Path) -> None:
    fixture = retrain(out.stem, base.read_bytes(), *series.read_csv(readings))
    require(fixture.facts.layout[0][2] == (1, series.WINDOW), f"{out.name}: another input")
    out.write_bytes(fixture.model)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command")
    make_command = commands.add_parser("make", help="make both fixtures (the default)")
    for each in (parser, make_command):
        each.add_argument("--out", type=Path, default=HERE, help="default: beside this script")
    again = commands.add_parser("retrain", help="a model from a device's own readings")
    again.add_argument("base", type=Path, help="the model that the device has now")
    again.add_argument("readings", type=Path, help="CSV with a column celsius, oldest first")
    again.add_argument("target", type=Path, help="the .tflite to write")
    arguments = parser.parse_args()

    # One remark of the converter for each model, on inputs whose statistics it does take.
    warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    try:
        if arguments.command == "retrain":
            retrain_file(arguments.base, arguments.readings, arguments.target)
        else:
            make(arguments.out)
    except (FixtureError, ValueError, OSError) as error:
        print(f"thermo_models.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
