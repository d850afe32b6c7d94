"""Patches of format 1 for tests: laid out by hand, made at random, broken on purpose.

Nothing here comes from the package's reader or writer, or from its constants for the layout: the
bytes are packed from the tables of SPEC.md, as the first TinyMLDelta's patchgen packed them. So a
mistake in the package does not hide itself here.

    PatchParts            a patch as parts that can be changed one by one, true or not
    NAMED_FAULTS          faults that were seen in the field, with the status that each must get
    random_case(rng)      a valid patch, with its base, contract and target
    mutate(rng, patch)    the same patch after a broken or hostile sender
"""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tinymldelta.container.accepts import Accepts
from tinymldelta.wire.constants import Decoder, Status

# ---------------------------------------------------------------- the byte tables, by hand

HEADER = "<BBHII32s32sHH"
HEADER_BYTES = 80
CHUNK = "<IHBB"
CHUNK_BYTES = 8

NONE, CRC32, SHA256, CMAC = 0, 1, 2, 3
RAW, RLE = 0, 1
REQ_ARENA_BYTES, TFLM_ABI, OPSET_HASH, IO_HASH = 1, 2, 3, 4
MODEL_VERSION, VERSION_FLOOR, SELF_TEST = 5, 6, 7
GUARDED = {REQ_ARENA_BYTES, TFLM_ABI, OPSET_HASH, IO_HASH}  # the tags that guardrails need
ACCEPT_UNGUARDED, ACCEPT_NO_DIGEST = 1, 2
META_MAX = 1024

# name: (offset, bytes)
HEADER_FIELDS = {
    "version": (0, 1),
    "digest_kind": (1, 1),
    "chunks_n": (2, 2),
    "base_bytes": (4, 4),
    "target_bytes": (8, 4),
    "base_digest": (12, 32),
    "target_digest": (44, 32),
    "meta_bytes": (76, 2),
    "flags": (78, 2),
}
CHUNK_FIELDS = {
    "offset": (0, 4),
    "payload_bytes": (4, 2),
    "encoding": (6, 1),
    "has_crc": (7, 1),
}
TLV_VALUE = {tag: "<H" if tag == TFLM_ABI else "<I" for tag in range(1, 8)}


def digest(kind: int, model: bytes) -> bytes:
    """The 32 bytes of a digest field. A kind that does not exist gives zeros."""
    if kind == CRC32:
        return struct.pack("<I28x", zlib.crc32(model))
    if kind == SHA256:
        return hashlib.sha256(model).digest()
    return bytes(32)


def tlv(tag: int, value: bytes) -> bytes:
    return struct.pack("<BB", tag, len(value)) + value


def known_tlv(tag: int, value: int) -> bytes:
    return tlv(tag, struct.pack(TLV_VALUE[tag], value))


def chunk(
    offset: int,
    payload: bytes,
    *,
    encoding: int = RAW,
    has_crc: int = 1,
    crc: int | None = None,
    payload_bytes: int | None = None,
) -> bytes:
    """A chunk. A CRC is laid down if `has_crc` is not 0: the right one, unless `crc` is given."""
    length = len(payload) if payload_bytes is None else payload_bytes
    head = struct.pack(CHUNK, offset, length, encoding, has_crc)
    if has_crc:
        head += struct.pack("<I", zlib.crc32(payload) if crc is None else crc)
    return head + payload


def rle(data: bytes) -> bytes:
    """Runs as pairs of count and byte, each as long as it can be."""
    out = bytearray()
    at = 0
    while at < len(data):
        run = 1
        while run < 256 and data[at + run : at + run + 1] == data[at : at + 1]:
            run += 1
        out += bytes((run % 256, data[at]))
        at += run
    return bytes(out)


@dataclass(frozen=True)
class PatchParts:
    """A patch in parts. `None` in a header field means: as it should be. `rest` stands behind."""

    base: bytes
    target: bytes
    tlvs: tuple[bytes, ...] = ()
    chunks: tuple[bytes, ...] = ()
    rest: bytes = b""
    version: int = 1
    digest_kind: int = SHA256
    flags: int = 0
    chunks_n: int | None = None
    base_bytes: int | None = None
    target_bytes: int | None = None
    base_digest: bytes | None = None
    target_digest: bytes | None = None
    meta_bytes: int | None = None

    def pack(self) -> bytes:
        meta = b"".join(self.tlvs)
        header = struct.pack(
            HEADER,
            self.version,
            self.digest_kind,
            _or(self.chunks_n, len(self.chunks)),
            _or(self.base_bytes, len(self.base)),
            _or(self.target_bytes, len(self.target)),
            digest(self.digest_kind, self.base) if self.base_digest is None else self.base_digest,
            digest(self.digest_kind, self.target)
            if self.target_digest is None
            else self.target_digest,
            _or(self.meta_bytes, len(meta)),
            self.flags,
        )
        return header + meta + b"".join(self.chunks) + self.rest


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


# ---------------------------------------------------------------- taking patches apart again


@dataclass
class Pieces:
    """Any bytes, cut where a patch would have its parts. `join` gives the same bytes again."""

    header: bytes
    tlvs: list[bytes] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    rest: bytes = b""

    def join(self) -> bytes:
        return b"".join([self.header, *self.tlvs, *self.chunks, self.rest])


def take_apart(patch: bytes) -> Pieces:
    """Cut a patch, as far as it can be followed; what cannot be followed is `rest`."""
    if len(patch) < HEADER_BYTES:
        return Pieces(b"", rest=patch)
    pieces = Pieces(patch[:HEADER_BYTES])
    chunks_n, meta_bytes = struct.unpack_from("<2xH72xH", patch)
    at = HEADER_BYTES
    meta_end = min(HEADER_BYTES + meta_bytes, len(patch))
    while at + 2 <= meta_end and at + 2 + patch[at + 1] <= meta_end:
        pieces.tlvs.append(patch[at : at + 2 + patch[at + 1]])
        at += len(pieces.tlvs[-1])
    if at == HEADER_BYTES + meta_bytes:
        while len(pieces.chunks) < chunks_n and at + CHUNK_BYTES <= len(patch):
            payload_bytes, has_crc = struct.unpack_from("<4xHxB", patch, at)
            end = at + CHUNK_BYTES + (4 if has_crc == 1 else 0) + payload_bytes
            if end > len(patch):
                break
            pieces.chunks.append(patch[at:end])
            at = end
    pieces.rest = patch[at:]
    return pieces


