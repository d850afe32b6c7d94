"""`tmd arena`: bytes of tensor arena that a model needs, predicted or measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tinymldelta.arena import predict_arena
from tinymldelta.cli.console import (
    FILE,
    JSON_OPTION,
    Number,
    console,
    print_json,
    read_bytes,
    refusals_exit_1,
    table,
)
from tinymldelta.errors import Refusal
from tinymldelta.measuring import (
    BOARDS,
    Board,
    EmulatedModel,
    Progress,
    build_firmware,
    default_folder,
    find_minimum,
    find_workspace,
)
from tinymldelta.model import read_model
from tinymldelta.tflm import KernelBuild, parse_kernels

_FOLDER = click.Path(file_okay=False, path_type=Path)
_TIME_LIMIT = 600  # seconds; a MobileNet of 4 MB takes one minute


@dataclass(frozen=True, slots=True)
class _Row:
    """used: what arena_used_bytes() said when the minimum was measured."""

    model: Path
    bytes: int
    origin: str
    used: int | None = None


@contextmanager
def _progress() -> Iterator[Progress]:
    """The newest trial on stderr; nothing where stderr is no terminal."""
    with Console(stderr=True, quiet=not sys.stderr.isatty()).status("") as status:
        yield lambda line: status.update(line)


def _predict(model: Path, kernels: KernelBuild) -> _Row:
    need = predict_arena(read_model(read_bytes(model), str(model)), kernels)
    return _Row(model, need.bytes, need.origin)


def _measure(
    models: tuple[Path, ...],
    board: Board,
    base: Path,
    folder: Path,
    cmake_arguments: tuple[str, ...],
    time_limit: int,
) -> list[_Row]:
    contents = [_read_for_tflm(model) for model in models]
    rows = []
    with _progress() as progress:
        progress(f"building the firmware in {folder}")
        firmware = build_firmware(board, base, folder, cmake_arguments)
        for model, content in zip(models, contents, strict=True):
            runner = EmulatedModel(board, firmware, content, time_limit)
            found = find_minimum(runner, str(model), progress)
            rows.append(_Row(model, found.need.bytes, found.need.origin, found.used))
    return rows


def _read_for_tflm(model: Path) -> bytes:
    """A model's bytes. TFLM is to judge the rest, which takes more than this package reads."""
    content = read_bytes(model)
    if content[4:8] != b"TFL3":
        raise Refusal(str(model), "not a TFLite model: bytes 4 to 7 are not TFL3")
    return content


def _as_json(row: _Row) -> dict[str, Any]:
    used = {} if row.used is None else {"arena_used_bytes": row.used}
    return {"model": str(row.model), "bytes": row.bytes, "origin": row.origin, **used}


def _print(rows: list[_Row]) -> None:
    t = table("model", "arena", "origin", right=(1,))
    for row in rows:
        t.add_row(str(row.model), f"{row.bytes:,}", row.origin)
    console().print(t)


@click.command()
@click.argument("models", type=FILE, nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--kernels",
    metavar="REV[/cmsis_nn]",
    help="Predict for this revision of TFLM, and CMSIS-NN; the reference kernels if not given.",
)
@click.option("--measure", is_flag=True, help="Find the minimum by running the model in QEMU.")
@click.option(
    "--processor",
    type=click.Choice(list(BOARDS)),
    help="Measure on this one, cortex-m3 if not given. With CMSIS-NN: cortex-m33 for those that "
    "have DSP instructions, such as Cortex-M4, M7 and M33.",
)
@click.option(
    "--zephyr-base",
    type=_FOLDER,
    metavar="DIR",
    help="Measure with this Zephyr, and the TFLM of its workspace; $ZEPHYR_BASE if not given.",
)
@click.option(
    "--build-dir",
    type=_FOLDER,
    metavar="DIR",
    help="Build the firmware that measures here, and keep it; a folder in the cache if not given.",
)
@click.option(
    "--cmake-arg",
    "cmake_arguments",
    multiple=True,
    metavar="ARG",
    help="Build it with this too, such as -DARENA_SOURCES=...; may be given more than once.",
)
@click.option(
    "--time-limit",
    type=Number(86400),
    metavar="SECONDS",
    help=f"For one inference when measuring; {_TIME_LIMIT} if not given.",
)
@JSON_OPTION
@refusals_exit_1
def arena(
    models: tuple[Path, ...],
    kernels: str | None,
    measure: bool,
    processor: str | None,
    zephyr_base: Path | None,
    build_dir: Path | None,
    cmake_arguments: tuple[str, ...],
    time_limit: int | None,
    as_json: bool,
) -> None:
    """How many bytes of tensor arena does MODEL need on a 32-bit Arm?

    Predicted by what TFLM's memory planner does, or, with --measure, found by trying: in QEMU, with
    the TFLM and the kernels of a Zephyr workspace.
    """
    if measure and kernels is not None:
        raise click.UsageError("--kernels is for predicting: --measure takes what is built")
    only_measuring = (processor, zephyr_base, build_dir, cmake_arguments or None, time_limit)
    if not measure and any(option is not None for option in only_measuring):
        raise click.UsageError(
            "--processor, --zephyr-base, --build-dir, --cmake-arg and --time-limit are for "
            "measuring: add --measure"
        )
    if measure:
        board, base = BOARDS[processor or "cortex-m3"], find_workspace(zephyr_base)
        folder = (build_dir or default_folder(board, base)).resolve()
        limit = _TIME_LIMIT if time_limit is None else time_limit
        rows = _measure(models, board, base, folder, cmake_arguments, limit)
    else:
        build = parse_kernels(kernels) if kernels else KernelBuild()
        rows = [_predict(model, build) for model in models]
    if as_json:
        documents = [_as_json(row) for row in rows]
        print_json(documents if len(documents) > 1 else documents[0])
    else:
        _print(rows)
