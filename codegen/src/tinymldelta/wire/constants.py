"""The wire format's constants. Rendered from codegen/wire.yaml by `./run wire`; do not edit."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class Field(NamedTuple):
    """A field of a packed little-endian layout; `offset` and `size` in bytes."""

    offset: int
    size: int


WIRE_VERSION: Final = 1

META_MAX: Final = 1024  # bytes of metadata in one patch
CHUNK_PAYLOAD_MAX: Final = 65535  # bytes of encoded payload in one chunk of format 1
MODEL_MAX: Final = 2147483647  # bytes of one model; offsets then never wrap in 32 bits
WRITE_UNIT_MAX: Final = 256  # bytes of one flash write unit

FORMAT_1: Final = 1

ACCEPT_UNGUARDED: Final = 0x0001  # patches that lack guardrail TLVs
ACCEPT_NO_DIGEST: Final = 0x0002  # patches without digests (digest kind NONE)

TLV_VENDOR_FIRST: Final = 0x80


class DigestKind(IntEnum):
    NONE = 0
    CRC32 = 1
    SHA256 = 2
    CMAC = 3


DIGEST_SIZE: Final[dict[int, int]] = {
    DigestKind.NONE: 0,
    DigestKind.CRC32: 4,
    DigestKind.SHA256: 32,
    DigestKind.CMAC: 16,
}


class Encoding(IntEnum):
    RAW = 0
    RLE = 1


F1_HEADER: Final[dict[str, Field]] = {
    "version": Field(0, 1),
    "digest_kind": Field(1, 1),
    "chunks_n": Field(2, 2),
    "base_bytes": Field(4, 4),
    "target_bytes": Field(8, 4),
    "base_digest": Field(12, 32),
    "target_digest": Field(44, 32),
    "meta_bytes": Field(76, 2),
    "flags": Field(78, 2),
}
F1_HEADER_SIZE: Final = 80

F1_CHUNK: Final[dict[str, Field]] = {
    "offset": Field(0, 4),
    "payload_bytes": Field(4, 2),
    "encoding": Field(6, 1),
    "has_crc": Field(7, 1),
}
F1_CHUNK_SIZE: Final = 8

RECORD: Final[dict[str, Field]] = {
    "magic": Field(0, 2),
    "version": Field(2, 1),
    "slot": Field(3, 1),
    "sequence": Field(4, 4),
    "model_bytes": Field(8, 4),
    "model_sha256": Field(12, 32),
    "crc": Field(44, 4),
}
RECORD_SIZE: Final = 48


class Tlv(IntEnum):
    REQ_ARENA_BYTES = 0x01
    TFLM_ABI = 0x02
    OPSET_HASH = 0x03
    IO_HASH = 0x04


TLV_SIZE: Final[dict[int, int]] = {
    Tlv.REQ_ARENA_BYTES: 4,
    Tlv.TFLM_ABI: 2,
    Tlv.OPSET_HASH: 4,
    Tlv.IO_HASH: 4,
}


class Rule(IntEnum):
    ARENA = 0
    ABI = 1
    OPERATORS = 2
    IO = 3
    SLOT = 4


class RuleText(NamedTuple):
    """`text`: when it holds; `explain` takes need and have; `tlv` is 0: read from the header."""

    tlv: int
    compare: str
    text: str
    explain: str


RULES: Final[dict[Rule, RuleText]] = {
    Rule.ARENA: RuleText(
        Tlv.REQ_ARENA_BYTES,
        "at_most",
        "the arena that the target needs is at most the arena of the firmware",
        "needs {need} bytes of tensor arena, firmware has {have}",
    ),
    Rule.ABI: RuleText(
        Tlv.TFLM_ABI,
        "equal",
        "kernel build and schema version are those of the firmware",
        "made for TFLM ABI {need:#06x}, firmware has {have:#06x}",
    ),
    Rule.OPERATORS: RuleText(
        Tlv.OPSET_HASH,
        "equal",
        "operators and their versions are those of the model that the firmware was built for",
        "operator set {need:#010x}, firmware has {have:#010x}",
    ),
    Rule.IO: RuleText(
        Tlv.IO_HASH,
        "equal",
        "element type, shape and quantisation of every in and out tensor are unchanged",
        "in and out tensors {need:#010x}, firmware has {have:#010x}",
    ),
    Rule.SLOT: RuleText(
        0,
        "at_most",
        "the target fits the slot",
        "target is {need} bytes, a slot holds {have}",
    ),
}


class Verdict(IntEnum):
    PASS = 0
    FAIL = 1
    MISSING = 2
    WAIVED = 3


class Status(IntEnum):
    OK = 0
    ARGUMENT = -1
    FLASH_READ = -10
    FLASH_WRITE = -11
    FLASH_ERASE = -12
    FLASH_VERIFY = -13
    GEOMETRY = -14
    NO_MODEL = -15
    TRUNCATED = -20
    FORMAT = -21
    HEADER = -22
    DIGEST_KIND = -23
    METADATA = -24
    TRAILING = -25
    UNGUARDED = -40
    ARENA = -41
    ABI = -42
    OPERATORS = -43
    IO = -44
    SLOT = -45
    BASE = -46
    CHUNK_ENCODING = -60
    CHUNK_ORDER = -61
    CHUNK_BOUNDS = -62
    CHUNK_CRC = -63
    GAP = -64
    TARGET = -65


class StatusText(NamedTuple):
    """`text`: what was wrong. `fix`: what a person can do about it."""

    text: str
    fix: str


STATUSES: Final[dict[Status, StatusText]] = {
    Status.OK: StatusText(
        "done",
        "",
    ),
    Status.ARGUMENT: StatusText(
        "an argument is out of range, or a call came out of order",
        "correct the calling code",
    ),
    Status.FLASH_READ: StatusText(
        "reading flash failed",
        "check the flash port; the flash may be worn",
    ),
    Status.FLASH_WRITE: StatusText(
        "writing flash failed",
        "check the flash port; the flash may be worn",
    ),
    Status.FLASH_ERASE: StatusText(
        "erasing flash failed",
        "check the flash port; the flash may be worn",
    ),
    Status.FLASH_VERIFY: StatusText(
        "flash does not read back what was written",
        "send the patch again; if it stays, the flash is worn",
    ),
    Status.GEOMETRY: StatusText(
        "slots, records, contract and flash geometry do not fit together",
        "align slots and records to erase units and give codegen the same sizes",
    ),
    Status.NO_MODEL: StatusText(
        "no slot holds a model that verifies, and none is compiled in",
        "write a factory model, or compile one in",
    ),
    Status.TRUNCATED: StatusText(
        "the patch ends too early",
        "send the whole patch",
    ),
    Status.FORMAT: StatusText(
        "not a patch, or a format that the firmware does not take",
        "make the patch with `tmd patch --contract` for this firmware",
    ),
    Status.HEADER: StatusText(
        "a header field has an impossible value",
        "make the patch again; it is damaged or was made by another tool",
    ),
    Status.DIGEST_KIND: StatusText(
        "a kind of digest that the firmware does not take",
        "make the patch with `--algo sha256` or `--algo crc32`",
    ),
    Status.METADATA: StatusText(
        "the metadata is malformed, repeated or of an unknown kind",
        "make the patch again; it is damaged or newer than the firmware",
    ),
    Status.TRAILING: StatusText(
        "bytes follow the end of the patch",
        "send the patch and nothing else",
    ),
    Status.UNGUARDED: StatusText(
        "a guardrail TLV is missing",
        "make the patch from a .tflite target, or give its metadata by hand",
    ),
    Status.ARENA: StatusText(
        "the target needs a larger tensor arena than the firmware has",
        "use a smaller model, or update the firmware with a larger arena",
    ),
    Status.ABI: StatusText(
        "the target was made for another kernel build or schema version",
        "make the patch against the contract of this firmware",
    ),
    Status.OPERATORS: StatusText(
        "the target uses other operators or versions than the firmware was built for",
        "keep the operators, or update the firmware first",
    ),
    Status.IO: StatusText(
        "the target's in or out tensors differ from those the application was built for",
        "keep element type, shape and quantisation of in and out tensors, or update the firmware first",
    ),
    Status.SLOT: StatusText(
        "the target does not fit the slot",
        "use a smaller model, or a firmware with larger slots",
    ),
    Status.BASE: StatusText(
        "the patch was made for another base than the active model",
        "make the patch from the model that is on the device",
    ),
    Status.CHUNK_ENCODING: StatusText(
        "a chunk has an unknown encoding or an impossible length",
        "make the patch again; it is damaged",
    ),
    Status.CHUNK_ORDER: StatusText(
        "chunks overlap or are out of order",
        "make the patch again, with chunks in rising order",
    ),
    Status.CHUNK_BOUNDS: StatusText(
        "a chunk reaches beyond the target",
        "make the patch again; it is damaged",
    ),
    Status.CHUNK_CRC: StatusText(
        "a chunk's checksum is wrong",
        "send the patch again; it was damaged on the way",
    ),
    Status.GAP: StatusText(
        "part of the target comes neither from the base nor from a chunk",
        "make the patch again; it is damaged",
    ),
    Status.TARGET: StatusText(
        "the new model is not the one that the patch promised",
        "send the patch again; it was damaged on the way",
    ),
}
