"""Candidates, distillation and the search, on the digits CNN of samples/host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slimkit import RELU, Array, Sketch, by_tflm, digit_pair, digit_samples, drawn, numbers_of, tflm

from accuracykit import npz, scripted
from clikit import done
from modelkit import ModelSpec, build, with_operator, with_tensor
from tinymldelta.accuracy import Metric, Samples, choose_metric, judge, read_samples
from tinymldelta.accuracy.data import Feed, dequantise, read_inputs
from tinymldelta.delta.encode import encode
from tinymldelta.errors import Refusal
from tinymldelta.facts import facts_of
from tinymldelta.model import read_model
from tinymldelta.slim.between import Between, Numbers
from tinymldelta.slim.distil import distil
from tinymldelta.slim.maker import Maker
from tinymldelta.slim.network import Network
from tinymldelta.slim.operators import softmax
from tinymldelta.slim.search import FAILURES, Outcome, SlimOptions, SlimResult, slim

CALIBRATION, VALIDATION, TEST = slice(0, 60), slice(60, 130), slice(130, 200)  # apart
PRICE = 2e-7


@dataclass
class Case:
    """All that a search is given."""

    base: bytes
    target: bytes
    calibration: Samples
    validation: Samples

    def metric(self) -> Metric:
        models = (read_model(m, "m") for m in (self.base, self.target))
        return choose_metric(None, self.validation, *models)[0]

    def search(self, max_drop: float, **changes: Any) -> SlimResult:
        options = {k: changes.pop(k) for k in ("distils", "seed") if k in changes}
        given = {"interpreter": changes.pop("interpreter", None) or tflm()} | changes
        return slim(
            self.base, self.target, self.calibration, self.validation, self.metric(),
            options=SlimOptions(max_drop, **options), base_where="base", target_where="target",
            **given,
        )  # fmt: skip


def labelled(folder: Path, rows: slice, times: int, seed: int, target: bytes) -> Samples:
    x, y = digit_samples(folder, rows, times, seed)
    return read_samples(npz(x=x, y=y), f"rows {rows.start}", read_model(target, "m"))


@pytest.fixture(scope="module")
def case(root: Path) -> Case:
    folder = root / "samples" / "host" / "models" / "digits"
    base, target = digit_pair(folder)
    x, _ = digit_samples(folder, CALIBRATION, 5, 1)
    calibration = read_inputs(npz(x=x), "calibration", read_model(target, "m"))
    return Case(base, target, calibration, labelled(folder, VALIDATION, 8, 2, target))


@pytest.fixture(scope="module")
def two(case: Case) -> Between:
    images = case.calibration.inputs[0]
    return Between(Network(case.base, "base"), Network(case.target, "target"), images)


@pytest.fixture(scope="module")
def maker(two: Between) -> Maker:
    return Maker(two, 0)


def same(one: Numbers, other: Numbers) -> bool:
    pairs = ((one.q, other.q), (one.scale, other.scale), (one.bias, other.bias))
    return all(np.array_equal(a[i], b[i]) for a, b in pairs for i in a)


def away(two: Between, numbers: Numbers) -> float:
    """From the target's answers on the calibration inputs: mean Kullback-Leibler divergence."""
    own, target = two.own, two.target
    p = softmax(target.run(two.given, two.wanted)[target.head].astype(np.float64))
    q = softmax(own.run(two.given, two.parameters(numbers))[own.head].astype(np.float64))
    return float((p * np.log(p / q)).sum(axis=-1).mean())


def differing(two: Between, numbers: Numbers) -> int:
    return sum(int((q != two.base.layers[i].q).sum()) for i, q in numbers.q.items())


# ---- candidates ----


def test_bits_that_cost_nothing_come_to_the_target(two: Between, maker: Maker) -> None:
    numbers = maker.make(0.0)
    assert away(two, numbers) < 0.02 * away(two, numbers_of(two.base))


def test_bits_beyond_price_leave_the_base_s_weights_and_scales(two: Between, maker: Maker) -> None:
    numbers = maker.make(1e6)
    assert differing(two, numbers) == 0
    for i, layer in two.base.layers.items():
        np.testing.assert_allclose(numbers.scale[i], layer.scale, rtol=1e-6)
    # The biases are sent in any case, and make up for some of it.
    assert away(two, numbers) < 0.9 * away(two, numbers_of(two.base))