def set_bytes(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def set_number(data: bytes, place: tuple[int, int], value: int) -> bytes:
    """Write a little-endian number, cut to the field's size, at (offset, bytes)."""
    at, size = place
    return set_bytes(data, at, (value % 256**size).to_bytes(size, "little"))


def get_number(data: bytes, place: tuple[int, int]) -> int:
    at, size = place
    return int.from_bytes(data[at : at + size], "little")


def repair(patch: bytes, base: bytes) -> bytes:
    """Set chunk CRCs and digests right, so that a deeper check has to find what is wrong.

    What cannot be followed stays as it is.
    """
    pieces = take_apart(patch)
    pieces.chunks = [_repair_crc(one) for one in pieces.chunks]
    if pieces.header:
        kind = get_number(pieces.header, HEADER_FIELDS["digest_kind"])
        header = set_bytes(pieces.header, 12, digest(kind, base))
        pieces.header = set_bytes(header, 44, digest(kind, _loosely_applied(pieces, base)))
    return pieces.join()


def _repair_crc(one: bytes) -> bytes:
    if get_number(one, CHUNK_FIELDS["has_crc"]) != 1:
        return one
    return set_number(one, (CHUNK_BYTES, 4), zlib.crc32(one[CHUNK_BYTES + 4 :]))


def _loosely_applied(pieces: Pieces, base: bytes) -> bytes:
    """What a reader without checks would make of a patch. Small, whatever the patch says."""
    target = bytearray()
    for one in pieces.chunks:
        offset, _, encoding, has_crc = struct.unpack_from(CHUNK, one)
        payload = one[CHUNK_BYTES + (4 if has_crc == 1 else 0) :]
        target += base[len(target) : offset]
        if encoding == RLE:
            pairs = zip(payload[::2], payload[1::2], strict=False)
            payload = b"".join(bytes((value,)) * (count or 256) for count, value in pairs)
        target += payload
    target += base[len(target) : get_number(pieces.header, HEADER_FIELDS["target_bytes"])]
    return bytes(target)


# ---------------------------------------------------------------- valid patches at random


class Case(NamedTuple):
    """`target` is what applying must give; None: the contract or the base refuses the patch."""

    base: bytes
    patch: bytes
    accepts: Accepts
    target: bytes | None


def random_bytes(rng: random.Random, size: int) -> bytes:
    """Noise, text of few letters, or runs: what RAW and what RLE is good at."""
    kind = rng.randrange(3)
    if kind == 0:
        return rng.randbytes(size)
    if kind == 1:
        return bytes(rng.choices(b"\x00\x01\xff", k=size))
    out = bytearray()
    while len(out) < size:
        out += bytes((rng.randrange(256),)) * rng.choice((1, 2, 3, 17, 255, 256, 257, 600))
    return bytes(out[:size])


def random_case(rng: random.Random) -> Case:
    """A valid patch: any sizes from 1 byte to about 4 KB, any digest, TLVs and chunks.

    One in twelve meets a contract or a base that refuses it.
    """
    base = random_bytes(rng, rng.randint(1, rng.choice((8, 300, 4096))))
    target_bytes = _random_target_size(rng, len(base))
    ranges = _random_ranges(rng, len(base), target_bytes)
    target = _random_target(rng, base, target_bytes, ranges)
    crc_choices = rng.choice(((0,), (1,), (0, 1)))  # without, with, mixed
    chunks = tuple(
        _random_chunk(rng, start, target[start:end], rng.choice(crc_choices))
        for start, end in ranges
    )
    kind = rng.choice((CRC32, SHA256, NONE)) if chunks else rng.choice((CRC32, SHA256))
    tlvs, accepts = _random_guardrails(rng, target_bytes, kind)
    patch = PatchParts(base, target, tlvs=tlvs, chunks=chunks, digest_kind=kind).pack()
    if rng.randrange(12):
        return Case(base, patch, accepts, target)
    return _refused(rng, base, patch, accepts)


def _random_target_size(rng: random.Random, base_bytes: int) -> int:
    near = base_bytes + rng.randint(-20, 20)
    return max(1, rng.choice((base_bytes, base_bytes, near, rng.randint(1, 4096))))


def _random_ranges(rng: random.Random, base_bytes: int, target_bytes: int) -> list[tuple[int, int]]:
    """Rising ranges, some of them touching; what is beyond the base is in one of them."""
    common = min(base_bytes, target_bytes)
    points = sorted(
        rng.sample(range(common + 1), k=min(common + 1, rng.choice((0, 2, 2, 4, 9, 40))))
    )
    ranges = [pair for pair in zip(points, points[1:], strict=False) if rng.randrange(2)]
    if target_bytes > base_bytes:
        # The range that crosses the end of the base begins where the last one ended, or later.
        start = rng.randint(ranges[-1][1] if ranges else 0, base_bytes)
        inner = range(start + 1, target_bytes)
        cuts = sorted(rng.sample(inner, k=min(len(inner), rng.randrange(4))))
        ranges += zip([start, *cuts], [*cuts, target_bytes], strict=True)
    return ranges


def _random_target(
    rng: random.Random, base: bytes, target_bytes: int, ranges: list[tuple[int, int]]
) -> bytes:
    target = bytearray(base[:target_bytes].ljust(target_bytes, b"\xaa"))
    for start, end in ranges:
        if rng.randrange(8):  # else: a chunk that says what the base says already
            target[start:end] = random_bytes(rng, end - start)
    return bytes(target)


def _random_chunk(rng: random.Random, offset: int, data: bytes, has_crc: int) -> bytes:
    encoding = rng.randrange(2)
    if encoding == RAW:
        return chunk(offset, data, has_crc=has_crc)
    return chunk(offset, _random_rle(rng, data), encoding=RLE, has_crc=has_crc)


def _random_rle(rng: random.Random, data: bytes) -> bytes:
    """RLE that need not be the shortest: a sender may cut runs as it likes."""
    if rng.randrange(2):
        return rle(data)
    at = 0
    out = b""
    while at < len(data):
        piece = rng.randint(1, 300)
        out += rle(data[at : at + piece])
        at += piece
    return out


def _random_guardrails(
    rng: random.Random, target_bytes: int, kind: int
) -> tuple[tuple[bytes, ...], Accepts]:
    needs = {
        REQ_ARENA_BYTES: rng.choice((0, 1, 2048, rng.getrandbits(32), 0xFFFFFFFF)),
        TFLM_ABI: rng.choice((0, 3, rng.getrandbits(16), 0xFFFF)),
        OPSET_HASH: rng.choice((0, rng.getrandbits(32))),
        IO_HASH: rng.choice((1, rng.getrandbits(32))),
    }
    present = [tag for tag in needs if rng.randrange(4)] if rng.randrange(2) else list(needs)
    vendor = [
        tlv(rng.randint(0x80, 0xFF), rng.randbytes(rng.choice((0, 1, 4, 255))))
        for _ in range(rng.choice((0, 0, 1, 3)))
    ]
    version = rng.choice((0, 0, 1, 0x01020003, 0xFFFFFFFF))
    versions = [known_tlv(MODEL_VERSION, version)] if version or rng.randrange(4) == 0 else []
    if rng.randrange(4) == 0:
        versions.append(known_tlv(VERSION_FLOOR, rng.randint(0, version)))
    tlvs = [known_tlv(tag, needs[tag]) for tag in present] + versions + vendor
    if rng.randrange(16) == 0:
        tlvs = []
        present = []
        version = 0
    rng.shuffle(tlvs)
    flags = ACCEPT_UNGUARDED if len(present) < len(needs) or rng.randrange(4) == 0 else 0
    if kind == NONE or rng.randrange(4) == 0:
        flags |= ACCEPT_NO_DIGEST
    arena = needs[REQ_ARENA_BYTES]
    accepts = Accepts(
        formats=frozenset({1}),
        decoder=Decoder.NONE,
        flags=flags,
        arena_bytes=rng.choice((arena, min(arena + 5000, 0xFFFFFFFF), 0xFFFFFFFF)),
        tflm_abi=needs[TFLM_ABI],
        opset_hash=needs[OPSET_HASH],
        io_hash=needs[IO_HASH],
        slot_bytes=rng.choice((target_bytes, target_bytes + 1, 8192)),
        lowest_version=rng.choice((0, version, version // 2)),
    )
    return tuple(tlvs), accepts


def _refused(rng: random.Random, base: bytes, patch: bytes, accepts: Accepts) -> Case:
    """The same patch where it must not be taken."""
    tlvs = {one[0]: one for one in take_apart(patch).tlvs}
    tags = set(tlvs)
    target_bytes = get_number(patch, HEADER_FIELDS["target_bytes"])
    other_length = base + b"\0"
    refusals = [
        Case(other_length, patch, accepts, None),
        Case(base, patch, replace(accepts, formats=frozenset()), None),
        Case(base, patch, replace(accepts, slot_bytes=target_bytes - 1), None),
    ]
    if patch[1] != NONE:
        other = bytearray(base)
        other[rng.randrange(len(other))] ^= 1 << rng.randrange(8)
        refusals.append(Case(bytes(other), patch, accepts, None))
    else:
        less = replace(accepts, flags=accepts.flags & ~ACCEPT_NO_DIGEST)
        refusals.append(Case(base, patch, less, None))
    version = struct.unpack("<I", tlvs[MODEL_VERSION][2:])[0] if MODEL_VERSION in tags else 0
    if version < 0xFFFFFFFF:
        newer = replace(accepts, lowest_version=rng.randint(version + 1, 0xFFFFFFFF))
        refusals.append(Case(base, patch, newer, None))
    # Where a target has no room for test vectors, and where the device does not run them.
    for at in (rng.choice((0, target_bytes, 0xFFFFFFFF)), rng.randint(0, target_bytes)):
        vectors = with_tlv(patch, known_tlv(SELF_TEST, at))
        if vectors is not None:
            refusals.append(Case(base, vectors, accepts, None))
    if not tags >= GUARDED:
        less = replace(accepts, flags=accepts.flags & ~ACCEPT_UNGUARDED)
        refusals.append(Case(base, patch, less, None))
    if IO_HASH in tags:
        refusals.append(Case(base, patch, replace(accepts, io_hash=accepts.io_hash ^ 1), None))
    if OPSET_HASH in tags:
        changed = replace(accepts, opset_hash=accepts.opset_hash ^ (1 << 31))
        refusals.append(Case(base, patch, changed, None))
    if TFLM_ABI in tags:
        refusals.append(Case(base, patch, replace(accepts, tflm_abi=accepts.tflm_abi ^ 256), None))
    if REQ_ARENA_BYTES in tags:
        need = next(
            struct.unpack("<I", one[2:])[0]
            for one in take_apart(patch).tlvs
            if one[0] == REQ_ARENA_BYTES
        )
        if need:
            refusals.append(Case(base, patch, replace(accepts, arena_bytes=need - 1), None))
    return rng.choice(refusals)


def with_tlv(patch: bytes, added: bytes) -> bytes | None:
    """The patch with one TLV more, or None if it has no room for it."""
    pieces = take_apart(patch)
    pieces.tlvs.append(added)
    meta_bytes = sum(map(len, pieces.tlvs))
    pieces.header = set_number(pieces.header, HEADER_FIELDS["meta_bytes"], meta_bytes)
    return pieces.join() if meta_bytes <= META_MAX else None


# ---------------------------------------------------------------- broken and hostile senders

_Mutation = Callable[[random.Random, bytes], bytes]

NASTY_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x400, 0x401, 0x7FFF, 0xFFFF)
NASTY_OFFSETS = (0xFFFFFFF0, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x80000001)


def mutate(rng: random.Random, patch: bytes, *, repair_for: bytes | None = None) -> bytes:
    """One to three changes, each of a kind that a broken or hostile sender makes.

    `repair_for` is a base: chunk CRCs and digests are then set right after the changes, so that
    a deeper check has to find what is wrong. Any bytes may be given as `patch`.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        patch = rng.choice(MUTATIONS)(rng, patch)
    return patch if repair_for is None else repair(patch, repair_for)


def _flip_bit(rng: random.Random, patch: bytes) -> bytes:
    if not patch:
        return patch
    at = rng.randrange(len(patch))
    return set_bytes(patch, at, bytes((patch[at] ^ 1 << rng.randrange(8),)))


def _set_byte(rng: random.Random, patch: bytes) -> bytes:
    if not patch:
        return patch
    return set_bytes(patch, rng.randrange(len(patch)), bytes((rng.choice((0, 1, 0xFF, 0x80)),)))


def _truncate(rng: random.Random, patch: bytes) -> bytes:
    return patch[: rng.randrange(len(patch) + 1)]


def _cut_a_little(rng: random.Random, patch: bytes) -> bytes:
    return patch[: max(0, len(patch) - rng.randint(1, 16))]


def _extend(rng: random.Random, patch: bytes) -> bytes:
    return patch + rng.randbytes(rng.choice((1, 2, 7, 8, 80)))


def _insert(rng: random.Random, patch: bytes) -> bytes:
    at = rng.randrange(len(patch) + 1)
    return patch[:at] + rng.randbytes(rng.randint(1, 4)) + patch[at:]


def _twice(_rng: random.Random, patch: bytes) -> bytes:
    return patch + patch


def _odd_value(rng: random.Random, old: int) -> int:
    """A value that a field should not have: next to the old one, one bit off, nasty, or any."""
    return rng.choice(
        (
            old + 1,
            old - 1,
            old ^ 1 << rng.randrange(32),
            rng.choice(NASTY_NUMBERS),
            rng.choice(NASTY_OFFSETS),
            rng.getrandbits(32),
        )
    )


def _header_field(rng: random.Random, patch: bytes) -> bytes:
    if len(patch) < HEADER_BYTES:
        return patch
    place = HEADER_FIELDS[rng.choice(list(HEADER_FIELDS))]
    return set_number(patch, place, _odd_value(rng, get_number(patch, place)))


def _digest_field(rng: random.Random, patch: bytes) -> bytes:
    """A digest zeroed, replaced, or with something in its unused bytes; the kind may change too."""
    if len(patch) < HEADER_BYTES:
        return patch
    if rng.randrange(4) == 0:
        patch = set_number(patch, HEADER_FIELDS["digest_kind"], rng.randrange(5))
    at, size = HEADER_FIELDS[rng.choice(("base_digest", "target_digest"))]
    new = rng.choice((bytes(size), rng.randbytes(size), rng.randbytes(4) + bytes(28)))
    if rng.randrange(4) == 0:
        return set_bytes(patch, at + rng.randrange(size), b"\x01")
    return set_bytes(patch, at, new)


def _on_pieces(change: Callable[[random.Random, Pieces], None]) -> _Mutation:
    """A mutation of the parts. The counts in the header are set right again half of the time."""

    def mutation(rng: random.Random, patch: bytes) -> bytes:
        pieces = take_apart(patch)
        if not pieces.header:
            return patch
        change(rng, pieces)
        if rng.randrange(2):
            meta_bytes = sum(map(len, pieces.tlvs))
            header = set_number(pieces.header, HEADER_FIELDS["meta_bytes"], meta_bytes)
            pieces.header = set_number(header, HEADER_FIELDS["chunks_n"], len(pieces.chunks))
        return pieces.join()

    return mutation


def _tlv_removed(rng: random.Random, pieces: Pieces) -> None:
    if pieces.tlvs:
        del pieces.tlvs[rng.randrange(len(pieces.tlvs))]


def _tlv_repeated(rng: random.Random, pieces: Pieces) -> None:
    if pieces.tlvs:
        pieces.tlvs.insert(rng.randrange(len(pieces.tlvs) + 1), rng.choice(pieces.tlvs))


def _tlv_added(rng: random.Random, pieces: Pieces) -> None:
    tag = rng.choice((*range(18), 0x7F, 0x80, 0xFF))
    added = tlv(tag, rng.randbytes(rng.choice((0, 1, 2, 3, 4, 5, 255))))
    pieces.tlvs.insert(rng.randrange(len(pieces.tlvs) + 1), added)


def _tlv_many(rng: random.Random, pieces: Pieces) -> None:
    """As much metadata as fits, or a little more."""
    room = META_MAX - sum(map(len, pieces.tlvs)) + rng.choice((0, 0, 1, -1))
    while room >= 2:
        value_bytes = min(255, room - 2)
        pieces.tlvs.append(tlv(0x80 + rng.randrange(128), bytes(value_bytes)))
        room -= 2 + value_bytes


def _tlv_tag(rng: random.Random, pieces: Pieces) -> None:
    if pieces.tlvs:
        index = rng.randrange(len(pieces.tlvs))
        tag = rng.choice((*range(18), 0x7F, 0x80, 0xFF))
        pieces.tlvs[index] = set_bytes(pieces.tlvs[index], 0, bytes((tag,)))


def _tlv_length(rng: random.Random, pieces: Pieces) -> None:
    """The length alone, or the value with it."""
    if not pieces.tlvs:
        return
    index = rng.randrange(len(pieces.tlvs))
    one = pieces.tlvs[index]
    if rng.randrange(2):
        length = _odd_value(rng, one[1]) % 256
        pieces.tlvs[index] = set_bytes(one, 1, bytes((length,)))
    else:
        pieces.tlvs[index] = tlv(one[0], rng.randbytes(rng.randrange(7)))


def _tlv_value(rng: random.Random, pieces: Pieces) -> None:
    if pieces.tlvs:
        index = rng.randrange(len(pieces.tlvs))
        one = pieces.tlvs[index]
        pieces.tlvs[index] = one[:2] + rng.randbytes(len(one) - 2)


def _meta_bytes(rng: random.Random, pieces: Pieces) -> None:
    place = HEADER_FIELDS["meta_bytes"]
    value = get_number(pieces.header, place) + rng.choice((-2, -1, 1, 2))
    pieces.header = set_number(pieces.header, place, value)


def _chunk_field(rng: random.Random, pieces: Pieces) -> None:
    if pieces.chunks:
        index = rng.randrange(len(pieces.chunks))
        one = pieces.chunks[index]
        place = CHUNK_FIELDS[rng.choice(list(CHUNK_FIELDS))]
        pieces.chunks[index] = set_number(one, place, _odd_value(rng, get_number(one, place)))


def _chunk_offset(rng: random.Random, pieces: Pieces) -> None:
    """Offsets that wrap, that reach back, that are at or behind an end."""
    if not pieces.chunks:
        return
    index = rng.randrange(len(pieces.chunks))
    one = pieces.chunks[index]
    old = get_number(one, CHUNK_FIELDS["offset"])
    ends = [
        get_number(pieces.header, HEADER_FIELDS[name]) + rng.randint(-1, 1)
        for name in ("base_bytes", "target_bytes")
    ]
    new = rng.choice((*NASTY_OFFSETS, *ends, old - 1, old + 1, 0))
    pieces.chunks[index] = set_number(one, CHUNK_FIELDS["offset"], new)


def _chunks_swapped(rng: random.Random, pieces: Pieces) -> None:
    if len(pieces.chunks) >= 2:
        one, other = rng.sample(range(len(pieces.chunks)), k=2)
        chunks = pieces.chunks
        chunks[one], chunks[other] = chunks[other], chunks[one]


def _chunk_repeated(rng: random.Random, pieces: Pieces) -> None:
    if pieces.chunks:
        pieces.chunks.insert(rng.randrange(len(pieces.chunks) + 1), rng.choice(pieces.chunks))


def _chunk_dropped(rng: random.Random, pieces: Pieces) -> None:
    if pieces.chunks:
        del pieces.chunks[rng.randrange(len(pieces.chunks))]


def _chunk_without_crc(rng: random.Random, pieces: Pieces) -> None:
    """`has_crc` 0 and a changed payload: the first TinyMLDelta took it."""
    if pieces.chunks:
        index = rng.randrange(len(pieces.chunks))
        one = pieces.chunks[index]
        _, _, encoding, has_crc = struct.unpack_from(CHUNK, one)
        payload = one[CHUNK_BYTES + (4 if has_crc == 1 else 0) :]
        offset = get_number(one, CHUNK_FIELDS["offset"])
        pieces.chunks[index] = chunk(offset, _flip_bit(rng, payload), encoding=encoding, has_crc=0)


def _chunk_payload(rng: random.Random, pieces: Pieces) -> None:
    """One pair or byte more or less in the payload, with its length and CRC right."""
    if not pieces.chunks:
        return
    index = rng.randrange(len(pieces.chunks))
    one = pieces.chunks[index]
    offset, _, encoding, has_crc = struct.unpack_from(CHUNK, one)
    payload = one[CHUNK_BYTES + (4 if has_crc == 1 else 0) :]
    payload = rng.choice(
        (payload[:-1], payload[:-2], payload + b"\0", payload + b"\0\0", payload + b"\1\0")
    )
    pieces.chunks[index] = chunk(offset, payload, encoding=encoding, has_crc=min(has_crc, 1))


def _chunk_crc(rng: random.Random, pieces: Pieces) -> None:
    if pieces.chunks:
        index = rng.randrange(len(pieces.chunks))
        at = CHUNK_BYTES + rng.randrange(4)
        one = pieces.chunks[index]
        if at < len(one):
            pieces.chunks[index] = set_bytes(one, at, bytes((one[at] ^ 0x10,)))


def _chunks_n(rng: random.Random, pieces: Pieces) -> None:
    place = HEADER_FIELDS["chunks_n"]
    value = rng.choice((0, 0xFFFF, len(pieces.chunks) - 1, len(pieces.chunks) + 1))
    pieces.header = set_number(pieces.header, place, value)


def _lengths(rng: random.Random, pieces: Pieces) -> None:
    place = HEADER_FIELDS[rng.choice(("base_bytes", "target_bytes"))]
    value = get_number(pieces.header, place) + rng.choice((-256, -2, -1, 1, 2, 256))
    pieces.header = set_number(pieces.header, place, value)


MUTATIONS: list[_Mutation] = [
    _flip_bit,
    _set_byte,
    _truncate,
    _cut_a_little,
    _extend,
    _insert,
    _twice,
    _header_field,
    _digest_field,
    *map(
        _on_pieces,
        (
            _tlv_removed,
            _tlv_repeated,
            _tlv_added,
            _tlv_many,
            _tlv_tag,
            _tlv_length,
            _tlv_value,
            _meta_bytes,
            _chunk_field,
            _chunk_field,
            _chunk_offset,
            _chunk_offset,
            _chunks_swapped,
            _chunk_repeated,
            _chunk_dropped,
            _chunk_without_crc,
            _chunk_payload,
            _chunk_crc,
            _chunks_n,
            _lengths,
        ),
    ),
]


# ---------------------------------------------------------------- faults by name

ACCEPTS = Accepts(
    formats=frozenset({1}),
    decoder=Decoder.NONE,
    flags=0,
    arena_bytes=16384,
    tflm_abi=0x0103,
    opset_hash=0x1234ABCD,
    io_hash=0xDEADBEEF,
    slot_bytes=65536,
)
ARENA_TLV = known_tlv(REQ_ARENA_BYTES, 16384)
ABI_TLV = known_tlv(TFLM_ABI, 0x0103)
OPSET_TLV = known_tlv(OPSET_HASH, 0x1234ABCD)
IO_TLV = known_tlv(IO_HASH, 0xDEADBEEF)
TLVS = (ARENA_TLV, ABI_TLV, OPSET_TLV, IO_TLV)

# Base and target that fit every named fault: of equal length, and different in each third.
FAULT_BASE = random.Random(1).randbytes(3001)
FAULT_TARGET = bytes(value ^ 0x5A for value in FAULT_BASE[:1000]) + bytes(1001) + b"\xc3" * 1000


def sound(base: bytes, target: bytes) -> PatchParts:
    """A patch without fault: all TLVs, SHA-256, three chunks (RAW, RLE, RAW) that give the target.

    Its chunks cover the whole target, so it can be built for any base; thirds of up to 32 KB.
    """
    third = len(target) // 3
    return PatchParts(
        base,
        target,
        tlvs=TLVS,
        chunks=(
            chunk(0, target[:third]),
            chunk(third, rle(target[third : 2 * third]), encoding=RLE),
            chunk(2 * third, target[2 * third :]),
        ),
    )


@dataclass(frozen=True)
class NamedFault:
    """A patch that must get `expected` from a device with contract `accepts` and model `base`.

    `make` takes base and target of equal length, 300 to 60,000 bytes, that differ in each third.
    Where `expected` is OK, the device must have `target` afterwards.
    """

    name: str
    make: Callable[[bytes, bytes], bytes]
    expected: Status
    accepts: Accepts = ACCEPTS


Change = Callable[[PatchParts], PatchParts | bytes]


def _fault(name: str, expected: Status, change: Change, accepts: Accepts = ACCEPTS) -> NamedFault:
    """A fault that is one change to a sound patch."""

    def make(base: bytes, target: bytes) -> bytes:
        changed = change(sound(base, target))
        return changed if isinstance(changed, bytes) else changed.pack()

    return NamedFault(name, make, expected, accepts)


def _with_chunk(parts: PatchParts, index: int, new: bytes) -> PatchParts:
    chunks = (*parts.chunks[:index], new, *parts.chunks[index + 1 :])
    return replace(parts, chunks=chunks)


def _with_chunk_field(parts: PatchParts, index: int, name: str, value: int) -> PatchParts:
    changed = set_number(parts.chunks[index], CHUNK_FIELDS[name], value)
    return _with_chunk(parts, index, changed)


def _with(**changes: Any) -> Change:
    """A sound patch with other values in these fields of `PatchParts`."""
    return lambda parts: replace(parts, **changes)


def _with_field_of_chunk(index: int, name: str, value: int) -> Change:
    return lambda parts: _with_chunk_field(parts, index, name, value)


def _with_runs_at(offset: int) -> Change:
    """The last chunk as RLE, and somewhere else."""
    runs = chunk(offset, bytes((0, 7)) * 20, encoding=RLE)
    return lambda parts: _with_chunk(parts, 2, runs)


def _in_two_chunks(target: bytes) -> tuple[bytes, bytes]:
    """The first half as RLE; beyond 1,024 bytes if the target has more than 2,049."""
    half = len(target) // 2
    return chunk(0, rle(target[:half]), encoding=RLE), chunk(half, target[half:])


def _with_tlv(tag: int, value: int) -> Change:
    """The same patch for another firmware."""
    return lambda parts: replace(
        parts, tlvs=tuple(known_tlv(tag, value) if one[0] == tag else one for one in TLVS)
    )


def _inverted(data: bytes) -> bytes:
    return bytes(value ^ 0xFF for value in data)


def _third(parts: PatchParts) -> int:
    return len(parts.target) // 3


def _crc32(parts: PatchParts) -> PatchParts:
    return replace(parts, digest_kind=CRC32)


def _without_digest(parts: PatchParts) -> PatchParts:
    return replace(parts, digest_kind=NONE)


def _payload_changed(parts: PatchParts, **options: int) -> PatchParts:
    third = _third(parts)
    payload = parts.target[2 * third :]
    return _with_chunk(parts, 2, chunk(2 * third, _inverted(payload[:1]) + payload[1:], **options))


def _last_chunk_runs(parts: PatchParts, payload: bytes, **options: int) -> PatchParts:
    """The last chunk as RLE with this payload."""
    return _with_chunk(parts, 2, chunk(2 * _third(parts), payload, encoding=RLE, **options))


def _runs_of(size: int) -> bytes:
    return bytes((0, 7)) * (size // 256) + (bytes((size % 256, 7)) if size % 256 else b"")


def _left(parts: PatchParts) -> int:
    """How many bytes of the target are in the last chunk."""
    return len(parts.target) - 2 * _third(parts)


def _longer_target(parts: PatchParts, extra: int) -> PatchParts:
    """A target longer than the base, with the extra bytes in no chunk."""
    return replace(parts, target=parts.target + bytes(extra))


def _cut(parts: PatchParts, size: int) -> bytes:
    return parts.pack()[:size]


_META_END = HEADER_BYTES + sum(map(len, TLVS))
_NO_DIGEST = replace(ACCEPTS, flags=ACCEPT_NO_DIGEST)
_UNGUARDED = replace(ACCEPTS, flags=ACCEPT_UNGUARDED)
_NO_FORMAT = replace(ACCEPTS, formats=frozenset({2}))
_BAD_CHUNK = chunk(0, b"x", encoding=9)

_FIRST_TINYMLDELTA = [
    # What the first TinyMLDelta answered with OK, and with a wrong model.
    _fault("wrong_base_model", Status.BASE, lambda p: replace(p, base=_inverted(p.base))),
    _fault(
        "wrong_base_model_by_crc32",
        Status.BASE,
        lambda p: _crc32(replace(p, base=_inverted(p.base))),
    ),
    _fault(
        "wrong_base_by_one_bit",
        Status.BASE,
        lambda p: replace(p, base=p.base[:-1] + bytes((p.base[-1] ^ 1,))),
    ),
    _fault("wrong_base_length", Status.BASE, lambda p: replace(p, base=p.base + b"\0")),
    _fault("dropped_chunk", Status.TARGET, lambda p: replace(p, chunks=p.chunks[::2])),
    _fault(
        "dropped_chunk_by_crc32", Status.TARGET, lambda p: _crc32(replace(p, chunks=p.chunks[::2]))
    ),
    _fault("dropped_first_chunk", Status.TARGET, lambda p: replace(p, chunks=p.chunks[1:])),
    _fault("dropped_last_chunk", Status.TARGET, lambda p: replace(p, chunks=p.chunks[:-1])),
    _fault(
        "dropped_chunk_still_counted",
        Status.TRUNCATED,
        lambda p: replace(p, chunks=p.chunks[:-1], chunks_n=3),
    ),
    _fault("no_chunks_counted", Status.TRAILING, _with(chunks_n=0)),
    _fault("no_chunks", Status.TARGET, _with(chunks=())),
    _fault(
        "no_chunks_and_no_digest",
        Status.HEADER,
        lambda p: _without_digest(replace(p, chunks=())),
        _NO_DIGEST,
    ),
    _fault("one_chunk_too_many_counted", Status.TRUNCATED, _with(chunks_n=4)),
    _fault("one_chunk_too_few_counted", Status.TRAILING, _with(chunks_n=2)),
    _fault("changed_payload_without_crc", Status.TARGET, lambda p: _payload_changed(p, has_crc=0)),
    _fault("changed_payload_with_its_own_crc", Status.TARGET, _payload_changed),
    _fault(
        "changed_payload_with_its_own_crc_by_crc32",
        Status.TARGET,
        lambda p: _crc32(_payload_changed(p)),
    ),
    _fault(
        "changed_payload",
        Status.CHUNK_CRC,
        lambda p: _payload_changed(p, crc=zlib.crc32(p.target[2 * _third(p) :])),
    ),
    _fault(
        "changed_payload_without_digest",
        Status.CHUNK_CRC,
        lambda p: _without_digest(_payload_changed(p, crc=0)),
        _NO_DIGEST,
    ),
    _fault(
        "has_crc_cleared_over_a_crc",
        Status.TRAILING,
        lambda p: _with_chunk_field(p, 2, "has_crc", 0),
    ),
    _fault("corrupt_base_digest", Status.BASE, _with(base_digest=b"\x01" * 32)),
    _fault("zeroed_base_digest", Status.BASE, _with(base_digest=bytes(32))),
    _fault("corrupt_target_digest", Status.TARGET, _with(target_digest=b"\x01" * 32)),
    _fault("zeroed_target_digest", Status.TARGET, _with(target_digest=bytes(32))),
    _fault(
        "zeroed_digests_by_crc32",
        Status.BASE,
        lambda p: replace(_crc32(p), base_digest=bytes(32), target_digest=bytes(32)),
    ),
    _fault(
        "corrupt_base_length_above", Status.BASE, lambda p: replace(p, base_bytes=len(p.base) + 1)
    ),
    _fault(
        "corrupt_base_length_below", Status.BASE, lambda p: replace(p, base_bytes=len(p.base) - 1)
    ),
    _fault(
        "corrupt_target_length_above",
        Status.GAP,
        lambda p: replace(p, target_bytes=len(p.target) + 1),
    ),
    _fault(
        "corrupt_target_length_below",
        Status.CHUNK_BOUNDS,
        lambda p: replace(p, target_bytes=len(p.target) - 1),
    ),
    _fault(
        "corrupt_target_length_below_the_last_chunk",
        Status.TARGET,
        lambda p: replace(p, chunks=p.chunks[:-1], target_bytes=len(p.target) - 1),
    ),
    *(
        _fault(
            f"offset_wraps_{offset:#010x}",
            Status.CHUNK_BOUNDS,
            _with_field_of_chunk(2, "offset", offset),
        )
        for offset in NASTY_OFFSETS
    ),
    *(
        _fault(f"offset_wraps_{offset:#010x}_as_rle", Status.CHUNK_BOUNDS, _with_runs_at(offset))
        for offset in NASTY_OFFSETS
    ),
    _fault(
        "odd_rle",
        Status.CHUNK_ENCODING,
        lambda p: _last_chunk_runs(p, _runs_of(_left(p)) + b"\x01"),
    ),
    _fault("rle_of_one_byte", Status.CHUNK_ENCODING, lambda p: _last_chunk_runs(p, b"\x01")),
    # What it stumbled over although nothing was wrong.
    _fault(
        "decoded_chunk_above_1024_bytes",
        Status.OK,
        lambda p: replace(p, chunks=_in_two_chunks(p.target)),
    ),
    _fault("unaligned_chunks", Status.OK, lambda p: replace(p, tlvs=(tlv(0x80, b"odd"), *p.tlvs))),
    _fault("silently_no_metadata", Status.UNGUARDED, _with(tlvs=())),
    _fault("no_metadata_where_the_contract_takes_it", Status.OK, _with(tlvs=()), _UNGUARDED),
    *(
        _fault(
            f"silently_no_{name}", Status.UNGUARDED, _with(tlvs=TLVS[:index] + TLVS[index + 1 :])
        )
        for index, name in enumerate(("arena", "abi", "opset_hash", "io_hash"))
    ),
    _fault("hash_of_0_is_not_absent", Status.OPERATORS, _with_tlv(OPSET_HASH, 0), _UNGUARDED),
]

_WRONG_DEVICE = [
    _fault("arena_too_small", Status.ARENA, _with_tlv(REQ_ARENA_BYTES, 16385)),
    _fault("arena_beyond_signed_numbers", Status.ARENA, _with_tlv(REQ_ARENA_BYTES, 0xFFFFFFFF)),
    _fault("arena_smaller_than_the_firmware_has", Status.OK, _with_tlv(REQ_ARENA_BYTES, 1)),
    _fault("other_kernel_build", Status.ABI, _with_tlv(TFLM_ABI, 0x0203)),
    _fault("other_schema_version", Status.ABI, _with_tlv(TFLM_ABI, 0x0104)),
    _fault(
        "another_device_class_by_operators", Status.OPERATORS, _with_tlv(OPSET_HASH, 0x1234ABCC)
    ),
    _fault("another_device_class_by_tensors", Status.IO, _with_tlv(IO_HASH, 0x5EADBEEF)),
    _fault(
        "present_tlv_counts_where_unguarded_is_taken",
        Status.ARENA,
        _with(tlvs=(known_tlv(REQ_ARENA_BYTES, 16385),)),
        _UNGUARDED,
    ),
    _fault(
        "target_of_the_size_of_the_slot",
        Status.BASE,
        _with(target_bytes=65536, base_digest=bytes(32)),
    ),
    _fault("declared_size_overruns_the_slot", Status.SLOT, _with(target_bytes=65537)),
    _fault("declared_size_of_2_gigabytes", Status.SLOT, _with(target_bytes=0x7FFFFFFF)),
    _fault("replay_of_an_old_patch", Status.BASE, lambda p: sound(p.target, p.base)),
    _fault("same_patch_for_the_target_it_makes", Status.BASE, lambda p: sound(p.target, p.target)),
    _fault("format_that_the_contract_does_not_take", Status.FORMAT, lambda p: p, _NO_FORMAT),
    _fault(
        "arena_is_judged_first",
        Status.ARENA,
        _with(tlvs=(known_tlv(REQ_ARENA_BYTES, 16385),), target_bytes=65537),
    ),
    _fault(
        "missing_abi_is_judged_before_operators",
        Status.UNGUARDED,
        _with(tlvs=(ARENA_TLV, known_tlv(OPSET_HASH, 1), IO_TLV)),
    ),
    _fault(
        "operators_are_judged_before_missing_tensors",
        Status.OPERATORS,
        _with(tlvs=(ARENA_TLV, ABI_TLV, known_tlv(OPSET_HASH, 1))),
    ),
    _fault(
        "missing_tensors_are_judged_before_the_slot",
        Status.UNGUARDED,
        _with(tlvs=(ARENA_TLV, ABI_TLV, OPSET_TLV), target_bytes=65537),
    ),
    _fault(
        "slot_is_judged_before_the_base",
        Status.SLOT,
        _with(target_bytes=65537, base_digest=bytes(32)),
    ),
    _fault(
        "guardrails_are_judged_before_the_base",
        Status.IO,
        lambda p: _with_tlv(IO_HASH, 1)(replace(p, base=_inverted(p.base))),
    ),
    _fault(
        "base_is_judged_before_any_chunk",
        Status.BASE,
        lambda p: replace(p, base=_inverted(p.base), chunks=(_BAD_CHUNK,)),
    ),
    _fault(
        "base_is_judged_before_the_end",
        Status.BASE,
        lambda p: replace(p, base=_inverted(p.base), chunks=(), chunks_n=3),
    ),
    _fault(
        "base_is_judged_before_trailing_bytes",
        Status.BASE,
        lambda p: replace(p, base=_inverted(p.base), rest=b"\0"),
    ),
]

_HOSTILE_HEADER = [
    *(
        _fault(f"version_{version}", Status.FORMAT, _with(version=version))
        for version in (0, 2, 255)
    ),
    _fault("version_alone", Status.FORMAT, lambda _: b"\x02"),
    _fault("another_file", Status.FORMAT, lambda _: b"\x1c\0\0\0TFL3" + bytes(100)),
    _fault("digest_kind_cmac", Status.DIGEST_KIND, _with(digest_kind=CMAC)),
    _fault("digest_kind_4", Status.DIGEST_KIND, _with(digest_kind=4)),
    _fault("digest_kind_255", Status.DIGEST_KIND, _with(digest_kind=255)),
    _fault("no_digest", Status.DIGEST_KIND, _without_digest),
    _fault("no_digest_where_the_contract_takes_it", Status.OK, _without_digest, _NO_DIGEST),
    _fault(
        "digest_kind_is_judged_before_flags", Status.DIGEST_KIND, _with(digest_kind=CMAC, flags=1)
    ),
    _fault("flags", Status.HEADER, _with(flags=1)),
    _fault("flags_high", Status.HEADER, _with(flags=0x8000)),
    *(
        _fault(f"{name}_{length:#x}", Status.HEADER, _with(**{name: length}))
        for name in ("base_bytes", "target_bytes")
        for length in (0, 0x80000000, 0xFFFFFFFF)
    ),
    _fault(
        "junk_behind_a_crc32_base_digest",
        Status.HEADER,
        lambda p: replace(_crc32(p), base_digest=digest(CRC32, p.base)[:31] + b"\x01"),
    ),
    _fault(
        "junk_behind_a_crc32_target_digest",
        Status.HEADER,
        lambda p: replace(
            _crc32(p), target_digest=digest(CRC32, p.target)[:4] + b"\x01" + bytes(27)
        ),
    ),
    _fault(
        "junk_in_the_base_digest_of_kind_none",
        Status.HEADER,
        lambda p: replace(_without_digest(p), base_digest=b"\x01" + bytes(31)),
        _NO_DIGEST,
    ),
    _fault(
        "junk_in_the_target_digest_of_kind_none",
        Status.HEADER,
        lambda p: replace(_without_digest(p), target_digest=bytes(31) + b"\x80"),
        _NO_DIGEST,
    ),
    _fault("header_is_judged_before_metadata", Status.HEADER, _with(flags=1, meta_bytes=1025)),
    _fault(
        "metadata_of_1025_bytes",
        Status.METADATA,
        _with(tlvs=(*TLVS, *[tlv(0x80, bytes(255))] * 3, tlv(0x80, bytes(230)))),
    ),
    _fault(
        "metadata_of_1025_bytes_is_judged_with_the_header",
        Status.METADATA,
        _with(tlvs=(), chunks=(), meta_bytes=1025),
    ),
    _fault("metadata_of_65535_bytes", Status.METADATA, _with(meta_bytes=0xFFFF)),
    _fault(
        "metadata_of_1024_bytes",
        Status.OK,
        _with(tlvs=(*TLVS, *[tlv(0x80, bytes(255))] * 3, tlv(0x80, bytes(229)))),
    ),
]

_NEWER = replace(ACCEPTS, lowest_version=0x01020003)


def _with_more(tag: int, value: int) -> Change:
    return _with(tlvs=(*TLVS, known_tlv(tag, value)))


_VERSIONS_AND_VECTORS = [
    _fault("no_version_where_one_is_asked_for", Status.VERSION, lambda p: p, _NEWER),
    _fault("version_one_too_low", Status.VERSION, _with_more(MODEL_VERSION, 0x01020002), _NEWER),
    _fault("version_as_low_as_may_be", Status.OK, _with_more(MODEL_VERSION, 0x01020003), _NEWER),
    _fault(
        "version_beyond_signed_numbers", Status.OK, _with_more(MODEL_VERSION, 2**32 - 1), _NEWER
    ),
    _fault(
        "version_floor_is_for_later",
        Status.OK,
        _with(tlvs=(*TLVS, known_tlv(VERSION_FLOOR, 7), known_tlv(MODEL_VERSION, 7))),
    ),
    _fault(
        "guardrails_are_judged_before_versions",
        Status.ARENA,
        _with_tlv(REQ_ARENA_BYTES, 16385),
        _NEWER,
    ),
    _fault("versions_are_judged_before_vectors", Status.VERSION, _with_more(SELF_TEST, 0), _NEWER),
    _fault("vectors_instead_of_a_model", Status.METADATA, _with_more(SELF_TEST, 0)),
    _fault(
        "vectors_at_the_end",
        Status.METADATA,
        lambda p: replace(p, tlvs=(*TLVS, known_tlv(SELF_TEST, len(p.target)))),
    ),
    _fault("vectors_far_beyond", Status.METADATA, _with_more(SELF_TEST, 2**32 - 1)),
    *(
        _fault(
            f"vectors_that_nobody_runs_{name}",
            Status.SELF_TEST,
            lambda p, at=at: replace(p, tlvs=(*TLVS, known_tlv(SELF_TEST, at % len(p.target)))),
        )
        for name, at in (("at_1", 1), ("at_the_last_byte", -1))
    ),
    _fault(
        "vectors_are_judged_before_the_base",
        Status.SELF_TEST,
        lambda p: replace(p, base=_inverted(p.base), tlvs=(*TLVS, known_tlv(SELF_TEST, 16))),
    ),
]

_HOSTILE_METADATA = [
    *(
        _fault(f"injected_tlv_{tag:#04x}", Status.METADATA, _with(tlvs=(*TLVS, tlv(tag, bytes(4)))))
        for tag in (0x00, 0x08, 0x7F)
    ),
    *(
        _fault(f"repeated_tlv_{one[0]:#04x}", Status.METADATA, _with(tlvs=(*TLVS, one)))
        for one in TLVS
    ),
    _fault(
        "vendor_tlvs",
        Status.OK,
        _with(tlvs=(tlv(0x80, b""), *TLVS, tlv(0xFF, b"x"), tlv(0xFF, b"x"))),
    ),
    _fault("tlvs_in_another_order", Status.OK, _with(tlvs=TLVS[::-1])),
    *(
        _fault(
            f"tlv_{tag:#04x}_of_{size}_bytes", Status.METADATA, _with(tlvs=(tlv(tag, bytes(size)),))
        )
        for tag, sizes in (
            (1, (0, 3, 5)),
            (2, (0, 1, 4)),
            (3, (2, 8)),
            (4, (2, 8)),
            (5, (3, 5)),
            (6, (0, 8)),
            (7, (2, 5)),
        )
        for size in sizes
    ),
    _fault(
        "tlv_ends_beyond_the_metadata",
        Status.METADATA,
        _with(meta_bytes=_META_END - HEADER_BYTES - 1),
    ),
    _fault(
        "vendor_tlv_ends_beyond_the_metadata",
        Status.METADATA,
        _with(tlvs=(b"\x80\xff" + bytes(254),)),
    ),
    _fault(
        "tlv_beyond_the_metadata_is_judged_at_its_length",
        Status.METADATA,
        _with(tlvs=(b"\x80\x05",), chunks=(), meta_bytes=6),
    ),
    _fault(
        "unknown_tlv_is_judged_at_its_length",
        Status.METADATA,
        _with(tlvs=(b"\x08\x04",), chunks=(), meta_bytes=6),
    ),
    _fault("one_byte_left_over", Status.METADATA, _with(tlvs=(*TLVS, b"\x80"))),
    _fault(
        "one_byte_left_over_is_judged_when_the_tlv_before_ends",
        Status.METADATA,
        _with(chunks=(), meta_bytes=_META_END - HEADER_BYTES + 1),
    ),
    _fault(
        "one_byte_left_over_behind_an_unfinished_tlv",
        Status.TRUNCATED,
        _with(tlvs=(b"\x80\x04abc",), chunks=(), meta_bytes=7),
    ),
    _fault("one_byte_of_metadata", Status.METADATA, _with(tlvs=(b"\x80",))),
    _fault(
        "one_byte_of_metadata_is_judged_with_the_header",
        Status.METADATA,
        _with(tlvs=(), chunks=(), meta_bytes=1),
    ),
    _fault(
        "metadata_is_judged_before_guardrails",
        Status.METADATA,
        _with(tlvs=(known_tlv(REQ_ARENA_BYTES, 16385), *TLVS[1:], b"\0\0")),
    ),
    _fault(
        "metadata_is_complete_before_guardrails",
        Status.TRUNCATED,
        _with(tlvs=(known_tlv(REQ_ARENA_BYTES, 16385),), chunks=(), meta_bytes=12),
    ),
    _fault(
        "metadata_reaches_into_the_chunks",
        Status.METADATA,
        _with(meta_bytes=_META_END - HEADER_BYTES + 8),
    ),
]

_HOSTILE_CHUNKS = [
    *(
        _fault(
            f"encoding_{encoding}",
            Status.CHUNK_ENCODING,
            _with_field_of_chunk(0, "encoding", encoding),
        )
        for encoding in (2, 255)
    ),
    *(
        _fault(f"has_crc_{value}", Status.CHUNK_ENCODING, _with_field_of_chunk(0, "has_crc", value))
        for value in (2, 255)
    ),
    _fault(
        "empty_chunk",
        Status.CHUNK_ENCODING,
        lambda p: replace(p, chunks=(chunk(0, b""), *p.chunks)),
    ),
    _fault(
        "empty_rle_chunk",
        Status.CHUNK_ENCODING,
        lambda p: replace(p, chunks=(chunk(0, b"", encoding=RLE), *p.chunks)),
    ),
    _fault(
        "encoding_is_judged_before_the_payload",
        Status.CHUNK_ENCODING,
        _with(chunks=(_BAD_CHUNK[:CHUNK_BYTES],)),
    ),
    _fault(
        "encoding_is_judged_before_order",
        Status.CHUNK_ENCODING,
        lambda p: replace(p, chunks=(p.chunks[0], _BAD_CHUNK, *p.chunks[1:])),
    ),
    _fault(
        "swapped_chunks",
        Status.CHUNK_ORDER,
        lambda p: replace(p, chunks=(p.chunks[0], p.chunks[2], p.chunks[1])),
    ),
    _fault(
        "chunk_twice", Status.CHUNK_ORDER, lambda p: replace(p, chunks=(p.chunks[0], *p.chunks))
    ),
    _fault(
        "overlap_by_one_byte",
        Status.CHUNK_ORDER,
        lambda p: _with_chunk_field(p, 1, "offset", _third(p) - 1),
    ),
    _fault(
        "overlap_with_runs",
        Status.CHUNK_ORDER,
        lambda p: _with_chunk_field(p, 2, "offset", 2 * _third(p) - 1),
    ),
    _fault(
        "order_is_judged_before_bounds",
        Status.CHUNK_ORDER,
        lambda p: replace(p, chunks=(*p.chunks, chunk(1, bytes(65535)))),
    ),
    _fault(
        "chunk_beyond_the_target_by_one_byte",
        Status.CHUNK_BOUNDS,
        lambda p: _with_chunk(p, 2, chunk(2 * _third(p), p.target[2 * _third(p) :] + b"\0")),
    ),
    _fault(
        "chunk_at_the_end_of_the_target",
        Status.CHUNK_BOUNDS,
        lambda p: replace(p, chunks=(*p.chunks, chunk(len(p.target), b"\0"))),
    ),
    _fault(
        "runs_at_the_end_of_the_target",
        Status.CHUNK_BOUNDS,
        lambda p: replace(p, chunks=(*p.chunks, chunk(len(p.target), b"\1\0", encoding=RLE))),
    ),
    _fault(
        "end_of_the_target_is_judged_before_the_runs",
        Status.CHUNK_BOUNDS,
        lambda p: replace(
            p, chunks=(*p.chunks, chunk(len(p.target), b"\1\0", encoding=RLE)[:CHUNK_BYTES])
        ),
    ),
    _fault(
        "end_of_the_target_is_judged_before_the_gap",
        Status.CHUNK_BOUNDS,
        lambda p: replace(
            _longer_target(p, 9),
            chunks=(*p.chunks, chunk(len(p.base) + 9, b"\1\0", encoding=RLE)),
        ),
    ),
    _fault(
        "bounds_are_judged_before_the_payload",
        Status.CHUNK_BOUNDS,
        _with(chunks=(chunk(0, b"", payload_bytes=0xFFFF),)),
    ),
    _fault(
        "run_beyond_the_target_by_one_byte",
        Status.CHUNK_BOUNDS,
        lambda p: _last_chunk_runs(p, _runs_of(_left(p) + 1)),
    ),
    _fault(
        "run_of_256_beyond_the_target",
        Status.CHUNK_BOUNDS,
        lambda p: _last_chunk_runs(p, bytes((0, 7)) * (_left(p) // 256 + 1)),
    ),
    _fault(
        "run_up_to_the_end_of_the_target",
        Status.TARGET,
        lambda p: _last_chunk_runs(p, _runs_of(_left(p))[:-1] + b"\x08"),
    ),
    _fault(
        "decompression_bomb",
        Status.CHUNK_BOUNDS,
        _with(chunks=(chunk(0, bytes(65534), encoding=RLE),)),
    ),
    _fault(
        "decompression_bomb_is_judged_at_its_first_run_too_far",
        Status.CHUNK_BOUNDS,
        lambda p: _last_chunk_runs(p, bytes((0, 7)) * (_left(p) // 256 + 1), payload_bytes=65534),
    ),
    _fault(
        "half_a_pair_is_not_judged",
        Status.TRUNCATED,
        lambda p: _last_chunk_runs(
            p, bytes((0, 7)) * (_left(p) // 256) + b"\0", payload_bytes=65534
        ),
    ),
    _fault(
        "runs_are_judged_before_the_crc",
        Status.CHUNK_BOUNDS,
        lambda p: _last_chunk_runs(p, _runs_of(_left(p) + 1), crc=0),
    ),
    _fault(
        "wrong_crc_over_runs",
        Status.CHUNK_CRC,
        lambda p: _last_chunk_runs(p, _runs_of(_left(p)), crc=0),
    ),
    _fault(
        "crc_is_judged_before_the_next_chunk",
        Status.CHUNK_CRC,
        lambda p: replace(p, chunks=(chunk(0, p.target[: _third(p)], crc=0), _BAD_CHUNK)),
    ),
    _fault(
        "gap_behind_the_base",
        Status.GAP,
        lambda p: replace(
            _longer_target(p, 100), chunks=(*p.chunks, chunk(len(p.base) + 50, bytes(50)))
        ),
    ),
    _fault(
        "gap_of_one_byte_behind_the_base",
        Status.GAP,
        lambda p: replace(_longer_target(p, 2), chunks=(*p.chunks, chunk(len(p.base) + 1, b"\0"))),
    ),
    _fault(
        "gap_between_runs_behind_the_base",
        Status.GAP,
        lambda p: replace(
            _longer_target(p, 300),
            chunks=(
                *p.chunks,
                chunk(len(p.base), b"\x64\0", encoding=RLE),
                chunk(len(p.base) + 101, bytes(199)),
            ),
        ),
    ),
    _fault(
        "bounds_are_judged_before_the_gap",
        Status.CHUNK_BOUNDS,
        lambda p: replace(
            _longer_target(p, 100), chunks=(*p.chunks, chunk(len(p.base) + 50, bytes(51)))
        ),
    ),
    _fault(
        "gap_is_judged_before_runs",
        Status.GAP,
        lambda p: replace(
            _longer_target(p, 100),
            chunks=(*p.chunks, chunk(len(p.base) + 50, b"\0\0", encoding=RLE)),
        ),
    ),
    _fault("tail_in_no_chunk", Status.GAP, lambda p: _longer_target(p, 1)),
    _fault(
        "no_chunks_for_a_longer_target",
        Status.GAP,
        lambda p: replace(_longer_target(p, 1), chunks=()),
    ),
    _fault(
        "gap_at_the_end_is_judged_after_trailing_bytes",
        Status.TRAILING,
        lambda p: replace(_longer_target(p, 1), rest=b"\0"),
    ),
    _fault(
        "gap_at_the_end_is_judged_before_the_target",
        Status.GAP,
        lambda p: replace(_longer_target(p, 1), target_digest=bytes(32)),
    ),
    _fault("trailing_byte", Status.TRAILING, _with(rest=b"\0")),
    _fault("trailing_chunk", Status.TRAILING, lambda p: replace(p, rest=p.chunks[2])),
    _fault("trailing_patch", Status.TRAILING, lambda p: replace(p, rest=p.pack())),
    _fault(
        "trailing_byte_is_judged_before_the_target",
        Status.TRAILING,
        _with(rest=b"\0", target_digest=bytes(32)),
    ),
]

_CUT_OFF = [
    _fault("empty_patch", Status.TRUNCATED, lambda _: b""),
    _fault("cut_after_the_version", Status.TRUNCATED, lambda p: _cut(p, 1)),
    _fault("cut_in_the_header", Status.TRUNCATED, lambda p: _cut(p, 79)),
    _fault(
        "header_is_judged_when_it_is_whole",
        Status.TRUNCATED,
        lambda p: _cut(replace(p, digest_kind=CMAC, flags=1), 79),
    ),
    _fault("cut_after_the_header", Status.TRUNCATED, lambda p: _cut(p, HEADER_BYTES)),
    _fault("cut_after_a_tag", Status.TRUNCATED, lambda p: _cut(p, HEADER_BYTES + 1)),
    _fault("cut_in_a_tlv", Status.TRUNCATED, lambda p: _cut(p, HEADER_BYTES + 5)),
    _fault("cut_after_the_metadata", Status.TRUNCATED, lambda p: _cut(p, _META_END)),
    _fault("cut_in_a_chunk_header", Status.TRUNCATED, lambda p: _cut(p, _META_END + 7)),
    _fault(
        "cut_in_a_bad_chunk_header",
        Status.TRUNCATED,
        lambda p: _cut(replace(p, chunks=(_BAD_CHUNK,)), _META_END + 7),
    ),
    _fault("cut_after_a_chunk_header", Status.TRUNCATED, lambda p: _cut(p, _META_END + 8)),
    _fault("cut_in_a_chunk_crc", Status.TRUNCATED, lambda p: _cut(p, _META_END + 11)),
    _fault("cut_in_a_payload", Status.TRUNCATED, lambda p: _cut(p, _META_END + 13)),
    _fault("cut_between_chunks", Status.TRUNCATED, lambda p: _cut(p, _META_END + len(p.chunks[0]))),
    _fault("cut_before_the_last_byte", Status.TRUNCATED, lambda p: p.pack()[:-1]),
    _fault(
        "cut_is_judged_before_the_crc",
        Status.TRUNCATED,
        lambda p: _payload_changed(p, crc=0).pack()[:-1],
    ),
]

NAMED_FAULTS: list[NamedFault] = [
    *_FIRST_TINYMLDELTA,
    *_WRONG_DEVICE,
    *_HOSTILE_HEADER,
    *_VERSIONS_AND_VECTORS,
    *_HOSTILE_METADATA,
    *_HOSTILE_CHUNKS,
    *_CUT_OFF,
]
NAMED_FAULTS_BY_NAME = {fault.name: fault for fault in NAMED_FAULTS}
