"""What `tmd slim` and `tmd patch --slim` share: options, the run, and its result in words."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tinymldelta.accuracy import (
    TITLES,
    GateResult,
    Metric,
    MetricKind,
    Samples,
    choose_metric,
    metric_value,
    read_samples,
)
from tinymldelta.accuracy.data import read_inputs
from tinymldelta.cli.console import (
    FILE,
    console,
    print_json,
    progress_bar,
    read_bytes,
    table,
    write_output,
)
from tinymldelta.cli.gate import need_interpreter, result_json
from tinymldelta.errors import Refusal
from tinymldelta.model import read_model
from tinymldelta.patching import MadePatch, PatchOptions
from tinymldelta.slim.search import MARGIN, Outcome, SlimOptions, SlimResult, slim

F = TypeVar("F", bound=Callable[..., Any])

# Of a drop, in a note.
_SHORT_UNITS: Final = {
    MetricKind.ACCURACY: " pp",
    MetricKind.AUC: " pp",
    MetricKind.MAE: " %",
    MetricKind.OWN: "",
}


@dataclass(frozen=True, slots=True)
class SlimArguments:
    """What the user asked for. max_drop: in the metric's unit. out: for the slimmed model."""

    calibration: Path
    validation: Path
    metric: str | None
    max_drop: float
    out: Path | None
    distils: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.max_drop < math.inf:
            raise click.UsageError(f"--max-drop: {self.max_drop:g} is no number from 0 up")


@dataclass(frozen=True, slots=True)
class Slimmed:
    """What came of it. why: what the metric was chosen for."""

    arguments: SlimArguments
    calibration: Samples
    validation: Samples
    metric: Metric
    why: str
    result: SlimResult

    def values(self) -> tuple[float, float, float | None]:
        """Of base, target and slimmed model, as the interpreter ran them."""
        r = self.result
        own = None if r.against_target is None else r.against_target.target
        return r.base_value, r.target_value, own


def data_options(*, required: bool) -> tuple[Callable[[F], F], ...]:
    """--calibration and --validation."""
    return (
        click.option(
            "--calibration",
            type=FILE,
            required=required,
            metavar="C.npz",
            help="Samples `x` that the slimmed model is fitted to; some hundreds, without labels.",
        ),
        click.option(
            "--validation",
            type=FILE,
            required=required,
            metavar="V.npz",
            help="Other samples `x` with labels `y` that it is judged on.",
        ),
    )