def test_a_higher_price_changes_fewer_weights_and_costs_more(two: Between, maker: Maker) -> None:
    made = [maker.make(price) for price in (1e-8, 1e-7, 1e-6, 1e-5)]
    counts = [differing(two, numbers) for numbers in made]
    costs = [away(two, numbers) for numbers in made]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) == 4
    assert costs == sorted(costs)
    sizes = [len(encode(two.base.data, two.write(numbers))) for numbers in made]
    assert sizes == sorted(sizes, reverse=True)


def test_feedback_comes_nearer_to_the_target_for_as_many_weights(
    two: Between, maker: Maker
) -> None:
    with_feedback, without = maker.make(PRICE), maker.make(PRICE, feedback=False)
    per_weight = [away(two, n) * differing(two, n) for n in (with_feedback, without)]
    assert per_weight[0] < per_weight[1], per_weight


def test_biases_keep_the_means_before_activations(two: Between, maker: Maker) -> None:
    """Of the first layer, of which both see the same."""
    numbers = maker.make(1e-6)
    step = next(s for s in two.own.steps if s.weighted is not None)
    assert step.weighted is not None
    columns = step.weighted.columns(two.own.start(two.given)[step.inputs[0]]).astype(np.float64)
    parameters = two.parameters(numbers)
    means = [
        (columns @ p.weights[step.node].T + p.biases[step.node]).mean(axis=0)
        for p in (two.wanted, parameters)
    ]
    unit = numbers.scale[step.node] * two.own.input_scale(step.node)
    assert np.all(np.abs(means[0] - means[1]) <= unit)  # a bias's rounding is half of it
    untouched = (columns @ parameters.weights[step.node].T).mean(axis=0)
    assert np.abs(untouched + two.wanted.biases[step.node] - means[0]).max() > 5 * unit.max()


def test_candidates_are_those_of_the_seed(two: Between, maker: Maker) -> None:
    again = Maker(two, 0).make(PRICE)
    assert same(maker.make(PRICE), again)
    assert not same(again, Maker(two, 1).make(PRICE))


@pytest.mark.parametrize("factor", [1e-5, 1e5])
def test_candidates_do_not_depend_on_the_unit_of_the_output(factor: float) -> None:
    """A pressure in pascals is slimmed as one in bars."""
    s = Sketch(10, scale=0.02)
    out = s.dense(s.dense(s.x, 8, activation=RELU), 2)
    spec, moved = s.spec(out), Sketch(10, scale=0.02, seed=1)
    target = moved.spec(moved.dense(moved.dense(moved.x, 8, activation=RELU), 2))
    given = drawn(s, 64).astype(np.float32) * np.float32(s.scale(s.x))
    made = []
    for times in (1.0, factor):
        two = Between(
            *(Network(build(in_units(m, out, times)), "m") for m in (spec, target)), given
        )
        made.append([Maker(two, 0).make(price) for price in (1e-6, 1e-5, 1e-4, 1e-3)])
    counts = [[differing(two, n) for n in path] for path in made]
    for one, other in zip(*made, strict=True):
        assert sum(int((one.q[i] != other.q[i]).sum()) for i in one.q) <= 8, counts


def in_units(spec: ModelSpec, out: int, times: float) -> ModelSpec:
    """The same model with an output that is so many times as large."""
    last = spec.nodes[-1]
    for t in (last.inputs[1], last.inputs[2], out):
        scale = tuple(one * times for one in spec.tensors[t].scale)
        spec = with_tensor(spec, t, scale=scale)
    return spec


# ---- distillation ----


def test_distillation_comes_nearer_and_changes_no_more_weights(two: Between, maker: Maker) -> None:
    numbers = maker.make(1e-6)
    fitted = distil(two, numbers, 60, seed=0)
    assert away(two, fitted) < 0.7 * away(two, numbers)
    for i, layer in two.base.layers.items():
        kept = numbers.q[i] == layer.q
        np.testing.assert_array_equal(fitted.q[i][kept], layer.q[kept])
        np.testing.assert_array_equal(fitted.scale[i], numbers.scale[i])
        assert np.abs(fitted.q[i]).max() <= 127
    assert any(not np.array_equal(fitted.q[i], numbers.q[i]) for i in fitted.q)


def test_distillation_is_that_of_the_seed(two: Between, maker: Maker) -> None:
    numbers = maker.make(1e-6)
    before = numbers_copy(numbers)
    one, again, other = (distil(two, numbers, 8, seed) for seed in (0, 0, 1))
    assert same(numbers, before)  # what it is given stays
    assert same(one, again) and not same(one, other)


