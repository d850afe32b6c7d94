"""A model between two: what of the base's file may change, and which models are refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slimkit import NONE, RELU6, Array, Sketch, digit_pair, digit_samples, numbers_of

from modelkit import ModelSpec, TensorSpec, build, with_operator, with_tensor
from tinymldelta.slim.between import Between, Numbers
from tinymldelta.slim.network import Network, Unsupported

INPUTS = np.random.default_rng(5).uniform(-3, 3, (40, 7, 6, 2)).astype(np.float32)


def sketched(seed: int = 0, *, per_channel: bool = True, **options: object) -> tuple[Sketch, int]:
    s = Sketch(7, 6, 2, seed=seed)
    x = s.conv(s.x, 4, bias=False, per_channel=per_channel, **options)  # type: ignore[arg-type]
    x = s.depthwise(x, 2, per_channel=per_channel)
    return s, s.softmax(s.dense(s.pool(x, "AVERAGE"), 5))


def made(seed: int = 0, **options: object) -> bytes:
    sketch, out = sketched(seed, **options)
    return sketch.build(out)


def between(base: bytes, target: bytes, inputs: Array = INPUTS) -> Between:
    return Between(Network(base, "base"), Network(target, "target"), inputs)


@pytest.fixture(scope="module")
def trained(root: Path) -> Between:
    folder = root / "samples" / "host" / "models" / "digits"
    images, _ = digit_samples(folder, slice(0, 60), 3, 1)
    return between(*digit_pair(folder), images)


def changed(numbers: Numbers, seed: int = 3) -> Numbers:
    """Other weights, scales and biases."""
    random = np.random.default_rng(seed)
    for i, q in numbers.q.items():
        numbers.q[i] = np.clip(q + random.integers(-9, 10, q.shape), -127, 127).astype(np.int32)
        scale = numbers.scale[i] * random.uniform(0.9, 1.1)
        numbers.scale[i] = scale.astype(np.float32).astype(np.float64)
        numbers.bias[i] = numbers.bias[i] + random.integers(-50, 51, len(q))
    return numbers


@pytest.mark.parametrize("per_channel", [True, False])
def test_between_a_model_and_itself_its_own_numbers_are_the_file(per_channel: bool) -> None:
    data = made(per_channel=per_channel)
    assert between(data, data).write(numbers_of(Network(data, "m"))) == data


def test_the_base_s_numbers_are_its_file_but_for_activations(trained: Between) -> None:
    out = trained.write(numbers_of(trained.base))
    assert len(out) == len(trained.base.data)
    again = Network(out, "again")
    assert again.activations == trained.own.activations
    for i, layer in trained.base.layers.items():
        np.testing.assert_array_equal(again.layers[i].q, layer.q)


@pytest.mark.parametrize("per_channel", [True, False])
def test_what_is_written_reads_back(per_channel: bool) -> None:
    two = between(made(0, per_channel=per_channel), made(1, per_channel=per_channel))
    numbers = changed(numbers_of(two.base))
    for layer in two.base.layers.values():
        if layer.biases is None:
            numbers.bias[layer.node][:] = 0
    again = Network(two.write(numbers), "again")
    for i, layer in again.layers.items():
        np.testing.assert_array_equal(layer.q, numbers.q[i])
        np.testing.assert_array_equal(layer.scale, numbers.scale[i])
        np.testing.assert_array_equal(layer.bias, numbers.bias[i])


def test_it_does_what_was_said_of_it(trained: Between) -> None:
    """The model that the search judges is the one that is written."""
    numbers = changed(numbers_of(trained.base))
    again = Network(trained.write(numbers), "again")
    was = trained.own.run(trained.given, trained.parameters(numbers))
    now = again.run(trained.given, again.parameters())
    for tensor, value in was.items():
        step = trained.own.activations[tensor][0]
        assert np.abs(value - now[tensor]).max() <= 1.01 * step
        assert np.mean(value != now[tensor]) < 1e-3


def test_only_what_may_change_does(trained: Between) -> None:
    """Weights, biases and their scales; scales and zero points of what is computed."""
    out = trained.write(changed(numbers_of(trained.base)))
    base = trained.base
    allowed = np.zeros(len(out), bool)
    spans = []
    for layer in base.layers.values():
        for t in (layer.weights, layer.biases):
            assert t is not None and t.quantisation is not None
            spans += [t.data, t.quantisation.scale_span]
    for i in base.activations:
        q = base.model.tensors[i].quantisation
        assert q is not None
        if i not in (base.input, base.output):
            spans += [q.scale_span, q.zero_point_span]
    for span in spans:
        assert span is not None
        allowed[span.offset : span.offset + span.length] = True
    differs = np.frombuffer(out, np.uint8) != np.frombuffer(base.data, np.uint8)
    assert len(out) == len(base.data) and differs.sum() > 1000
    assert not np.any(differs & ~allowed)


def test_in_and_out_tensors_keep_the_base_s_quantisation() -> None:
    sketch, out = sketched(1)
    spec = sketch.spec(out)
    moved = with_tensor(with_tensor(spec, 0, scale=(0.4,)), out, scale=(1 / 200,))
    two = between(made(0), build(moved))
    again = Network(two.write(changed(numbers_of(two.base))), "again")
    for tensor in (two.base.input, two.base.output):
        assert again.activations[tensor] == two.base.activations[tensor]


@pytest.mark.parametrize("factor, takes", [(0.5, True), (1.0, False), (1.9, False), (2.1, True)])
def test_a_computed_tensor_takes_the_target_s_scale_if_the_base_s_does_not_fit(
    factor: float, takes: bool
) -> None:
    """It clips too much, or is too coarse. The pool's tensors are one group, and go together."""
    target, base = Network(made(0), "t"), Network(made(0), "b")
    pool = next(s for s in base.steps if base.name_of(s) == "AVERAGE_POOL_2D")
    for tensor in (pool.inputs[0], pool.output):
        scale, zero = base.activations[tensor]
        base.activations[tensor] = (scale * factor, zero)
    two = Between.__new__(Between)
    two.base, two.target, two.given, two.wanted = base, target, INPUTS, target.parameters()
    two.own = Network(made(0), "own")
    two.own.activations = dict(base.activations)
    two._choose_activations()
    wanted = target if takes else base
    for tensor in (pool.inputs[0], pool.output):
        assert two.own.activations[tensor] == wanted.activations[tensor]


