#!/usr/bin/env python3
"""Train and export the int8 fixture models of the host sample.

    python make_models.py                     rewrite the fixtures beside this file
    python make_models.py --quick --out DIR   a few epochs: do the recipes still give such models?

Two small networks, each as the model a device ships with (`base`) and the same network
fine-tuned on more data (`target`), so that base -> target is a real model update:

* digits/  a CNN on scikit-learn's handwritten digits; with three more models that firmware built
           for `base` has to refuse, each for one reason.
* sst/     an autoencoder on the sea-surface temperatures of statsmodels' `elnino` data set.

Whatever a fixture promises (which operators, which tensors, what differs) is read back from the
exported file and checked, and every model is run by TensorFlow Lite Micro before it is written.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Before TensorFlow is imported: the same kernels on every x86-64 CPU, no GPU, no start-up chatter.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tflite
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from statsmodels.datasets import elnino
from tflite_micro import runtime

HERE = Path(__file__).resolve().parent
SEED = 1
ARENA_BYTES = 64 * 1024  # ample for all of these; what a model needs is measured, not guessed

Array = np.ndarray[Any, Any]
keras = tf.keras
layers = tf.keras.layers


class FixtureError(Exception):
    """An exported model is not what this script promises."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise FixtureError(message)


# --- Facts, read back from the exported file -------------------------------------------------


@dataclass(frozen=True)
class Tensor:
    name: str
    type: str
    shape: tuple[int, ...]
    scale: float | None  # of a tensor with one scale; None if not quantised or per channel
    zero_point: int | None

    def __str__(self) -> str:
        shape = "x".join(str(extent) for extent in self.shape)
        return f"{self.type.lower()}[{shape}] scale {self.scale:.8g} zero point {self.zero_point}"

    def same_interface(self, other: Tensor) -> bool:
        """Equal in everything that a caller of the model sees."""
        return replace(self, name="") == replace(other, name="")


@dataclass(frozen=True)
class Facts:
    """What a firmware build relies on, and what makes two files comparable tensor by tensor."""

    operators: tuple[tuple[str, int], ...]  # the operator code table: name, version
    nodes: tuple[str, ...]  # operators in the order of execution
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    layout: tuple[tuple[str, str, tuple[int, ...]], ...]  # all tensors: name, type, shape


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def read_facts(model: bytes) -> Facts:
    operator_names, type_names = _names(tflite.BuiltinOperator), _names(tflite.TensorType)
    root = tflite.Model.GetRootAs(model)
    require(root.SubgraphsLength() == 1, "the model has more than one subgraph")
    graph = root.Subgraphs(0)

    operators = []
    for i in range(root.OperatorCodesLength()):
        entry = root.OperatorCodes(i)
        # Codes above 127 do not fit the old field, which then holds a placeholder.
        code = max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode())
        operators.append((operator_names[code], entry.Version()))

    tensors = []
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        shape = tuple(int(extent) for extent in tensor.ShapeAsNumpy())
        require(
            tensor.ShapeSignatureLength() == 0 and min(shape, default=1) > 0,
            f"tensor {tensor.Name().decode()} has a dynamic shape",
        )
        quantisation = tensor.Quantization()
        one = quantisation is not None and quantisation.ScaleLength() == 1
        tensors.append(
            Tensor(
                name=tensor.Name().decode(),
                type=type_names[tensor.Type()],
                shape=shape,
                scale=float(quantisation.Scale(0)) if one else None,
                zero_point=int(quantisation.ZeroPoint(0)) if one else None,
            )
        )

    nodes = []
    for i in range(graph.OperatorsLength()):
        node = graph.Operators(i)
        nodes.append(operators[node.OpcodeIndex()][0])
        if nodes[-1] == "FULLY_CONNECTED":
            require(
                tensors[node.Inputs(1)].scale is not None,
                "a dense layer is quantised per channel, which older TFLM refuses",
            )

    return Facts(
        operators=tuple(operators),
        nodes=tuple(nodes),
        inputs=tuple(tensors[graph.Inputs(i)] for i in range(graph.InputsLength())),
        outputs=tuple(tensors[graph.Outputs(i)] for i in range(graph.OutputsLength())),
        layout=tuple((tensor.name, tensor.type, tensor.shape) for tensor in tensors),
    )