def numbers_copy(numbers: Numbers) -> Numbers:
    parts = (numbers.q, numbers.scale, numbers.bias)
    return Numbers(*({i: x.copy() for i, x in part.items()} for part in parts))


# ---- the search ----


@pytest.fixture(scope="module")
def found(case: Case) -> SlimResult:
    return case.search(3.0)


def test_a_slimmed_digits_cnn_is_within_the_budget(
    case: Case, found: SlimResult, digits: Path
) -> None:
    assert found.outcome is Outcome.SLIMMED and found.model is not None
    assert found.chosen is not None and found.against_target is not None
    point = found.points[found.chosen]
    assert point.passes and point.bound is not None and point.bound <= 3.0
    assert found.ordinary == len(encode(case.base, case.target))
    assert point.patch_bytes == len(encode(case.base, found.model)) < 0.5 * found.ordinary
    assert 0 < point.weights < 2000
    # The interpreter's figures, not numpy's: near, and the ones that count.
    assert found.against_target.bound is not None and found.against_target.bound <= 3.0
    assert found.against_target.drop == pytest.approx(point.drop, abs=0.5)
    assert found.against_base is not None and found.against_base.drop < 0  # it is better
    # And on images that no step has seen.
    unseen = labelled(digits, TEST, 8, 3, case.target)
    metric = replace(case, validation=unseen).metric()
    on_test = judge(
        case.target, found.model, unseen, metric, tflm(), base_where="target", target_where="slim",
        max_drop=1e30,
    ).result  # fmt: skip
    assert on_test.drop <= 3.0


def test_it_is_the_last_candidate_that_passes(case: Case, found: SlimResult) -> None:
    """By numpy, and by the interpreter, for which one may fail by a hair."""
    passing = [n for n, point in enumerate(found.points) if point.passes]
    assert found.chosen in passing[-3:]
    assert not any(point.passes for point in found.points[passing[-1] + 1 :])
    prices = [point.price for point in found.points]
    assert prices == sorted(prices)
    sizes = [point.patch_bytes for point in found.points]
    assert all(size <= 0.9 * found.ordinary for size in sizes)


def test_the_slimmed_model_has_all_that_a_firmware_relies_on(case: Case, found: SlimResult) -> None:
    """The base's operators, tensors, options and guardrail facts; only numbers differ."""
    assert found.model is not None
    base, slimmed = read_model(case.base, "m"), read_model(found.model, "m")
    assert slimmed.length == base.length
    assert (slimmed.operators, slimmed.nodes, slimmed.graphs) == (
        base.operators, base.nodes, base.graphs,
    )  # fmt: skip
    for one, other in zip(base.tensors, slimmed.tensors, strict=True):
        assert replace(one, quantisation=None) == replace(other, quantisation=None)
    for tensor in (*base.inputs, *base.outputs):
        assert base.tensors[tensor] == slimmed.tensors[tensor]
    facts = [replace(facts_of(m), sha256=b"") for m in (base, slimmed)]
    assert facts[0] == facts[1]


def test_its_patch_gives_it_byte_for_byte(case: Case, found: SlimResult, tmp_path: Path) -> None:
    """By the device's C, against the contract of the base's firmware."""
    assert found.model is not None
    base, slim_file = tmp_path / "base.tflite", tmp_path / "slim.tflite"
    base.write_bytes(case.base)
    slim_file.write_bytes(found.model)
    done("codegen", base, "--out", tmp_path / "gen", "--slot", 8192)
    contract = ("--contract", tmp_path / "gen" / "contract.json")
    done("patch", base, slim_file, "-o", tmp_path / "x.tmd", *contract)
    done("apply", base, tmp_path / "x.tmd", "-o", tmp_path / "out", *contract)
    assert (tmp_path / "out").read_bytes() == found.model


def test_the_same_search_gives_the_same_bytes(case: Case) -> None:
    one, again = (case.search(3.0, distils=False) for _ in range(2))
    assert one.model is not None and one.model == again.model and one.points == again.points


