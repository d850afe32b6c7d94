"""The file of cases that `tests/core/replay/replay.c` reads; its layout stands there."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from signkit import played_cipher
from tinymldelta.container.accepts import Accepts
from tinymldelta.container.metadata import TLV_HEAD_BYTES
from tinymldelta.container.reader import apply_patch, read_patch
from tinymldelta.keys import is_sealed, open_sealed
from tinymldelta.wire.constants import F2_CRC_BYTES, FORMAT_2, TLV_VENDOR_FIRST, Status

MAGIC = b"TMDCASE3"
# Write units of replay's geometries, which the cases go through one after the other.
WRITE_BYTES = (16, 4, 1, 256, 8, 32)


class CaseFile:
    """Cases with what the plain Python reader makes of each. `content` is the file."""

    def __init__(self) -> None:
        self._parts = [MAGIC]

    @property
    def content(self) -> bytes:
        return b"".join(self._parts)

    def add(self, base: bytes, patch: bytes, accepts: Accepts) -> Status:
        """One more case, on the geometry that comes next: its status."""
        unit = WRITE_BYTES[(len(self._parts) - 1) % len(WRITE_BYTES)]
        encoded, status = _encode(base, patch, replace(accepts, write_bytes=unit))
        self._parts.append(encoded)
        return status

    def add_on_each_geometry(self, base: bytes, patch: bytes, accepts: Accepts) -> set[Status]:
        return {self.add(base, patch, accepts) for _ in WRITE_BYTES}


def _encode(base: bytes, patch: bytes, accepts: Accepts) -> tuple[bytes, Status]:
    # Replay's devices have no lowest version, and no interpreter.
    assert accepts.lowest_version == 0
    assert not accepts.self_test
    assert accepts.floor == 0
    with played_cipher():
        outcome = apply_patch(base, patch, accepts)
    ok = outcome.status is Status.OK and outcome.target is not None
    target = outcome.target if ok and outcome.target else b""
    kept = kept_tlvs(in_clear(patch, accepts)) if ok else b""
    name = accepts.name.encode()
    head = struct.pack(
        "<i23I",
        outcome.status,
        len(base),
        len(patch),
        len(target),
        len(kept),
        accepts.flags,
        sum(1 << f for f in accepts.formats),
        accepts.decoder,
        accepts.meta_kept,
        accepts.write_bytes,
        accepts.arena_bytes,
        accepts.slot_bytes,
        accepts.tflm_abi,
        accepts.opset_hash,
        accepts.io_hash,
        accepts.kernels,
        accepts.tensors,
        accepts.quantisation,
        accepts.tensor_names,
        accepts.device_class,
        len(accepts.keys),
        len(accepts.sealed_keys),
        len(name),
        len(accepts.operators),
    )
    # All of them are played keys, whose secrets replay.c can use as well.
    keys = b"".join(
        bytes((key.kind,)) + key.id + cast(Any, key).secret
        for key in (*accepts.keys.values(), *accepts.sealed_keys)
    )
    operators = b"".join(
        struct.pack("<IBBB", id_, op.lowest, op.highest, op.types)
        for id_, op in sorted(accepts.operators.items())
    )
    return head + keys + name + operators + base + patch + target + kept, outcome.status


def in_clear(patch: bytes, accepts: Accepts) -> bytes:
    """What is in an envelope; another patch as it is."""
    if not is_sealed(patch):
        return patch
    with played_cipher():
        return open_sealed(patch, accepts.sealed_keys)


def kept_tlvs(patch: bytes) -> bytes:
    """What a slot holds behind the target of a sound patch: in format 2 all TLVs but vendors'."""
    read = read_patch(patch, None)
    if read.header.version != FORMAT_2:
        return b""
    end = len(patch) - read.sizes["body"] - len(read.signature) - F2_CRC_BYTES
    at = end - read.header.meta_bytes
    kept = b""
    while at < end:
        size = TLV_HEAD_BYTES + patch[at + 1]
        if patch[at] < TLV_VENDOR_FIRST:
            kept += patch[at : at + size]
        at += size
    return kept


def run_cases(program: Path, file: Path) -> str:
    """Put the cases of a file through the C: what the program printed."""
    done = subprocess.run([program, file], capture_output=True, text=True)
    assert done.returncode == 0, f"{file.name}: {done.stdout}{done.stderr}"
    return done.stdout
