#!/usr/bin/env python3
"""Retrain the deployed digits model on what the field shows, close to what is deployed.

    python retrain.py -o target.tflite              an ordinary fine-tune
    python retrain.py -o target.tflite --share 0.1  at most a tenth of the weights may change

Starts from the deployed `.tflite` itself, so nothing else has to have been kept of its training.
Needs TensorFlow: pip install -r requirements/train.txt
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

# Before TensorFlow is imported: the same kernels on every x86-64 CPU, no GPU, no start-up chatter.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from field import Array, seen

from tinymldelta.keras import StayClose
from tinymldelta.slim.network import Network

HERE = Path(__file__).resolve().parent
DEPLOYED = HERE.parent / "host" / "models" / "digits" / "base.tflite"
EPOCHS, BATCH, RATE = 6, 32, 1e-3
keras, layers = tf.keras, tf.keras.layers


def deployed_net(model: bytes) -> keras.Model:
    """The Keras network of samples/host/models, with the real weights that the file stands for.

    With its names too: they are in the file, and would be in the patch.
    """
    net = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1"),
            layers.Conv2D(12, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPool2D(2, name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, name="dense"),
            layers.Softmax(name="softmax"),
        ],
        name="digits",
    )
    network = Network(model, "the deployed model")
    real = network.parameters()
    weights: list[Array] = []
    for own, node in zip((x for x in net.layers if x.weights), network.layers, strict=True):
        kernel = own.weights[0].shape  # (height, width, in, out) or (in, out); the file: out first
        shape = (kernel[-1], *kernel[:-1])
        weights.append(np.moveaxis(real.weights[node].reshape(shape), 0, -1))
        weights.append(real.biases[node])
    net.set_weights(weights)
    return net


def export(net: keras.Model, calibration: Array) -> bytes:
    """int8, in and out. With a black and a white image, so that the input's range is 0 to 1 as in
    the deployed file."""
    limits = np.stack([np.zeros(calibration.shape[1:]), np.ones(calibration.shape[1:])])
    samples = np.concatenate([limits, calibration]).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec((1, *samples.shape[1:]), tf.float32, name="input")])
    def infer(x: tf.Tensor) -> tf.Tensor:
        return net(x, training=False)

    function = infer.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], net)
    converter.experimental_lower_to_saved_model = False  # else the calibration reads no weights
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[np.newaxis]] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return bytes(converter.convert())


def retrain(deployed: bytes, share: float | None, seed: int = 1) -> tuple[bytes, tuple[int, int]]:
    """The new model; and how many weights are exactly the deployed ones, of how many."""
    given, labels = seen("training", 4, seed)
    net = deployed_net(deployed)
    close = StayClose(net.get_weights(), 1.0 if share is None else share, keep_scales=bool(share))
    keras.utils.set_random_seed(seed)
    steps = EPOCHS * math.ceil(len(given) / BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    net.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    net.fit(given, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[close])
    return export(net, given[:: len(given) // 150]), close.kept()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="TARGET.tflite")
    parser.add_argument("--share", type=float, metavar="S", help="of the weights may change")
    arguments = parser.parse_args()
    model, (same, of) = retrain(DEPLOYED.read_bytes(), arguments.share)
    arguments.out.write_bytes(model)
    print(f"{same:,} of {of:,} weights are the deployed ones; wrote {arguments.out.name}")


if __name__ == "__main__":
    main()
