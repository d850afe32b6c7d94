"""Small models for operators that public ones lack, to measure and predict arenas of.

    python benchmarks/arena_models.py OUT_DIR

Needs TensorFlow (requirements/train.txt). Weights are random, from a fixed seed: an arena depends
on shapes and types alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

SEED = 6
IMAGE = (12, 12, 4)
Layers = tf.keras.layers


def _image(body: Callable[[tf.Tensor], tf.Tensor]) -> tf.keras.Model:
    x = tf.keras.Input(IMAGE, batch_size=1)
    return tf.keras.Model(x, body(x))


def _classified(x: tf.Tensor) -> tf.Tensor:
    return Layers.Dense(3, activation="softmax")(Layers.Flatten()(x))


def _op(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    return Layers.Lambda(function)


def means() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = Layers.Conv2D(6, 3, activation="relu")(x)
        mean = _op(lambda t: tf.reduce_mean(t, [1, 2]))(y)
        total = _op(lambda t: tf.reduce_sum(t, [2], keepdims=True))(y)
        high = _op(lambda t: tf.reduce_max(t, [3]))(y)
        return _classified(Layers.Concatenate()([Layers.Flatten()(z) for z in (mean, total, high)]))

    return _image(body)


def split_and_join() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        a, b = _op(lambda t: tf.split(t, 2, axis=3))(x)
        c, d = _op(lambda t: tf.split(t, [5, 7], axis=1))(x)
        y = Layers.Concatenate(axis=3)([Layers.ReLU(max_value=6)(a), b])
        z = Layers.Concatenate(axis=1)([d, c])
        return _classified(Layers.Add()([y, z]))

    return _image(body)


def padding() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = _op(lambda t: tf.pad(t, [[0, 0], [2, 1], [1, 2], [0, 0]]))(x)
        y = Layers.Conv2D(4, 3)(y)
        y = _op(lambda t: tf.pad(t, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"))(y)
        y = _op(lambda t: tf.pad(t, [[0, 0], [1, 0], [0, 0], [0, 0]], constant_values=1.5))(y)
        return _classified(Layers.MaxPooling2D(2)(y))

    return _image(body)


def resizing() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = _op(lambda t: tf.image.resize(t, (24, 24), "nearest"))(x)
        z = _op(lambda t: tf.image.resize(t, (24, 24), "bilinear"))(x)
        return _classified(Layers.AveragePooling2D(3)(Layers.Multiply()([y, z])))

    return _image(body)


def attention() -> tf.keras.Model:
    x = tf.keras.Input((10, 16), batch_size=1)
    query, key, value = (Layers.Dense(8)(x) for _ in range(3))
    scores = _op(lambda t: tf.matmul(t[0], t[1], transpose_b=True) / np.sqrt(8.0))([query, key])
    mixed = _op(lambda t: tf.matmul(t[0], t[1]))([Layers.Softmax()(scores), value])
    return tf.keras.Model(x, _classified(mixed))


def normalised() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = Layers.Dense(16)(Layers.Flatten()(x))
        return _op(lambda t: tf.math.l2_normalize(t, -1))(y)

    return _image(body)


def activations() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = Layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_uniform")(x)
        y = Layers.LeakyReLU(negative_slope=0.1)(Layers.DepthwiseConv2D(3)(y))
        y = _op(lambda t: t * tf.nn.relu6(t + 3) / 6)(y)
        y = _op(tf.nn.elu)(y)
        z = _op(tf.tanh)(y)
        return _classified(Layers.Multiply()([_op(tf.sigmoid)(y), z]))

    return _image(body)


def hard_swish() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = Layers.Conv2D(8, 3, strides=2, padding="same")(x)
        y = Layers.Multiply()([y, _op(lambda t: tf.nn.relu6(t + 3) * (1 / 6))(y)])
        return _classified(Layers.GlobalAveragePooling2D(keepdims=True)(y))

    return _image(body)


def upsampled() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = Layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(x)
        return Layers.Conv2DTranspose(3, 4, strides=2, padding="same")(y)

    return _image(body)


def chosen() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = _op(lambda t: tf.gather(t, [3, 1, 7], axis=1))(x)
        y = _op(lambda t: tf.transpose(t, [0, 2, 1, 3]))(y)
        return _op(lambda t: tf.argmax(t, axis=-1, output_type=tf.int32))(y)

    return _image(body)


def compared() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = Layers.Conv2D(4, 1)(x)
        high = Layers.Maximum()([x, y])
        low = Layers.Minimum()([x, y])
        return _classified(_op(lambda t: tf.math.squared_difference(t[0], t[1]))([high, low]))

    return _image(body)


def sliced() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = _op(lambda t: tf.slice(t, [0, 1, 2, 0], [1, 8, 8, 4]))(x)
        y = _op(lambda t: t[:, ::2, ::2, :])(y)
        rows = _op(lambda t: tf.unstack(t, axis=1))(y)
        y = _op(lambda t: tf.stack(t, axis=2))(rows[:3])
        return _classified(Layers.Subtract()([y, _op(lambda t: t * 0.5)(y)]))

    return _image(body)


def rearranged() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = _op(lambda t: tf.nn.space_to_depth(t, 2))(x)
        y = Layers.Conv2D(16, 1)(y)
        y = _op(lambda t: tf.nn.depth_to_space(t, 2))(y)
        y = _op(lambda t: tf.space_to_batch_nd(t, [2, 2], [[0, 0], [0, 0]]))(y)
        return _op(lambda t: tf.batch_to_space(t, [2, 2], [[0, 0], [0, 0]]))(y)

    return _image(body)


def dilated() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = Layers.Conv2D(8, 3, dilation_rate=2)(x)
        return Layers.Dense(2)(Layers.Flatten()(Layers.DepthwiseConv2D(3, depth_multiplier=2)(y)))

    return _image(body)


def elementwise() -> tf.keras.Model:
    def body(x: tf.Tensor) -> tf.Tensor:
        y = _op(lambda t: tf.sqrt(tf.abs(t) + 1))(x)
        z = _op(lambda t: tf.sin(t) + tf.cos(t) - tf.floor(t))(x)
        y = _op(lambda t: tf.exp(-t) + tf.math.rsqrt(t) + tf.math.log(t))(y)
        y = _op(lambda t: t[0] / (tf.square(t[1]) + 1))([z, y])
        return _op(lambda t: tf.where(t > 0, tf.round(t), 0.0))(y)

    return _image(body)


def running_sum() -> tf.keras.Model:
    x = tf.keras.Input((10, 6), batch_size=1)
    y = _op(lambda t: tf.cumsum(t, axis=1))(x)
    y = _op(lambda t: tf.add_n([t[0], t[1], t[0]]))([x, y])
    return tf.keras.Model(x, _op(tf.nn.log_softmax)(Layers.Dense(4)(y)))


# Name -> the model, and how it is converted: "float", "int8" or "int16".
MODELS: dict[str, tuple[Callable[[], tf.keras.Model], str]] = {
    "means_int8": (means, "int8"),
    "means_float": (means, "float"),
    "split_int8": (split_and_join, "int8"),
    "padding_int8": (padding, "int8"),
    "padding_float": (padding, "float"),
    "resizing_int8": (resizing, "int8"),
    "attention_int8": (attention, "int8"),
    "attention_float": (attention, "float"),
    "normalised_int8": (normalised, "int8"),
    "activations_int8": (activations, "int8"),
    "activations_float": (activations, "float"),
    "hard_swish_int8": (hard_swish, "int8"),
    "upsampled_int8": (upsampled, "int8"),
    "upsampled_int16": (upsampled, "int16"),
    "upsampled_float": (upsampled, "float"),
    "chosen_int8": (chosen, "int8"),
    "compared_int8": (compared, "int8"),
    "sliced_int8": (sliced, "int8"),
    "rearranged_int8": (rearranged, "int8"),
    "dilated_int8": (dilated, "int8"),
    "dilated_int16": (dilated, "int16"),
    "elementwise_float": (elementwise, "float"),
    "running_sum_float": (running_sum, "float"),
}


def convert(model: tf.keras.Model, kind: str) -> bytes:
    shape = model.inputs[0].shape
    random = np.random.default_rng(SEED)

    def samples() -> Iterator[list[np.ndarray]]:
        for _ in range(16):
            yield [random.uniform(-1, 1, shape).astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            if kind == "int8"
            else tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        if kind == "int8":
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
    return converter.convert()


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, (make, kind) in MODELS.items():
        tf.keras.backend.clear_session()
        tf.keras.utils.set_random_seed(SEED)
        (out / f"{name}.tflite").write_bytes(convert(make(), kind))
        print(name)


if __name__ == "__main__":
    main()
