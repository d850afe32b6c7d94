"""What all commands share: where output goes, and how errors become exit codes.

0: done. 1: a patch or model was refused, the reason on stderr. 2: called wrongly.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
import rich.progress
from rich.console import Console
from rich.table import Table

from tinymldelta.container.patch import Metadata
from tinymldelta.contract import Contract, read_contract
from tinymldelta.delta.encode import Progress
from tinymldelta.errors import Refusal
from tinymldelta.output import write_atomically
from tinymldelta.patching import PatchRefused
from tinymldelta.versions import parse_version

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


def console() -> Console:
    """Tables for people, as wide as they are when no terminal says otherwise."""
    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 110)


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
    """Write a result, whole or not at all."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise Refusal(
            str(path), f"cannot be written: {error.strerror}", "check the folder"
        ) from error


def load_contract(path: Path | None, model_name: str | None) -> tuple[Contract | None, int]:
    """The contract and the model's index in it; (None, 0) if none was named."""
    if path is None:
        if model_name is not None:
            raise click.UsageError("--model needs --contract")
        return None, 0
    contract = read_contract(path)
    return contract, contract.model_index(model_name)


def fail(refusal: Refusal, as_json: bool) -> NoReturn:
    if as_json:
        status = refusal.status.name if isinstance(refusal, PatchRefused) else None
        print_json(
            {
                "refused": {
                    "where": refusal.where,
                    "what": refusal.what,
                    "fix": refusal.fix,
                    "status": status,
                }
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
    return {
        "req_arena_bytes": metadata.req_arena_bytes,
        "tflm_abi": metadata.tflm_abi,
        "opset_hash": metadata.opset_hash,
        "io_hash": metadata.io_hash,
        "model_version": metadata.model_version,
        "version_floor": metadata.version_floor,
        "self_test": metadata.self_test,
        "vendor": [{"tag": tag, "value": value.hex()} for tag, value in metadata.vendor],
    }


@contextmanager
def encoding_progress() -> Iterator[Progress]:
    """A bar on stderr while a patch is encoded; nothing where stderr is no terminal."""
    bar = rich.progress.Progress(
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    )
    with bar:
        task = bar.add_task("encoding", total=1.0)
        yield lambda done: bar.update(task, completed=done)
