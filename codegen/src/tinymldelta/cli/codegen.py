"""`tmd codegen`: from models and limits to what a firmware is built with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from tinymldelta.budget import Budget, budget_warnings, budgets
from tinymldelta.cli.console import (
    FILE,
    JSON_OPTION,
    KERNELS_OPTION,
    Number,
    Version,
    console,
    model_name_of,
    print_json,
    read_bytes,
    read_labels,
    refusals_exit_1,
    table,
)
from tinymldelta.contractkeys import parse_mac_key, read_contract_key, read_sealed_key
from tinymldelta.generate import ModelSource, generate
from tinymldelta.limits import META_KEPT, META_KEPT_MAX, Limits
from tinymldelta.tflm import KernelBuild
from tinymldelta.wire import constants as wire

_U32_MAX = 0xFFFFFFFF
_OTHER_KERNELS = {
    "refuse": 0,
    "warn": wire.ACCEPT_KERNELS_WARNED,
    "take": wire.ACCEPT_KERNELS,
}


def model_sources(arguments: tuple[str, ...]) -> list[ModelSource]:
    """[NAME=]FILE arguments as models; the name is the file's stem if none is given."""
    sources = []
    for argument in arguments:
        name, sep, file = argument.partition("=")
        # A path may have that sign too: behind a name, or by itself.
        if not sep or not name or set("./\\") & set(name):
            file = argument
            name = model_name_of(Path(file))
        path = Path(file)
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


def _per_model_text(option: str, values: tuple[str, ...], names: list[str]) -> dict[str, str]:
    """[NAME=]TEXT options; the NAME may be left out if there is only one model."""
    result: dict[str, str] = {}
    for value in values:
        name, sep, text = value.partition("=")
        if not sep or name not in names:
            if len(names) != 1:
                raise click.BadParameter(f"with several models say NAME={value}", param_hint=option)
            name, text = names[0], value
        if name in result:
            raise click.BadParameter(f"{name} is given twice", param_hint=option)
        result[name] = text
    return result