def check_full_int8(facts: Facts, name: str) -> None:
    require(len(facts.inputs) == len(facts.outputs) == 1, f"{name}: not one tensor in and out")
    types = {kind for _, kind, _ in facts.layout}
    # Biases and the shape operand of RESHAPE are int32, everything else int8.
    require(types <= {"INT8", "INT32"}, f"{name}: tensors of type {sorted(types)}")
    require(facts.inputs[0].type == "INT8", f"{name}: the input is not int8")
    require(facts.outputs[0].type == "INT8", f"{name}: the output is not int8")


def check_same_interface(facts: Facts, base: Facts, name: str) -> None:
    for mine, its in ((facts.inputs[0], base.inputs[0]), (facts.outputs[0], base.outputs[0])):
        require(mine.same_interface(its), f"{name}: {mine}, but base has {its}")


def check_same_operators(facts: Facts, base: Facts, name: str) -> None:
    require(
        facts.operators == base.operators,
        f"{name}: operators {facts.operators}, but base has {base.operators}",
    )


# --- Running a model by TensorFlow Lite Micro ------------------------------------------------


@contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Collect what C++ code writes to file descriptor 2; the list is filled on leaving."""
    lines: list[str] = []
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            log.seek(0)
            lines.extend(log.read().decode(errors="replace").splitlines())


class Tflm:
    """A model in TensorFlow Lite Micro's host build."""

    def __init__(self, model: bytes) -> None:
        self._interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)

    def __call__(self, inputs: Array) -> Array:
        outputs = []
        for sample in inputs:
            self._interpreter.set_input(sample[np.newaxis], 0)
            self._interpreter.invoke()
            outputs.append(self._interpreter.get_output(0)[0].copy())
        return np.stack(outputs)

    def arena_bytes(self) -> int:
        """Arena use on this host, where pointers have 64 bits. Good for comparing models.

        Only the recording allocator's report gives it. Trying smaller and smaller arenas is no
        way out: an arena far too small ends in a segmentation fault, not in an error.
        """
        with captured_stderr() as lines:
            self._interpreter.print_allocations()
        match = re.search(r"Arena allocation total (\d+) bytes", "\n".join(lines))
        if match is None:
            raise FixtureError("TFLM's allocation report has no total")
        return int(match[1])


def quantise(values: Array, tensor: Tensor) -> Array:
    assert tensor.scale is not None and tensor.zero_point is not None
    return np.clip(np.rint(values / tensor.scale) + tensor.zero_point, -128, 127).astype(np.int8)


def dequantise(values: Array, tensor: Tensor) -> Array:
    assert tensor.scale is not None and tensor.zero_point is not None
    return (values.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale)


# --- Training and export ---------------------------------------------------------------------


def train(
    net: keras.Model, x: Array, y: Array, *, loss: str, rate: float, epochs: int, batch: int = 16
) -> None:
    # Seeded here as well, so that a model does not depend on what was trained before it.
    keras.utils.set_random_seed(SEED)
    steps = epochs * math.ceil(len(x) / batch)
    # Decay to zero: base is trained out, so what target gains comes from its data.
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    net.compile(optimizer=keras.optimizers.Adam(schedule), loss=loss)
    net.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)


def warm_start(net: keras.Model, source: keras.Model) -> None:
    """Copy source's weights; where a layer of `net` is larger, into its leading part."""
    weights = []
    for mine, its in zip(net.get_weights(), source.get_weights(), strict=True):
        shared = tuple(slice(min(a, b)) for a, b in zip(mine.shape, its.shape, strict=True))
        mine[shared] = its[shared]
        weights.append(mine)
    net.set_weights(weights)


