"""Makes the pairs of `./run bench slim`: a base, the same network retrained, and data.

    PYTHONPATH=benchmarks python -m slimming.pairs --out DIR NAME ...

A name is KIND_SEED, such as cnn-drift_1. Writes DIR/NAME/ with base.tflite, target.tflite,
calibration.npz, validation.npz and test.npz (arrays x, float32 of 0 to 1, and y), and last of all
pair.json. The same name gives the same pair on one machine; on another CPU, training rounds
otherwise, and comes to another pair of the kind. Wants requirements/train.txt.

The pictures are scikit-learn's handwritten digits as a camera sees them, in another view each time.
Those of training, calibration, validation and test are views of different digits. A digit has
several views in each, so that samples of one file are not independent of each other.

Exit status: 0; 1 if something is missing; 2 if called wrongly.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from slimming.kinds import RECIPE, VIEWS

# Before TensorFlow is imported: the same kernels on every x86-64 CPU, no GPU, no start-up chatter.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

try:
    import numpy as np
    import tensorflow as tf
    from scipy import ndimage
    from sklearn.datasets import load_digits
except ImportError as missing:
    print(f"pairs: {missing}; pip install -r requirements/train.txt", file=sys.stderr)
    sys.exit(1)

SIDE: Final = 16  # of a picture, in pixels
# Of the 1,797 digits in a shuffled order, how many are for what; the rest is for the test.
# Many are for validation and test, because views of one digit are hardly more than one sample.
TRAINING, CALIBRATION, VALIDATION = 600, 147, 525
FEW: Final = 200  # that a base was trained on where its target has more
TIMES: Final = {"training": 4, "calibration": 4, "validation": VIEWS, "test": VIEWS}  # each digit

Array = np.ndarray[Any, Any]
keras = tf.keras
layers = tf.keras.layers


# ---- pictures ----


def seen(random: np.random.Generator, digits: Array, drifted: bool) -> Array:
    """A view of each digit (n, 8, 8): (n, 16, 16, 1), 256 levels from 0 to 1.

    Turned by up to 10 degrees, moved by up to a pixel, noisy. drifted: the camera is turned by 12
    degrees more, out of focus, and its picture pale.
    """
    out = []
    for digit in digits:
        picture = ndimage.zoom(digit, 2, order=1)
        angle = random.uniform(-10, 10) + (12 if drifted else 0)
        picture = ndimage.rotate(picture, angle, reshape=False, order=1)
        picture = ndimage.shift(picture, random.uniform(-1, 1, 2), order=1)
        if drifted:
            picture = 0.1 + 0.75 * ndimage.gaussian_filter(picture, 0.6)
        picture = picture + random.normal(0, 0.06, picture.shape)
        out.append(np.rint(np.clip(picture, 0, 1) * 255) / 255)
    return np.asarray(out, np.float32)[..., np.newaxis]


def soiled(random: np.random.Generator, pictures: Array) -> Array:
    """Dirt on the lens: a grey spot of 4 by 4 pixels, somewhere in each picture."""
    out = pictures.copy()
    for picture in out:
        row, column = random.integers(1, SIDE - 5, 2)
        spot = picture[row : row + 4, column : column + 4]
        spot += np.rint(255 * random.uniform(0.15, 0.35)) / 255 * np.where(spot < 0.5, 1, -1)
    return np.clip(out, 0, 1, dtype=np.float32)


# ---- networks ----


def cnn() -> keras.Model:
    """No batch normalisation; some 6,000 weights."""
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPool2D(2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPool2D(2),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def ds_cnn(channels: int = 24, strides: Sequence[int] = (1, 1, 1)) -> keras.Model:
    """Depthwise separable blocks, each convolution with batch normalisation."""

    def normalised() -> list[keras.layers.Layer]:
        return [layers.BatchNormalization(), layers.ReLU()]

    first = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False)
    stack = [keras.Input((SIDE, SIDE, 1)), first, *normalised()]
    for stride in strides:
        stack += [layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False), *normalised()]
        stack += [layers.Conv2D(channels, 1, use_bias=False), *normalised()]
    side = SIDE // 2 // int(np.prod(strides))
    stack += [layers.AveragePooling2D(side), layers.Flatten()]
    return keras.Sequential([*stack, layers.Dense(10, activation="softmax")])


def large_ds_cnn() -> keras.Model:
    """The same, of some 230 KB."""
    return ds_cnn(240, (1, 2, 1))


def autoencoder() -> keras.Model:
    """Restores a picture through a code of 12 numbers; some 17,000 weights."""
    return keras.Sequential(
        [
            keras.Input((SIDE * SIDE,)),
            layers.Dense(32, activation="relu"),
            layers.Dense(12, activation="relu", bias_initializer=keras.initializers.Constant(0.5)),
            layers.Dense(32, activation="relu"),
            layers.Dense(SIDE * SIDE, activation="sigmoid"),
        ]
    )


# ---- kinds ----


@dataclass(frozen=True)
class Kind:
    """How pairs of one kind are made.

    drift: the target's camera has drifted; else the target was trained on more digits. restores:
    the network restores its input, and its error tells soiled pictures from clean ones.
    """

    network: Callable[[], keras.Model]
    drift: bool
    restores: bool = False
    base_epochs: int = 30
    epochs: int = 6


RECIPES: Final = {
    "cnn-drift": Kind(cnn, drift=True),
    "cnn-more": Kind(cnn, drift=False),
    "ds-drift": Kind(ds_cnn, drift=True, base_epochs=25),
    "ds-more": Kind(ds_cnn, drift=False, base_epochs=25),
    "auto-drift": Kind(autoencoder, drift=True, restores=True, base_epochs=60, epochs=15),
    "large-drift": Kind(large_ds_cnn, drift=True, base_epochs=12, epochs=3),
}


def fit(net: keras.Model, x: Array, y: Array, epochs: int, rate: float, restores: bool) -> None:
    loss = "mse" if restores else "sparse_categorical_crossentropy"
    net.compile(keras.optimizers.Adam(rate), loss)
    net.fit(x, x if restores else y, batch_size=32, epochs=epochs, verbose=0)


def export(net: keras.Model, calibration: Array) -> bytes:
    """int8, a batch of one; the input's range is 0 to 1 in every export."""
    shape = calibration.shape[1:]
    limits = np.stack([np.zeros(shape), np.ones(shape)])
    samples = np.concatenate([limits, calibration]).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec((1, *shape), tf.float32, name="input")])
    def infer(x: tf.Tensor) -> tf.Tensor:
        return net(x, training=False)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [infer.get_concrete_function()], net
    )
    # By way of a saved model weights stay variables, which the calibration cannot read.
    converter.experimental_lower_to_saved_model = False
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[np.newaxis]] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    # TensorFlow's default, dense layers quantised per channel, is refused by older TFLM.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return bytes(converter.convert())


