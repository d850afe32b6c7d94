"""The search: candidates of rising price, the one that is taken, and what can be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import numpy as np

from tinymldelta.accuracy import TITLES, GateResult, Judged, Metric, MetricKind, Samples, judge
from tinymldelta.accuracy.data import Feed, common_samples
from tinymldelta.accuracy.metrics import Compared, Seen
from tinymldelta.delta.encode import Progress, encode
from tinymldelta.errors import Refusal
from tinymldelta.interpreter import Interpreter
from tinymldelta.model import read_model
from tinymldelta.slim.between import Between, Numbers
from tinymldelta.slim.distil import distil
from tinymldelta.slim.maker import Maker
from tinymldelta.slim.network import Network, Unsupported
from tinymldelta.slim.operators import Parameters
from tinymldelta.slim.windows import Array
from tinymldelta.vectors import without_vectors

_FIRST_PRICE: Final = 3e-8  # nats of the output's distribution for a bit
_RISE: Final = 1.7  # from one price to the next
_PRICES: Final = 24
_WORTH_IT: Final = 0.85  # of the ordinary patch: candidates that save less are not tried
FAILURES: Final = 2  # candidates beyond the budget, one behind the other, that end the search
# Of the ordinary patch: above, a candidate hardly differs from the target. It is not worth
# distilling, and if it fails, that is noise.
_EARLY: Final = 0.6
_STEPS: Final = 200  # of distillation, unless the network is large:
_WORK: Final = 1.0e11  # multiplications for one candidate's distillation
_CALIBRATION_MIN: Final = 16
_CALIBRATION_MAX: Final = 1024  # samples that are made use of, unless what layers are given
_GIVEN_MAX: Final = 1 << 27  # of all of them is more numbers than this, four bytes each
_BOOTSTRAP_MIN: Final = 30  # samples from which a bound by resampling means something
# Bounds take samples for independent. They hardly ever are (windows of one series, pictures of one
# thing), so the distance from drop to bound counts as if half of them told nothing new.
MARGIN: Final = 2**0.5


class Outcome(Enum):
    SLIMMED = "slimmed"
    NO_UPDATE = "no update needed"
    NOT_SLIMMED = "cannot be slimmed"


@dataclass(frozen=True)
class Point:
    """One candidate. drop, bound: against the target, on the validation samples, in `unit` of the
    metric; changed: validation samples to which it answers differently. passes: it is within the
    budget, with a margin.
    """

    price: float
    patch_bytes: int
    value: float
    drop: float
    bound: float | None
    changed: int
    weights: int  # that differ from the base's
    passes: bool


@dataclass(frozen=True)
class SlimResult:
    """What came of it. model: the slimmed model, if there is one. against_target, against_base: as
    the interpreter ran it on the validation samples. ordinary: bytes of the target's own patch.
    """

    outcome: Outcome
    reason: str
    model: bytes | None
    points: tuple[Point, ...]
    chosen: int | None
    ordinary: int
    target_value: float
    base_value: float
    against_target: GateResult | None = None
    against_base: GateResult | None = None


@dataclass(frozen=True)
class SlimOptions:
    """max_drop: by how much it may be worse than the target, in the metric's unit, 95 % confident.

    distils: fit candidates to the target's outputs. seed: of whatever is drawn.
    """

    max_drop: float
    distils: bool = True
    seed: int = 0


class _Judge:
    """The validation samples, and how the target does on them."""

    def __init__(self, samples: Samples, metric: Metric, target: Network) -> None:
        self.samples, self.metric = samples, metric
        self._given = Feed(samples, target.model).real()
        self._input = target
        self._target = self._outputs(target, target.parameters())
        self._alike = metric.compare(self._seen(self._target))

    def _outputs(self, network: Network, parameters: Parameters) -> Array:
        runs = network.in_batches(self._given, parameters)
        return np.concatenate([values[network.output] for values in runs])

    def compare(self, network: Network, parameters: Parameters) -> tuple[Compared, int]:
        """Against the target; and to how many samples the answer is another."""
        seen = self._seen(self._outputs(network, parameters))
        return self.metric.compare(seen), sum(one.changed for one in seen)

    def tells(self, compared: Compared) -> bool:
        """Did the model do otherwise than the target? Else that it does not pass is no failure of
        its own: no model would."""
        alike = self._alike.drop, self._alike.bound
        return compared.bound is not None and (compared.drop, compared.bound) != alike

    def _seen(self, outputs: Array) -> list[Seen]:
        given = self._input.rounded(self._input.input, self._given)[0].astype(np.float64)
        was, now = self._target.astype(np.float64), outputs.astype(np.float64)
        return [
            self.metric.see(i, [given[i : i + 1]], [was[i : i + 1]], [now[i : i + 1]])
            for i in range(len(given))
        ]


def slim(
    base: bytes,
    target: bytes,
    calibration: Samples,
    validation: Samples,
    metric: Metric,
    interpreter: Interpreter,
    options: SlimOptions,
    *,
    base_where: str,
    target_where: str,
    progress: Progress | None = None,
) -> SlimResult:
    """The model with the smallest patch from the base that is not worse than the target by more.

    Candidates are made by rising price of a bit and judged in that order on the validation samples,
    each by a bound that is 95 % confident and has a margin, until two in a row are beyond the
    budget, of those that save enough to differ; the last one within it is taken. The order is fixed
    before any is judged, and one is hardly better than one of a cheaper bit: so the one that is
    taken is worse than the budget in at most one of ten searches (to take the first one that is too
    bad, or the one behind it, takes an error of one of two bounds).

    base may have test vectors behind its model; the slimmed model has none.

    Raises Refusal for data that do not fit, or are too few for the budget.
    """
    both = common_samples(calibration, validation, read_model(target, target_where))
    if both:
        raise Refusal(
            validation.where,
            f"{both} of its samples are in {calibration.where} too",
            "keep them apart: what a model was fitted to says nothing about other data",
        )
    if len(calibration.inputs[0]) < _CALIBRATION_MIN:
        raise Refusal(
            calibration.where,
            f"{len(calibration.inputs[0])} samples do not show what layers are given",
            "give some hundreds",
        )

    def judged_against(old: bytes, old_where: str, new: bytes, new_where: str) -> Judged:
        return judge(
            old, new, validation, metric, interpreter, base_where=old_where,
            target_where=new_where, max_drop=None,
        )  # fmt: skip

    alone = judged_against(target, target_where, base, base_where)
    if not np.isfinite(alone.result.drop):
        raise Refusal(
            validation.where,
            f"the target's {TITLES[metric.kind]} is 0, of which nothing is a percentage",
            "give what was measured as `y`, not the target's own outputs",
        )
    _check_enough(alone, validation, metric, options.max_drop)
    result = SlimResult(
        Outcome.NOT_SLIMMED, "", None, (), None, len(encode(base, target)), alone.result.base,
        alone.result.target,
    )  # fmt: skip
    if base == target:
        return replace(result, outcome=Outcome.NO_UPDATE, reason="base and target are the same")
    if is_within(alone.result.drop, alone.result.bound, options.max_drop):
        reason = (
            f"it is worse than the target by {alone.result.drop:.3g}, by at most "
            f"{alone.result.bound:.3g} (95 % confident), which is within the budget"
        )
        return replace(result, outcome=Outcome.NO_UPDATE, reason=reason)
    where = base_where
    try:
        first = Network(without_vectors(base, read_model(base, where)), where)
        where = target_where
        networks = first, Network(target, target_where)
        given = Feed(calibration, networks[1].model).real()[: _used(networks[1])]
        between = Between(*networks, given)
        judged = _Judge(validation, metric, between.target)
        points, models = _sequence(between, judged, options, base, result.ordinary, progress)
    except Unsupported as error:
        return replace(result, reason=f"{where} has {error}, which slimming does not know")
    result = replace(result, points=tuple(points))
    for n in reversed([n for n, point in enumerate(points) if point.passes]):
        against = judged_against(target, target_where, models[n], "the slimmed model").result
        if not is_within(against.drop, against.bound, options.max_drop):
            continue  # by a hair: the interpreter rounds otherwise
        also = judged_against(base, base_where, models[n], "the slimmed model").result
        return replace(
            result, outcome=Outcome.SLIMMED, model=models[n], chosen=n, against_target=against,
            against_base=also,
        )  # fmt: skip
    return replace(result, reason="no candidate that saves anything is within the budget")


def is_within(drop: float, bound: float | None, max_drop: float) -> bool:
    """Is it, even if only every second sample told anything new?"""
    return bound is not None and drop + MARGIN * (bound - drop) <= max_drop


def failures_after(failures: int, within: bool, share: float) -> int:
    """How many candidates in a row have failed, after one with this share of the ordinary patch."""
    if within:
        return 0
    return failures + 1 if share <= _EARLY else failures


def _check_enough(alone: Judged, samples: Samples, metric: Metric, max_drop: float) -> None:
    """Could these samples show of any model that it is good enough?"""
    best = metric.compare([replace(one, target=one.base, changed=False) for one in alone.seen])
    # By resampling, a model that does a little otherwise has a closer bound than one that does not.
    if metric.kind is not MetricKind.ACCURACY and len(samples) >= _BOOTSTRAP_MIN:
        return
    if not is_within(best.drop, best.bound, max_drop):
        left = "nothing certain"
        if best.bound is not None:
            left = f"{MARGIN * best.bound:.3g} {metric.unit} open"
        raise Refusal(
            samples.where,
            f"{len(samples)} samples are too few for a budget of {max_drop:g}: of a model that "
            f"answers just as the target they leave {left}",
            "give more samples, or a larger --max-drop",
        )


def _sequence(
    between: Between,
    judged: _Judge,
    options: SlimOptions,
    base: bytes,
    ordinary: int,
    progress: Progress | None,
) -> tuple[list[Point], list[bytes]]:
    maker = Maker(between, options.seed)
    steps = _steps_for(between)
    points: list[Point] = []
    models: list[bytes] = []
    failures = 0
    for n in range(_PRICES):
        price = _FIRST_PRICE * _RISE**n
        if progress is not None:
            progress(n / _PRICES)
        numbers = maker.make(price)
        share = len(encode(base, between.write(numbers))) / ordinary
        if share > _WORTH_IT:
            continue
        if options.distils and share <= _EARLY:
            numbers = distil(between, numbers, steps, options.seed)
        model = between.write(numbers)
        compared, changed = judged.compare(between.own, between.parameters(numbers))
        within = is_within(compared.drop, compared.bound, options.max_drop)
        if within or judged.tells(compared):
            failures = failures_after(failures, within, share)
        weights = _changed_weights(between, numbers)
        points.append(
            Point(
                price, len(encode(base, model)), compared.target, compared.drop, compared.bound,
                changed, weights, within,
            )
        )  # fmt: skip
        models.append(model)
        if failures == FAILURES or weights == 0:
            break
    if progress is not None:
        progress(1.0)
    return points, models


def _changed_weights(between: Between, numbers: Numbers) -> int:
    return sum(
        int(np.count_nonzero(numbers.q[i] != layer.q)) for i, layer in between.base.layers.items()
    )


def _used(network: Network) -> int:
    """How many calibration samples are made use of, so that memory is the network's matter."""
    given = {s.inputs[0] for s in network.steps if s.weighted is not None}
    elements = sum(network.model.tensors[t].elements for t in given)
    return int(np.clip(_GIVEN_MAX // elements, _CALIBRATION_MIN, _CALIBRATION_MAX))


def _steps_for(between: Between) -> int:
    """Of distillation, so that a large network does not take forever."""
    work = 0
    for i, layer in between.target.layers.items():
        shape: Sequence[int] = between.target.model.tensors[
            between.target.model.nodes[i].outputs[0]
        ].shape
        work += int(np.prod(shape[1:-1])) * layer.q.size
    return int(np.clip(_WORK / (3 * 64 * max(work, 1)), 50, _STEPS))