def export(net: keras.Model, calibration: Array) -> bytes:
    """Full-integer int8, in and out.

    `calibration` fixes the quantisation of the input and all activations. The data of both
    samples lie in 0..1, and one all-zero and one all-one sample are added, so that the input
    range is 0..1 in every export. The outputs need no such care: softmax and sigmoid always have
    scale 1/256 and zero point -128. Hence base and target agree in both exactly.
    """
    sample_shape = calibration.shape[1:]
    limits = np.stack([np.zeros(sample_shape), np.ones(sample_shape)])
    samples = np.concatenate([limits, calibration]).astype(np.float32)

    # A batch of exactly one, so that no shape in the file is dynamic.
    @tf.function(input_signature=[tf.TensorSpec((1, *sample_shape), tf.float32, name="input")])
    def infer(x: tf.Tensor) -> tf.Tensor:
        return net(x, training=False)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [infer.get_concrete_function()], net
    )
    # Freeze the weights here: by way of a saved model they stay variables, which the calibration
    # cannot read.
    converter.experimental_lower_to_saved_model = False
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[np.newaxis]] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    # TensorFlow's default, dense layers quantised per channel, is refused by older TFLM.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return bytes(converter.convert())


@dataclass
class Fixture:
    """One exported model with what was read from and measured on it."""

    name: str
    net: keras.Model
    model: bytes
    facts: Facts
    tflm: Tflm
    arena: int

    @classmethod
    def of(cls, name: str, net: keras.Model, calibration: Array) -> Fixture:
        model = export(net, calibration)
        facts = read_facts(model)
        check_full_int8(facts, name)
        tflm = Tflm(model)
        tflm(np.zeros((1, *facts.inputs[0].shape[1:]), np.int8))  # the report needs one inference
        fixture = cls(name, net, model, facts, tflm, tflm.arena_bytes())
        print(f"{name}: {len(model)} bytes, {' '.join(facts.nodes)}", flush=True)
        return fixture


def check_update(base: Fixture, target: Fixture) -> None:
    """Target is base with other numbers: firmware built for base can take it."""
    check_same_operators(target.facts, base.facts, target.name)
    check_same_interface(target.facts, base.facts, target.name)
    require(target.facts.nodes == base.facts.nodes, f"{target.name}: another order of operators")
    require(target.facts.layout == base.facts.layout, f"{target.name}: other tensors than base")
    require(target.arena == base.arena, f"{target.name}: arena {target.arena}, base {base.arena}")
    require(target.model != base.model, f"{target.name}: identical with base")


# --- digits: a small CNN ---------------------------------------------------------------------

DIGITS_BASE_IMAGES = 300


def digits_data() -> tuple[Array, Array, Array, Array]:
    """Training images and labels, then those held out.

    The data set is not shuffled: the handwriting changes on the way. Every ninth image is held
    out, so that all of it is tested; the first DIGITS_BASE_IMAGES of the others show only a part.
    """
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[..., np.newaxis]
    labels = digits.target.astype(np.uint8)
    held_out = np.arange(len(images)) % 9 == 4
    return images[~held_out], labels[~held_out], images[held_out], labels[held_out]


def digits_net(
    *,
    side: int = 8,
    first_padding: str = "same",
    first_filters: int = 8,
    pool: Callable[..., keras.layers.Layer] = layers.MaxPool2D,
) -> keras.Model:
    keras.utils.set_random_seed(SEED)
    return keras.Sequential(
        [
            keras.Input((side, side, 1)),
            layers.Conv2D(first_filters, 3, padding=first_padding, activation="relu", name="conv1"),
            layers.Conv2D(12, 3, padding="same", activation="relu", name="conv2"),
            pool(2, name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, name="dense"),
            layers.Softmax(name="softmax"),
        ],
        name="digits",
    )


def digits_calibration(images: Array) -> Array:
    """Some 150 to 200 of the images that the network was trained on, and of no others."""
    return images[:: max(1, len(images) // 150)]


def digits_fitted(images: Array, net: keras.Model) -> Array:
    """The images with a black margin, if the network wants them larger."""
    margin = (net.input_shape[1] - images.shape[1]) // 2
    return np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))


