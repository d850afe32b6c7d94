"""The wire format's constants. Rendered from codegen/wire.yaml by `./run wire`; do not edit."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class Field(NamedTuple):
    """A field of a packed little-endian layout; `offset` and `size` in bytes."""

    offset: int
    size: int


WIRE_VERSION: Final = 5

META_MAX: Final = 1024  # bytes of metadata in one patch
CHUNK_PAYLOAD_MAX: Final = 65535  # bytes of encoded payload in one chunk of format 1
MODEL_MAX: Final = 2147483647  # bytes of one model; offsets then never wrap in 32 bits
OPERATOR_CODE_MAX: Final = 32767  # code of a builtin operator
OPERATOR_VERSION_MAX: Final = 63  # version of an operator
WRITE_UNIT_MAX: Final = 256  # bytes of one flash write unit

FORMAT_1: Final = 1
FORMAT_2: Final = 2


class Decoder(IntEnum):
    NONE = 0  # format 1 only
    LEAN = 1  # format 2, made for the lean decoder
    DEFAULT = 2  # every patch of format 2


F2_FLAG_SIGNED: Final = 0x10  # the patch is signed: who signed it stands behind the digests, the signature behind the head
F2_FLAG_SAME_LENGTH: Final = 0x20  # the target is as long as the base; its length is left out
F2_FLAG_LEAN: Final = 0x40  # the body is for a lean decoder
F2_FLAG_RESERVED: Final = 0x80  # 0
F2_BASE_DIGEST_BYTES: Final = 8
F2_TARGET_DIGEST_BYTES: Final = 16
F2_SIGNED_TARGET_DIGEST_BYTES: Final = 32
F2_CRC_BYTES: Final = 4
F2_RANGES: Final = 8  # ranges of words that are changed ahead of their place
F2_POOL: Final = 256  # words in the pool
F2_CACHED: Final = 16  # single words whose change is remembered
F2_COLUMNS: Final = 128  # columns of a tensor that are told apart
F2_CHANNELS: Final = 64  # channels of a tensor that are told apart
F2_HISTORY: Final = 256  # inserted bytes that can be repeated
F2_RANGE_MAX: Final = 65535  # words of a vector of a range
F2_BEYOND_MAX: Final = 4  # zero bytes that a decoder reads behind the end of the body
F2_DECISIONS: Final = 5  # kinds of decision on an 8-bit residual
F2_SCALES: Final = 10  # buckets of its expected size
F2_PARTS: Final = 6  # parts of the way from one whole number to the next
F2_LEVELS: Final = 6  # buckets of the averages near and far
F2_UNARY_MAX: Final = 20  # where one-by-one ends and a number begins
F2_HALVE_FROM: Final = 4  # expected sizes from here on are halved
F2_MIXER_RATE: Final = 6  # how fast the mixer learns
F2_WEIGHT_START: Final = 20000  # weight of each opinion at first, in 1/65536
F2_WEIGHT_MAX: Final = 262143  # largest weight, either sign
F2_LEVEL_START: Final = 90  # expected residual at first, in 1/256
F2_COLUMN_ZERO: Final = 4096  # what stands for 0 in a column's level of words
F2_SCALE_LEVEL_START: Final = 288  # expected class of a scale at first, in 1/16
F2_TENSOR_LEVEL_START: Final = 208  # expected class of another word at first, in 1/16
F2_GAIN_BITS: Final = 8  # a gain of 1 is 2 to this, in 1/65536
F2_LEVEL_MIN: Final = 5  # smallest level of a tensor that is divided by, in 1/256
F2_SIZE_MAX: Final = 20000  # largest expected size, in 1/256
F2_GAP_MAX: Final = 4096  # gaps between scales up to here are expected again
F2_NUMBER_BITS: Final = 9  # contexts for the length of a number, beside one for its second bit


class Operation(IntEnum):
    COPY = 0
    EDIT = 1
    INSERT = 2
    REPEAT = 3
    SEEK = 4
    TENSOR = 5
    RANGE = 6
    WORDS = 7


class ElementType(IntEnum):
    I8 = 0
    U8 = 1
    I16 = 2
    I32 = 3
    I64 = 4
    F32 = 5
    F16 = 6
    SCALE = 7


class Mode(IntEnum):
    """How the elements of a tensor are predicted."""

    PLAIN = 0
    SCALED = 1
    GAINED = 2
    NEW = 3


class RangePart(IntEnum):
    """Bits of a range's `parts`, by number."""

    CHANGED = 0
    PRODUCT = 1
    LIMITS = 2


