"""What is measured: what is kept of each sample, and what all of them come to."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from tinymldelta.accuracy.bounds import (
    Rows,
    accuracy_drop_bound,
    bootstrap_bound,
    resample_all,
    resample_within,
)
from tinymldelta.accuracy.data import Array, Samples
from tinymldelta.accuracy.record import LARGEST, MetricKind
from tinymldelta.errors import Refusal
from tinymldelta.model import Model, Tensor

_OWN_FIX: Final = "give FILE.py:function, which takes outputs and labels and returns a number"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one sample showed.

    base, target: what the metric needs of either model's outputs. changed: they answer differently.
    group, gain, margin: for the choice of test vectors, of which each group is to have some: how
    much better the target does than the base, and how clearly. right: may become one at all.
    """

    base: Any
    target: Any
    changed: bool
    group: int = 0
    gain: float = 0.0
    margin: float = 0.0
    right: bool = True


@dataclass(frozen=True, slots=True)
class Compared:
    """Both values over all samples. drop: how much worse the target is, in the metric's unit.

    bound: that the drop is no larger, 95 % confident; None where the samples cannot tell.
    """

    base: float
    target: float
    drop: float
    bound: float | None


class Metric(Protocol):
    """unit: what drops are given in.

    Outputs are what they stand for, dequantised; so is `given`, what was given to the target.
    """

    @property
    def kind(self) -> MetricKind: ...

    @property
    def unit(self) -> str: ...

    def see(
        self, row: int, given: Sequence[Array], base: Sequence[Array], target: Sequence[Array]
    ) -> Seen: ...

    def compare(self, seen: Sequence[Seen]) -> Compared: ...


def _differ(base: Sequence[Array], target: Sequence[Array]) -> bool:
    return any(not np.array_equal(b, t) for b, t in zip(base, target, strict=True))


def _columns(seen: Sequence[Seen]) -> tuple[Array, Array]:
    """What was kept of base and target where that is one value."""
    return np.array([one.base for one in seen]), np.array([one.target for one in seen])


class Accuracy:
    """The share of samples whose largest output is that of their class."""

    kind = MetricKind.ACCURACY
    unit = "percentage points"

    def __init__(self, labels: Array) -> None:
        self._labels = labels

    def see(
        self, row: int, given: Sequence[Array], base: Sequence[Array], target: Sequence[Array]
    ) -> Seen:
        # The first of several that are largest, as an application's loop finds it.
        was, now = int(np.argmax(base[0])), int(np.argmax(target[0]))
        second, first = np.partition(target[0].ravel(), -2)[-2:]
        label = int(self._labels[row])
        return Seen(
            base=was == label,
            target=now == label,
            changed=was != now,
            group=now,
            gain=float(was != now),
            margin=float(first - second),
            right=now == label,
        )

    def compare(self, seen: Sequence[Seen]) -> Compared:
        n = len(seen)
        base, target = _columns(seen)
        lost, gained = int((base & ~target).sum()), int((target & ~base).sum())
        # From whole numbers, so that a drop just as large as allowed is not larger by rounding.
        drop = 100 * (lost - gained) / n
        bound = 100 * accuracy_drop_bound(lost, gained, n)
        return Compared(float(base.mean()), float(target.mean()), drop, bound)


class MeanAbsoluteError:
    """How far outputs are from their targets, on average."""

    kind = MetricKind.MAE
    unit = "percent of the base's error"

    def __init__(self, labels: Array) -> None:
        self._labels = labels

    def see(
        self, row: int, given: Sequence[Array], base: Sequence[Array], target: Sequence[Array]
    ) -> Seen:
        label = np.asarray(self._labels[row], np.float64).reshape(target[0].shape)
        with np.errstate(over="ignore"):
            was, now = (float(np.abs(output[0] - label).mean()) for output in (base, target))
        return Seen(was, now, _differ(base, target), gain=was - now)

    def compare(self, seen: Sequence[Seen]) -> Compared:
        base, target = _columns(seen)

        def drop(rows: Rows) -> float:
            was, now = base[rows].mean(), target[rows].mean()
            if was == 0:
                return 0.0 if now == 0 else float("inf")
            return float(100 * (now - was) / was)

        everything = np.arange(len(base))
        bound = bootstrap_bound(drop, resample_all(len(base)))
        return Compared(float(base.mean()), float(target.mean()), drop(everything), bound)


