"""`tmd slim`: the smallest update within an accuracy budget."""

from __future__ import annotations

from pathlib import Path

import click

from tinymldelta.cli.console import (
    FILE,
    JSON_OPTION,
    fail,
    print_json,
    read_bytes,
    refusals_exit_1,
    write_output,
)
from tinymldelta.cli.slimming import (
    SlimArguments,
    data_options,
    not_slimmed,
    print_slimmed,
    run_slim,
    slim_json,
)
from tinymldelta.slim.plot import draw, need_matplotlib
from tinymldelta.slim.search import Outcome

_CALIBRATION_OPTION, _VALIDATION_OPTION = data_options(required=True)


@click.command("slim")
@click.argument("base", type=FILE)
@click.argument("target", type=FILE)
@_CALIBRATION_OPTION
@_VALIDATION_OPTION
@click.option(
    "--max-drop",
    type=float,
    required=True,
    metavar="D",
    help="How much worse than TARGET it may be, 95 % confident: in percentage points for accuracy "
    "and AUC, in % of TARGET's error for mae, in its own unit for a function.",
)
@click.option(
    "--metric",
    metavar="M",
    help="accuracy, mae, auc or FILE.py:function; chosen by labels and model if not given.",
)
@click.option(
    "--no-distil",
    is_flag=True,
    help="Do not fit candidates to TARGET's outputs: faster, and mostly larger.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Of what is drawn; 0 if not given. The same seed gives the same bytes.",
)
@click.option(
    "--plot", type=FILE, metavar="OUT.svg", help="Draw the candidates: bytes against the metric."
)
@click.option(
    "-o", "--out", type=FILE, required=True, metavar="SLIM.tflite", help="The slimmed model."
)
@JSON_OPTION
@refusals_exit_1
def slim(
    base: Path,
    target: Path,
    calibration: Path,
    validation: Path,
    max_drop: float,
    metric: str | None,
    no_distil: bool,
    seed: int,
    plot: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    """Make the model between BASE and TARGET whose patch is the smallest within a budget.

    It takes from TARGET what matters, and the rest from BASE. How good candidates are is measured
    on the validation samples, and the one that is chosen is worse than TARGET by no more than
    --max-drop, with 95 % confidence. Nothing is written if BASE itself is no worse than that, or if
    TARGET cannot be slimmed.
    """
    arguments = SlimArguments(calibration, validation, metric, max_drop, out, not no_distil, seed)
    if plot is not None:
        need_matplotlib(str(plot))  # before minutes go by
    slimmed = run_slim(
        arguments,
        read_bytes(base),
        read_bytes(target),
        base_where=str(base),
        target_where=str(target),
        quiet=as_json,
    )
    result = slimmed.result
    written = result.model is not None
    picture = None
    if written and plot is not None:
        picture = draw(result, slimmed.metric, max_drop, str(plot))
    document = {
        **slim_json(slimmed),
        "out": str(out) if written else None,
        "plot": str(plot) if picture is not None else None,
    }
    if not as_json:
        print_slimmed(slimmed)
    if result.outcome is Outcome.NOT_SLIMMED:
        fail(not_slimmed(slimmed, target), as_json, document)
    if result.model is not None:
        write_output(out, result.model)
    if picture is not None and plot is not None:
        write_output(plot, picture)
    if as_json:
        print_json(document)
    elif written:
        click.echo(f"wrote {out}" + (f" and {plot}" if plot else ""))
    else:
        click.echo("nothing was written")
