"""The gate: base and target run on the same samples, and the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinymldelta.accuracy.data import Array, Feed, Samples, dequantise, joined, split, takes_as_is
from tinymldelta.accuracy.metrics import Metric, Seen
from tinymldelta.accuracy.record import (
    LARGEST,
    TITLES,
    AccuracyRecord,
    MetricKind,
    metric_value,
)
from tinymldelta.delta.encode import Progress
from tinymldelta.errors import Refusal
from tinymldelta.interpreter import InferenceFailed, Interpreter, Loaded
from tinymldelta.model import Model, Tensor, read_model


@dataclass(frozen=True, slots=True)
class GateResult:
    """How base and target did. drop and bound are in `unit`, larger is worse; see `Compared`.

    changed: samples to which they answer differently. clipped: values of the samples beyond what
    the target's quantised input can say.
    """

    kind: MetricKind
    interpreter: str
    base: float
    target: float
    drop: float
    bound: float | None
    unit: str
    samples: int
    changed: int
    clipped: int
    data_sha256: bytes

    def record(self) -> AccuracyRecord:
        return AccuracyRecord(
            self.kind, self.interpreter, self.samples, self.base, self.target, self.data_sha256[:4]
        )


class WorseTarget(Refusal):  # noqa: N818 - as Refusal
    """The target is worse than allowed, or may be for all that `result` shows."""

    def __init__(
        self, where: str, what: str, fix: str, result: GateResult, max_drop: float
    ) -> None:
        super().__init__(where, what, fix)
        self.result = result
        self.max_drop = max_drop


@dataclass(frozen=True, slots=True)
class Judged:
    """The result, and what each sample showed."""

    result: GateResult
    seen: tuple[Seen, ...]


def judge(
    base: bytes,
    target: bytes,
    samples: Samples,
    metric: Metric,
    interpreter: Interpreter,
    *,
    base_where: str,
    target_where: str,
    max_drop: float | None,
    confident: bool = False,
    progress: Progress | None = None,
) -> Judged:
    """Run both models on the samples, and refuse a target that is worse by more than `max_drop`.

    max_drop: in the metric's unit; None: refuse none. confident: the bound on the drop must not be
    larger either.
    The samples are run one by one in their order, so a model with a state sees them as a stream.
    Raises WorseTarget, or Refusal for data and models that cannot be judged.
    """
    if max_drop is not None and not 0 <= max_drop < float("inf"):
        raise Refusal("--max-drop", f"{max_drop:g} is no number from 0 up", "give 0 for no drop")
    old = _Runner(base, base_where, samples, interpreter)
    new = _Runner(target, target_where, samples, interpreter)
    _check_same_scale(samples, old.model, new.model)
    seen = []
    for row in range(len(samples)):
        _, was = old.run(row)
        given, now = new.run(row)
        seen.append(metric.see(row, given, was, now))
        if progress is not None:
            progress((row + 1) / len(samples))
    compared = metric.compare(seen)
    if not max(abs(compared.base), abs(compared.target)) <= LARGEST:
        raise Refusal(
            samples.where,
            f"the {TITLES[metric.kind]} is more than {LARGEST:.2g}",
            "give labels in the outputs' unit",
        )
    result = GateResult(
        kind=metric.kind,
        interpreter=interpreter.name,
        base=compared.base,
        target=compared.target,
        drop=compared.drop,
        bound=compared.bound,
        unit=metric.unit,
        samples=len(samples),
        changed=sum(one.changed for one in seen),
        clipped=new.feed.clipped,
        data_sha256=samples.sha256,
    )
    if max_drop is not None:
        _decide(result, max_drop, confident, target_where, samples.where)
    return Judged(result, tuple(seen))


class _Runner:
    """One model, ready to run on samples."""

    def __init__(self, data: bytes, where: str, samples: Samples, interpreter: Interpreter) -> None:
        self.model = read_model(data, where)
        self.feed = Feed(samples, self.model)
        self._loaded = load(data, where, interpreter)

    def run(self, row: int) -> tuple[list[Array], list[Array]]:
        """Inputs and outputs of one sample, dequantised. Refuses outputs that are no numbers."""
        inputs = self.feed.sample(row)
        found = infer(self._loaded, joined(inputs), row, self.model.name)
        given = _dequantised(inputs, self.model.input_tensors)
        outputs = _dequantised(split(found, self.model.output_tensors), self.model.output_tensors)
        if not all(np.isfinite(output).all() for output in outputs):
            raise Refusal(
                self.model.name,
                f"its output for sample {row} is NaN or infinite",
                "check the model, and how the samples are scaled",
            )
        return given, outputs


def _dequantised(values: Sequence[Array], tensors: Sequence[Tensor]) -> list[Array]:
    return [dequantise(value, tensor) for value, tensor in zip(values, tensors, strict=True)]


def load(data: bytes, where: str, interpreter: Interpreter) -> Loaded:
    """A model that is ready to run. Refuses what the interpreter does not take."""
    try:
        return interpreter.load(data)
    except InferenceFailed as error:
        raise Refusal(where, f"{interpreter.name} does not take it: {error}", "") from error


def infer(loaded: Loaded, inputs: bytes, row: int, where: str) -> bytes:
    """One inference. Refuses a model that fails to run."""
    try:
        return loaded.run(inputs)
    except InferenceFailed as error:
        raise Refusal(where, f"sample {row} cannot be run: {error}", "") from error


def _check_same_scale(samples: Samples, base: Model, target: Model) -> None:
    """Values that were quantised before mean the same only to models with the same scale."""
    if not takes_as_is(samples, target):
        return
    for old, new in zip(base.input_tensors, target.input_tensors, strict=True):
        one, other = (
            (t.quantisation.scale, t.quantisation.zero_point) if t.quantisation else None
            for t in (old, new)
        )
        if one != other:
            raise Refusal(
                samples.where,
                f"its samples are quantised already, but {base.name} and {target.name} quantise "
                f"their input {new.name!r} differently",
                "give the samples as float values",
            )


def _decide(
    result: GateResult, max_drop: float, confident: bool, target_where: str, data_where: str
) -> None:
    if result.drop > max_drop:
        base, target = (metric_value(result.kind, v) for v in (result.base, result.target))
        raise WorseTarget(
            target_where,
            f"on {result.samples} samples of {data_where} its {TITLES[result.kind]} is {target}, "
            f"the base's {base}: worse by {result.drop:.4g} {result.unit}, at most "
            f"{max_drop:g} is allowed",
            "train it further, or raise --max-drop",
            result,
            max_drop,
        )
    if not confident:
        return
    if result.bound is None:
        raise WorseTarget(
            target_where,
            f"the {result.samples} samples of {data_where} do not vary, so they do not bound how "
            "much worse it is on others",
            "give more samples, or leave --confident out",
            result,
            max_drop,
        )
    if result.bound > max_drop:
        raise WorseTarget(
            target_where,
            f"{result.samples} samples of {data_where} do not show that it is worse by no more "
            f"than {max_drop:g}: up to {result.bound:.4g} {result.unit} are possible (95 % "
            "confident)",
            "give more samples, raise --max-drop, or leave --confident out",
            result,
            max_drop,
        )
