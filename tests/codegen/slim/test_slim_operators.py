"""Each operator as numpy runs it, beside TFLM, on networks of one or a few nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from slimkit import NONE, RELU, RELU6, Sketch, by_numpy, by_tflm, drawn

from tinymldelta.model import read_model

Draw = Callable[[Sketch], int]


def conv(**options: object) -> Draw:
    return lambda s: s.conv(s.x, 5, **options)  # type: ignore[arg-type]


def depthwise(multiplier: int = 1, **options: object) -> Draw:
    return lambda s: s.depthwise(s.x, multiplier, **options)  # type: ignore[arg-type]


def pool(kind: str, **options: object) -> Draw:
    return lambda s: s.pool(s.x, kind, **options)  # type: ignore[arg-type]


# Heights and widths differ, and no stride divides them all: paddings are odd somewhere.
NETWORKS: dict[str, tuple[tuple[int, ...], Draw]] = {
    "conv, same": ((7, 6, 3), conv()),
    "conv, valid": ((7, 6, 3), conv(same=False)),
    "conv, without bias": ((7, 6, 3), conv(bias=False)),
    "conv, one scale": ((7, 6, 3), conv(per_channel=False)),
    "conv, no activation": ((7, 6, 3), conv(activation=NONE)),
    "conv, relu6": ((7, 6, 3), conv(activation=RELU6)),
    "conv, 1 by 1": ((7, 6, 3), conv(filter=(1, 1))),
    "conv, even filter": ((7, 6, 3), conv(filter=(4, 2))),
    "conv, stride 2": ((7, 6, 3), conv(stride=(2, 2))),
    "conv, stride 2, valid": ((7, 6, 3), conv(stride=(2, 2), same=False)),
    "conv, strides 3 and 2": ((8, 9, 2), conv(stride=(3, 2))),
    "conv, stride beyond the filter": ((9, 10, 2), conv(filter=(1, 2), stride=(4, 3))),
    "conv, dilation 2": ((9, 8, 2), conv(dilation=(2, 2))),
    "conv, dilations 1 and 3, valid": ((9, 8, 2), conv(dilation=(1, 3), same=False)),
    "conv, as high as the picture": ((5, 4, 2), conv(filter=(5, 4), same=False)),
    "conv, higher than the picture": ((2, 3, 2), conv(filter=(5, 5))),
    "depthwise, same": ((7, 6, 3), depthwise()),
    "depthwise, valid": ((7, 6, 3), depthwise(same=False)),
    "depthwise, without bias": ((7, 6, 3), depthwise(bias=False)),
    "depthwise, one scale": ((7, 6, 3), depthwise(per_channel=False)),
    "depthwise, multiplier 2": ((7, 6, 3), depthwise(2)),
    "depthwise, multiplier 4 of one": ((7, 6, 1), depthwise(4, stride=(2, 2))),
    "depthwise, strides 2 and 1": ((7, 6, 3), depthwise(stride=(2, 1))),
    "depthwise, dilation 2": ((9, 8, 3), depthwise(dilation=(2, 2))),
    "depthwise, one row": ((1, 20, 3), depthwise(filter=(1, 5))),
    "dense, one scale": ((11,), lambda s: s.dense(s.x, 6)),
    "dense, a scale each": ((11,), lambda s: s.dense(s.x, 6, per_channel=True)),
    "dense, without bias": ((11,), lambda s: s.dense(s.x, 6, bias=False)),
    "dense, relu": ((11,), lambda s: s.dense(s.x, 6, activation=RELU)),
    "dense, of a picture": ((3, 2, 4), lambda s: s.dense(s.x, 6)),
    "dense, place by place": ((3, 5), lambda s: s.dense(s.x, 4, whole=False)),
    "max pool": ((7, 6, 3), pool("MAX")),
    "max pool, same": ((7, 5, 3), pool("MAX", same=True)),
    "max pool, overlapping": ((7, 6, 3), pool("MAX", filter=(3, 2), stride=(1, 1))),
    "average pool": ((7, 6, 3), pool("AVERAGE")),
    "average pool, same": ((7, 5, 3), pool("AVERAGE", filter=(3, 3), same=True)),
    "average pool, of all": ((7, 6, 3), pool("AVERAGE", filter=(7, 6), stride=(7, 6))),
    "average pool, relu6": ((7, 5, 3), pool("AVERAGE", activation=RELU6)),
    "mean": ((7, 6, 3), lambda s: s.mean(s.x)),
    "mean, kept axes": ((7, 6, 3), lambda s: s.mean(s.x, keep=True)),
    "mean, another scale": ((7, 6, 3), lambda s: s.mean(s.x, scale=0.013, zero=11)),
    "pad": ((4, 5, 2), lambda s: s.pad(s.x, (1, 2), (0, 3), (0, 0))),
    "pad, channels": ((4, 5, 2), lambda s: s.pad(s.x, (0, 1), (1, 0), (0, 2))),
    "relu": ((4, 5, 2), lambda s: s.relu(s.x)),
    "relu6": ((4, 5, 2), lambda s: s.relu6(s.x)),
    "reshape": ((4, 5, 2), lambda s: s.reshape(s.x, 8, 5)),
    "quantize": ((4, 5, 2), lambda s: s.quantize(s.x, 0.03, 17)),
    "softmax": ((10,), lambda s: s.softmax(s.x)),
    "softmax of one row each": ((4, 6), lambda s: s.softmax(s.x)),
    "logistic": ((4, 5, 2), lambda s: s.logistic(s.x)),
    "add": ((4, 5, 2), lambda s: s.add(s.x, s.quantize(s.x, 0.07, -20))),
    "add, of itself": ((4, 5, 2), lambda s: s.add(s.x, s.x)),
    "add, relu": ((4, 5, 2), lambda s: s.add(s.x, s.relu(s.x), activation=RELU)),
}  # fmt: skip


def behind_a_layer(shape: tuple[int, ...], draw: Draw) -> tuple[Sketch, int]:
    """The node, behind one that passes its input on: a network without weights is refused."""
    sketch = Sketch(*shape)
    x, depth = sketch.input, shape[-1]
    q = (127 * np.eye(depth)).astype(np.int8)
    weights = sketch.constant("pass on", q, [1 / 127])
    out = sketch.computed("passed on", shape, sketch.tensors[x].scale[0], -7)
    sketch.add_node("FULLY_CONNECTED", [x, weights], out, "FullyConnectedOptions", KeepNumDims=1)
    sketch.x = out
    return sketch, draw(sketch)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_operator_gives_what_tflm_gives(name: str) -> None:
    shape, draw = NETWORKS[name]
    sketch, out = behind_a_layer(shape, draw)
    data, inputs = sketch.build(out), drawn(sketch, 40)
    wanted, got = by_tflm(data, inputs), by_numpy(data, inputs)
    assert wanted.shape == got.shape
    assert len(np.unique(wanted)) > 20  # not all clipped, or the same
    away = np.abs(wanted - got)
    assert away.max() <= 1, (away.max(), np.mean(away > 0))
    # Means of few whole numbers are often halves, which TFLM rounds away from 0, and numpy to even.
    assert np.mean(away > 0) <= (0.25 if name.startswith(("average", "mean")) else 0.05)


FIXTURES = ["digits/base", "digits/target", "digits/refused_new_operator", "sst/base", "thermo"]


@pytest.mark.parametrize("name", FIXTURES)
def test_whole_models_give_what_tflm_gives(name: str, digits: Path, root: Path) -> None:
    path = digits.parent / f"{name}.tflite"
    if name == "thermo":
        path = root / "samples" / "thermo" / "models" / "base.tflite"
    data = path.read_bytes()
    shape = read_model(data, "m").input_tensors[0].shape[1:]
    inputs = np.random.default_rng(3).integers(-128, 128, (60, *shape)).astype(np.int8)
    away = np.abs(by_tflm(data, inputs) - by_numpy(data, inputs))
    # A step of a layer in the middle may be several of the output, on noise more than on data.
    assert np.mean(away <= 2) >= 0.96 and away.max() <= 12, (away.max(), away.mean())


def test_blocks_of_a_ds_cnn_give_what_tflm_gives() -> None:
    sketch = Sketch(12, 10, 1)
    x = sketch.conv(sketch.input, 6, (4, 3), stride=(2, 2), activation=RELU6)
    for _ in range(2):
        x = sketch.depthwise(x)
        x = sketch.conv(x, 6, (1, 1))
    y = sketch.add(sketch.conv(x, 6, (1, 1), activation=NONE), x, activation=RELU)
    x = sketch.reshape(sketch.pool(y, "AVERAGE", (6, 5), stride=(6, 5)), 6)
    data, inputs = sketch.build(sketch.dense(x, 4)), drawn(sketch, 40)
    wanted, got = by_tflm(data, inputs), by_numpy(data, inputs)
    assert len(np.unique(wanted)) > 20
    assert np.abs(wanted - got).mean() <= 1.0
    assert np.mean(wanted.argmax(axis=1) == got.argmax(axis=1)) >= 0.9
