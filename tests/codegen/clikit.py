"""`tmd` in this process, and what came of it."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from tinymldelta.cli.main import main


def tmd(*arguments: object) -> Result:
    """A command, whatever it exits with; it does not raise."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def done(*arguments: object) -> str:
    """What a command says that exits with 0."""
    result = tmd(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def asked(*arguments: object) -> dict[str, Any]:
    """The same for machines."""
    document: dict[str, Any] = json.loads(done(*arguments, "--json"))
    return document


def refused(*arguments: object) -> str:
    """A command that exits with 1 and says why in one line."""
    result = tmd(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("tmd: ")
    assert result.stderr.count("\n") == 1
    return result.stderr