class Number(IntEnum):
    COPY = 0
    COPY_1 = 1
    COPY_2 = 2
    EDIT = 3
    INSERT = 4
    REPEAT = 5
    SEEK = 6
    COUNT = 7
    D = 8
    D_1 = 9
    D_2 = 10
    AT = 11
    AT_1 = 12
    AT_2 = 13
    WORDS = 14
    GAIN = 15
    ESCAPE = 16


class Plan(IntEnum):
    """Offsets of the contexts for what is not data."""

    NUMBER = 0
    OP = 170
    TYPE = 234
    MODE = 242
    SLOT = 250
    PARTS = 258
    ODD = 266
    HIGH = 278
    BY_CHANNEL = 279
    RENEWED = 280
    D = 281
    E = 287
    COUNT = 289
    WORDS = 290
    TREND = 291


F2_PLAN_CONTEXTS: Final = 311
F2_ELEMENT_BYTES_TABLE: Final = (
    1, 1, 2, 4, 8, 4, 2, 4,
)
F2_SCALES_TABLE: Final = (
    8, 20, 41, 69, 102, 154, 256, 461, 819,
)
F2_RATES_TABLE: Final = (
    40960, 25206, 18204, 14247, 11703, 9930, 8623, 7282, 5958, 5041, 4369, 3641, 3121, 2731,
    2341, 2048,
)
F2_START_COUNTS_TABLE: Final = (
    0, 1, 2, 3, 4, 5, 7, 8,
)
F2_PLAN_START_TABLE: Final = (
    78, 223, 233, 218, 218, 242, 241, 233, 204, 207, 34, 80, 248, 129, 249, 248, 248, 208,
    119, 41, 103, 117, 155, 101, 175, 154, 204, 180, 153, 156, 39, 61, 118, 76, 47, 167, 44,
    9, 120, 120, 81, 211, 177, 58, 116, 128, 80, 95, 120, 151, 11, 248, 248, 33, 111, 0, 128,
    128, 128, 128, 127, 248, 251, 247, 196, 238, 227, 223, 229, 167, 79, 218, 207, 248, 151,
    103, 96, 16, 82, 120, 80, 144, 184, 251, 215, 64, 160, 58, 100, 123, 148, 151, 108, 249,
    152, 248, 0, 120, 128, 128, 32, 239, 248, 248, 88, 104, 224, 80, 104, 63, 127, 244, 252,
    255, 247, 241, 223, 239, 239, 175, 192, 195, 242, 245, 183, 252, 40, 192, 210, 183, 71,
    236, 248, 242, 248, 255, 248, 244, 228, 143, 9, 248, 248, 248, 238, 233, 232, 24, 128,
    122, 111, 105, 248, 247, 160, 136, 145, 83, 23, 0, 111, 239, 207, 197, 107, 95, 75, 0,
    128, 128, 128, 131, 15, 66, 72, 67, 216, 199, 128, 39, 7, 0, 0, 39, 0, 128, 128, 124, 18,
    0, 35, 248, 0, 128, 128, 25, 64, 0, 144, 17, 0, 128, 128, 1, 0, 48, 5, 128, 248, 248,
    128, 51, 0, 252, 0, 73, 0, 0, 128, 10, 0, 208, 8, 8, 0, 0, 128, 2, 0, 176, 0, 1, 120, 0,
    128, 80, 218, 0, 0, 248, 248, 0, 128, 0, 48, 128, 128, 24, 208, 112, 128, 1, 3, 0, 15,
    111, 9, 128, 128, 0, 248, 192, 248, 200, 136, 248, 128, 17, 11, 155, 128, 0, 0, 128, 128,
    210, 65, 229, 0, 18, 189, 94, 32, 127, 3, 0, 97, 4, 0, 193, 7, 50, 100, 103, 111, 95,
    119, 110, 127, 143, 151, 127, 151, 170, 191, 207, 73, 103, 127, 143, 191,
)
F2_TOP_START_TABLE: Final = (
    120, 87, 151, 111, 120, 135, 130, 135, 120, 103, 111, 111, 120, 95, 95, 151,
)
F2_LEVELS_TABLE: Final = (
    25, 80, 200, 500, 2000,
)
F2_STRETCH_TABLE: Final = (
    4, 12, 20, 28, 36, 44, 52, 60, 68, 77, 85, 93, 101, 110, 118, 127, 135, 144, 152, 161,
    170, 179, 188, 197, 207, 216, 226, 235, 245, 255, 265, 276, 287, 298, 309, 320, 332, 344,
    356, 369, 382, 396, 410, 424, 439, 455, 472, 489, 507, 527, 547, 569, 593, 618, 646, 677,
    711, 750, 794, 848, 914, 1002, 1135, 1419,
)
F2_SQUASH_TABLE: Final = (
    1, 2, 4, 6, 10, 17, 27, 45, 74, 120, 194, 311, 488, 747, 1102, 1546, 2048, 2550, 2994,
    3349, 3608, 3785, 3902, 3976, 4022, 4051, 4069, 4079, 4086, 4090, 4092, 4094, 4095,
)