class AreaUnderCurve:
    """How often a sample of label 1 has a higher score than one of label 0; ties count half.

    The score is the model's only output; or, if it restores its input, the mean squared error.
    """

    kind = MetricKind.AUC
    unit = "percentage points"

    def __init__(self, labels: Array, restores: bool) -> None:
        self._labels = labels.astype(bool)
        self._restores = restores

    def see(
        self, row: int, given: Sequence[Array], base: Sequence[Array], target: Sequence[Array]
    ) -> Seen:
        was, now = (self._score(given[0], output[0]) for output in (base, target))
        label = bool(self._labels[row])
        return Seen(
            was, now, _differ(base, target), group=int(label),
            gain=now - was if label else was - now,
        )  # fmt: skip

    def _score(self, given: Array, output: Array) -> float:
        return float(((output - given) ** 2).mean() if self._restores else output.item())

    def compare(self, seen: Sequence[Seen]) -> Compared:
        base, target = _columns(seen)

        def drop(rows: Rows) -> float:
            labels = self._labels[rows]
            return 100 * (_auc(base[rows], labels) - _auc(target[rows], labels))

        lost = drop(np.arange(len(base)))
        bound = bootstrap_bound(drop, resample_within(self._labels))
        if bound is None and lost == 0:
            # The same pairs are in order. So many of them have no sample in common, and none of
            # these was lost: the share of all that is lost, which is the drop, is bounded by that.
            pairs = int(min(self._labels.sum(), (~self._labels).sum()))
            bound = 100 * accuracy_drop_bound(0, 0, pairs)
        was, now = (_auc(scores, self._labels) for scores in (base, target))
        return Compared(was, now, lost, bound)


def _auc(scores: Array, labels: Array) -> float:
    low, high = np.sort(scores[~labels]), scores[labels]
    below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(below.sum() / (2 * len(low) * len(high)))


class OwnMetric:
    """A function of the user's over all outputs and labels, of which more is better.

    It gets the outputs as an array with the samples along its first axis, or a list of such for
    several outputs, and the labels. All outputs are kept until then.
    """

    kind = MetricKind.OWN
    unit = "the metric's own unit"

    def __init__(self, function: Callable[[Any, Array], Any], labels: Array, where: str) -> None:
        self._function = function
        self._labels = labels
        self._where = where

    def see(
        self, row: int, given: Sequence[Array], base: Sequence[Array], target: Sequence[Array]
    ) -> Seen:
        gain = max(float(np.abs(t - b).max()) for b, t in zip(base, target, strict=True))
        return Seen(tuple(base), tuple(target), _differ(base, target), gain=gain)

    def compare(self, seen: Sequence[Seen]) -> Compared:
        was = [np.stack(outputs) for outputs in zip(*(one.base for one in seen), strict=True)]
        now = [np.stack(outputs) for outputs in zip(*(one.target for one in seen), strict=True)]
        everything = np.arange(len(seen))

        def drop(rows: Rows) -> float:
            return self._value(was, rows) - self._value(now, rows)

        one_of_few = self._labels.ndim == 1 and self._labels.dtype.kind in "biu"
        resample = resample_within(self._labels) if one_of_few else resample_all(len(seen))
        return Compared(
            self._value(was, everything),
            self._value(now, everything),
            drop(everything),
            bootstrap_bound(drop, resample),
        )

    def _value(self, outputs: list[Array], rows: Rows) -> float:
        taken = [output[rows] for output in outputs]
        try:
            value = float(self._function(taken if len(taken) > 1 else taken[0], self._labels[rows]))
        except Exception as error:  # whatever the user's function raises
            raise Refusal(
                self._where, f"it raised {type(error).__name__}: {error}", _OWN_FIX
            ) from error
        if not abs(value) <= LARGEST:
            raise Refusal(self._where, f"it returned {value}", _OWN_FIX)
        return value


# ---- which of them ----


