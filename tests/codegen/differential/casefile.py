"""The file of cases that `tests/core/replay/replay.c` reads; its layout stands there."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.reader import apply_patch
from tinymldelta.wire.constants import Status

MAGIC = b"TMDCASE1"


def encode_case(base: bytes, patch: bytes, accepts: Accepts) -> tuple[bytes, Status]:
    """One case with what the plain Python reader makes of it."""
    # Its devices have no lowest version, and no interpreter.
    assert accepts.lowest_version == 0
    assert not accepts.self_test
    outcome = apply_patch(base, patch, accepts)
    target = outcome.target if outcome.status is Status.OK and outcome.target else b""
    formats = sum(1 << f for f in accepts.formats)
    head = struct.pack(
        "<i11I",
        outcome.status,
        len(base),
        len(patch),
        len(target),
        accepts.flags,
        formats,
        accepts.decoder,
        accepts.tflm_abi,
        accepts.arena_bytes,
        accepts.opset_hash,
        accepts.io_hash,
        accepts.slot_bytes,
    )
    return head + base + patch + target, outcome.status


def run_cases(program: Path, file: Path) -> str:
    """Put the cases of a file through the C: what the program printed."""
    done = subprocess.run([program, file], capture_output=True, text=True)
    assert done.returncode == 0, f"{file.name}: {done.stdout}{done.stderr}"
    return done.stdout
