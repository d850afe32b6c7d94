"""Runs code generation and `tmd` with another Python, and makes one line of what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .places import DRIVER, NEEDS, PACKAGE, ROOT

# The command of the installed package, whatever its script is called and wherever it lies.
TMD = "import sys; from tinymldelta.cli.main import main; sys.argv[0] = 'tmd'; main()"
_MISSING = "ModuleNotFoundError: "


class Refused(Exception):  # noqa: N818 - as tinymldelta.errors.Refusal
    """What was asked for cannot be; the message is one line that says why and what to do."""


def python_of(env: Any) -> str:
    """The Python that generates code for an environment."""
    return str(env.subst("$TMD_PYTHON") or sys.executable)


def run_codegen(python: str, arguments: Sequence[str], cwd: Path | None = None) -> str:
    """`tmd codegen` out of this source tree, without its native part. Returns what it printed.

    Raises Refused. Warnings go to stderr.
    """
    path = os.pathsep.join(p for p in (str(PACKAGE), os.environ.get("PYTHONPATH", "")) if p)
    done = _run([python, str(DRIVER), *arguments], cwd, {"PYTHONPATH": path})
    if done.returncode != 0:
        raise Refused(_reason(done, "tmd codegen", f"{python} -m pip install -r {NEEDS}"))
    sys.stderr.write(done.stderr)
    return done.stdout


def run_tmd(python: str, arguments: Sequence[str], cwd: Path | None = None) -> str:
    """The command `tmd` of the installed package. Returns what it printed. Raises Refused."""
    done = _run([python, "-c", TMD, *arguments], cwd, {})
    if done.returncode != 0:
        raise Refused(_reason(done, f"tmd {arguments[0]}", f"{python} -m pip install {ROOT}"))
    sys.stderr.write(done.stderr)
    return done.stdout


def run_python(python: str, program: str) -> str:
    """A few lines of Python, with what is installed there. Returns their output. Raises Refused."""
    done = _run([python, "-c", program], None, {})
    if done.returncode != 0:
        raise Refused(_reason(done, python, ""))
    return done.stdout


def _run(
    command: Sequence[str], cwd: Path | None, more: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    # Of SCons's own environment nothing is taken: it has no HOME, and no variables with passwords.
    environment = {
        **os.environ,
        **more,
        "PYTHONIOENCODING": "utf-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise Refused(
            f"TMD_PYTHON: {command[0]} cannot be run: {error.strerror} (name the Python that "
            "generates code)"
        ) from error


def _reason(done: subprocess.CompletedProcess[str], command: str, install: str) -> str:
    """The line that says why; all of a traceback, since that is a fault of ours."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else f"ended with status {done.returncode}"
    if done.returncode == 1 and (last.startswith(_MISSING) or "native part is not built" in last):
        return f"{command}: {last.partition(': ')[2]}: {install}"
    if any(line.startswith("Traceback") for line in lines):
        return f"{command} failed:\n{done.stderr.rstrip()}"
    refusals = [line for line in lines if line.startswith("tmd: ") and "warning: " not in line]
    if done.returncode == 1 and refusals:
        return refusals[-1]
    if last.startswith("Error: "):
        return f"{command}: {last.removeprefix('Error: ')}"
    return f"{command}: {last}"