ACCEPT_UNGUARDED: Final = 0x0001  # patches that lack guardrail TLVs are taken
ACCEPT_NO_DIGEST: Final = 0x0002  # patches without digests (digest kind NONE) are taken
ACCEPT_KERNELS_WARNED: Final = 0x0004  # models proven on other kernels are taken, with a warning
ACCEPT_KERNELS: Final = 0x0008  # models proven on other kernels are taken
ACCEPT_QUANTISATION: Final = 0x0010  # scales and zero points of in and out tensors are free: the application reads them from the tensors
COMPARE_NAMES: Final = 0x0020  # names of in and out tensors are compared too
ANTI_ROLLBACK: Final = 0x0040  # a model that is confirmed shuts out all lower versions, whatever its `VERSION_FLOOR`

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


class SignatureKind(IntEnum):
    ED25519 = 1
    ECDSA_P256 = 2
    HMAC_SHA256 = 3
    AES_CMAC = 4


SIGNATURE_SIZE: Final[dict[int, int]] = {
    SignatureKind.ED25519: 64,
    SignatureKind.ECDSA_P256: 64,
    SignatureKind.HMAC_SHA256: 32,
    SignatureKind.AES_CMAC: 16,
}
# Bytes of a public key; 0: the key is a secret of the device.
SIGNATURE_KEY_SIZE: Final[dict[int, int]] = {
    SignatureKind.ED25519: 32,
    SignatureKind.ECDSA_P256: 64,
    SignatureKind.HMAC_SHA256: 0,
    SignatureKind.AES_CMAC: 0,
}
SIGNED_INFO: Final = b"tinymldelta signed patch 1"  # what is signed begins with this text


class AgreementKind(IntEnum):
    X25519 = 1
    ECDH_P256 = 2


AGREEMENT_KEY_SIZE: Final[dict[int, int]] = {
    AgreementKind.X25519: 32,
    AgreementKind.ECDH_P256: 64,
}
SEALED_FIRST: Final = 3
SEALED_KEY_BYTES: Final = 16
SEALED_CHUNK_BYTES: Final = 256
SEALED_TAG_BYTES: Final = 8
SEALED_INFO: Final = b"tinymldelta sealed patch 1"


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

F2_SIGNER: Final[dict[str, Field]] = {
    "kind": Field(0, 1),
    "key": Field(1, 4),
    "body_crc": Field(5, 4),
}
F2_SIGNER_SIZE: Final = 9

RECORD: Final[dict[str, Field]] = {
    "magic": Field(0, 2),
    "version": Field(2, 1),
    "active": Field(3, 1),
    "sequence": Field(4, 4),
    "floor": Field(8, 4),
    "updates": Field(12, 4),
    "erases": Field(16, 4),
    "slot0": Field(20, 52),
    "slot1": Field(72, 52),
    "crc": Field(124, 4),
}
RECORD_SIZE: Final = 128

ENTRY: Final[dict[str, Field]] = {
    "bytes": Field(0, 4),
    "sha256": Field(4, 16),
    "arena": Field(20, 4),
    "abi": Field(24, 4),
    "opset": Field(28, 4),
    "io": Field(32, 4),
    "version": Field(36, 4),
    "floor": Field(40, 4),
    "model_bytes": Field(44, 4),
    "present": Field(48, 1),
    "state": Field(49, 1),
    "starts": Field(50, 1),
    "meta_bytes": Field(51, 1),
}
ENTRY_SIZE: Final = 52

STAGING: Final[dict[str, Field]] = {
    "magic": Field(0, 4),
    "patch_bytes": Field(4, 4),
    "patch_id": Field(8, 4),
    "updates": Field(12, 4),
}
STAGING_SIZE: Final = 16