def make_digits(quick: bool) -> tuple[dict[str, bytes], dict[str, dict[str, Array]], list[str]]:
    images, labels, test_images, test_labels = digits_data()
    first_images, first_labels = images[:DIGITS_BASE_IMAGES], labels[:DIGITS_BASE_IMAGES]
    loss = "sparse_categorical_crossentropy"

    base_net = digits_net()
    epochs = 2 if quick else 40
    train(base_net, first_images, first_labels, loss=loss, rate=2e-3, epochs=epochs)
    base = Fixture.of("digits/base", base_net, digits_calibration(first_images))

    def derived(name: str, net: keras.Model, x: Array, y: Array, **options: Any) -> Fixture:
        warm_start(net, base_net)
        x = digits_fitted(x, net)
        train(net, x, y, loss=loss, **({"epochs": 1 if quick else 5, "rate": 3e-4} | options))
        return Fixture.of(f"digits/{name}", net, digits_calibration(x))

    target = derived("target", digits_net(), images, labels)
    new_operator = derived(
        "refused_new_operator",
        digits_net(pool=layers.AveragePooling2D),
        first_images,
        first_labels,
    )
    # The first layer's output, which only the arena has to hold, is eight times as large.
    larger_arena = derived(
        "refused_larger_arena", digits_net(first_filters=64), first_images, first_labels
    )
    # Without padding in the first layer, an image with its margin gives the same activations: all
    # other shapes stay, so that the input alone is different.
    input_shape = derived(
        "refused_input_shape",
        digits_net(side=10, first_padding="valid"),
        first_images,
        first_labels,
    )

    check_update(base, target)

    check_same_interface(new_operator.facts, base.facts, new_operator.name)
    added = set(new_operator.facts.operators) - set(base.facts.operators)
    require(
        {name for name, _ in added} == {"AVERAGE_POOL_2D"}, f"{new_operator.name}: adds {added}"
    )
    require(new_operator.arena <= base.arena, f"{new_operator.name}: needs more arena than base")

    check_same_operators(larger_arena.facts, base.facts, larger_arena.name)
    check_same_interface(larger_arena.facts, base.facts, larger_arena.name)
    require(larger_arena.arena > 2 * base.arena, f"{larger_arena.name}: needs little more arena")

    check_same_operators(input_shape.facts, base.facts, input_shape.name)
    mine, its = input_shape.facts.inputs[0], base.facts.inputs[0]
    require(mine.shape == (1, 10, 10, 1), f"{input_shape.name}: input {mine}")
    require(
        replace(mine, shape=its.shape).same_interface(its)
        and input_shape.facts.outputs[0].same_interface(base.facts.outputs[0]),
        f"{input_shape.name}: more than the input's shape is different",
    )
    require(input_shape.arena <= base.arena, f"{input_shape.name}: needs more arena than base")

    inputs = quantise(test_images, base.facts.inputs[0])
    fixtures = [base, target, new_operator, larger_arena, input_shape]
    accuracy = {}
    rows = [
        "| model | bytes | arena, x86-64 host | accuracy, float32 | accuracy, int8 in TFLM |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for fixture in fixtures:
        own_images = digits_fitted(test_images, fixture.net)
        own_inputs = quantise(own_images, fixture.facts.inputs[0])
        as_float = np.mean(fixture.net(own_images).numpy().argmax(axis=1) == test_labels)
        as_int8 = np.mean(fixture.tflm(own_inputs).argmax(axis=1) == test_labels)
        accuracy[fixture.name] = as_int8
        rows.append(
            f"| {fixture.name} | {len(fixture.model)} | {fixture.arena} "
            f"| {as_float:.1%} | {as_int8:.1%} |"
        )
        loss = abs(as_int8 - as_float)
        require(loss <= (0.1 if quick else 0.02), f"{fixture.name}: {loss:.1%} off by quantisation")
    if not quick:
        require(
            accuracy[target.name] > accuracy[base.name], "digits: target is no better than base"
        )

    models = {f"{fixture.name}.tflite": fixture.model for fixture in fixtures}
    return models, {"digits/eval.npz": {"inputs": inputs, "labels": test_labels}}, rows


# --- sst: an autoencoder that knows normal years ---------------------------------------------

SST_COLDEST, SST_WARMEST = 16.0, 32.0  # degrees Celsius, mapped to 0..1; the data lie in 18.9..29.3
SST_BASE_YEARS = (1950, 1985)
SST_TARGET_YEARS = (1950, 2000)
SST_TEST_YEARS = (2001, 2010)
SST_STEP = 3.0  # degrees Celsius


def sst_windows(first_year: int, last_year: int) -> Array:
    """All runs of twelve months within these years, in degrees Celsius, oldest month first."""
    table = elnino.load_pandas().data
    years = table["YEAR"].between(first_year, last_year)
    months = table.loc[years].drop(columns="YEAR").to_numpy(np.float64).ravel()
    return np.lib.stride_tricks.sliding_window_view(months, 12)


def january_first(windows: Array, start: Array) -> Array:
    """Put the value of each calendar month in its own place.

    This is what a logger holds that keeps the last value of each month in a table of twelve. The
    network then sees the seasons always in the same place.
    """
    return np.stack(
        [np.roll(window, month % 12) for window, month in zip(windows, start, strict=True)]
    )


def sst_normalise(celsius: Array) -> Array:
    scaled = (celsius - SST_COLDEST) / (SST_WARMEST - SST_COLDEST)
    return np.clip(scaled, 0.0, 1.0).astype(np.float32)


def sst_training(years: tuple[int, int]) -> Array:
    windows = sst_windows(*years)
    return sst_normalise(january_first(windows, np.arange(len(windows))))


def sst_test() -> tuple[Array, Array]:
    """Windows in degrees Celsius of the years after training, and label 1 for those falsified.

    Every fourth window appears a second time, with a step of 3 degrees up or down that begins in
    its fourth to ninth month, as from a sensor that slipped or a buoy that drifted.
    """
    windows = sst_windows(*SST_TEST_YEARS)
    start = np.arange(len(windows))
    stepped, stepped_start = windows[::4].copy(), start[::4]
    for i, window in enumerate(stepped):
        window[3 + i % 6 :] += SST_STEP if i % 2 == 0 else -SST_STEP
    celsius = january_first(
        np.concatenate([windows, stepped]), np.concatenate([start, stepped_start])
    )
    labels = np.repeat(np.array([0, 1], np.uint8), [len(windows), len(stepped)])
    return celsius.astype(np.float32), labels


def sst_net() -> keras.Model:
    keras.utils.set_random_seed(SEED)
    return keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(16, activation="relu", name="encode"),
            # All positive at the start: of four units none may be lost to a dead ReLU.
            layers.Dense(
                4,
                activation="relu",
                bias_initializer=keras.initializers.Constant(0.5),
                name="code",
            ),
            layers.Dense(16, activation="relu", name="decode"),
            layers.Dense(12, activation="sigmoid", name="restore"),
        ],
        name="sst",
    )