def slim_options(command: F) -> F:
    """Adds those of `tmd patch`; the command gets one `slim`, of SlimArguments, or None.

    Goes around gate_options: with --slim, --metric and --max-drop are not the gate's.
    """

    @wraps(command)
    def take(context: click.Context, **kwargs: Any) -> Any:
        wanted = kwargs.pop("slim")
        calibration, validation, out = (
            kwargs.pop(name) for name in ("calibration", "validation", "slimmed")
        )
        if not wanted:
            if any(path is not None for path in (calibration, validation, out)):
                raise click.UsageError(
                    "--calibration, --validation and --slimmed are of --slim, which is missing"
                )
            return context.invoke(command, slim=None, **kwargs)
        if kwargs["verify_data"] is not None:
            raise click.UsageError(
                "--slim judges the model on --validation: leave out --verify-data"
            )
        if kwargs["confident"] or kwargs["vectors_from_data"] is not None:
            raise click.UsageError(
                "--confident and --vectors-from-data are of --verify-data: with --slim the bound "
                "always counts; for vectors, `tmd slim` first and then patch to what it wrote"
            )
        metric, max_drop = kwargs["metric"], kwargs["max_drop"]
        if calibration is None or validation is None or max_drop is None:
            raise click.UsageError("--slim needs --calibration, --validation and --max-drop")
        arguments = SlimArguments(calibration, validation, metric, max_drop, out)
        kwargs.update(metric=None, max_drop=None)
        return context.invoke(command, slim=arguments, **kwargs)

    wrapped: Any = click.pass_context(take)
    for option in reversed(_PATCH_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


_PATCH_OPTIONS = (
    click.option(
        "--slim",
        is_flag=True,
        help="Patch to a model between BASE and TARGET that is worse than TARGET by no more than "
        "--max-drop (95 % confident), as `tmd slim` makes it.",
    ),
    *data_options(required=False),
    click.option(
        "--slimmed",
        type=FILE,
        metavar="OUT.tflite",
        help="Write the slimmed model, which is the base of the next patch.",
    ),
)


def run_slim(
    arguments: SlimArguments,
    base: bytes,
    target: bytes,
    *,
    base_where: str,
    target_where: str,
    quiet: bool,
) -> Slimmed:
    """Do what was asked for. quiet: show no progress. Raises Refusal for data that do not fit."""
    c_where, v_where = str(arguments.calibration), str(arguments.validation)
    old, new = read_model(base, base_where), read_model(target, target_where)
    calibration = read_inputs(read_bytes(arguments.calibration), c_where, new)
    validation = read_samples(read_bytes(arguments.validation), v_where, new)
    metric, why = choose_metric(arguments.metric, validation, old, new)
    interpreter = need_interpreter(v_where)
    with progress_bar("slimming", quiet=quiet) as progress:
        result = slim(
            base,
            target,
            calibration,
            validation,
            metric,
            interpreter,
            SlimOptions(arguments.max_drop, arguments.distils, arguments.seed),
            base_where=base_where,
            target_where=target_where,
            progress=progress,
        )
    return Slimmed(arguments, calibration, validation, metric, why, result)


# ---- in words ----


def print_slimmed(slimmed: Slimmed) -> None:
    """The candidates to choose from, and what was chosen, or why nothing was."""
    result = slimmed.result
    if result.points:
        _print_candidates(slimmed)
    if result.against_target is not None and result.against_base is not None:
        _print_chosen(slimmed, result.against_target, result.against_base)
    elif result.outcome is Outcome.NO_UPDATE:
        click.echo(f"no update needed: {result.reason}")
    if result.model is None:
        base, target, _ = (_value(slimmed, value) for value in slimmed.values())
        click.echo(
            f"  {TITLES[slimmed.metric.kind]}: the target's {target}, the base's {base}; worse "
            f"by {slimmed.arguments.max_drop:g} is allowed, in {_unit(slimmed)}"
        )
    _print_data(slimmed)


def _print_candidates(slimmed: Slimmed) -> None:
    result, n = slimmed.result, len(slimmed.validation)
    t = table(
        "",
        "patch, bytes",
        "ratio",
        "weights changed",
        TITLES[slimmed.metric.kind],
        "worse by",
        "at most (95 %)",
        "answers changed",
        "budget",
        right=(1, 2, 3, 4, 5, 6, 7),
    )
    value = _value(slimmed, result.target_value)
    t.add_row("target", f"{result.ordinary:,}", "1.00", "", value, "", "", "", "")
    for i, point in enumerate(result.points):
        t.add_row(
            "chosen" if i == result.chosen else "",
            f"{point.patch_bytes:,}",
            f"{point.patch_bytes / result.ordinary:.2f}",
            f"{point.weights:,}",
            _value(slimmed, point.value),
            _drop(slimmed, point.drop),
            _drop(slimmed, point.bound),
            f"{point.changed:,} ({point.changed / n:.1%})",
            "within" if point.passes else "beyond",
        )
    t.add_row("base", "0", "0.00", "0", _value(slimmed, result.base_value), "", "", "", "")
    console().print(t)
    click.echo(
        "  patch: without header and metadata; worse by, at most and answers changed: against the "
        f"target,\n  in {_unit(slimmed)}; of candidates as worked out here without an interpreter\n"
        f"  within: worse by, and {MARGIN:.2f} times the way from there to at most, do not exceed "
        "the budget, since\n  samples are hardly ever independent"
    )


def _print_chosen(slimmed: Slimmed, target: GateResult, base: GateResult) -> None:
    result, n = slimmed.result, len(slimmed.validation)
    values = (_value(slimmed, value) for value in (target.target, target.base, base.base))
    drop, bound = _drop(slimmed, target.drop), _drop(slimmed, target.bound)
    size = _size(result)
    click.echo(
        "slimmed: {} {}, the target's {}, the base's {}\n".format(
            TITLES[slimmed.metric.kind], *values
        )
        + f"  worse than the target by {drop}, at most {bound} (95 % confident), "
        f"{slimmed.arguments.max_drop:g} is allowed, in {_unit(slimmed)}\n"
        f"  {target.changed:,} of {n:,} answers are not the target's ({target.changed / n:.1%}), "
        f"{base.changed:,} not the base's ({base.changed / n:.1%})\n"
        f"  its patch takes {size:,} bytes without header and metadata, the target's "
        f"{result.ordinary:,}: {size / result.ordinary:.2f} of it"
    )


def _print_data(slimmed: Slimmed) -> None:
    calibration, validation = slimmed.calibration, slimmed.validation
    judged = slimmed.result.against_target
    run = f", run by {judged.interpreter}" if judged else ""
    fitted = (
        f"; fitted to {len(calibration):,} of {calibration.where} (data "
        f"{calibration.sha256[:4].hex()})"
        if slimmed.result.points
        else ""
    )
    click.echo(
        f"  judged on {len(validation):,} samples of {validation.where} (data "
        f"{validation.sha256[:4].hex()}){run}{fitted}\n"
        f"  {TITLES[slimmed.metric.kind]}: {slimmed.why}"
    )


def _value(slimmed: Slimmed, value: float | None) -> str:
    return "" if value is None else metric_value(slimmed.metric.kind, value)


def _unit(slimmed: Slimmed) -> str:
    """Of drops. Here it is the target that others are compared with, so the error is its own."""
    if slimmed.metric.kind is MetricKind.MAE:
        return "percent of the target's error"
    return slimmed.metric.unit


def _drop(slimmed: Slimmed, drop: float | None) -> str:
    """+ 0.0: never -0."""
    if drop is None:
        return "unknown"
    own = slimmed.metric.kind is MetricKind.OWN
    return f"{drop + 0.0:.4g}" if own else f"{round(drop, 2) + 0.0:.2f}"


def _size(result: SlimResult) -> int:
    """Bytes of the chosen one's patch."""
    return 0 if result.chosen is None else result.points[result.chosen].patch_bytes


def not_slimmed(slimmed: Slimmed, target: Path) -> Refusal:
    """Why a target cannot be slimmed, and what to do."""
    advice = "send the ordinary patch"
    if slimmed.result.points:
        advice += ", or raise --max-drop"
    return Refusal(str(target), _cannot(slimmed), advice)


def _cannot(slimmed: Slimmed) -> str:
    return f"it cannot be slimmed: {slimmed.result.reason}"


# ---- for machines ----


def slim_json(slimmed: Slimmed) -> dict[str, Any]:
    """All of it. Bytes of bodies are those of patches without header and metadata.

    base, target, and what is said of the slimmed model, as the interpreter ran them; what is said
    of candidates is worked out without one.
    """
    result, arguments = slimmed.result, slimmed.arguments
    base, target, own = slimmed.values()
    return {
        "outcome": result.outcome.name.lower(),
        "reason": result.reason,
        "metric": slimmed.metric.kind.name.lower(),
        "unit": _unit(slimmed),
        "max_drop": arguments.max_drop,
        "distilled": arguments.distils,
        "seed": arguments.seed,
        "calibration": _data_json(slimmed.calibration),
        "validation": _data_json(slimmed.validation),
        "base": base,
        "target": target,
        "slimmed": own,
        "body_bytes": None if result.chosen is None else _size(result),
        "ordinary_body_bytes": result.ordinary,
        "run_by": result.against_target.interpreter if result.against_target else None,
        "against_target": _against_json(result.against_target),
        "against_base": _against_json(result.against_base),
        "chosen": result.chosen,
        "candidates": [
            {
                "body_bytes": point.patch_bytes,
                "weights": point.weights,
                "value": point.value,
                "worse_by": point.drop,
                "at_most": point.bound,
                "changed": point.changed,
                "within": point.passes,
            }
            for point in result.points
        ],
    }


def _against_json(result: GateResult | None) -> dict[str, Any] | None:
    """How the slimmed model did against another, as the interpreter ran both."""
    if result is None:
        return None
    return {"worse_by": result.drop, "at_most": result.bound, "changed": result.changed}


def _data_json(samples: Samples) -> dict[str, Any]:
    return {
        "data": samples.where,
        "data_sha256": samples.sha256.hex(),
        "samples": len(samples),
    }


# ---- in a patch ----


@dataclass(frozen=True, slots=True)
class ToPatch:
    """What `tmd patch` goes on with: the slimmed model, or the target as it was.

    options: for the patch, with the accuracy of base and slimmed model. note: what is said of a
    slimmed model where the user says nothing; may be empty.
    """

    target: bytes
    options: PatchOptions
    slimmed: Slimmed | None = None
    note: str = ""

    def make(self, make: Callable[[PatchOptions], MadePatch]) -> MadePatch:
        """The patch with the note; without it, and said, if the firmware has no room for it."""
        if not self.note:
            return make(self.options)
        try:
            return make(replace(self.options, said=replace(self.options.said, note=self.note)))
        except Refusal:
            made = make(self.options)
        _say(f"the note {self.note!r} is left out: there is no room for it in the firmware")
        return made

    def write(self) -> Path | None:
        """Write the slimmed model, if the user wants it and there is one; and where it is then."""
        if self.slimmed is None or self.slimmed.arguments.out is None:
            return None
        out, model = self.slimmed.arguments.out, self.slimmed.result.model
        if model is None:
            _say(f"{out} is not written: the base of the next patch is TARGET")
            return None
        write_output(out, model)
        return out

    def json(self, out: Path | None) -> dict[str, Any] | None:
        return None if self.slimmed is None else _with_out(self.slimmed, out)

    def accuracy_json(self) -> dict[str, Any] | None:
        """What the patch's record of the accuracy was made of, if this is where it is from."""
        against = self.slimmed.result.against_base if self.slimmed else None
        if self.slimmed is None or against is None:
            return None
        return {**result_json(self.slimmed.validation.where, against), "max_drop": None}


def slim_first(
    arguments: SlimArguments | None,
    base: bytes,
    target: bytes,
    options: PatchOptions,
    *,
    base_where: str,
    target_where: str,
    note: str | None,
    as_json: bool,
) -> ToPatch | None:
    """Slim the target, if that is asked for. None, and said, if no update is needed.

    note: the user's, if there is one. Raises Refusal for data that do not fit.
    """
    if arguments is None:
        return ToPatch(target, options)
    slimmed = run_slim(
        arguments, base, target, base_where=base_where, target_where=target_where, quiet=as_json
    )
    result = slimmed.result
    if result.outcome is Outcome.NO_UPDATE:
        if as_json:
            print_json({"patch": None, "slim": _with_out(slimmed, None)})
        else:
            print_slimmed(slimmed)
            click.echo("no patch was made")
        return None
    if result.model is None or result.against_base is None:
        _say(f"{target_where}: {_cannot(slimmed)}; the patch is the ordinary one")
        return ToPatch(target, options, slimmed)
    options = replace(options, accuracy=result.against_base.record().encode())
    said = _note(slimmed, target) if note is None else ""
    return ToPatch(result.model, options, slimmed, said)


def _with_out(slimmed: Slimmed, out: Path | None) -> dict[str, Any]:
    return {**slim_json(slimmed), "out": str(out) if out else None}


def _note(slimmed: Slimmed, target: bytes) -> str:
    """No more than the 96 bytes that a note may have."""
    against = slimmed.result.against_target
    if against is None:
        return ""
    return (
        f"slimmed: {against.drop + 0.0:.3g} of at most {slimmed.arguments.max_drop:.3g}"
        f"{_SHORT_UNITS[against.kind]}, target {hashlib.sha256(target).hexdigest()[:8]}"
    )


def _say(words: str) -> None:
    click.echo(f"tmd: {words}", err=True)
