"""The accuracy gate of `tmd patch`: its options, its run, and its result in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from tinymldelta.accuracy import (
    TITLES,
    GateResult,
    WorseTarget,
    choose_metric,
    choose_vectors,
    judge,
    metric_value,
    read_samples,
)
from tinymldelta.cli.console import FILE, console, progress_bar, read_bytes, table
from tinymldelta.errors import Refusal
from tinymldelta.interpreter import TFLM, Interpreter, find_interpreter
from tinymldelta.model import read_model
from tinymldelta.vectors import Vectors

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class GateArguments:
    """What the user asked for; without `verify_data` nothing. max_drop is 0 if not given."""

    verify_data: Path | None
    metric: str | None
    max_drop: float | None
    confident: bool
    vectors_from_data: int | None


@dataclass(frozen=True, slots=True)
class Gate:
    """What came of it. why: what the metric was chosen for; vectors: chosen from the data."""

    where: str
    result: GateResult
    why: str
    max_drop: float
    interpreter: Interpreter
    vectors: Vectors | None


def gate_options(command: F) -> F:
    """Adds the options; the command gets one `gate`, of GateArguments."""

    @wraps(command)
    def take(context: click.Context, **kwargs: Any) -> Any:
        values = {name: kwargs.pop(name) for name in GateArguments.__slots__}
        arguments = GateArguments(**values)
        given = [value for value in values.values() if value is not None and value is not False]
        if arguments.verify_data is None and given:
            raise click.UsageError(
                "--metric, --max-drop, --confident and --vectors-from-data are about the samples "
                "of --verify-data"
            )
        return context.invoke(command, gate=arguments, **kwargs)

    wrapped: Any = click.pass_context(take)
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


_OPTIONS = (
    click.option(
        "--verify-data",
        type=FILE,
        metavar="FILE.npz",
        help="Run BASE and TARGET on these samples `x` with labels `y`; refuse a worse TARGET.",
    ),
    click.option(
        "--metric",
        metavar="M",
        help="accuracy, mae, auc or FILE.py:function; chosen by labels and model if not given.",
    ),
    click.option(
        "--max-drop",
        type=float,
        metavar="D",
        help="How much worse TARGET may be: in percentage points for accuracy and AUC, in % of "
        "BASE's error for mae, in its own unit for a function; 0 if not given.",
    ),
    click.option(
        "--confident",
        is_flag=True,
        help="Refuse TARGET also if the samples are too few to show, with 95 % confidence, that "
        "it is worse by no more than that.",
    ),
    click.option(
        "--vectors-from-data",
        type=click.IntRange(1),
        metavar="N",
        help="Send N of the samples along as test vectors, those that tell TARGET best from BASE.",
    ),
)


def run_gate(
    arguments: GateArguments,
    base: bytes,
    target: bytes,
    *,
    base_where: str,
    target_where: str,
    tolerance: float | None,
) -> Gate | None:
    """Do what was asked for; None if nothing was. Refuses a target that is worse than allowed."""
    if arguments.verify_data is None:
        return None
    where = str(arguments.verify_data)
    max_drop = arguments.max_drop or 0.0
    model = read_model(target, target_where)
    samples = read_samples(read_bytes(arguments.verify_data), where, model)
    metric, why = choose_metric(arguments.metric, samples, read_model(base, base_where), model)
    interpreter = need_interpreter(where)
    with progress_bar("running samples") as progress:
        judged = judge(
            base,
            target,
            samples,
            metric,
            interpreter,
            base_where=base_where,
            target_where=target_where,
            max_drop=max_drop,
            confident=arguments.confident,
            progress=progress,
        )
    vectors = None
    if arguments.vectors_from_data is not None:
        vectors = choose_vectors(
            target,
            target_where,
            samples,
            judged.seen,
            arguments.vectors_from_data,
            interpreter,
            tolerance,
        )
    return Gate(where, judged.result, why, max_drop, interpreter, vectors)


def need_interpreter(where: str) -> Interpreter:
    """What runs models on the samples of the file `where`. Refuses if nothing is installed."""
    # Its kernels are those that the firmware has, or the nearest to them.
    interpreter = find_interpreter(TFLM)
    if interpreter is None:
        raise Refusal(
            where,
            "no interpreter can be imported to run the models on it",
            "pip install tflite-micro, ai-edge-litert or tensorflow",
        )
    return interpreter


def print_gate(gate: Gate) -> None:
    """Both values, how they differ, and what so many samples can tell."""
    result = gate.result
    t = table("", "base", "target", "worse by", "at most (95 %)", "allowed", right=(1, 2, 3, 4, 5))
    t.add_row(
        TITLES[result.kind],
        metric_value(result.kind, result.base),
        metric_value(result.kind, result.target),
        f"{result.drop:.2f}",
        "unknown" if result.bound is None else f"{result.bound:.2f}",
        f"{gate.max_drop:g}",
    )
    console().print(t)
    click.echo(
        f"  {result.samples:,} samples of {gate.where} (data {result.data_sha256[:4].hex()}), run "
        f"by {result.interpreter}; {result.changed:,} answers changed "
        f"({result.changed / result.samples:.1%})"
    )
    click.echo(f"  {TITLES[result.kind]}: {gate.why}; worse by in {result.unit}, below 0 is better")
    if result.clipped:
        click.echo(f"  {result.clipped:,} values of the samples are beyond what the input can say")


def gate_json(gate: Gate | None) -> dict[str, Any] | None:
    if gate is None:
        return None
    return {**result_json(gate.where, gate.result), "max_drop": gate.max_drop}


def worse_json(arguments: GateArguments, refusal: WorseTarget) -> dict[str, Any]:
    """The same of a gate that refused."""
    where = str(arguments.verify_data)
    return {**result_json(where, refusal.result), "max_drop": refusal.max_drop}


def result_json(where: str, result: GateResult) -> dict[str, Any]:
    """One model against another, on the samples of the file `where`."""
    return {
        "data": where,
        "data_sha256": result.data_sha256.hex(),
        "metric": result.kind.name.lower(),
        "run_by": result.interpreter,
        "samples": result.samples,
        "base": result.base,
        "target": result.target,
        "worse_by": result.drop,
        "at_most": result.bound,
        "unit": result.unit,
        "changed": result.changed,
        "clipped": result.clipped,
    }