# ---- what is refused ----

OTHERS: dict[str, Callable[[], bytes]] = {
    "another stride": lambda: made(1, stride=(1, 1), dilation=(2, 2)),
    "another activation": lambda: made(1, activation=RELU6),
    "one scale for all channels": lambda: made(1, per_channel=False),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_structure_is_refused(name: str) -> None:
    with pytest.raises(Unsupported, match="another structure than base has"):
        between(made(0), OTHERS[name]())


@pytest.mark.parametrize(
    "name", ["refused_larger_arena", "refused_new_operator", "refused_input_shape"]
)
def test_a_target_that_the_firmware_refuses_is_of_another_structure(
    name: str, digits: Path
) -> None:
    with pytest.raises(Unsupported, match="another structure"):
        between((digits / "base.tflite").read_bytes(), (digits / f"{name}.tflite").read_bytes())


def two_alike() -> tuple[Sketch, int]:
    s = Sketch(4, 4, 3)
    x = s.conv(s.conv(s.x, 3), 3)
    return s, s.dense(x, 3)


def shared(field: str) -> bytes:
    """Two layers whose weights or biases are one buffer of the file."""
    sketch, out = two_alike()
    spec = sketch.spec(out)
    buffers = [t.name for t in spec.tensors if t.data is not None]
    first, second = f"{field} 0", f"{field} 1"
    names = [t.name for t in spec.tensors]
    return build(with_tensor(spec, names.index(second), buffer=1 + buffers.index(first)))


@pytest.mark.parametrize("field", ["weights", "bias"])
def test_a_buffer_that_two_layers_share_is_refused(field: str) -> None:
    sketch, out = two_alike()
    assert len(Network(sketch.build(out), "m").layers) == 3
    with pytest.raises(Unsupported, match="two tensors share"):
        Network(shared(field), "m")


def test_constants_that_nothing_is_written_to_may_be_shared() -> None:
    """Converters keep equal constants once."""
    s = Sketch(4, 4, 3)
    x = s.pad(s.pad(s.conv(s.x, 3), (1, 0), (0, 0), (0, 0)), (1, 0), (0, 0), (0, 0))
    spec = s.spec(s.dense(x, 2))
    names = [t.name for t in spec.tensors]
    one, other = (i for i, name in enumerate(names) if name == "widths")
    buffers = [i for i, t in enumerate(spec.tensors) if t.data is not None]
    data = build(with_tensor(spec, other, buffer=1 + buffers.index(one)))
    assert between(data, data, np.zeros((3, 4, 4, 3), np.float32)).own.data == data


def test_a_tensor_without_a_place_for_its_zero_point_is_refused_at_once() -> None:
    """Before anything is searched: the base's file says none, and the target's is another."""
    sketch, out = sketched(0)
    spec = sketch.spec(out)
    hidden = [t.name for t in spec.tensors].index("out 0")
    without = with_tensor(spec, hidden, zero_point=())
    with pytest.raises(Unsupported, match="no place of their own"):
        between(build(without), build(with_tensor(spec, hidden, scale=(1e-6,), zero_point=(100,))))


UNKNOWN = ["HARD_SWISH", "TANH", "LEAKY_RELU", "SUB", "MUL", "CONCATENATION", "my own"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_operator_that_is_not_known_is_named(name: str) -> None:
    sketch, out = sketched()
    with pytest.raises(Unsupported, match=f"^{name}$"):
        Network(build(with_operator(sketch.spec(out), name)), "m")


ODD: dict[str, tuple[Callable[[ModelSpec], ModelSpec], str]] = {
    "several outputs": (lambda s: replace(s, outputs=(*s.outputs, 3)), "several"),
    "several inputs": (
        lambda s: replace(
            s,
            tensors=(*s.tensors, replace(s.tensors[0], name="other")),
            inputs=(0, len(s.tensors)),
        ),
        "several",
    ),
    "several subgraphs": (lambda s: replace(s, subgraphs=2), "several"),
    "a float input": (lambda s: with_tensor(s, 0, type=0, scale=(), zero_point=()), "float32"),
    "int16 activations": (lambda s: with_tensor(s, 2, type=7), "int16"),
    "no scale": (lambda s: with_tensor(s, 2, scale=(), zero_point=()), "out 0"),
    "a scale of 0": (lambda s: with_tensor(s, 2, scale=(0.0,)), "scale 0"),
    "weights with a scale of 0": (lambda s: with_tensor(s, 1, scale=(0.1, 0, 0.1, 1.0)), "scales"),
    "weights with a zero point": (lambda s: with_tensor(s, 1, zero_point=(1,) * 4), "symmetric"),
    "no options": (
        lambda s: replace(s, nodes=(replace(s.nodes[0], options="", fields={}), *s.nodes[1:])),
        "CONV_2D without options",
    ),
    "tanh as activation": (
        lambda s: replace(
            s,
            nodes=(
                replace(s.nodes[0], fields={**s.nodes[0].fields, "FusedActivationFunction": 4}),
                *s.nodes[1:],
            ),
        ),
        "activation 4",
    ),
    "a softmax that is steeper": (
        lambda s: replace(s, nodes=(*s.nodes[:-1], replace(s.nodes[-1], fields={"Beta": 2}))),
        "SOFTMAX with the beta 2",
    ),
    "a softmax without options": (
        lambda s: replace(s, nodes=(*s.nodes[:-1], replace(s.nodes[-1], options="", fields={}))),
        "SOFTMAX without options",
    ),
    "a node too early": (lambda s: replace(s, nodes=(s.nodes[1], s.nodes[0], *s.nodes[2:])), "ord"),
    "an output of the middle": (lambda s: replace(s, outputs=(2,)), "order"),
    "a node without inputs": (
        lambda s: replace(s, nodes=(*s.nodes[:-1], replace(s.nodes[-1], inputs=()))),
        "without its tensors",
    ),
    "no layer": (
        lambda s: replace(s, nodes=s.nodes[-1:], outputs=s.nodes[-1].outputs, inputs=(9,)),
        "layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_refused_by_name(name: str) -> None:
    change, words = ODD[name]
    sketch, out = sketched()
    with pytest.raises(Unsupported, match=words):
        Network(build(change(sketch.spec(out))), "m")


def test_relu6_to_another_scale_is_refused() -> None:
    """TFLM's kernel clips and does not rescale; LiteRT's does."""
    s = Sketch(4, 4, 3)
    with pytest.raises(Unsupported, match="RELU6 that changes the quantisation"):
        Network(s.build(s.relu6(s.conv(s.x, 3, activation=NONE), 6 / 255, -128)), "m")


def test_shapes_that_mean_more_than_a_sample_are_refused() -> None:
    s = Sketch(4, 4, 3)
    x = s.conv(s.x, 3)
    size = s.constant("shape", np.array([16, 3], np.int32))
    s.tensors.append(TensorSpec("rows", (16, 3), scale=(s.scale(x),), zero_point=(-128,)))
    out = s.add_node("RESHAPE", [x, size], len(s.tensors) - 1)
    with pytest.raises(Unsupported, match="more than one sample"):
        Network(s.build(out), "m")


def test_add_with_broadcasting_is_refused() -> None:
    s = Sketch(4, 4, 3)
    x = s.conv(s.x, 3)
    with pytest.raises(Unsupported, match="ADD of different shapes"):
        Network(s.build(s.add(x, s.mean(x, keep=True))), "m")


# ---- memory ----


def test_memory_does_not_grow_with_all_that_windows_of_all_samples_hold() -> None:
    """Which is here 36 times what the layer is given, 170 MB: the network decides how many samples
    are run at once, and not how many there are."""
    s = Sketch(32, 32, 4)
    data = s.build(s.dense(s.pool(s.conv(s.x, 4), "AVERAGE", (16, 16), stride=(16, 16)), 2))
    networks = Network(data, "base"), Network(data, "target")
    given = np.zeros((1200, 32, 32, 4), np.float32)
    tracemalloc.start()
    try:
        Between(*networks, given)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 150e6, f"{most / 1e6:.0f} MB"


def test_a_network_of_large_windows_is_run_a_few_samples_at_a_time() -> None:
    def batch(side: int) -> int:
        s = Sketch(side, side, 8)
        return Network(s.build(s.dense(s.mean(s.conv(s.x, 2)), 2)), "m").batch(256)

    # 9 * 8 numbers at each place, of four bytes: 256 MiB of them, and no more.
    assert batch(16) == 256
    assert batch(96) == 2**26 // (96 * 96 * 72)
