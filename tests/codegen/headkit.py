"""Patches taken apart at their metadata, so that single TLVs can be changed. Either format."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import patchkit
from patchkit2 import head_crc
from tinymldelta.container.format2_writer import write_number
from tinymldelta.keys import Signer
from tinymldelta.wire.constants import (
    F2_BASE_DIGEST_BYTES,
    F2_CRC_BYTES,
    F2_FLAG_SAME_LENGTH,
    F2_FLAG_SIGNED,
    F2_SIGNED_TARGET_DIGEST_BYTES,
    F2_SIGNER_SIZE,
    F2_TARGET_DIGEST_BYTES,
    FORMAT_1,
    SIGNATURE_SIZE,
    SIGNED_INFO,
    TLV_VENDOR_FIRST,
)


@dataclass(frozen=True)
class HeadParts:
    """Of format 1 `before` is the header and `crc` is None; of format 2 what stands before the
    length of the metadata, and the CRC that the head came with. signature: empty without one."""

    before: bytes
    tlvs: tuple[bytes, ...]
    body: bytes
    crc: bytes | None
    signature: bytes = b""

    def join(self, *, repaired: bool, signer: Signer | None = None) -> bytes:
        """The patch again, with the length of its metadata set right; repaired: the CRC too;
        signer: signs it anew."""
        meta = b"".join(self.tlvs)
        if self.crc is None:
            place = patchkit.HEADER_FIELDS["meta_bytes"]
            return patchkit.set_number(self.before, place, len(meta)) + meta + self.body
        head = self.before + write_number(len(meta)) + meta
        crc = head_crc(head).to_bytes(F2_CRC_BYTES, "little") if repaired else self.crc
        signature = self.signature
        if signer is not None:
            signature = signer.sign(hashlib.sha256(SIGNED_INFO + head + crc).digest())
        return head + crc + signature + self.body

    def find(self, tag: int) -> bytes | None:
        """The value of a TLV."""
        return next((one[2:] for one in self.tlvs if one[0] == tag), None)

    def with_value(self, tag: int, value: bytes) -> HeadParts:
        new = patchkit.tlv(tag, value)
        return replace(self, tlvs=tuple(new if one[0] == tag else one for one in self.tlvs))

    def without(self, tag: int) -> HeadParts:
        return replace(self, tlvs=tuple(one for one in self.tlvs if one[0] != tag))

    def with_more(self, tlv: bytes) -> HeadParts:
        return replace(self, tlvs=(*self.tlvs, tlv))

    @property
    def kept(self) -> int:
        """Bytes that stay with the model, in format 2."""
        return sum(len(one) for one in self.tlvs if one[0] < TLV_VENDOR_FIRST)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of format 2, and where it ends."""
    value = shift = 0
    while data[at] > 127:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def take_head_apart(patch: bytes) -> HeadParts:
    """The parts of a patch whose head is well-formed, whatever it says."""
    if patch[0] == FORMAT_1:
        pieces = patchkit.take_apart(patch)
        body = b"".join(pieces.chunks) + pieces.rest
        return HeadParts(pieces.header, tuple(pieces.tlvs), body, None)
    at = 1
    if not patch[0] & F2_FLAG_SAME_LENGTH:
        _, at = _number(patch, at)
    _, at = _number(patch, at)
    signed = patch[0] & F2_FLAG_SIGNED
    before = at + F2_BASE_DIGEST_BYTES + F2_TARGET_DIGEST_BYTES
    signature_bytes = 0
    if signed:
        signer_at = at + F2_BASE_DIGEST_BYTES + F2_SIGNED_TARGET_DIGEST_BYTES
        before = signer_at + F2_SIGNER_SIZE
        signature_bytes = SIGNATURE_SIZE[patch[signer_at]]
    meta_bytes, at = _number(patch, before)
    crc_at, tlvs = at + meta_bytes, []
    while at < crc_at:
        tlvs.append(patch[at : at + 2 + patch[at + 1]])
        at += len(tlvs[-1])
    crc_end = crc_at + F2_CRC_BYTES
    end = crc_end + signature_bytes
    crc, signature = patch[crc_at:crc_end], patch[crc_end:end]
    return HeadParts(patch[:before], tuple(tlvs), patch[end:], crc, signature)
