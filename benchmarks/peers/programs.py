"""Peers that are programs of the system, run in a folder of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .peer import Absent, Peer, Tool

_TIMEOUT = 600  # seconds for one patch

_BASE, _INPUT, _OUTPUT = "base", "input", "output"


def _tool(program: str, ask: str, pattern: str) -> Tool:
    """A program whose package is called as it is; `pattern` finds the version in its answer."""

    def version() -> str:
        if shutil.which(program) is None:
            raise Absent(f"apt install {program}")
        done = subprocess.run([program, ask], capture_output=True, text=True, check=False)
        found = re.search(pattern, done.stdout + done.stderr)
        return f"{program} {found[1] if found else '(version not understood)'}"

    return Tool(program, version)


def _program(*command: str) -> Callable[[bytes, bytes], bytes]:
    """Give the program two files, and take the one that it writes. RuntimeError if it fails."""

    def call(base: bytes, given: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / _BASE).write_bytes(base)
            (folder / _INPUT).write_bytes(given)
            _run(command, folder)
            return (folder / _OUTPUT).read_bytes()

    return call


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=_TIMEOUT
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} exits with {done.returncode}: {done.stderr.strip()}")


_XDELTA3 = _tool("xdelta3", "-V", r"version (\S+?),?\s")
_ZSTD = _tool("zstd", "--version", r"v(\d[\d.]*)")


def _xdelta3(key: str, secondary: str) -> Peer:
    # -A and -n leave file names and checksum out: peers are weighed without digests, as we are.
    options = f"-9 -S {secondary} -A -n"
    make = _program("xdelta3", "-e", *options.split(), "-f", "-s", _BASE, _INPUT, _OUTPUT)
    apply = _program("xdelta3", "-d", "-f", "-s", _BASE, _INPUT, _OUTPUT)
    return Peer(key, options, _XDELTA3, make, apply)


def _zstd(key: str, level: str) -> Peer:
    options = f"{level} --no-check --patch-from"
    from_base = f"--patch-from={_BASE}"
    make = _program("zstd", "-q", *level.split(), "--no-check", from_base, _INPUT, "-o", _OUTPUT)
    apply = _program("zstd", "-q", "-d", from_base, _INPUT, "-o", _OUTPUT)
    return Peer(key, options, _ZSTD, make, apply)


XDELTA3 = (
    _xdelta3("xdelta3_lzma", "lzma"),
    _xdelta3("xdelta3_djw", "djw"),
    _xdelta3("xdelta3_none", "none"),
)
ZSTD = (_zstd("zstd_pf19", "-19"), _zstd("zstd_pf22", "--ultra -22"))
