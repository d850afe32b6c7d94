"""What a patch says, as frozen data, and the exception that says what is wrong with it.

Reader, writer and guardrails share these classes and nothing else.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from tinymldelta.wire.constants import (
    F1_HEADER,
    DigestKind,
    Encoding,
    Field,
    SignatureKind,
    Status,
    Tlv,
)

DIGEST_FIELD_BYTES = F1_HEADER["base_digest"].size
RUN_MAX = 256  # bytes that one pair of RLE stands for at most; its count is then written as 0


class PatchFault(Exception):  # noqa: N818 - a fault of the patch, not an error of the program
    """The first fault of a patch. `str()` is one sentence with the place and what was found.

    status: what a device would report
    at: byte offset in the patch of what was found to be wrong
    """

    def __init__(self, status: Status, at: int, found: str) -> None:
        super().__init__(f"byte {at}: {found}")
        self.status = status
        self.at = at


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a patch of format 2. key_id: 4 bytes; body_crc: CRC-32 of the body."""

    kind: SignatureKind
    key_id: bytes
    body_crc: int


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the metadata, in either format. Lengths are in bytes.

    Of format 1, both digests are the whole 32-byte field; of format 2, what the patch carries of
    them, and chunks_n is 0. signer: None if the patch is not signed.
    """

    version: int
    digest_kind: DigestKind
    chunks_n: int
    base_bytes: int
    target_bytes: int
    base_digest: bytes
    target_digest: bytes
    meta_bytes: int
    flags: int
    signer: Signer | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """The values of the TLVs; None where the patch does not carry one.

    The fields of known TLVs are their names in `Tlv` in lower case. `vendor` holds (tag, value) in
    the order of the patch.
    """

    req_arena_bytes: int | None = None
    tflm_abi: int | None = None
    opset_hash: int | None = None
    io_hash: int | None = None
    model_version: int | None = None
    version_floor: int | None = None
    self_test: int | None = None
    kernels: int | None = None
    tensors: int | None = None
    quantisation: int | None = None
    tensor_names: int | None = None
    model_name: bytes | None = None
    operators: bytes | None = None
    note: bytes | None = None
    labels: bytes | None = None
    accuracy: bytes | None = None
    device_class: bytes | None = None
    downgrade: bytes | None = None
    vendor: tuple[tuple[int, bytes], ...] = ()

    def value(self, tag: int) -> int | bytes | None:
        """The value of the known TLV `tag`, or None. ValueError if the tag is not known."""
        value: int | bytes | None = getattr(self, Tlv(tag).name.lower())
        return value

    def number(self, tag: int) -> int | None:
        """The same of a TLV whose value is a number or stands for one, as `DEVICE_CLASS` does."""
        value = self.value(tag)
        return int.from_bytes(value, "little") if isinstance(value, bytes) else value


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of the target, from `offset` on. `payload` is as it stands in the patch.

    crc: CRC-32 of the payload as the patch gives it, or None if the chunk has none
    """

    offset: int
    encoding: Encoding
    payload: bytes
    crc: int | None

    @property
    def has_crc(self) -> bool:
        return self.crc is not None

    def decode(self) -> bytes:
        """The bytes of the target that the payload stands for."""
        if self.encoding == Encoding.RAW:
            return self.payload
        decoded = bytearray()
        for count, value in zip(self.payload[::2], self.payload[1::2], strict=True):
            decoded += bytes((value,)) * run_bytes(count)
        return bytes(decoded)


@dataclass(frozen=True, slots=True)
class Patch:
    """A whole patch. chunks: of format 1; sizes: bytes by part, of which `total` is the sum.

    signature: as long as its kind has it; empty if the patch is not signed.
    """

    header: Header
    metadata: Metadata
    chunks: tuple[Chunk, ...]
    sizes: dict[str, int]
    signature: bytes = b""

    @property
    def awaits_signature(self) -> bool:
        """Whether it was made for a signature that is not in it yet: the place for it is 0."""
        return self.header.signer is not None and not any(self.signature)


def sizes_of(
    header: int, metadata: int, digests: int, body: int, signature: int = 0
) -> dict[str, int]:
    """Bytes of a patch by part, from those of each. signature: with what says who signed."""
    return {
        "header": header,
        "metadata": metadata,
        "digests": digests,
        "signature": signature,
        "body": body,
        "total": header + metadata + digests + signature + body,
    }


def pack(layout: Mapping[str, Field], values: Mapping[str, int | bytes]) -> bytes:
    """A packed little-endian layout; every field of it has a value."""
    return b"".join(
        value if isinstance(value := values[name], bytes) else value.to_bytes(field.size, "little")
        for name, field in layout.items()
    )


def run_bytes(count: int) -> int:
    """How many bytes a pair of RLE with this count (0 to 255) stands for, 1 to 256."""
    return count or RUN_MAX


def head_crc(head: bytes) -> int:
    """CRC of format 2's head: rotated by a bit, or it would cancel out of the whole patch's."""
    crc = zlib.crc32(head)
    return (crc << 1 | crc >> 31) & 0xFFFFFFFF


def digest_field(kind: DigestKind, model: bytes) -> bytes:
    """The digest of a model as it stands in the header: 32 bytes, unused ones are 0.

    ValueError for the reserved kind CMAC.
    """
    if kind == DigestKind.NONE:
        digest = b""
    elif kind == DigestKind.CRC32:
        digest = zlib.crc32(model).to_bytes(4, "little")
    elif kind == DigestKind.SHA256:
        digest = hashlib.sha256(model).digest()
    else:
        raise ValueError(f"digest kind {kind.name} is reserved")
    return digest.ljust(DIGEST_FIELD_BYTES, b"\0")