def _print_budget(rows: list[Budget]) -> None:
    t = table("model", "of its", "used", "of", "share", "left", "origin", right=(2, 3, 4, 5))
    for row in rows:
        t.add_row(
            row.model,
            row.what,
            f"{row.used:,}",
            f"{row.room:,}",
            f"{row.share:.0%}",
            f"{row.left:,}",
            row.note,
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
    help="What the model needs of it, if you measured it; else it is predicted.",
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
    "--note",
    multiple=True,
    metavar="[NAME=]TEXT",
    help="What is said of the model, such as its training run; the device tells it.",
)
@click.option(
    "--labels",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Names of the model's classes, one in each line; the device tells them.",
)
@KERNELS_OPTION
@click.option(
    "--other-kernels",
    type=click.Choice(list(_OTHER_KERNELS)),
    default="refuse",
    show_default=True,
    help="What to do with patches whose accuracy was proven on other kernels.",
)
@click.option(
    "--extra-op",
    "extra_operators",
    multiple=True,
    metavar="NAME",
    help="Link this operator too, for models to come, like TANH.",
)
@click.option(
    "--free-quantisation",
    is_flag=True,
    help="Updates may have other scales and zero points: the application reads them from tensors.",
)
@click.option(
    "--compare-names", is_flag=True, help="In and out tensors of updates keep their names too."
)
@click.option(
    "--meta-kept",
    type=Number(META_KEPT_MAX),
    default=META_KEPT,
    show_default=True,
    metavar="BYTES",
    help="Bytes of metadata that stay with a model (TMD_META_KEPT).",
)
@click.option("--ram", type=Number(_U32_MAX), metavar="BYTES", help="RAM of the device.")
@click.option(
    "--warn-above",
    type=Number(100),
    default=90,
    show_default=True,
    metavar="PERCENT",
    help="Warn if more than this of a slot, an arena or the RAM is used.",
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
    "--format-1/--no-format-1",
    "format_1",
    default=None,
    help="Is the firmware built with format 1 (TMD_WITH_FORMAT_1)? By default if it has no keys.",
)
@click.option(
    "--public-key",
    "public_keys",
    type=FILE,
    multiple=True,
    metavar="PUB.pem",
    help="Let the device take patches only if they are signed, with this key or another given.",
)
@click.option(
    "--mac-key",
    "mac_keys",
    multiple=True,
    metavar="KIND[:N]",
    help="The same with a secret of each device, under number N: hmac-sha256 or aes-cmac.",
)
@click.option(
    "--decryption-key",
    "decryption_keys",
    type=FILE,
    multiple=True,
    metavar="PUB.pem",
    help="Patches may be encrypted to this key, whose private part the devices have.",
)
@click.option(
    "--device-class",
    default="",
    metavar="NAME",
    help="Take patches for this class of devices only, such as the name of the board.",
)
@click.option(
    "--anti-rollback/--no-anti-rollback",
    default=None,
    help="Does a confirmed model shut out all lower versions? By default if there are keys.",
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
    note: tuple[str, ...],
    labels: tuple[str, ...],
    kernels: KernelBuild,
    other_kernels: str,
    extra_operators: tuple[str, ...],
    free_quantisation: bool,
    compare_names: bool,
    meta_kept: int,
    ram: int | None,
    warn_above: int,
    accept_unguarded: bool,
    accept_no_digest: bool,
    decoder: str,
    format_1: bool | None,
    public_keys: tuple[Path, ...],
    mac_keys: tuple[str, ...],
    decryption_keys: tuple[Path, ...],
    device_class: str,
    anti_rollback: bool | None,
    as_json: bool,
) -> None:
    """Write contract.json, guardrail header, op resolver and model arrays for a firmware.

    A model is called what its file is called, unless NAME= says otherwise. Files are rewritten
    only if they change.
    """
    has_keys = bool(public_keys or mac_keys)
    with_1 = not has_keys if format_1 is None else format_1
    if anti_rollback is None:
        anti_rollback = has_keys
    formats: tuple[int, ...] = (wire.FORMAT_1,) if with_1 else ()
    if decoder != "none":
        formats += (wire.FORMAT_2,)
    if not formats and not has_keys:
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
        note=_per_model_text("--note", note, names),
        labels={
            name: read_labels(Path(file))
            for name, file in _per_model_text("--labels", labels, names).items()
        },
        kernels=kernels,
        extra_operators=extra_operators,
        meta_kept=meta_kept,
        formats=formats,
        decoder=wire.Decoder[decoder.upper()],
        accept=(wire.ACCEPT_UNGUARDED if accept_unguarded else 0)
        | (wire.ACCEPT_NO_DIGEST if accept_no_digest else 0)
        | (wire.ACCEPT_QUANTISATION if free_quantisation else 0)
        | (wire.COMPARE_NAMES if compare_names else 0)
        | (wire.ANTI_ROLLBACK if anti_rollback else 0)
        | _OTHER_KERNELS[other_kernels],
        keys=(
            *(read_contract_key(read_bytes(path), str(path)) for path in public_keys),
            *(parse_mac_key(text, f"--mac-key {text}") for text in mac_keys),
        ),
        sealed_keys=tuple(read_sealed_key(read_bytes(path), str(path)) for path in decryption_keys),
        device_class=device_class,
    )
    contract, written = generate(sources, limits, out)
    rows = budgets(contract, ram)
    warnings = budget_warnings(rows, warn_above)
    if as_json:
        print_json(
            {
                "out": str(out),
                "written": written,
                "budgets": [asdict(row) for row in rows],
                "warnings": warnings,
            }
        )
        return
    _print_budget(rows)
    for warning in warnings:
        click.echo(f"tmd: warning: {warning}", err=True)
    click.echo(f"{out}: {'wrote ' + ', '.join(written) if written else 'nothing changed'}")