def choose_metric(
    name: str | None, samples: Samples, base: Model, target: Model
) -> tuple[Metric, str]:
    """The metric of this name, or the one that labels and model suggest; and why this one.

    Raises Refusal for one that does not fit labels or models.
    """
    for one, other in (
        (base.input_tensors, target.input_tensors), (base.output_tensors, target.output_tensors),
    ):  # fmt: skip
        _check_same(one, other, base.name, target.name)
    outputs = target.output_tensors
    labels = samples.labels
    why = "as asked for"
    if name is None:
        name, why = _default(labels, target)
    if name not in ("accuracy", "mae", "auc"):
        return OwnMetric(_load_function(name), labels, name), why
    if len(outputs) > 1:
        raise Refusal(target.name, f"it has {len(outputs)} outputs, {name} is of one", _OWN_FIX)
    output = outputs[0]
    if name == "accuracy":
        _check_classes(labels, output, samples.where)
        return Accuracy(labels), why
    if name == "auc":
        _check_scores(labels, target, samples.where)
        return AreaUnderCurve(labels, _restores(target)), why
    shapes = [output.shape]
    if output.shape[:1] == (1,):
        shapes.append(output.shape[1:])
    if output.elements == 1:
        shapes.append(())
    if labels.shape[1:] not in shapes:
        raise Refusal(
            samples.where,
            f"'y' has the shape {list(labels.shape)}, the output of {target.name} "
            f"{list(output.shape)}",
            "give each sample a value for each output",
        )
    return MeanAbsoluteError(labels), why


def _check_same(
    base: Sequence[Tensor], target: Sequence[Tensor], base_name: str, target_name: str
) -> None:
    one, other = ([list(tensor.shape) for tensor in tensors] for tensors in (base, target))
    if one != other:
        raise Refusal(
            target_name,
            f"its tensors in or out have the shapes {other}, those of {base_name} {one}",
            "compare models that take and give the same",
        )


def _restores(model: Model) -> bool:
    """Whether the model is one that restores its input, such as an autoencoder."""
    inputs, outputs = model.input_tensors, model.output_tensors
    return len(inputs) == 1 and inputs[0].shape == outputs[0].shape and outputs[0].elements > 1


def _default(labels: Array, target: Model) -> tuple[str, str]:
    why = f"because 'y' is {labels.dtype}"
    if labels.dtype.kind == "f":
        return "mae", why
    # A model with as many classes as inputs may look as if it restored them.
    if _restores(target) and set(np.unique(labels).tolist()) <= {0, 1}:
        return "auc", f"{why} of 0 and 1, and the model restores its input"
    if target.output_tensors[0].elements == 1:
        return "auc", f"{why}, and the model has one output"
    return "accuracy", why


def _check_classes(labels: Array, output: Tensor, where: str) -> None:
    classes = output.elements
    if classes < 2:
        raise Refusal(where, "accuracy is of classes, the model has one output", "give `auc`")
    if labels.dtype.kind not in "biu" or labels.ndim != 1:
        raise Refusal(
            where,
            f"for accuracy 'y' is a class for each sample, this one is {labels.dtype} of the shape "
            f"{list(labels.shape)}",
            "give classes as whole numbers, or another metric",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise Refusal(
            where,
            f"'y' has labels from {labels.min()} to {labels.max()}, the model has {classes} "
            f"classes, from 0 to {classes - 1}",
            "number the classes as the model does",
        )


def _check_scores(labels: Array, target: Model, where: str) -> None:
    output = target.output_tensors[0]
    if output.elements != 1 and not _restores(target):
        raise Refusal(
            target.name,
            f"AUC is of one score or of a restored input, the output is {list(output.shape)}",
            "give another metric",
        )
    if labels.ndim != 1 or set(np.unique(labels).tolist()) != {0, 1}:
        raise Refusal(where, "for AUC 'y' is 0 or 1 for each sample, and both occur", "")


def _load_function(name: str) -> Callable[[Any, Array], Any]:
    path, colon, function = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise Refusal(
            name, "no such metric", "give accuracy, mae, auc, or a function as FILE.py:function"
        )
    if not Path(path).is_file():
        raise Refusal(path, "no such file", "check the name")
    try:
        found = runpy.run_path(path).get(function)
    except Exception as error:  # whatever the user's file raises
        raise Refusal(path, f"it raised {type(error).__name__}: {error}", "") from error
    if not callable(found):
        raise Refusal(path, f"it has no function {function!r}", _OWN_FIX)
    typed: Callable[[Any, Array], Any] = found
    return typed
