"""Firmware of the benches on emulated boards: where it finds what it works on, and its end."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .pairs import REPOSITORY

# Not a package: what SCons, the tests and the benches need of the emulated boards.
sys.path.append(str(REPOSITORY / "boards" / "emulated"))

import emulated  # noqa: E402

ALIGN = 8
TIMEOUT = 600  # seconds


class NoEnd(Exception):  # noqa: N818 - as emulated.Ended, which it is instead of
    """The firmware did not end; the message says after how long."""


def cortex_m0plus() -> emulated.Board:
    """Runs code for the Cortex-M0+, which QEMU has not; its Cortex-M0 has 16 KB of RAM.

    It is a Cortex-M3, which has all instructions of Armv6-M.
    """
    return replace(
        emulated.board("mps2_an385"), name="cortex_m0plus", core="Cortex-M0+", key="m0plus",
        cpu=("-mcpu=cortex-m0plus", "-mthumb"),
    )  # fmt: skip


def pack(contents: Sequence[bytes], at: int, *more: int) -> bytes:
    """What a firmware finds at address `at`, a multiple of ALIGN, all as words of 32 bits.

    The length of each content, then the address of each, then `more`; behind them the contents.
    """
    head = struct.Struct(f"<{2 * len(contents) + len(more)}I")
    data = bytes(-head.size % ALIGN)
    places = []
    for content in contents:
        places.append(at + head.size + len(data))
        data += content + bytes(-len(content) % ALIGN)
    return head.pack(*map(len, contents), *places, *more) + data


def run(board: emulated.Board, elf: Path, job: bytes, at: int, folder: Path) -> emulated.Ended:
    """Run a firmware that finds `job` at address `at`. Raises NoEnd. Writes into `folder`."""
    file = folder / "job.bin"
    file.write_bytes(job)
    try:
        return emulated.run(board, elf, folder=folder, load=[(file, at)], timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise NoEnd(f"no end after {TIMEOUT} s") from error