SELF_TEST: Final[dict[str, Field]] = {
    "vectors_n": Field(0, 2),
    "type": Field(2, 1),
    "reserved": Field(3, 1),
    "input_bytes": Field(4, 4),
    "output_bytes": Field(8, 4),
    "tolerance": Field(12, 4),
}
SELF_TEST_SIZE: Final = 16

ACCURACY: Final[dict[str, Field]] = {
    "metric": Field(0, 1),
    "interpreter": Field(1, 1),
    "samples": Field(2, 4),
    "base": Field(6, 4),
    "target": Field(10, 4),
    "data": Field(14, 4),
}
ACCURACY_SIZE: Final = 18


class Tlv(IntEnum):
    REQ_ARENA_BYTES = 0x01
    TFLM_ABI = 0x02
    OPSET_HASH = 0x03
    IO_HASH = 0x04
    MODEL_VERSION = 0x05
    VERSION_FLOOR = 0x06
    SELF_TEST = 0x07
    KERNELS = 0x08
    TENSORS = 0x09
    QUANTISATION = 0x0a
    TENSOR_NAMES = 0x0b
    MODEL_NAME = 0x0c
    OPERATORS = 0x0d
    NOTE = 0x0e
    LABELS = 0x0f
    ACCURACY = 0x10
    DEVICE_CLASS = 0x11
    DOWNGRADE = 0x12


class TlvText(NamedTuple):
    """`least` to `most`: lengths of the value in bytes. `number`: it is little-endian, unsigned."""

    least: int
    most: int
    number: bool
    formats: tuple[int, ...]
    text: str


TLVS: Final[dict[Tlv, TlvText]] = {
    Tlv.REQ_ARENA_BYTES: TlvText(
        4,
        4,
        True,
        (1, 2),
        "tensor arena that the target needs, in bytes",
    ),
    Tlv.TFLM_ABI: TlvText(
        2,
        2,
        True,
        (1,),
        "kernel build (high byte) and TFLite schema version (low byte)",
    ),
    Tlv.OPSET_HASH: TlvText(
        4,
        4,
        True,
        (1,),
        "hash of the operators that the target uses, with versions",
    ),
    Tlv.IO_HASH: TlvText(
        4,
        4,
        True,
        (1,),
        "hash of the target's input and output tensors",
    ),
    Tlv.MODEL_VERSION: TlvText(
        4,
        4,
        True,
        (1, 2),
        "version of the target; 0 if it is missing",
    ),
    Tlv.VERSION_FLOOR: TlvText(
        4,
        4,
        True,
        (1, 2),
        "lowest version that the device takes once the target is confirmed; no record ever has a lower one again",
    ),
    Tlv.SELF_TEST: TlvText(
        4,
        4,
        True,
        (1, 2),
        "where in the target its test vectors begin, which is the length of its model",
    ),
    Tlv.KERNELS: TlvText(
        4,
        4,
        True,
        (2,),
        "identity of the kernel build on which the target's accuracy was proven",
    ),
    Tlv.TENSORS: TlvText(
        4,
        4,
        True,
        (2,),
        "hash of the element types and shapes of the target's in and out tensors",
    ),
    Tlv.QUANTISATION: TlvText(
        4,
        4,
        True,
        (2,),
        "hash of their scales and zero points",
    ),
    Tlv.TENSOR_NAMES: TlvText(
        4,
        4,
        True,
        (2,),
        "hash of their names; only for firmware that compares names",
    ),
    Tlv.MODEL_NAME: TlvText(
        1,
        31,
        False,
        (2,),
        "for which of the firmware's models the patch is; ASCII",
    ),
    Tlv.OPERATORS: TlvText(
        0,
        96,
        False,
        (2,),
        "operators that the target needs, with versions and element types",
    ),
    Tlv.NOTE: TlvText(
        1,
        96,
        False,
        (2,),
        "what its makers say of the target, such as the training run; UTF-8",
    ),
    Tlv.LABELS: TlvText(
        1,
        250,
        False,
        (2,),
        "names of the target's classes, in their order, each but the last followed by a line feed; UTF-8",
    ),
    Tlv.ACCURACY: TlvText(
        18,
        18,
        False,
        (2,),
        "how base and target did on the data that the patch was gated with, as below",
    ),
    Tlv.DEVICE_CLASS: TlvText(
        4,
        4,
        False,
        (2,),
        "for which class of devices the patch is; CRC-32 of its name, as a u32",
    ),
    Tlv.DOWNGRADE: TlvText(
        4,
        4,
        False,
        (2,),
        "the target may be lower than the floor of the records, as long as that is not above this version; a u32, and only in a signed patch",
    ),
}