def make(name: str, kind: Kind, seed: int, folder: Path) -> None:
    """Make one pair."""
    # Without the first, names in the file would count the layers of the pairs made before.
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    digits = load_digits()
    order = random.permutation(len(digits.images))
    ends = np.cumsum([TRAINING, CALIBRATION, VALIDATION])
    parts = dict(zip(TIMES, np.split(order, ends), strict=True))

    def views(of: Array, times: int, drifted: bool) -> tuple[Array, Array]:
        pictures = [seen(random, digits.images[of] / 16, drifted) for _ in range(times)]
        x, y = np.concatenate(pictures), np.tile(digits.target[of], times)
        return x, y.astype(np.uint8)

    def given(x: Array) -> Array:
        return x.reshape(len(x), -1) if kind.restores else x

    training, times = parts["training"], TIMES["training"]
    net = kind.network()
    x, y = views(training if kind.drift else training[:FEW], times, drifted=False)
    fit(net, given(x), y, kind.base_epochs, 2e-3, kind.restores)
    base = export(net, given(x)[:200])
    x, y = views(training, times, kind.drift)
    fit(net, given(x), y, kind.epochs, 5e-4, kind.restores)
    target = export(net, given(x)[:200])

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.tflite").write_bytes(base)
    (folder / "target.tflite").write_bytes(target)
    for part in ("calibration", "validation", "test"):
        x, y = views(parts[part], TIMES[part], kind.drift)
        if kind.restores and part != "calibration":
            y = (random.permutation(len(x)) % 2).astype(np.uint8)
            x[y == 1] = soiled(random, x[y == 1])
        np.savez_compressed(folder / f"{part}.npz", allow_pickle=False, x=given(x), y=y)
    about = {"recipe": RECIPE, "metric": "auc" if kind.restores else "accuracy"}
    (folder / "pair.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make pairs for ./run bench slim.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("names", nargs="+", metavar="NAME", help="KIND_SEED, such as cnn-drift_1")
    options = parser.parse_args(arguments)
    wanted = []
    for name in options.names:
        kind, _, seed = name.partition("_")
        if kind not in RECIPES or not seed.isdecimal():
            parser.error(f"{name}: no KIND_SEED; kinds are {', '.join(RECIPES)}")
        wanted.append((name, RECIPES[kind], int(seed)))
    # A remark of the converter for each model, on inputs whose statistics it does take.
    warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    for name, kind, seed in wanted:
        make(name, kind, seed, options.out / name)
        print(f"made {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
