"""Faults of format 2 by name: a patch that has just that one, and what a device reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tinymldelta.container.accepts import Accepts
from tinymldelta.container.format2_writer import write_metadata, write_number, write_patch
from tinymldelta.container.patch import Metadata
from tinymldelta.delta.encode import encode
from tinymldelta.wire.constants import (
    F2_FLAG_LEAN,
    F2_FLAG_RESERVED,
    F2_FLAG_SIGNED,
    FORMAT_1,
    FORMAT_2,
    META_MAX,
    MODEL_MAX,
    Decoder,
    Status,
)

BASE = bytes(range(200)) * 2
TARGET = BASE[:150] + b"something else" + BASE[160:390]
METADATA = Metadata(
    req_arena_bytes=1000, tflm_abi=3, opset_hash=7, io_hash=9, vendor=((200, b"v"),)
)
ACCEPTS = Accepts(
    formats=frozenset({FORMAT_1, FORMAT_2}),
    decoder=Decoder.DEFAULT,
    flags=0,
    arena_bytes=1000,
    tflm_abi=3,
    opset_hash=7,
    io_hash=9,
    slot_bytes=4096,
)
BODY = encode(BASE, TARGET)
GOOD = write_patch(BASE, TARGET, metadata=METADATA, lean=False, body=BODY)

_TLVS = write_metadata(METADATA)
_LENGTHS = write_number(len(TARGET)) + write_number(len(BASE))
_DIGESTS_AT = 1 + len(_LENGTHS)
_DIGESTS = GOOD[_DIGESTS_AT : _DIGESTS_AT + 24]
_HEAD_BYTES = len(GOOD) - len(BODY)


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    patch: bytes
    expected: Status
    accepts: Accepts = ACCEPTS


def _pack(
    *,
    first: int = FORMAT_2,
    target: bytes = write_number(len(TARGET)),
    base: bytes = write_number(len(BASE)),
    digests: bytes = _DIGESTS,
    meta: bytes | None = None,
    tlvs: bytes = _TLVS,
    body: bytes = BODY,
) -> bytes:
    meta = write_number(len(tlvs)) if meta is None else meta
    return bytes((first,)) + target + base + digests + meta + tlvs + body


def _with(change: Callable[[bytearray], None]) -> bytes:
    data = bytearray(GOOD)
    change(data)
    return bytes(data)


def _head_faults() -> list[Fault]:
    lean = replace(ACCEPTS, decoder=Decoder.LEAN)
    none = replace(ACCEPTS, decoder=Decoder.NONE)
    return [
        Fault("format 0", _pack(first=0x20), Status.FORMAT),
        Fault("format 3", _pack(first=3), Status.FORMAT),
        Fault("a firmware without format 2", GOOD, Status.FORMAT,
              replace(ACCEPTS, formats=frozenset({FORMAT_1}))),
        Fault("a firmware without a decoder", GOOD, Status.FORMAT, none),
        Fault("reserved flag", _pack(first=FORMAT_2 | F2_FLAG_RESERVED), Status.HEADER),
        Fault("for a default decoder, with a lean one", GOOD, Status.DECODER, lean),
        Fault("for a lean decoder, with a default one", _pack(first=FORMAT_2 | F2_FLAG_LEAN),
              Status.DECODER),
        Fault("signed", _pack(first=FORMAT_2 | F2_FLAG_SIGNED), Status.SIGNATURE),
        Fault("target of 0 bytes", _pack(target=b"\0"), Status.HEADER),
        Fault("base of 0 bytes", _pack(base=b"\0"), Status.HEADER),
        Fault("a superfluous byte of 0", _pack(base=b"\x90\x83\0"), Status.HEADER),
        Fault("a number of 6 bytes", _pack(base=b"\x80\x80\x80\x80\x80\x01"), Status.HEADER),
        Fault("a number of 32 bits", _pack(base=write_number(MODEL_MAX + 1)), Status.HEADER),
        Fault("too much metadata", _pack(meta=write_number(META_MAX + 1)), Status.METADATA),
        Fault("one byte of metadata", _pack(tlvs=b"\x80"), Status.METADATA),
        Fault("a TLV that ends behind", _pack(tlvs=_TLVS[:-1]), Status.METADATA),
        Fault("a TLV of an unknown kind", _pack(tlvs=_TLVS + b"\x08\0"), Status.METADATA),
        Fault("a TLV of kind 0", _pack(tlvs=_TLVS + b"\0\0"), Status.METADATA),
        Fault("a TLV that stands twice", _pack(tlvs=_TLVS + _TLVS[:6]), Status.METADATA),
        Fault("a TLV of another length", _pack(tlvs=b"\x01\x03abc" + _TLVS[6:]), Status.METADATA),
        Fault("no arena", _pack(tlvs=_TLVS[6:]), Status.UNGUARDED),
    ]  # fmt: skip


def _contract_faults() -> list[Fault]:
    changes = {
        "arena_bytes": Status.ARENA,
        "tflm_abi": Status.ABI,
        "opset_hash": Status.OPERATORS,
        "io_hash": Status.IO,
    }
    faults = [
        Fault(f"another {name}", GOOD, status, replace(ACCEPTS, **{name: 1}))
        for name, status in changes.items()
    ]
    slot = replace(ACCEPTS, slot_bytes=len(BASE))
    longer = BASE + b"more"
    body = encode(BASE, longer)
    too_long = write_patch(BASE, longer, metadata=METADATA, lean=False, body=body)
    faults.append(Fault("a target that does not fit", too_long, Status.SLOT, slot))
    faults.append(Fault("a base of another length", _pack(base=write_number(399)), Status.BASE))
    for at, name in ((0, "first"), (7, "last")):
        patch = _with(lambda d, at=at: d.__setitem__(_DIGESTS_AT + at, d[_DIGESTS_AT + at] ^ 1))
        faults.append(Fault(f"{name} byte of the base's digest", patch, Status.BASE))
    for at, name in ((8, "first"), (23, "last")):
        patch = _with(lambda d, at=at: d.__setitem__(_DIGESTS_AT + at, d[_DIGESTS_AT + at] ^ 1))
        faults.append(Fault(f"{name} byte of the target's digest", patch, Status.TARGET))
    return faults


def _version_faults() -> list[Fault]:
    """Format 2 judges versions and test vectors as format 1 does."""
    newer = replace(ACCEPTS, lowest_version=3)

    def patch(**more: int) -> bytes:
        return _pack(tlvs=write_metadata(replace(METADATA, **more)))

    return [
        Fault("no version", GOOD, Status.VERSION, newer),
        Fault("a low version", patch(model_version=2), Status.VERSION, newer),
        Fault("vectors at 0", patch(self_test=0), Status.METADATA),
        Fault("vectors at the end", patch(self_test=len(TARGET)), Status.METADATA),
        Fault("vectors that nobody runs", patch(self_test=16), Status.SELF_TEST),
    ]


def _body_faults() -> list[Fault]:
    return [
        Fault("some bytes behind the body", GOOD + b"behind", Status.TRAILING),
        Fault("many bytes behind the body", GOOD + bytes(300), Status.TRAILING),
        Fault("half a body", GOOD[: _HEAD_BYTES + len(BODY) // 2], Status.TRUNCATED),
        Fault("zeros for a body", _pack(body=bytes(200)), Status.BODY),
        Fault("the same, lean", _pack(first=FORMAT_2 | F2_FLAG_LEAN, body=bytes(9)), Status.BODY,
              replace(ACCEPTS, decoder=Decoder.LEAN)),
    ]  # fmt: skip


def _cut_off() -> list[Fault]:
    return [
        Fault(f"cut off after {size} bytes", GOOD[:size], Status.TRUNCATED)
        for size in range(_HEAD_BYTES)
    ]


NAMED_FAULTS_2 = [
    *_head_faults(),
    *_contract_faults(),
    *_version_faults(),
    *_body_faults(),
    *_cut_off(),
]
