"""Fuzzes what reads patches in Python: small patches of both formats, changed anywhere.

Most have their head mended: lengths in front, the CRC-32, the signature. Some come encrypted; some
are changed anywhere and mended nowhere. The keys are those that tests/codegen/signkit.py plays.

What must hold: `read_patch` gives a patch or a PatchFault, and `apply_patch` says what a device
would do, with a target if it is done and without one if not; nothing else, within bounds of time
and memory. Counted: how many came past the head, and how many were applied.
"""

from __future__ import annotations

import hashlib
import random
import struct
import sys
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "codegen")]

from mutate import Came, drive, mutated  # noqa: E402

from patchkit import chunk, known_tlv  # noqa: E402
from patchkit2 import head_crc  # noqa: E402
from signkit import KEYS, OPENERS, SIGNED_ACCEPTS, peer_of, played_cipher, seal_to  # noqa: E402
from tinymldelta.container.format2_writer import write_number  # noqa: E402
from tinymldelta.container.patch import PatchFault  # noqa: E402
from tinymldelta.container.reader import apply_patch, read_patch  # noqa: E402
from tinymldelta.native import encode_body  # noqa: E402
from tinymldelta.wire.constants import (  # noqa: E402
    ACCEPT_NO_DIGEST,
    ACCEPT_UNGUARDED,
    F2_FLAG_LEAN,
    F2_FLAG_SIGNED,
    FORMAT_2,
    SIGNED_INFO,
    Decoder,
    Status,
)

BASE = bytes(range(12))
TARGET = BASE[:5] + b"!" + BASE[6:]
KEY = KEYS[3]  # the shortest signature
RAW_SHARE = 16  # one patch in so many is mended nowhere
FORMAT_2_SHARE = 10
SEALED_SHARE = 128

# A guardrail that refuses stands behind the head.
HEAD_FAULTS = frozenset(
    (Status.FORMAT, Status.HEADER, Status.METADATA, Status.DIGEST_KIND, Status.DECODER, Status.KEY,
     Status.UNSIGNED, Status.SIGNATURE)
)  # fmt: skip

UNSIGNED_ACCEPTS = replace(
    SIGNED_ACCEPTS,
    keys={},
    sealed_keys=(),
    device_class=0,
    flags=ACCEPT_UNGUARDED | ACCEPT_NO_DIGEST,
)
LEAN_ACCEPTS = replace(UNSIGNED_ACCEPTS, decoder=Decoder.LEAN)
SIGNED_UNGUARDED = replace(SIGNED_ACCEPTS, flags=ACCEPT_UNGUARDED)


CHUNKS = (
    chunk(5, b"!"),
    chunk(2, b"abc", has_crc=0),
    chunk(0, b"\x05a\x02b", encoding=1, has_crc=0),
    chunk(3, b"\x01z\x08y", encoding=1) + chunk(12, b"more", has_crc=0),
)
BODIES = tuple(encode_body(BASE, TARGET, (), lean=lean) for lean in (False, True))
TLVS = b"\x0c\x03app" + struct.pack("<BBI", 1, 4, 100) + b"\x0d\x03\x01\x81\x01"
TLVS_1 = known_tlv(1, 100) + known_tlv(5, 2)


def format_1(rng: random.Random) -> bytes:
    """TLVs and chunks of a patch whose header is right."""
    chunks = CHUNKS[rng.getrandbits(8) % len(CHUNKS)]
    tlvs = TLVS_1 if rng.getrandbits(5) else mutated(rng, (TLVS_1,), 0, 2)
    changed = mutated(rng, (chunks,), 0, 3)
    target_bytes = len(TARGET) + (rng.getrandbits(3) if rng.getrandbits(2) == 0 else 0)
    kind = rng.getrandbits(1)  # none, or CRC-32
    header = struct.pack(
        "<BBHII32s32sHH", 1, kind, 1 + (rng.getrandbits(2) == 0), len(BASE), target_bytes,
        struct.pack("<I28x", zlib.crc32(BASE) * kind),
        struct.pack("<I28x", zlib.crc32(TARGET) * kind), len(tlvs), 0,
    )  # fmt: skip
    return header + tlvs + changed


def format_2(rng: random.Random, *, is_signed: bool, lean: bool) -> bytes:
    """TLVs or body are changed, and the head is mended around them."""
    body = mutated(rng, BODIES, 0, 3) if rng.getrandbits(3) else BODIES[lean]
    tlvs = TLVS if rng.getrandbits(4) else mutated(rng, (TLVS,), 0, 2)
    first = FORMAT_2 | (F2_FLAG_LEAN if lean else 0) | (F2_FLAG_SIGNED if is_signed else 0)
    head = bytes((first,)) + write_number(len(TARGET)) + write_number(len(BASE))
    head += hashlib.sha256(BASE).digest()[:8]
    head += hashlib.sha256(TARGET).digest()[: 32 if is_signed else 16]
    if is_signed:
        crc = zlib.crc32(body) ^ (rng.getrandbits(4) == 0)
        head += struct.pack("<B4sI", KEY.kind, KEY.id, crc)
    head += write_number(len(tlvs)) + tlvs
    head += struct.pack("<I", head_crc(head))
    if is_signed:
        head += KEY.sign(hashlib.sha256(SIGNED_INFO + head).digest())
    return head + body


def make(rng: random.Random) -> bytes:
    """The first byte says which contract it meets: 0 none, 1 with keys, 2 for a lean decoder."""
    kind = rng.getrandbits(16)
    if kind % SEALED_SHARE == 0:
        opener = OPENERS[kind >> 8 & 1]
        sealed = seal_to(format_2(rng, is_signed=True, lean=False), opener, peer_of(opener))
        return b"\x01" + (mutated(rng, (sealed,), 0, 2) if kind & 0x1000 else sealed)
    if kind % FORMAT_2_SHARE == 0:
        is_signed, lean = kind & 0x100 == 0, kind & 0x600 == 0
        data = format_2(rng, is_signed=is_signed, lean=lean and not is_signed)
        contract = 1 if is_signed else 2 if lean else 0
    else:
        data, contract = format_1(rng), 0
    if rng.getrandbits(16) % RAW_SHARE == 0:
        data = mutated(rng, (data,), 0, 4)
    return bytes((contract,)) + data


def run(data: bytes) -> Came:
    accepts = (UNSIGNED_ACCEPTS, SIGNED_UNGUARDED, LEAN_ACCEPTS)[data[0] % 3]
    patch = data[1:]
    if data[0] == 0:
        with suppress(PatchFault):
            read_patch(patch, None)
    outcome = apply_patch(BASE, patch, accepts)
    if outcome.status in HEAD_FAULTS:
        return Came.REFUSED
    if (outcome.target is None) == (outcome.status == Status.OK):
        raise AssertionError("done without a target, or refused with one")
    return Came.REACHED if outcome.target is None else Came.WHOLE


if __name__ == "__main__":
    with played_cipher():
        drive(run, make)