def test_progress_rises_to_its_end(case: Case) -> None:
    seen: list[float] = []
    case.search(3.0, distils=False, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 2


# ---- nothing to send ----


def test_the_base_itself_needs_no_update(case: Case) -> None:
    found = replace(case, target=case.base).search(2.0)
    assert found.outcome is Outcome.NO_UPDATE and found.model is None


def test_a_base_within_the_budget_needs_no_update(case: Case) -> None:
    found = case.search(20.0)
    assert found.outcome is Outcome.NO_UPDATE and found.model is None
    assert "95 % confident" in found.reason and found.points == ()
    assert found.target_value > found.base_value


def test_an_autoencoder_s_base_needs_no_update_to_itself(sst: Path) -> None:
    """Where equal outputs leave the bound of a mean error unknown."""
    data = (sst / "base.tflite").read_bytes()
    x = np.random.default_rng(0).uniform(0, 1, (200, 12)).astype(np.float32)
    model = read_model(data, "m")
    samples = [read_samples(npz(x=part, y=part), "s", model) for part in (x[:100], x[100:])]
    found = Case(data, data, *samples).search(1.0)
    assert found.outcome is Outcome.NO_UPDATE


# ---- scores that are told apart without an error ----


@pytest.fixture(scope="module")
def told_apart() -> Case:
    """A target whose scores of the two labels lie far apart; the base's do not."""
    s = Sketch(24, scale=0.02)
    hidden = s.dense(s.x, 32, activation=RELU)
    target = s.build(s.dense(hidden, 1))
    weights = s.tensors[1].data
    assert weights is not None
    moved = np.frombuffer(weights, np.int8).astype(int) + s.random.integers(-110, 111, len(weights))
    base = target.replace(weights, np.clip(moved, -127, 127).astype(np.int8).tobytes())
    x = drawn(s, 6000)
    scores = by_tflm(target, x)[:, 0]
    low, high = np.quantile(scores, (0.37, 0.63))
    x, y = x[(scores < low) | (scores > high)], scores[(scores < low) | (scores > high)] > high
    model = read_model(target, "m")
    samples = [
        read_samples(npz(x=x[part], y=y[part].astype(np.uint8)), f"from {part.start}", model)
        for part in (slice(0, 400), slice(400, 2400))
    ]
    return Case(base, target, *samples)


def test_candidates_that_lose_no_pair_pass(told_apart: Case) -> None:
    """Samples that are all told apart bound what is lost by their number."""
    found = told_apart.search(1.0, distils=False)
    assert found.outcome is Outcome.SLIMMED and found.chosen is not None
    assert found.target_value == 1.0 > found.base_value + 0.01
    assert any(point.drop == 0 and point.passes for point in found.points)


def test_what_too_few_samples_leave_open_does_not_end_the_search(told_apart: Case) -> None:
    """No model could pass that loses no pair: that candidates do not either is not their fault."""
    x, y = told_apart.validation.inputs[0], told_apart.validation.labels
    order = np.argsort(by_tflm(told_apart.target, x)[:, 0])
    far = np.concatenate([order[:30], order[-30:]])
    few = Samples("few", (x[far],), y[far], b"\0" * 32)
    found = replace(told_apart, validation=few).search(1.0, distils=False)
    small = [point for point in found.points if point.patch_bytes <= 0.6 * found.ordinary]
    assert not any(point.passes for point in small)
    assert [point.drop for point in small[:FAILURES]] == [0.0] * FAILURES
    assert len(small) > FAILURES


# ---- nothing that passes ----


def test_the_interpreter_s_verdict_counts(case: Case) -> None:
    """numpy's candidates pass; the interpreter finds that they answer otherwise."""

    class Answers(dict[bytes, Callable[..., Array]]):
        def __missing__(self, model: bytes) -> Callable[..., Array]:
            asked.append(model)
            return lambda given: np.zeros(10, np.int8)

    asked: list[bytes] = []
    network = Network(case.target, "target")

    def answer(given: Array) -> Array:
        scale, zero = network.activations[network.input]
        real = ((given.astype(np.int32) - zero) * np.float32(scale)).astype(np.float32)
        out = network.run(real, network.parameters())[network.output]
        scale, zero = network.activations[network.output]
        return np.rint(out / scale + zero).astype(np.int8)

    interpreter = scripted(Answers({case.target: answer}))
    found = case.search(3.0, distils=False, interpreter=interpreter)
    assert found.outcome is Outcome.NOT_SLIMMED and found.model is None
    passing = [point for point in found.points if point.passes]
    # The base was run, and then each of these.
    assert asked[0] == case.base and len(asked) - 1 == len(passing) > 0
    assert "within the budget" in found.reason


@pytest.mark.parametrize("name", ["refused_new_operator", "refused_larger_arena"])
def test_a_target_of_another_structure_cannot_be_slimmed(
    case: Case, name: str, digits: Path
) -> None:
    """The other way round: the target is better than these."""
    other = replace(case, base=(digits / f"{name}.tflite").read_bytes())
    found = other.search(2.0)
    assert found.outcome is Outcome.NOT_SLIMMED and found.model is None
    assert found.reason.startswith("target has another structure than base has")
    assert found.ordinary == len(encode(other.base, case.target))


def test_a_target_that_takes_something_else_is_refused(case: Case, digits: Path) -> None:
    target = (digits / "refused_input_shape.tflite").read_bytes()
    with pytest.raises(Refusal):
        slim(
            case.base, target, case.calibration, case.validation, case.metric(), tflm(),
            SlimOptions(2.0), base_where="base", target_where="target",
        )  # fmt: skip


def test_a_model_that_is_not_known_cannot_be_slimmed_and_is_named() -> None:
    s = Sketch(6, scale=0.02)
    target = build(with_operator(s.spec(s.dense(s.x, 4)), "HARD_SWISH"))
    weights = s.tensors[1].data or b"?"
    base = target.replace(weights, weights[::-1])
    x = drawn(s, 900)
    y = by_tflm(target, x).argmax(axis=1)
    model = read_model(target, "m")
    samples = [
        read_samples(npz(x=x[part], y=y[part]), "s", model)
        for part in (slice(0, 300), slice(300, 900))
    ]
    found = Case(base, target, *samples).search(2.0)
    assert found.outcome is Outcome.NOT_SLIMMED
    assert found.reason == "base has HARD_SWISH, which slimming does not know"


# ---- data that do not do ----


def test_too_few_samples_are_refused_before_anything_is_searched(case: Case, digits: Path) -> None:
    few = replace(case, validation=labelled(digits, VALIDATION, 1, 2, case.target))
    with pytest.raises(Refusal, match="70 samples are too few for a budget of 0.5"):
        few.search(0.5)


def test_labels_that_are_the_target_s_own_outputs_are_refused(sst: Path) -> None:
    """Its error is 0 then, and a budget in percent of it is none."""
    base, target = ((sst / f"{name}.tflite").read_bytes() for name in ("base", "target"))
    model = read_model(target, "m")
    x = np.random.default_rng(0).uniform(0, 1, (200, 12)).astype(np.float32)
    feed = Feed(read_inputs(npz(x=x), "x", model), model)
    given = np.stack([feed.sample(row)[0] for row in range(len(x))])
    out = by_tflm(target, given).reshape(len(x), *model.output_tensors[0].shape[1:])
    y = dequantise(out.astype(np.int8), model.output_tensors[0])
    samples = [
        read_samples(npz(x=part, y=of), name, model)
        for name, part, of in (("c", x[:100], y[:100]), ("v.npz", x[100:], y[100:]))
    ]
    with pytest.raises(Refusal, match=r"v\.npz: the target's mean absolute error is 0") as refused:
        Case(base, target, *samples).search(5.0)
    assert "not the target's own outputs" in refused.value.fix


def test_validation_samples_that_were_calibrated_with_are_refused(case: Case) -> None:
    x = np.concatenate([case.validation.inputs[0][:500], case.calibration.inputs[0][:3]])
    y = np.concatenate([case.validation.labels[:500], np.zeros(3, np.uint8)])
    both = read_samples(npz(x=x, y=y), "field.npz", read_model(case.target, "m"))
    with pytest.raises(Refusal, match=r"field.npz: 3 of its samples are in calibration too"):
        replace(case, validation=both).search(2.0)


@pytest.mark.parametrize("change", ["as float64", "quantised"])
def test_the_same_samples_in_another_type_are_the_same(case: Case, change: str) -> None:
    """A model is given the same."""
    network = Network(case.target, "m")
    x = network.rounded(network.input, case.calibration.inputs[0])[0]
    calibration = read_inputs(npz(x=x), "calibration", network.model)
    scale, zero = network.activations[network.input]
    other = x.astype(np.float64) if change == "as float64" else np.rint(x / scale + zero)
    other = other if change == "as float64" else other.astype(np.int8)
    y = np.arange(len(x)) % 10
    both = read_samples(npz(x=other, y=y), "field.npz", network.model)
    with pytest.raises(Refusal, match="of its samples are in calibration too"):
        replace(case, calibration=calibration, validation=both).search(2.0)


def test_samples_of_another_shape_are_refused(case: Case) -> None:
    wrong = Samples("calibration", (np.zeros((50, 6, 6, 1), np.float32),), np.zeros(50), b"")
    with pytest.raises(Refusal, match=r"\[50, 6, 6, 1\]"):
        replace(case, calibration=wrong).search(2.0)