class Rule(IntEnum):
    NAME = 0
    ARENA = 1
    ABI = 2
    OPERATORS = 3
    IO = 4
    QUANTISATION = 5
    TENSOR_NAMES = 6
    CLASS = 7
    SLOT = 8


class RuleText(NamedTuple):
    """`text`: when it holds; `explain` takes need and have.

    tlvs: by format, what it reads of the patch; 0: the header. It does not exist in other formats.
    """

    tlvs: dict[int, int]
    compare: str
    text: str
    explain: str


RULES: Final[dict[Rule, RuleText]] = {
    Rule.NAME: RuleText(
        {2: Tlv.MODEL_NAME},
        "equal",
        "the patch is for this model",
        "made for the model {need}, this is {have}",
    ),
    Rule.ARENA: RuleText(
        {1: Tlv.REQ_ARENA_BYTES, 2: Tlv.REQ_ARENA_BYTES},
        "at_most",
        "the arena that the target needs is at most the arena of the firmware",
        "needs {need} bytes of tensor arena, firmware has {have}",
    ),
    Rule.ABI: RuleText(
        {1: Tlv.TFLM_ABI, 2: Tlv.KERNELS},
        "equal",
        "kernel build (and, in format 1, schema version) are those of the firmware",
        "proven on {need}, firmware has {have}",
    ),
    Rule.OPERATORS: RuleText(
        {1: Tlv.OPSET_HASH, 2: Tlv.OPERATORS},
        "included",
        "the firmware has linked each operator, in this version and for these element types (in format 1: they are those of the model that the firmware was built for)",
        "{need}, {have}",
    ),
    Rule.IO: RuleText(
        {1: Tlv.IO_HASH, 2: Tlv.TENSORS},
        "equal",
        "element type and shape of every in and out tensor are unchanged (in format 1: and their quantisation)",
        "in and out tensors {need:#010x}, firmware has {have:#010x}",
    ),
    Rule.QUANTISATION: RuleText(
        {2: Tlv.QUANTISATION},
        "equal",
        "scales and zero points of every in and out tensor are unchanged",
        "scales and zero points of in and out tensors {need:#010x}, firmware has {have:#010x}",
    ),
    Rule.TENSOR_NAMES: RuleText(
        {2: Tlv.TENSOR_NAMES},
        "equal",
        "names of in and out tensors are unchanged",
        "names of in and out tensors {need:#010x}, firmware has {have:#010x}",
    ),
    Rule.CLASS: RuleText(
        {2: Tlv.DEVICE_CLASS},
        "equal",
        "the patch is for this class of devices, if the firmware has one",
        "made for the device class {need:#010x}, firmware has {have:#010x}",
    ),
    Rule.SLOT: RuleText(
        {1: 0, 2: 0},
        "at_most",
        "the target, and behind it its metadata, fit the slot",
        "needs {need} bytes of a slot of {have}",
    ),
}


class Verdict(IntEnum):
    PASS = 0
    FAIL = 1
    MISSING = 2
    WAIVED = 3
    WARNED = 4
    FREE = 5


SMP_GROUP: Final = 84
SMP_RC_1: Final = 256


class SmpCommand(IntEnum):
    STATUS = 0  # read
    BEGIN = 1  # write
    DATA = 2  # write
    FINISH = 3  # write
    CONFIRM = 4  # write
    REVERT = 5  # write
    ERASE = 6  # write
    METADATA = 7  # read


