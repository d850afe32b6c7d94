"""`tmd codegen`: from models and limits to what a firmware is built with."""

from __future__ import annotations

import re
from pathlib import Path

import click

from tinymldelta.cli.console import (
    JSON_OPTION,
    Number,
    Version,
    console,
    print_json,
    read_bytes,
    refusals_exit_1,
    table,
)
from tinymldelta.contract import Contract, Limits
from tinymldelta.generate import ModelSource, generate
from tinymldelta.wire import constants as wire

_U32_MAX = 0xFFFFFFFF


def model_sources(arguments: tuple[str, ...]) -> list[ModelSource]:
    """[NAME=]FILE arguments as models; the name is the file's stem if none is given."""
    sources = []
    for argument in arguments:
        name, sep, file = argument.rpartition("=")
        path = Path(file)
        if not sep:
            name = re.sub(r"[^a-z0-9_]", "_", path.stem.lower())
        sources.append(ModelSource(name, read_bytes(path), str(path)))
    return sources


def _per_model(
    option: str, values: tuple[str, ...], names: list[str], kind: click.ParamType[int]
) -> dict[str, int]:
    """[NAME=]VALUE options; a plain value is for the only model."""
    result: dict[str, int] = {}
    for value in values:
        name, sep, number = value.rpartition("=")
        if not sep:
            if len(names) != 1:
                raise click.BadParameter(f"with several models say NAME={value}", param_hint=option)
            name = names[0]
        if name in result:
            raise click.BadParameter(f"{name} is given twice", param_hint=option)
        result[name] = kind.convert(number, None, None)
    return result


def _print_budget(contract: Contract) -> None:
    t = table(
        "model", "bytes", "slot", "used", "arena need", "arena", "origin", right=(1, 2, 3, 4, 5)
    )
    for m in contract.models:
        t.add_row(
            m.name,
            f"{m.model_bytes:,}",
            f"{m.slot_bytes:,}",
            f"{m.model_bytes / m.slot_bytes:.0%}",
            f"{m.arena_need.bytes:,}",
            f"{m.arena_bytes:,}",
            m.arena_need.origin,
        )
    console().print(t)


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="[NAME=]MODEL...")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder for the generated files.",
)
@click.option(
    "--slot",
    type=Number(wire.MODEL_MAX),
    required=True,
    metavar="BYTES",
    help="Bytes that a slot holds for a model.",
)
@click.option(
    "--erase",
    type=Number(wire.MODEL_MAX),
    default=4096,
    show_default=True,
    metavar="BYTES",
    help="The largest erase unit of the slots.",
)
@click.option(
    "--write",
    type=Number(wire.WRITE_UNIT_MAX),
    default=16,
    show_default=True,
    metavar="BYTES",
    help="The flash's write unit.",
)
@click.option(
    "--arena",
    multiple=True,
    metavar="[NAME=]BYTES",
    help="Tensor arena that the firmware reserves. Without it: what the model needs.",
)
@click.option(
    "--arena-need",
    multiple=True,
    metavar="[NAME=]BYTES",
    help="What the model needs of it, if you measured it; else it is estimated.",
)
@click.option(
    "--model-version",
    multiple=True,
    metavar="[NAME=]X",
    help="Version of the model, like 1.2.3 or a whole number.",
)
@click.option(
    "--lowest-version",
    multiple=True,
    metavar="[NAME=]X",
    help="Lowest version that an update of the model may have.",
)
@click.option(
    "--kernel-build",
    type=Number(255),
    default=0,
    show_default=True,
    metavar="N",
    help="Your number for this build of the kernels; patches are made for one.",
)
@click.option(
    "--accept-unguarded",
    is_flag=True,
    help="Let the device take patches without guardrail metadata.",
)
@click.option(
    "--accept-no-digest", is_flag=True, help="Let the device take patches without digests."
)
@click.option(
    "--decoder",
    type=click.Choice([d.name.lower() for d in wire.Decoder]),
    default="default",
    show_default=True,
    help="The decoder of format 2 that the firmware is built with (TMD_DECODER).",
)
@click.option(
    "--no-format-1",
    is_flag=True,
    help="The firmware is built without format 1 (TMD_WITH_FORMAT_1=0).",
)
@JSON_OPTION
@refusals_exit_1
def codegen(
    models: tuple[str, ...],
    out: Path,
    slot: int,
    erase: int,
    write: int,
    arena: tuple[str, ...],
    arena_need: tuple[str, ...],
    model_version: tuple[str, ...],
    lowest_version: tuple[str, ...],
    kernel_build: int,
    accept_unguarded: bool,
    accept_no_digest: bool,
    decoder: str,
    no_format_1: bool,
    as_json: bool,
) -> None:
    """Write contract.json, guardrail header, op resolver and model arrays for a firmware.

    A model is called what its file is called, unless NAME= says otherwise. Files are rewritten
    only if they change.
    """
    formats: tuple[int, ...] = () if no_format_1 else (wire.FORMAT_1,)
    if decoder != "none":
        formats += (wire.FORMAT_2,)
    if not formats:
        raise click.UsageError("--decoder none and --no-format-1 leave no format to take")
    sources = model_sources(models)
    names = [source.name for source in sources]
    number, version = Number(_U32_MAX), Version()
    limits = Limits(
        slot_bytes=slot,
        erase_bytes=erase,
        write_bytes=write,
        arena_bytes=_per_model("--arena", arena, names, number),
        arena_need=_per_model("--arena-need", arena_need, names, number),
        version=_per_model("--model-version", model_version, names, version),
        lowest_version=_per_model("--lowest-version", lowest_version, names, version),
        kernel_build=kernel_build,
        formats=formats,
        decoder=wire.Decoder[decoder.upper()],
        accept=(wire.ACCEPT_UNGUARDED if accept_unguarded else 0)
        | (wire.ACCEPT_NO_DIGEST if accept_no_digest else 0),
    )
    contract, written = generate(sources, limits, out)
    if as_json:
        print_json({"out": str(out), "written": written})
        return
    _print_budget(contract)
    click.echo(f"{out}: {'wrote ' + ', '.join(written) if written else 'nothing changed'}")
