"""The gate: metrics, the decision, and the vectors that are chosen, on models that are scripted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite
from hypothesis import given, settings
from hypothesis import strategies as st

from accuracykit import Function, model_with, npz, scripted
from modelkit import TensorSpec
from tinymldelta.accuracy import (
    Judged,
    MetricKind,
    Samples,
    choose_metric,
    choose_vectors,
    judge,
    read_samples,
)
from tinymldelta.accuracy.bounds import accuracy_drop_bound
from tinymldelta.errors import Refusal
from tinymldelta.model import read_model

FLOAT = tflite.TensorType.FLOAT32
IN = TensorSpec("in", (3,), FLOAT)
CLASSES = TensorSpec("out", (1, 3), scale=(1 / 256,), zero_point=(-128,))
SCORE = TensorSpec("score", (1, 1), FLOAT)


class Pair:
    """A base and a target of the same tensors, and an interpreter that runs them as told."""

    def __init__(
        self,
        base: Function,
        target: Function,
        inputs: Sequence[TensorSpec] = (IN,),
        outputs: Sequence[TensorSpec] = (SCORE,),
    ) -> None:
        self.base, self.target = (model_with(inputs, outputs, d) for d in ("base", "target"))
        self.interpreter = scripted({self.base: base, self.target: target})

    def samples(self, **arrays: Any) -> Samples:
        return read_samples(npz(**arrays), "d.npz", read_model(self.target, "t"))

    def metric(self, samples: Samples, name: str | None = None) -> Any:
        return choose_metric(
            name, samples, read_model(self.base, "b"), read_model(self.target, "t")
        )[0]

    def judge(
        self, samples: Samples, metric: str | None = None, max_drop: float = 1e9, **options: Any
    ) -> Judged:
        return judge(
            self.base, self.target, samples, self.metric(samples, metric), self.interpreter,
            base_where="b", target_where="t", max_drop=max_drop, **options,
        )  # fmt: skip


def class_of_first(x: Any) -> Any:
    """A classifier that finds its answer in the first input."""
    return np.where(np.arange(3) == int(x.flat[0]), 100, -100)


def class_of_second(x: Any) -> Any:
    return np.where(np.arange(3) == int(x.flat[1]), 100 - int(x.flat[2]), -100)


def classifiers(first: Sequence[int], second: Sequence[int], margins: Sequence[int]) -> Any:
    pair = Pair(class_of_first, class_of_second, outputs=(CLASSES,))
    return pair, np.stack([first, second, margins], axis=1).astype(np.float32)


def test_accuracy_is_compared_sample_by_sample() -> None:
    pair, x = classifiers([0, 1, 2, 0, 1], [0, 1, 1, 1, 2], [0] * 5)
    done: list[float] = []
    judged = pair.judge(pair.samples(x=x, y=np.array([0, 1, 2, 1, 0])), progress=done.append)
    result = judged.result
    assert (result.kind, result.base, result.target) == (MetricKind.ACCURACY, 0.6, 0.6)
    assert (result.drop, result.changed, result.samples) == (0.0, 3, 5)
    assert result.bound is not None and 0 < result.bound <= 100
    assert done == [0.2, 0.4, 0.6, 0.8, 1.0]


def test_a_drop_as_large_as_allowed_is_taken_and_a_larger_one_is_not() -> None:
    n, lost = 1000, 3
    second = [2] * lost + [0] * (n - lost)
    pair, x = classifiers([0] * n, second, [0] * n)
    samples = pair.samples(x=x, y=np.zeros(n, int))
    assert pair.judge(samples, max_drop=0.3).result.drop == 0.3
    fault = (
        r"t: on 1000 samples of d.npz its accuracy is 99.70 %, the base's 100.00 %: "
        r"worse by 0.3 percentage points, at most 0.29 is allowed"
    )
    with pytest.raises(Refusal, match=fault):
        pair.judge(samples, max_drop=0.29)
    with pytest.raises(Refusal, match=r"up to 0\.\d+ percentage points are possible \(95 %"):
        pair.judge(samples, max_drop=0.3, confident=True)
    assert pair.judge(samples, max_drop=1.0, confident=True)


@pytest.mark.parametrize("max_drop", [-0.1, float("nan"), float("inf")])
def test_a_budget_is_a_number_from_0_up(max_drop: float) -> None:
    pair, x = classifiers([0, 1], [0, 1], [0, 0])
    with pytest.raises(Refusal, match="--max-drop: .* is no number from 0 up"):
        pair.judge(pair.samples(x=x, y=np.array([0, 1])), max_drop=max_drop)


# ---- other metrics ----


def value_at(place: int) -> Function:
    return lambda x: x.flat[place]


rows = st.lists(
    st.tuples(*[st.integers(-5, 5)] * 2, st.booleans()), min_size=2, max_size=12
).filter(lambda drawn: len({label for *_, label in drawn}) == 2)


@settings(max_examples=30, deadline=None)  # each draws the samples anew a thousand times
@given(rows)
def test_auc_is_the_share_of_pairs_in_order(drawn: list[tuple[int, int, bool]]) -> None:
    pair = Pair(value_at(0), value_at(1))
    x = np.array([(a, b, 0) for a, b, _ in drawn], np.float32)
    y = np.array([label for *_, label in drawn])
    result = pair.judge(pair.samples(x=x, y=y)).result

    def share(place: int) -> float:
        pairs = [(low, high) for low in x[~y, place] for high in x[y, place]]
        return float(np.mean([(low < high) + 0.5 * (low == high) for low, high in pairs]))

    assert result.kind is MetricKind.AUC
    assert (result.base, result.target) == pytest.approx((share(0), share(1)))
    assert result.drop == pytest.approx(100 * (share(0) - share(1)))
    assert result.changed == sum(a != b for a, b, _ in drawn)
    assert result.bound is None or -100 <= result.bound <= 100


@pytest.mark.parametrize("high, low", [(40, 260), (300, 300)])
def test_where_no_pair_is_lost_the_bound_is_by_how_many_pairs_have_nothing_in_common(
    high: int, low: int
) -> None:
    """A target with other scores in the same order is not beyond all bounds, and not equal."""
    pair = Pair(value_at(0), value_at(1))
    y = np.repeat([1, 0], [high, low])
    scores = 10 * y + np.random.default_rng(0).uniform(0, 1, len(y))
    x = np.stack([scores, 3 * scores, scores], axis=1).astype(np.float32)
    result = pair.judge(pair.samples(x=x, y=y), "auc").result
    assert (result.base, result.target, result.drop) == (1.0, 1.0, 0.0)
    assert result.bound is not None
    # As many as 3 in n may be lost where none was, 95 % confident; and one more is taken for lost.
    assert 300 / min(high, low) < result.bound < 500 / min(high, low)
    assert result.bound == 100 * accuracy_drop_bound(0, 0, min(high, low))


def test_a_restored_input_is_scored_by_its_error_as_the_model_saw_it() -> None:
    q = {"scale": (0.5,), "zero_point": (0,)}
    tensors = {"inputs": (TensorSpec("in", (1, 2), **q),), "outputs": (TensorSpec("o", (1, 2)),)}
    pair = Pair(lambda x: x // 2, lambda x: x // 2 + 1, **tensors)
    x = np.array([[0.0, 1.2], [3.0, 4.0], [1.0, 2.0]])
    judged = pair.judge(pair.samples(x=x, y=np.array([0, 1, 0])))
    # 1.2 is 2 steps, which stand for 1.0, and come out as 1.
    assert [one.base for one in judged.seen] == [0.0, 0.0, 0.0]
    assert [one.target for one in judged.seen] == [1.0, 1.0, 1.0]
    assert (judged.result.base, judged.result.drop, judged.result.bound) == (0.5, 0.0, 100.0)
    with pytest.raises(Refusal, match="up to 100 percentage points are possible"):
        pair.judge(pair.samples(x=x, y=np.array([0, 1, 0])), max_drop=99, confident=True)


def test_the_mean_absolute_error_may_grow_by_percents() -> None:
    pair = Pair(value_at(0), value_at(1))
    y = np.zeros(4)
    x = np.array([[1, 1, 0], [-1, 1, 0], [1, -1, 0], [-1, 1.2, 0]], np.float32)
    result = pair.judge(pair.samples(x=x, y=y)).result
    assert (result.kind, result.base) == (MetricKind.MAE, 1.0)
    assert (result.target, result.drop) == pytest.approx((1.05, 5.0))
    assert result.bound is not None and result.bound > result.drop
    with pytest.raises(Refusal, match="do not vary"):
        pair.judge(pair.samples(x=x[:1].repeat(2, 0), y=np.zeros(2)), confident=True)
    perfect = Pair(value_at(2), value_at(1))
    with pytest.raises(Refusal, match="worse by inf percent"):
        perfect.judge(perfect.samples(x=x, y=y), max_drop=1e6)
    with pytest.raises(Refusal, match="d.npz: the mean absolute error is more than 3.4e"):
        pair.judge(pair.samples(x=x, y=y + 1e300))
    assert Pair(value_at(2), value_at(2)).judge(pair.samples(x=x, y=y), max_drop=0).result.drop == 0


def test_a_function_of_the_users_is_called_with_outputs_and_labels(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("def least(outputs, y):\n    return (outputs[0][:, 0] * y).min()\n")
    pair = Pair(lambda x: (x.flat[0], 0), lambda x: (x.flat[1], 0), outputs=(SCORE, CLASSES))
    x = np.array([[1, 2, 0], [3, 5, 0], [4, 9, 0]], np.float32)
    samples = pair.samples(x=x, y=np.array([2.0, 2.0, 2.0]))
    result = pair.judge(samples, f"{own}:least").result
    assert (result.kind, result.base, result.target) == (MetricKind.OWN, 2.0, 4.0)
    assert (result.drop, result.changed) == (-2.0, 3)
    assert not list(tmp_path.glob("__pycache__"))


@pytest.mark.parametrize(
    ("text", "name", "fault"),
    [
        ("", "nothing.py:f", "no such file"),
        ("", "own.py:f", "it has no function 'f'"),
        ("f = 3", "own.py:f", "it has no function 'f'"),
        ("1 / 0", "own.py:f", "it raised ZeroDivisionError"),
        ("def f(o): return 1", "own.py:f", "it raised TypeError"),
        ("def f(o, y): return 'x'", "own.py:f", "it raised ValueError"),
        ("def f(o, y): return float('nan')", "own.py:f", "it returned nan"),
        ("def f(o, y): return 1e39", "own.py:f", "it returned 1e.39"),
        ("", "own.py", "no such metric"),
        ("", "f1", "no such metric"),
    ],
)
def test_functions_that_are_none_are_refused(
    tmp_path: Path, text: str, name: str, fault: str
) -> None:
    (tmp_path / "own.py").write_text(text)
    pair = Pair(value_at(0), value_at(1))
    samples = pair.samples(x=np.zeros((2, 3)), y=np.zeros(2))
    with pytest.raises(Refusal, match=fault):
        pair.judge(samples, f"{tmp_path / name}" if ".py" in name else name)


# ---- what does not fit ----

X3 = np.zeros((3, 3), np.float32)


@pytest.mark.parametrize(
    ("outputs", "y", "metric", "fault"),
    [
        ((CLASSES,), [0, 1, 3], "accuracy", "labels from 0 to 3, the model has 3 classes"),
        ((CLASSES,), [0, -1, 2], "accuracy", "labels from -1 to 2"),
        ((CLASSES,), [0.0, 1.0, 2.0], "accuracy", "this one is float64 of the shape"),
        ((CLASSES,), [[0], [1], [2]], "accuracy", r"int64 of the shape \[3, 1\]"),
        ((SCORE,), [0, 1, 0], "accuracy", "the model has one output"),
        ((SCORE,), [0, 1, 2], None, "for AUC 'y' is 0 or 1"),
        ((SCORE,), [1, 1, 1], None, "for AUC 'y' is 0 or 1"),
        ((SCORE,), [0.0, 0.5, 1.0], "auc", "for AUC 'y' is 0 or 1"),
        ((replace(CLASSES, shape=(1, 4)),), [0, 1, 1], "auc", "AUC is of one score"),
        ((CLASSES,), [0.0, 0.0, 1.0], None, r"'y' has the shape \[3\], the output of t \[1, 3\]"),
        ((SCORE, CLASSES), [0, 1, 1], "accuracy", "it has 2 outputs, accuracy is of one"),
    ],
)
def test_metrics_that_do_not_fit_are_refused(
    outputs: Sequence[TensorSpec], y: Any, metric: str | None, fault: str
) -> None:
    pair = Pair(value_at(0), value_at(1), outputs=outputs)
    with pytest.raises(Refusal, match=fault):
        pair.metric(pair.samples(x=X3, y=np.array(y)), metric)


def test_models_of_other_tensors_cannot_be_compared() -> None:
    pair, other = Pair(value_at(0), value_at(1)), Pair(value_at(0), value_at(1), outputs=(CLASSES,))
    pair.base = other.base
    with pytest.raises(Refusal, match=r"t: its tensors in or out have the shapes \[\[1, 1\]\]"):
        pair.metric(pair.samples(x=X3, y=np.zeros(3)))


def test_samples_that_are_quantised_must_mean_the_same_to_both() -> None:
    def with_scale(scale: float) -> Pair:
        spec = TensorSpec("in", (1, 3), scale=(scale,), zero_point=(0,))
        return Pair(value_at(0), value_at(0), inputs=(spec,))

    pair, other = with_scale(0.5), with_scale(0.25)
    mixed = with_scale(0.5)
    mixed.base = other.base
    mixed.interpreter = scripted({other.base: value_at(0), pair.target: value_at(0)})
    quantised = pair.samples(x=X3.astype(np.int8), y=np.ones(3))
    assert pair.judge(quantised).result.drop == 0
    with pytest.raises(Refusal, match="quantised already, but b and t quantise their input 'in'"):
        mixed.judge(quantised)
    # Each gets floats in its own scale: 8 steps and 4, which stand for the same.
    judged = mixed.judge(pair.samples(x=X3 + 2, y=np.ones(3)))
    assert {(one.base, one.target) for one in judged.seen} == {(7.0, 3.0)}


def test_outputs_that_are_no_numbers_are_refused() -> None:
    pair = Pair(value_at(0), lambda x: np.nan if x.flat[0] else 0.0)
    samples = pair.samples(x=np.array([[0, 0, 0], [1, 0, 0]], np.float32), y=np.zeros(2))
    with pytest.raises(Refusal, match="t: its output for sample 1 is NaN or infinite"):
        pair.judge(samples)


def test_a_model_that_does_not_run_is_refused() -> None:
    def fails(x: Any) -> Any:
        raise RuntimeError("no memory\nat line 1")

    pair = Pair(value_at(0), fails)
    samples = pair.samples(x=X3, y=np.zeros(3))
    with pytest.raises(Refusal, match=r"t: sample 0 cannot be run: no memory$"):
        pair.judge(samples)
    pair.interpreter = scripted({pair.base: value_at(0)})
    with pytest.raises(Refusal, match="t: a script does not take it"):
        pair.judge(samples)


# ---- test vectors ----


def vectors_of(pair: Pair, samples: Samples, count: int, **options: Any) -> Any:
    seen = pair.judge(samples).seen
    return choose_vectors(pair.target, "t", samples, seen, count, pair.interpreter, **options)


def test_vectors_are_of_all_classes_and_of_what_only_the_target_has_right() -> None:
    first = [0, 1, 2, 0, 1, 2, 1, 0]
    second = [0, 1, 2, 2, 0, 2, 1, 1]
    label = [0, 1, 2, 2, 0, 2, 1, 0]
    margin = [30, 9, 5, 80, 70, 0, 3, 0]
    pair, x = classifiers(first, second, margin)
    samples = pair.samples(x=x, y=np.array(label))
    vectors = vectors_of(pair, samples, 5)
    taken = [int(np.flatnonzero((x.astype("<f4") == np.frombuffer(v, "<f4")).all(axis=1))[0])
             for v in vectors.inputs]  # fmt: skip
    # 4 and 3 are answered differently; of class 1 the clearest; then again class by class.
    assert taken == [4, 3, 6, 0, 5]
    assert vectors.outputs[0] == bytes(np.array([30, -100, -100], np.int8))
    assert (vectors.type, vectors.tolerance) == ("INT8", 0)
    assert vectors_of(pair, samples, 5, tolerance=2).tolerance == 2
    for count in (0, 8):  # the last sample is one that the target has wrong
        with pytest.raises(Refusal, match="test vectors are wanted; of its samples"):
            vectors_of(pair, samples, count)


def test_vectors_differ() -> None:
    pair, x = classifiers([0, 0, 1], [0, 0, 1], [0, 0, 0])
    samples = pair.samples(x=x, y=np.array([0, 0, 1]))
    assert len(set(vectors_of(pair, samples, 2).inputs)) == 2
    with pytest.raises(Refusal, match="3 test vectors are wanted; of its samples 2 can be had"):
        vectors_of(pair, samples, 3)


def test_floats_need_a_tolerance_and_all_outputs_one_type(tmp_path: Path) -> None:
    pair = Pair(value_at(0), value_at(1))
    x = np.arange(9, dtype=np.float32).reshape(3, 3)
    samples = pair.samples(x=x, y=np.zeros(3))
    with pytest.raises(Refusal, match="its outputs are FLOAT32, which a device rounds differently"):
        vectors_of(pair, samples, 2)
    assert vectors_of(pair, samples, 2, tolerance=0.5).tolerance == 0.5
    with pytest.raises(Refusal, match="a tolerance of -1"):
        vectors_of(pair, samples, 2, tolerance=-1)
    (tmp_path / "own.py").write_text("def f(o, y): return 0\n")
    both = Pair(lambda x: (0, 0), lambda x: (0, 0), outputs=(SCORE, CLASSES))
    seen = both.judge(samples, f"{tmp_path}/own.py:f").seen
    with pytest.raises(Refusal, match="different element types: FLOAT32, INT8"):
        choose_vectors(both.target, "t", samples, seen, 1, both.interpreter)


def test_expected_outputs_are_those_of_a_fresh_model_in_the_vectors_order() -> None:
    """A model with a state answers by what came before."""

    def counting() -> Callable[[Any], Any]:
        count = [0]

        def run(x: Any) -> Any:
            count[0] += 1
            return count[0]

        return run

    pair = Pair(value_at(0), value_at(0))
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    samples = pair.samples(x=x, y=np.zeros(4))
    seen = pair.judge(samples).seen
    fresh = scripted({pair.target: counting()})
    vectors = choose_vectors(pair.target, "t", samples, seen, 3, fresh, tolerance=0)
    assert np.frombuffer(b"".join(vectors.outputs), "<f4").tolist() == [1, 2, 3]