def sst_errors(restored: Array, windows: Array) -> Array:
    """The anomaly score: root mean square error of each window, in degrees Celsius."""
    error = np.sqrt(np.mean((restored - windows) ** 2, axis=1))
    return error * (SST_WARMEST - SST_COLDEST)


def make_sst(quick: bool) -> tuple[dict[str, bytes], dict[str, dict[str, Array]], list[str]]:
    base_windows, target_windows = sst_training(SST_BASE_YEARS), sst_training(SST_TARGET_YEARS)

    base_net = sst_net()
    epochs = 3 if quick else 100
    train(base_net, base_windows, base_windows, loss="mse", rate=4e-3, epochs=epochs)
    base = Fixture.of("sst/base", base_net, base_windows)

    target_net = sst_net()
    warm_start(target_net, base_net)
    epochs = 1 if quick else 20
    train(target_net, target_windows, target_windows, loss="mse", rate=1e-3, epochs=epochs)
    target = Fixture.of("sst/target", target_net, target_windows)

    check_update(base, target)

    celsius, labels = sst_test()
    inputs = quantise(sst_normalise(celsius), base.facts.inputs[0])
    true = labels == 0
    error, auc = {}, {}
    rows = [
        "| model | bytes | arena, x86-64 host | error, float32 | error, int8 in TFLM "
        "| the same, with a step | AUC |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for fixture in (base, target):
        windows = sst_normalise(celsius)
        as_float = sst_errors(fixture.net(windows).numpy(), windows)
        as_int8 = sst_errors(
            dequantise(fixture.tflm(inputs), fixture.facts.outputs[0]),
            dequantise(inputs, fixture.facts.inputs[0]),
        )
        error[fixture.name] = as_int8[true].mean()
        auc[fixture.name] = roc_auc_score(labels, as_int8)
        rows.append(
            f"| {fixture.name} | {len(fixture.model)} | {fixture.arena} "
            f"| {as_float[true].mean():.3f} °C | {error[fixture.name]:.3f} °C "
            f"| {as_int8[~true].mean():.3f} °C | {auc[fixture.name]:.4f} |"
        )
        loss = abs(as_int8[true].mean() - as_float[true].mean())
        require(loss < 0.05, f"{fixture.name}: {loss:.3f} degrees off by quantisation")
    if not quick:
        require(error[target.name] < error[base.name], "sst: target restores no better than base")
        # So few windows leave the last digits of the AUC to chance.
        require(auc[target.name] > auc[base.name] - 0.005, "sst: target detects less than base")

    models = {f"{fixture.name}.tflite": fixture.model for fixture in (base, target)}
    arrays = {"sst/eval.npz": {"inputs": inputs, "windows": celsius, "labels": labels}}
    return models, arrays, rows


# --- Writing ---------------------------------------------------------------------------------


def write_model(path: Path, model: bytes) -> bool:
    if path.exists() and path.read_bytes() == model:
        return False
    path.write_bytes(model)
    return True


def write_arrays(path: Path, arrays: dict[str, Array]) -> bool:
    # The arrays are compared and not the file: another zlib may compress them otherwise.
    if path.exists():
        with np.load(path, allow_pickle=False) as old:
            if set(old.files) == set(arrays) and all(
                old[name].dtype == array.dtype and np.array_equal(old[name], array)
                for name, array in arrays.items()
            ):
                return False
    np.savez_compressed(path, allow_pickle=False, **arrays)
    return True


def check_against_committed(models: dict[str, bytes]) -> None:
    """However short the training, the facts have to be those of the fixtures beside this file."""
    for name, model in models.items():
        require((HERE / name).exists(), f"{name}: no committed fixture to compare with")
        mine, committed = read_facts(model), read_facts((HERE / name).read_bytes())
        require(mine.layout == committed.layout, f"{name}: other tensors than the committed file")
        require(mine.nodes == committed.nodes, f"{name}: other nodes than the committed file")
        check_same_operators(mine, committed, f"{name}, made anew")
        check_same_interface(mine, committed, f"{name}, made anew")


def make(out: Path, quick: bool) -> None:
    began = time.monotonic()
    digits_models, digits_arrays, digits_rows = make_digits(quick)
    sst_models, sst_arrays, sst_rows = make_sst(quick)
    models = digits_models | sst_models
    if quick:
        check_against_committed(models)
        print("operators and tensors are those of the committed fixtures")

    # Nothing is written before everything was checked.
    changed = []
    for name, model in models.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if write_model(out / name, model):
            changed.append(name)
    for name, arrays in (digits_arrays | sst_arrays).items():
        if write_arrays(out / name, arrays):
            changed.append(name)
    print(f"written: {', '.join(changed) or 'nothing, all files are as before'}")
    print(f"{time.monotonic() - began:.0f} s\n")
    print("\n".join([*digits_rows, "", *sst_rows]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Train and export the host sample's fixtures.")
    parser.add_argument("--out", type=Path, default=HERE, help="default: beside this script")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="train for a few epochs only, compare with the committed fixtures; needs --out",
    )
    arguments = parser.parse_args()
    if arguments.quick and arguments.out.resolve() == HERE:
        parser.error("--quick would replace the fixtures by badly trained ones: give --out")

    # One remark of the converter for each model, on inputs whose statistics it does take.
    warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    try:
        make(arguments.out, arguments.quick)
    except FixtureError as error:
        print(f"make_models.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
