"""Faults of format 2 by name: a patch that has just that one, and what a device reports."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tinymldelta.container.accepts import Accepts, OperatorRange
from tinymldelta.container.format2_writer import write_number, write_patch
from tinymldelta.container.metadata import kept_bytes, write_metadata
from tinymldelta.container.operators import OperatorNeed, custom_id, encode_operators
from tinymldelta.container.patch import Metadata
from tinymldelta.delta.encode import encode
from tinymldelta.wire.constants import (
    ACCEPT_UNGUARDED,
    COMPARE_NAMES,
    F2_BASE_DIGEST_BYTES,
    F2_CRC_BYTES,
    F2_FLAG_LEAN,
    F2_FLAG_RESERVED,
    F2_FLAG_SIGNED,
    F2_TARGET_DIGEST_BYTES,
    FORMAT_1,
    FORMAT_2,
    META_MAX,
    MODEL_MAX,
    TLVS,
    Decoder,
    Status,
    Tlv,
)

BASE = bytes(range(200)) * 2
TARGET = BASE[:150] + b"something else" + BASE[160:390]
NEEDS = (
    OperatorNeed(3, 3, 0x02),
    OperatorNeed(22, 1, 0x02),
    OperatorNeed(150, 2, 0x03),
    OperatorNeed(custom_id("mine"), 1, 0),
)
METADATA = Metadata(
    req_arena_bytes=1000,
    kernels=0x11223344,
    tensors=7,
    quantisation=8,
    tensor_names=9,
    model_name=b"app",
    operators=encode_operators(NEEDS),
    vendor=((200, b"v"),),
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
    name="app",
    kernels=0x11223344,
    operators={need.id: OperatorRange(1, need.version, need.types) for need in NEEDS},
    tensors=7,
    quantisation=8,
    tensor_names=9,
    meta_kept=192,
)
BODY = encode(BASE, TARGET)
GOOD = write_patch(BASE, TARGET, metadata=METADATA, lean=False, body=BODY)

_DIGESTS_AT = 1 + len(write_number(len(TARGET)) + write_number(len(BASE)))
_DIGESTS_BYTES = F2_BASE_DIGEST_BYTES + F2_TARGET_DIGEST_BYTES
_DIGESTS = GOOD[_DIGESTS_AT : _DIGESTS_AT + _DIGESTS_BYTES]
HEAD_BYTES = len(GOOD) - len(BODY)
# The TLVs that a rule reads; TENSOR_NAMES only where names are compared.
GUARDED_2 = (
    Tlv.REQ_ARENA_BYTES,
    Tlv.KERNELS,
    Tlv.TENSORS,
    Tlv.QUANTISATION,
    Tlv.MODEL_NAME,
    Tlv.OPERATORS,
)


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    patch: bytes
    expected: Status
    accepts: Accepts = ACCEPTS


def tlv2(tag: int, value: bytes) -> bytes:
    return bytes((tag, len(value))) + value


def tlvs_of(metadata: Metadata) -> list[bytes]:
    """The TLVs of format 2, one by one."""
    tlvs, at, parts = write_metadata(metadata, FORMAT_2), 0, []
    while at < len(tlvs):
        parts.append(tlvs[at : at + 2 + tlvs[at + 1]])
        at += len(parts[-1])
    return parts


def _pack(
    *,
    first: int = FORMAT_2,
    target: bytes = write_number(len(TARGET)),
    base: bytes = write_number(len(BASE)),
    digests: bytes = _DIGESTS,
    meta: bytes | None = None,
    tlvs: bytes | None = None,
    crc: int | None = None,
    body: bytes = BODY,
) -> bytes:
    """The good patch with other parts. The CRC of its head is right if none is given."""
    tlvs = write_metadata(METADATA, FORMAT_2) if tlvs is None else tlvs
    meta = write_number(len(tlvs)) if meta is None else meta
    head = bytes((first,)) + target + base + digests + meta + tlvs
    crc = head_crc(head) if crc is None else crc
    return head + crc.to_bytes(F2_CRC_BYTES, "little") + body


def head_crc(head: bytes) -> int:
    """As SPEC.md has it, worked out apart from the library."""
    bits = f"{zlib.crc32(head):032b}"
    return int(bits[1:] + bits[0], 2)


def repair_crc(patch: bytes, body_bytes: int) -> bytes:
    """Set the CRC of a head right that was changed, but is as long as it was."""
    end = len(patch) - body_bytes - F2_CRC_BYTES
    crc = head_crc(patch[:end]).to_bytes(F2_CRC_BYTES, "little")
    return patch[:end] + crc + patch[end + F2_CRC_BYTES :]


def _saying(**changes: Any) -> bytes:
    return _pack(tlvs=write_metadata(replace(METADATA, **changes), FORMAT_2))


def _with(change: Callable[[bytearray], None]) -> bytes:
    data = bytearray(GOOD)
    change(data)
    return repair_crc(bytes(data), len(BODY))


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
        Fault("signed", _pack(first=FORMAT_2 | F2_FLAG_SIGNED), Status.KEY),
        Fault("target of 0 bytes", _pack(target=b"\0"), Status.HEADER),
        Fault("base of 0 bytes", _pack(base=b"\0"), Status.HEADER),
        Fault("a superfluous byte of 0", _pack(base=b"\x90\x83\0"), Status.HEADER),
        Fault("a number of 6 bytes", _pack(base=b"\x80\x80\x80\x80\x80\x01"), Status.HEADER),
        Fault("a number of 32 bits", _pack(base=write_number(MODEL_MAX + 1)), Status.HEADER),
        Fault("too much metadata", _pack(meta=write_number(META_MAX + 1)), Status.METADATA),
        Fault("one byte of metadata", _pack(tlvs=b"\x80"), Status.METADATA),
    ]  # fmt: skip


def _tlv_faults() -> list[Fault]:
    whole = b"".join(tlvs_of(METADATA))
    faults = [
        Fault("a TLV that ends behind", _pack(tlvs=whole[:-1]), Status.METADATA),
        Fault("a byte behind the last TLV", _pack(tlvs=whole + b"\xc9"), Status.METADATA),
        Fault("a TLV of an unknown kind", _pack(tlvs=whole + b"\x13\0"), Status.METADATA),
        Fault("a TLV of kind 0", _pack(tlvs=whole + b"\0\0"), Status.METADATA),
        Fault(
            "more than is kept",
            GOOD,
            Status.METADATA,
            replace(ACCEPTS, meta_kept=kept_bytes(METADATA) - 1),
        ),
        Fault("a name in another's place", _saying(model_name=b"ap"), Status.NAME),
        Fault("a name that goes on", _saying(model_name=b"apps"), Status.NAME),
    ]
    faults += [
        Fault(f"{tag.name}, which is of format 1", _pack(tlvs=whole + one), Status.METADATA)
        for tag, one in (
            (Tlv.TFLM_ABI, tlv2(Tlv.TFLM_ABI, b"ab")),
            (Tlv.OPSET_HASH, tlv2(Tlv.OPSET_HASH, b"abcd")),
            (Tlv.IO_HASH, tlv2(Tlv.IO_HASH, b"abcd")),
        )
    ]
    for index, one in enumerate(tlvs_of(METADATA)[:-1]):
        before, after = tlvs_of(METADATA)[:index], tlvs_of(METADATA)[index + 1 :]
        tag, text = Tlv(one[0]), TLVS[Tlv(one[0])]
        for size in (text.least - 1, text.most + 1):
            if size >= 0:
                rest = b"".join((*before, tlv2(tag, bytes(size)), *after))
                name = f"{tag.name} of {size} bytes"
                faults.append(Fault(name, _pack(tlvs=rest), Status.METADATA))
        faults.append(Fault(f"{tag.name} twice", _pack(tlvs=whole + one), Status.METADATA))
        rest = b"".join((*before, *after))
        if tag in GUARDED_2:
            faults.append(Fault(f"no {tag.name}", _pack(tlvs=rest), Status.UNGUARDED))
    return faults


def _operator_faults() -> list[Fault]:
    """Lists that are none, each by one fault; `test_operators.py` has many more."""
    lists = {
        "that ends in a step": b"\x80",
        "that ends before the version": b"\x04",
        "that ends before the types": b"\x04\x83",
        "that ends in a custom id": b"\0\x01\x02\x03",
        "without types at first": b"\x04\x03",
        "with version 0": b"\x04\x80\x02",
        "with a reserved bit": b"\x04\xc3\x02",
        "with a step of one byte in two": b"\x80\x04\x83\x02",
        "with a custom id that is none": b"\0\x01\x02\x03\x04\x83\x02",
        "with a code that is too high": b"\xff\xff\x83\x02\x02\x03",
        "with a custom one twice": b"\0\1\1\1\x80\x83\2" * 2,
        "with a builtin one behind the last custom one": b"\0\xff\xff\xff\xff\x83\2\x04\x83\2",
    }
    return [
        Fault(f"a list {name}", _saying_operators(data), Status.METADATA)
        for name, data in lists.items()
    ]


def _saying_operators(data: bytes) -> bytes:
    return _pack(tlvs=write_metadata(replace(METADATA, operators=data), FORMAT_2))


def _crc_faults() -> list[Fault]:
    """Whatever is changed of a head without its CRC: no rule is asked."""
    right = head_crc(GOOD[: HEAD_BYTES - F2_CRC_BYTES])
    faults = [
        Fault(f"bit {bit} of the CRC", _pack(crc=right ^ 1 << bit), Status.METADATA)
        for bit in (0, 7, 8, 31)
    ]
    arena_at = GOOD.index(bytes((Tlv.REQ_ARENA_BYTES, 4)), _DIGESTS_AT + _DIGESTS_BYTES)
    for at, name in (
        (_DIGESTS_AT, "base's digest"),
        (_DIGESTS_AT + F2_BASE_DIGEST_BYTES, "target's digest"),
        (arena_at + 2, "arena"),
    ):
        data = bytearray(GOOD)
        data[at] ^= 1
        faults.append(Fault(f"another {name} behind the CRC", bytes(data), Status.METADATA))
    return faults


def _contract_faults() -> list[Fault]:
    less = dict(ACCEPTS.operators)
    del less[22]
    older = {**ACCEPTS.operators, 3: OperatorRange(1, 2, 0xFF)}
    newer = {**ACCEPTS.operators, 3: OperatorRange(4, 9, 0xFF)}
    types = {**ACCEPTS.operators, 150: OperatorRange(1, 9, 0xFD)}
    changes: list[tuple[str, dict[str, Any], Status]] = [
        ("another name", {"name": "apq"}, Status.NAME),
        ("an arena too small", {"arena_bytes": 999}, Status.ARENA),
        ("other kernels", {"kernels": 1}, Status.ABI),
        ("an operator too few", {"operators": less}, Status.OPERATORS),
        ("no operators", {"operators": {}}, Status.OPERATORS),
        ("an older operator", {"operators": older}, Status.OPERATORS),
        ("an operator that is too new", {"operators": newer}, Status.OPERATORS),
        ("an operator for other types", {"operators": types}, Status.OPERATORS),
        ("other tensors", {"tensors": 1}, Status.IO),
        ("other scales", {"quantisation": 1}, Status.QUANTISATION),
        ("other tensor names", {"tensor_names": 1, "flags": COMPARE_NAMES}, Status.TENSOR_NAMES),
    ]
    faults = [
        Fault(name, GOOD, status, replace(ACCEPTS, **change)) for name, change, status in changes
    ]
    compared = replace(ACCEPTS, flags=COMPARE_NAMES)
    faults.append(Fault("no tensor names", _saying(tensor_names=None), Status.UNGUARDED, compared))
    # What is there is judged, whether it could be left out or not.
    unguarded = replace(ACCEPTS, flags=ACCEPT_UNGUARDED, arena_bytes=999)
    faults.append(Fault("an arena too small for unguarded ones", GOOD, Status.ARENA, unguarded))
    longer = BASE + b"more"
    body = encode(BASE, longer)
    too_long = write_patch(BASE, longer, metadata=METADATA, lean=False, body=body)
    slot = replace(ACCEPTS, slot_bytes=len(BASE))
    faults.append(Fault("a target that does not fit", too_long, Status.SLOT, slot))
    full = replace(ACCEPTS, slot_bytes=len(longer))
    faults.append(Fault("metadata that do not fit", too_long, Status.SLOT, full))
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
    return [
        Fault("no version", GOOD, Status.VERSION, newer),
        Fault("a low version", _saying(model_version=2), Status.VERSION, newer),
        Fault("a floor above the version", _saying(model_version=2, version_floor=3),
              Status.METADATA),
        Fault("vectors at 0", _saying(self_test=0), Status.METADATA),
        Fault("vectors at the end", _saying(self_test=len(TARGET)), Status.METADATA),
        Fault("vectors that nobody runs", _saying(self_test=16), Status.SELF_TEST),
    ]  # fmt: skip


def _body_faults() -> list[Fault]:
    return [
        Fault("some bytes behind the body", GOOD + b"behind", Status.TRAILING),
        Fault("many bytes behind the body", GOOD + bytes(300), Status.TRAILING),
        Fault("half a body", GOOD[: HEAD_BYTES + len(BODY) // 2], Status.TRUNCATED),
        Fault("zeros for a body", _pack(body=bytes(200)), Status.BODY),
        Fault("the same, lean", _pack(first=FORMAT_2 | F2_FLAG_LEAN, body=bytes(9)), Status.BODY,
              replace(ACCEPTS, decoder=Decoder.LEAN)),
    ]  # fmt: skip


def _cut_off() -> list[Fault]:
    return [
        Fault(f"cut off after {size} bytes", GOOD[:size], Status.TRUNCATED)
        for size in range(HEAD_BYTES)
    ]


NAMED_FAULTS_2 = [
    *_head_faults(),
    *_tlv_faults(),
    *_operator_faults(),
    *_crc_faults(),
    *_contract_faults(),
    *_version_faults(),
    *_body_faults(),
    *_cut_off(),
]