class Status(IntEnum):
    OK = 0
    ARGUMENT = -1
    TRANSFER = -2
    MODEL = -3
    FLASH_READ = -10
    FLASH_WRITE = -11
    FLASH_ERASE = -12
    FLASH_VERIFY = -13
    GEOMETRY = -14
    NO_MODEL = -15
    TRIAL = -16
    BUSY = -17
    STATE = -18
    STAGING = -19
    TRUNCATED = -20
    FORMAT = -21
    HEADER = -22
    DIGEST_KIND = -23
    METADATA = -24
    TRAILING = -25
    DECODER = -26
    SIGNATURE = -27
    KEY = -28
    UNSIGNED = -29
    CRYPTO = -30
    SEAL = -31
    UNGUARDED = -40
    ARENA = -41
    ABI = -42
    OPERATORS = -43
    IO = -44
    SLOT = -45
    BASE = -46
    VERSION = -47
    REVERTED = -48
    SELF_TEST = -49
    NAME = -50
    QUANTISATION = -51
    TENSOR_NAMES = -52
    CLASS = -53
    CHUNK_ENCODING = -60
    CHUNK_ORDER = -61
    CHUNK_BOUNDS = -62
    CHUNK_CRC = -63
    GAP = -64
    BODY = -66
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
    Status.TRANSFER: StatusText(
        "no transfer is open that this belongs to",
        "begin again and go on where the device says",
    ),
    Status.MODEL: StatusText(
        "the firmware has no model of this name",
        "name one of those that the device lists",
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
    Status.TRIAL: StatusText(
        "a new model is on trial, and no update begins before it has ended",
        "confirm or revert the model first",
    ),
    Status.BUSY: StatusText(
        "the slot that would be written is open",
        "close the model that the application runs, or open the active one instead",
    ),
    Status.STATE: StatusText(
        "there is no trial to confirm or revert, or its model was not opened",
        "open the model on trial, then confirm or revert it",
    ),
    Status.STAGING: StatusText(
        "there is no staging region, or the patch does not fit it",
        "stream the patch, or give the device a larger staging region",
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
    Status.DECODER: StatusText(
        "the patch was made for another decoder than the firmware has",
        "make the patch with `tmd patch --contract` for this firmware",
    ),
    Status.SIGNATURE: StatusText(
        "the signature is not that of the patch",
        "send the patch again, as it was signed",
    ),
    Status.KEY: StatusText(
        "the patch is signed or encrypted with a key that the firmware does not have",
        "use one of the keys that the firmware's contract names",
    ),
    Status.UNSIGNED: StatusText(
        "the patch is not signed, and the firmware takes signed patches only",
        "sign the patch with `tmd patch --key` or `tmd sign`",
    ),
    Status.CRYPTO: StatusText(
        "the firmware's cryptography failed",
        "check the crypto port: its keys, its memory, its hardware",
    ),
    Status.SEAL: StatusText(
        "the encrypted patch is not as it was sent",
        "send the patch again, as it was encrypted",
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
        "the target was proven on other kernels than the firmware has",
        "make the patch against the contract of this firmware, or let it accept other kernels",
    ),
    Status.OPERATORS: StatusText(
        "the target uses an operator, version or element type that the firmware has not linked",
        "keep to the firmware's operators, or update the firmware first",
    ),
    Status.IO: StatusText(
        "the target's in or out tensors differ from those the application was built for",
        "keep their element types and shapes, or update the firmware first",
    ),
    Status.SLOT: StatusText(
        "the target and its metadata do not fit the slot",
        "use a smaller model, or a firmware with larger slots",
    ),
    Status.BASE: StatusText(
        "the patch was made for another base than the active model",
        "make the patch from the model that is on the device",
    ),
    Status.VERSION: StatusText(
        "the target's version is lower than the lowest that is accepted",
        "make the patch with a higher `--model-version`",
    ),
    Status.REVERTED: StatusText(
        "the target failed its trial on this device",
        "send another model, or let the device forget the failed one",
    ),
    Status.SELF_TEST: StatusText(
        "the model fails its test vectors, or the firmware cannot run them",
        "check model and vectors; give the store an inference callback",
    ),
    Status.NAME: StatusText(
        "the patch is for another model",
        "make the patch with `--model NAME` for the model that it is sent to",
    ),
    Status.QUANTISATION: StatusText(
        "scales or zero points of the target's in or out tensors differ from those the application was built for",
        "keep them, or let the application read them from the tensors and the contract leave them free",
    ),
    Status.TENSOR_NAMES: StatusText(
        "the target's in or out tensors have other names than those the application was built for",
        "keep the names, or let the contract not compare them",
    ),
    Status.CLASS: StatusText(
        "the patch is for another class of devices",
        "make the patch with `--device-class` or `--contract` of the devices that it is sent to",
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
    Status.BODY: StatusText(
        "the body asks for something impossible",
        "send the patch again; it was damaged on the way",
    ),
    Status.TARGET: StatusText(
        "the new model is not the one that the patch promised",
        "send the patch again; it was damaged on the way",
    ),
}
