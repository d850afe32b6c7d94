"""What all commands share: where output goes, and how errors become exit codes.

0: done. 1: a patch or model was refused, the reason on stderr. 2: called wrongly.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click
import rich.progress
from rich.console import Console
from rich.table import Table

from tinymldelta.container.operators import decode_operators
from tinymldelta.container.patch import Metadata
from tinymldelta.contract import Contract
from tinymldelta.contractfile import read_contract
from tinymldelta.errors import PatchRefused, Refusal
from tinymldelta.explain import Evaluated, name_of
from tinymldelta.keys import is_secret_file
from tinymldelta.output import write_atomically
from tinymldelta.tflm import DEFAULT_KERNELS, REVISIONS, KernelBuild, parse_kernels
from tinymldelta.versions import parse_version
from tinymldelta.wire.constants import Tlv
from tinymldelta.words import parse_labels

if TYPE_CHECKING:  # it needs the native part, and `tmd codegen` does without
    from tinymldelta.delta.encode import Progress

P = ParamSpec("P")
T = TypeVar("T")

FILE = click.Path(dir_okay=False, path_type=Path)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print the same for machines.")
CONTRACT_OPTION = click.option(
    "--contract", "contract_path", type=FILE, metavar="C", help="contract.json of the firmware."
)
MODEL_OPTION = click.option(
    "--model", "model_name", metavar="NAME", help="Which model of the contract, if it has several."
)


class Kernels(click.ParamType[KernelBuild]):
    """A build of TFLM's kernels, like 8d404de7 or 8d404de7/cmsis_nn."""

    name = "kernels"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> KernelBuild:
        if isinstance(value, KernelBuild):
            return value
        try:
            return parse_kernels(str(value))
        except Refusal as refusal:
            self.fail(str(refusal), param, ctx)


KERNELS_OPTION = click.option(
    "--kernels",
    type=Kernels(),
    default=DEFAULT_KERNELS,
    show_default=f"{DEFAULT_KERNELS.revision}, {REVISIONS[DEFAULT_KERNELS.revision]}",
    metavar="TFLM[/SET]",
    help="The firmware's TensorFlow Lite Micro: first eight digits of its commit, and /cmsis_nn.",
)


def console() -> Console:
    """Tables for people, as wide as they are when no terminal says otherwise."""
    return Console(
        highlight=False, markup=False, soft_wrap=False, width=None if sys.stdout.isatty() else 110
    )


def table(*columns: str, title: str | None = None, right: tuple[int, ...] = ()) -> Table:
    result = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        result.add_column(column, justify="right" if i in right else "left", overflow="fold")
    return result


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2))


def read_bytes(path: Path) -> bytes:
    """The content of a file that the user named. Refuses one that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal(str(path), f"cannot be read: {error.strerror}", "check the name") from error


def write_output(path: Path, data: bytes) -> None:
    """Write a result, whole or not at all. Refuses to write over a key."""
    try:
        if path.is_file() and is_secret_file(path.read_bytes()):
            raise Refusal(str(path), "it holds a private key or a secret", "write to another file")
        write_atomically(path, data)
    except OSError as error:
        raise Refusal(
            str(path), f"cannot be written: {error.strerror}", "check the folder"
        ) from error


def read_labels(path: Path) -> tuple[str, ...]:
    """The names of classes in a file that the user named."""
    return parse_labels(read_bytes(path), str(path))


def model_name_of(path: Path) -> str:
    """What a firmware calls the model of this file if nobody says anything else."""
    return re.sub(r"[^a-z0-9_]", "_", path.stem.lower())


def load_contract(path: Path | None, model_name: str | None) -> tuple[Contract | None, int]:
    """The contract and the model's index in it; (None, 0) if none was named."""
    if path is None:
        return None, 0
    contract = read_contract(path)
    return contract, contract.model_index(model_name)


def fail(refusal: Refusal, as_json: bool, document: Mapping[str, Any] | None = None) -> NoReturn:
    """Say why, and exit with 1. document: what else there is to say to machines.

    They are told all rules, if the device that refuses came to judge them.
    """
    if as_json:
        status, rules = None, {}
        if isinstance(refusal, PatchRefused):
            status = refusal.status.name
            if refusal.rules:
                rules["rules"] = rules_json(refusal.rules, refusal.explained)
        print_json(
            {
                "refused": {
                    "where": refusal.where,
                    "what": refusal.what,
                    "fix": refusal.fix,
                    "status": status,
                },
                **rules,
                **(document or {}),
            }
        )
    click.echo(f"tmd: {refusal}", err=True)
    sys.exit(1)


def refusals_exit_1(command: Callable[P, T]) -> Callable[P, T]:
    """Turn a Refusal into one line on stderr and exit code 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except Refusal as refusal:
            fail(refusal, bool(kwargs.get("as_json")))

    return run


class Number(click.ParamType[int]):
    """A whole number, decimal or with a prefix such as 0x, from 0 to `high`."""

    name = "number"

    def __init__(self, high: int) -> None:
        self._high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = value if isinstance(value, int) else int(str(value), 0)
        except ValueError:
            self.fail(f"{value!r} is not a whole number", param, ctx)
        if not 0 <= number <= self._high:
            self.fail(f"{value} is not from 0 to {self._high}", param, ctx)
        return number


class Version(click.ParamType[int]):
    """A version like 1.2.3, or the whole number that stands for it."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_version(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def metadata_json(metadata: Metadata) -> dict[str, Any]:
    """The metadata of a patch by the names of its TLVs; what it does not carry is null."""
    document: dict[str, Any] = {}
    for tag in Tlv:
        value = metadata.value(tag)
        if isinstance(value, bytes):
            if tag in (Tlv.MODEL_NAME, Tlv.NOTE):
                document[tag.name.lower()] = value.decode("utf-8", "replace")
            elif tag is Tlv.LABELS:
                document["labels"] = value.decode("utf-8", "replace").split("\n")
            elif tag in (Tlv.DEVICE_CLASS, Tlv.DOWNGRADE):
                document[tag.name.lower()] = metadata.number(tag)
            elif tag is Tlv.OPERATORS:
                document["operators"] = [
                    {"name": name_of(op.id), "version": op.version, "types": op.types}
                    for op in decode_operators(value)
                ]
            else:
                document[tag.name.lower()] = value.hex()
        else:
            document[tag.name.lower()] = value
    document["vendor"] = [{"tag": tag, "value": value.hex()} for tag, value in metadata.vendor]
    return document


def rules_json(rules: Sequence[Evaluated], explained: Sequence[str]) -> list[dict[str, Any]]:
    """Every guardrail, as the device judged it. explained: a clause on each."""
    return [
        {
            "rule": rule.rule.name,
            "verdict": rule.verdict.name,
            "need": rule.need,
            "have": rule.have,
            "explain": words,
        }
        for rule, words in zip(rules, explained, strict=True)
    ]


@contextmanager
def progress_bar(doing: str, *, quiet: bool = False) -> Iterator[Progress]:
    """A bar on stderr while something is done; nothing if quiet, or where stderr is no terminal."""
    bar = rich.progress.Progress(
        console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty()
    )
    with bar:
        task = bar.add_task(doing, total=1.0)
        yield lambda done: bar.update(task, completed=done)


def encoding_progress() -> AbstractContextManager[Progress]:
    """The same while a patch is encoded."""
    return progress_bar("encoding")
