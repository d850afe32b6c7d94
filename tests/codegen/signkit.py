"""Signed and encrypted patches: keys that any machine can play, and faults by name.

The keys are no real ones but for HMAC's, so that `tests/core/replay/replay.c` needs no library to
have them too: of every other kind, a signature is made of the same HMAC, a shared secret is a
SHA-256, and so is a block of the cipher. What the real ones make of a patch is asked elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import patchkit
from patchkit2 import (
    ACCEPTS,
    BASE,
    BODY,
    METADATA,
    TARGET,
    Fault,
    head_crc,
)
from tinymldelta.container.format2_writer import write_number, write_patch
from tinymldelta.container.metadata import write_metadata
from tinymldelta.container.patch import Metadata
from tinymldelta.keys import MacKey, primitives
from tinymldelta.wire.constants import (
    ACCEPT_UNGUARDED,
    AGREEMENT_KEY_SIZE,
    F2_BASE_DIGEST_BYTES,
    F2_CRC_BYTES,
    F2_FLAG_SIGNED,
    F2_SIGNED_TARGET_DIGEST_BYTES,
    F2_SIGNER_SIZE,
    FORMAT_2,
    SEALED_CHUNK_BYTES,
    SEALED_FIRST,
    SEALED_INFO,
    SEALED_KEY_BYTES,
    SEALED_TAG_BYTES,
    SIGNATURE_SIZE,
    SIGNED_INFO,
    AgreementKind,
    SignatureKind,
    Status,
    Tlv,
)

BLOCK = 16  # bytes of the cipher
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class PlayedKey:
    """Signs and verifies: HMAC-SHA-256, and what looks like the other kinds. secret: 32 bytes."""

    kind: SignatureKind
    id: bytes
    secret: bytes

    def sign(self, digest: bytes) -> bytes:
        mac = hmac.new(self.secret, digest, hashlib.sha256).digest()
        twice = bytearray(mac + mac)[: SIGNATURE_SIZE[self.kind]]
        if self.kind is SignatureKind.ECDSA_P256:  # r and s in their ranges
            twice[0] &= 0x3F
            twice[32] &= 0x3F
        return bytes(twice)

    def verify(self, digest: bytes, signature: bytes) -> bool:
        return self.sign(digest) == signature


@dataclass(frozen=True)
class PlayedOpener:
    """What patches are encrypted to. secret: 32 bytes."""

    kind: AgreementKind
    id: bytes
    secret: bytes

    def agree(self, peer: bytes) -> bytes | None:
        return hashlib.sha256(peer + self.secret).digest() if any(peer) else None


def _played_ctr(key: bytes, data: bytes) -> bytes:
    blocks = -(-len(data) // BLOCK)
    stream = b"".join(
        hashlib.sha256(key + count.to_bytes(BLOCK, "big")).digest()[:BLOCK]
        for count in range(blocks)
    )
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))


@contextmanager
def played_cipher() -> Iterator[None]:
    """Within, `tinymldelta.keys` encrypts as replay.c does."""
    # By hand: mock.patch looks the name up each time, a tenth of what a differential case took.
    real, primitives.aes_ctr = primitives.aes_ctr, _played_ctr
    try:
        yield
    finally:
        primitives.aes_ctr = real


def seal_to(patch: bytes, to: PlayedOpener, peer: bytes, length: int | None = None) -> bytes:
    """The patch in an envelope, from the sender's public key `peer`; by SPEC.md.

    length: what the envelope says of it, if it lies.
    """
    said = len(patch) if length is None else length
    head = bytes((SEALED_FIRST | to.kind << 4,)) + to.id + said.to_bytes(4, "little") + peer
    shared = to.agree(peer) or bytes(32)
    extracted = hmac.new(bytes(32), shared, hashlib.sha256).digest()
    keys = hmac.new(extracted, SEALED_INFO + head + b"\x01", hashlib.sha256).digest()
    cipher, of_tags = keys[:SEALED_KEY_BYTES], keys[SEALED_KEY_BYTES:]
    encrypted, chunks = _played_ctr(cipher, patch), b""
    for number, at in enumerate(range(0, len(encrypted), SEALED_CHUNK_BYTES)):
        chunk = encrypted[at : at + SEALED_CHUNK_BYTES]
        mac = hmac.new(of_tags, number.to_bytes(4, "little") + chunk, hashlib.sha256)
        chunks += chunk + mac.digest()[:SEALED_TAG_BYTES]
    return head + chunks


def sign_with(patch: bytes, key: PlayedKey | MacKey, body_bytes: int) -> bytes:
    """The signature put into its place, in front of the body; by SPEC.md."""
    end = len(patch) - body_bytes
    at = end - SIGNATURE_SIZE[key.kind]
    digest = hashlib.sha256(SIGNED_INFO + patch[:at]).digest()
    return patch[:at] + key.sign(digest) + patch[end:]


KEYS = tuple(
    PlayedKey(kind, bytes((kind, 0x11, 0x22, 0x33)), bytes((kind,)) * 32) for kind in SignatureKind
)
OPENERS = tuple(
    PlayedOpener(kind, bytes((0x99, kind, 0, 1)), bytes((0x40 + kind,)) * 32)
    for kind in AgreementKind
)
STRANGER = PlayedKey(SignatureKind.HMAC_SHA256, bytes((9, 9, 9, 9)), bytes(32))
CLASS = 0x1234ABCD
SIGNED_METADATA = replace(
    METADATA, device_class=CLASS.to_bytes(4, "little"), downgrade=(7).to_bytes(4, "little")
)
LONG_METADATA = replace(SIGNED_METADATA, vendor=((200, bytes(250)), (201, bytes(250))))
SIGNED_ACCEPTS = replace(
    ACCEPTS,
    keys={(key.kind, key.id): key for key in KEYS},
    sealed_keys=OPENERS,
    device_class=CLASS,
)
CLASS_ACCEPTS = replace(ACCEPTS, device_class=CLASS)


def signed_patch(
    key: PlayedKey = KEYS[2],
    metadata: Metadata = SIGNED_METADATA,
    body: bytes = BODY,
    target: bytes = TARGET,
) -> bytes:
    patch = write_patch(
        BASE, target, metadata=metadata, lean=False, body=body, signer=(key.kind, key.id)
    )
    return sign_with(patch, key, len(body))


def peer_of(opener: PlayedOpener) -> bytes:
    return bytes(range(1, AGREEMENT_KEY_SIZE[opener.kind] + 1))


GOOD_SIGNED = {key.kind: signed_patch(key) for key in KEYS}
GOOD_SEALED = {opener.kind: seal_to(signed_patch(), opener, peer_of(opener)) for opener in OPENERS}


def _pack(key: PlayedKey = KEYS[2], **changes: Any) -> bytes:
    """A signed patch with other parts; CRC and signature are right, as far as they are not given.

    kind, key_id, body_crc: of the signer; tlvs; crc; signature; body; digests
    """
    tlvs = changes.get("tlvs", write_metadata(SIGNED_METADATA, FORMAT_2))
    body = changes.get("body", BODY)
    base_digest = hashlib.sha256(BASE).digest()[:F2_BASE_DIGEST_BYTES]
    target_digest = hashlib.sha256(TARGET).digest()
    head = b"".join(
        (
            bytes((FORMAT_2 | F2_FLAG_SIGNED,)),
            write_number(len(TARGET)),
            write_number(len(BASE)),
            changes.get("digests", base_digest + target_digest),
            bytes((changes.get("kind", key.kind),)),
            changes.get("key_id", key.id),
            changes.get("body_crc", zlib.crc32(body)).to_bytes(4, "little"),
            write_number(len(tlvs)),
            tlvs,
        )
    )
    head += changes.get("crc", head_crc(head)).to_bytes(F2_CRC_BYTES, "little")
    signature = key.sign(hashlib.sha256(SIGNED_INFO + head).digest())
    return head + changes.get("signature", signature) + body


SIGNER_AT = 1 + 2 + 2 + F2_BASE_DIGEST_BYTES + F2_SIGNED_TARGET_DIGEST_BYTES


def _flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


def _who_signs() -> list[Fault]:
    """Step 2 and the signer."""
    old = patchkit.sound(BASE, TARGET).pack()
    only_2 = replace(SIGNED_ACCEPTS, formats=frozenset({FORMAT_2}))
    unsigned = write_patch(BASE, TARGET, metadata=METADATA, lean=False, body=BODY)
    good = signed_patch()
    faults = [
        Fault("unsigned", unsigned, Status.UNSIGNED, SIGNED_ACCEPTS),
        Fault("unsigned, cut off after a byte", unsigned[:1], Status.UNSIGNED, SIGNED_ACCEPTS),
        Fault("of format 1", old, Status.UNSIGNED, SIGNED_ACCEPTS),
        Fault("of format 1 where that is not taken", old, Status.FORMAT, only_2),
        Fault("signed, without keys", good, Status.KEY, CLASS_ACCEPTS),
        Fault("signed, cut off after a byte, without keys", good[:1], Status.KEY, ACCEPTS),
        Fault("signed by a stranger", signed_patch(STRANGER), Status.KEY, SIGNED_ACCEPTS),
        Fault(
            "a signer that is cut off",
            _pack(key_id=bytes(4))[: SIGNER_AT + F2_SIGNER_SIZE - 1],
            Status.TRUNCATED,
            SIGNED_ACCEPTS,
        ),
        Fault(
            "a signer that is unknown, and nothing behind",
            _pack(key_id=bytes(4))[: SIGNER_AT + F2_SIGNER_SIZE],
            Status.KEY,
            SIGNED_ACCEPTS,
        ),
    ]
    faults += [
        Fault(f"signed by a key of kind {kind}", _pack(kind=kind), Status.KEY, SIGNED_ACCEPTS)
        for kind in (0, 1, 2, 4, 5, 255)
    ]
    faults += [
        Fault(f"byte {at} of the key's id", _pack(key_id=_flipped(KEYS[2].id, at)), Status.KEY,
              SIGNED_ACCEPTS)
        for at in range(4)
    ]  # fmt: skip
    return faults


def _signatures() -> list[Fault]:
    faults = []
    for key in KEYS:
        good, size = GOOD_SIGNED[key.kind], SIGNATURE_SIZE[key.kind]
        at = len(good) - len(BODY) - size
        for place in (0, size // 2, size - 1):
            for bit in (0, 7):
                name = f"bit {bit} of byte {place} of the signature, {key.kind.name}"
                patch = _flipped(good, at + place, bit)
                faults.append(Fault(name, patch, Status.SIGNATURE, SIGNED_ACCEPTS))
        zero = _pack(key, signature=bytes(size))
        faults.append(
            Fault(f"not signed yet, {key.kind.name}", zero, Status.SIGNATURE, SIGNED_ACCEPTS)
        )
    other = replace(KEYS[2], secret=bytes(32))
    small = replace(SIGNED_ACCEPTS, arena_bytes=1)
    digests = bytes(F2_BASE_DIGEST_BYTES + F2_SIGNED_TARGET_DIGEST_BYTES)
    good = GOOD_SIGNED[SignatureKind.HMAC_SHA256]
    wrong_crc = head_crc(good) ^ 1
    faults += [
        Fault("signed with another secret", _pack(other), Status.SIGNATURE, SIGNED_ACCEPTS),
        Fault("signed with another secret, too large", _pack(other), Status.SIGNATURE, small),
        Fault("too large", _pack(), Status.ARENA, small),
        Fault("for another base", _pack(digests=digests), Status.BASE, SIGNED_ACCEPTS),
        Fault(
            "for another base, signed with another secret",
            _pack(other, digests=digests),
            Status.SIGNATURE,
            SIGNED_ACCEPTS,
        ),
        Fault("a wrong CRC of the head", _pack(crc=wrong_crc), Status.METADATA, SIGNED_ACCEPTS),
        Fault(
            "a wrong CRC of the head, signed with another secret",
            _pack(other, crc=wrong_crc),
            Status.METADATA,
            SIGNED_ACCEPTS,
        ),
        Fault("a wrong CRC of the body", _pack(body_crc=0), Status.BODY, SIGNED_ACCEPTS),
        Fault(
            "another target",
            _pack(digests=hashlib.sha256(BASE).digest()[:8] + bytes(32)),
            Status.TARGET,
            SIGNED_ACCEPTS,
        ),
        Fault(
            "the last byte of the target's digest",
            _pack(
                digests=hashlib.sha256(BASE).digest()[:8]
                + _flipped(hashlib.sha256(TARGET).digest(), 31)
            ),
            Status.TARGET,
            SIGNED_ACCEPTS,
        ),
        # The decoder takes such a byte for one of those that it reads behind the end.
        Fault("a byte 0 behind the body", good + b"\0", Status.BODY, SIGNED_ACCEPTS),
        Fault("bytes behind the body", good + b"behind", Status.TRAILING, SIGNED_ACCEPTS),
    ]
    return faults


def _out_of_range() -> list[Fault]:
    """ECDSA's r and s that no signer writes."""
    key = KEYS[1]
    at = len(GOOD_SIGNED[key.kind]) - len(BODY)
    right = GOOD_SIGNED[key.kind][at - 64 : at]
    r, s = right[:32], right[32:]
    numbers = {
        "r = 0": (bytes(32), s),
        "r = n": (P256_ORDER.to_bytes(32, "big"), s),
        "r of 256 ones": (b"\xff" * 32, s),
        "s = 0": (r, bytes(32)),
        "s = n / 2 + 1": (r, (P256_ORDER // 2 + 1).to_bytes(32, "big")),
        "s in the upper half": (r, (P256_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")),
        "s = n": (r, P256_ORDER.to_bytes(32, "big")),
    }
    return [
        Fault(name, _pack(key, signature=r_ + s_), Status.SIGNATURE, SIGNED_ACCEPTS)
        for name, (r_, s_) in numbers.items()
    ]


def _tlvs() -> list[Fault]:
    """Class and downgrade."""
    none = replace(SIGNED_METADATA, device_class=None)
    other = replace(SIGNED_METADATA, device_class=b"\0\0\0\0")
    waiving = replace(SIGNED_ACCEPTS, flags=ACCEPT_UNGUARDED)
    unsigned = {
        name: write_patch(BASE, TARGET, metadata=metadata, lean=False, body=BODY)
        for name, metadata in (
            ("none", METADATA),
            ("right", replace(METADATA, device_class=SIGNED_METADATA.device_class)),
            ("other", replace(METADATA, device_class=b"\xcd\xab\x34\x13")),
        )
    }
    tlvs = write_metadata(METADATA, FORMAT_2)
    downgrade = bytes((Tlv.DOWNGRADE, 4, 0, 0, 0, 0))
    return [
        Fault("for no class", signed_patch(metadata=none), Status.UNGUARDED, SIGNED_ACCEPTS),
        Fault("for class 0", signed_patch(metadata=other), Status.CLASS, SIGNED_ACCEPTS),
        Fault("for class 0, waived", signed_patch(metadata=other), Status.CLASS, waiving),
        Fault("for another class", unsigned["other"], Status.CLASS, CLASS_ACCEPTS),
        Fault("for no class, unsigned", unsigned["none"], Status.UNGUARDED, CLASS_ACCEPTS),
        Fault("for a class, and there is none", unsigned["right"], Status.CLASS, ACCEPTS),
        Fault("a downgrade that nobody signed", repacked(tlvs + downgrade), Status.METADATA,
              ACCEPTS),
        Fault("a downgrade of 3 bytes", _pack(tlvs=tlvs + downgrade[:1] + b"\3abc"),
              Status.METADATA, SIGNED_ACCEPTS),
        Fault("a downgrade twice", _pack(tlvs=tlvs + 2 * downgrade), Status.METADATA,
              SIGNED_ACCEPTS),
        Fault("a tag behind the last", _pack(tlvs=tlvs + b"\x13\0"), Status.METADATA,
              SIGNED_ACCEPTS),
    ]  # fmt: skip


def repacked(tlvs: bytes) -> bytes:
    """An unsigned patch with these TLVs."""
    head = b"".join(
        (
            bytes((FORMAT_2,)),
            write_number(len(TARGET)),
            write_number(len(BASE)),
            hashlib.sha256(BASE).digest()[:F2_BASE_DIGEST_BYTES],
            hashlib.sha256(TARGET).digest()[:16],
            write_number(len(tlvs)),
            tlvs,
        )
    )
    return head + head_crc(head).to_bytes(F2_CRC_BYTES, "little") + BODY


def _envelopes() -> list[Fault]:
    opener, good = OPENERS[0], GOOD_SEALED[OPENERS[0].kind]
    peer = peer_of(opener)
    inside, chunks_at = signed_patch(), 9 + len(peer)
    whole = SEALED_CHUNK_BYTES + SEALED_TAG_BYTES
    unsigned = write_patch(BASE, TARGET, metadata=METADATA, lean=False, body=BODY)
    old = patchkit.sound(BASE, TARGET).pack()
    long = seal_to(signed_patch(metadata=LONG_METADATA), opener, peer)
    swapped = (
        long[:chunks_at]
        + long[chunks_at + whole : chunks_at + 2 * whole]
        + long[chunks_at : chunks_at + whole]
        + long[chunks_at + 2 * whole :]
    )
    patches: dict[str, tuple[bytes, Status]] = {
        "an envelope in an envelope": (seal_to(good, opener, peer), Status.FORMAT),
        "a sender whose key is none": (seal_to(inside, opener, bytes(32)), Status.HEADER),
        "an envelope of 0 bytes": (seal_to(b"", opener, peer), Status.HEADER),
        "another kind of agreement": (_flipped(good, 0, 4 + 1), Status.FORMAT),
        "unsigned in an envelope": (seal_to(unsigned, opener, peer), Status.UNSIGNED),
        "of format 1 in an envelope": (seal_to(old, opener, peer), Status.UNSIGNED),
        "of another signer in an envelope": (
            seal_to(signed_patch(STRANGER), opener, peer),
            Status.KEY,
        ),
        "a wrong signature in an envelope": (
            seal_to(_flipped(inside, len(inside) - len(BODY) - 1), opener, peer),
            Status.SIGNATURE,
        ),
        "a patch in an envelope that is cut off": (seal_to(inside[:-9], opener, peer),
                                                   Status.TRUNCATED),
        "to a stranger, cut off behind the id": (good[:1] + bytes(4), Status.KEY),
        "an envelope with a byte more": (good + b"\0", Status.TRAILING),
        "an envelope with more behind": (good + b"behind", Status.TRAILING),
        "a bit of the first byte in it": (_flipped(good, chunks_at, 2), Status.SEAL),
        "a bit of the last byte in it": (_flipped(good, len(good) - 9), Status.SEAL),
        "a bit of the first tag": (_flipped(long, chunks_at + SEALED_CHUNK_BYTES), Status.SEAL),
        "a bit of the last tag": (_flipped(good, len(good) - 1, 7), Status.SEAL),
        "two chunks that changed places": (swapped, Status.SEAL),
        "a chunk that is missing": (long[:chunks_at] + long[chunks_at + whole :], Status.SEAL),
        "a length that is another": (_flipped(good, 5), Status.SEAL),
        "a length that was made too long": (
            seal_to(inside, opener, peer, len(inside) + 1),
            Status.TRUNCATED,
        ),
        "a sender that is another": (_flipped(good, 9), Status.SEAL),
    }  # fmt: skip
    faults = [Fault(name, patch, said, SIGNED_ACCEPTS) for name, (patch, said) in patches.items()]
    faults += [
        Fault(f"an envelope of kind {kind}", bytes((SEALED_FIRST | kind << 4,)) + good[1:],
              Status.FORMAT, SIGNED_ACCEPTS)
        for kind in (0, 3, 15)
    ]  # fmt: skip
    faults += [
        Fault("an envelope without keys for it", good, Status.FORMAT,
              replace(SIGNED_ACCEPTS, sealed_keys=())),
        Fault("an envelope without keys", good, Status.FORMAT, ACCEPTS),
        Fault("an envelope without keys to verify", good, Status.FORMAT,
              replace(SIGNED_ACCEPTS, keys={})),
    ]  # fmt: skip
    faults += [
        Fault(f"byte {at} of the recipient's id", _flipped(good, at), Status.KEY, SIGNED_ACCEPTS)
        for at in range(1, 5)
    ]
    faults += [
        Fault(
            f"an envelope cut off after {size} bytes", good[:size], Status.TRUNCATED, SIGNED_ACCEPTS
        )
        for size in range(1, len(good))
    ]
    faults += [
        Fault(f"a long envelope cut off after {size} bytes", long[:size], Status.TRUNCATED,
              SIGNED_ACCEPTS)
        for n in (1, 2)
        for size in range(chunks_at + n * whole - 10, chunks_at + n * whole + 3)
    ]  # fmt: skip
    return faults


def _cut_off() -> list[Fault]:
    return [
        Fault(f"{kind.name} cut off after {size} bytes", good[:size], Status.TRUNCATED,
              SIGNED_ACCEPTS)
        for kind, good in GOOD_SIGNED.items()
        for size in range(len(good) - len(BODY))
    ]  # fmt: skip


SIGNED_FAULTS = [
    *_who_signs(),
    *_signatures(),
    *_out_of_range(),
    *_tlvs(),
    *_envelopes(),
    *_cut_off(),
]
