"""Pairs of small files with all that format 2 knows: tensors of every type, scales, matches.

The hints that the encoder gets are as random as they may be, so that patches use what no model on
disk has yet.
"""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from typing import Any

from patchkit import Case
from patchkit2 import repair_crc
from signkit import KEYS, OPENERS, peer_of, seal_to, sign_with
from tinymldelta.container.accepts import Accepts, OperatorRange
from tinymldelta.container.format2 import read_patch
from tinymldelta.container.format2_writer import write_patch
from tinymldelta.container.operators import OperatorNeed, custom_id, encode_operators
from tinymldelta.container.patch import Metadata
from tinymldelta.delta.hints import ELEMENTS, Hint, Kind, without_ranges
from tinymldelta.native import PRICE_LISTS, encode_body
from tinymldelta.wire.constants import F2_CHANNELS, F2_COLUMNS, FORMAT_2, Decoder, RangePart

_TYPES = list(ELEMENTS.items())
NEEDS = (OperatorNeed(3, 3, 0x02), OperatorNeed(9, 4, 0x03), OperatorNeed(custom_id("x"), 1, 0))
METADATA = Metadata(
    req_arena_bytes=1000,
    kernels=3,
    tensors=7,
    quantisation=8,
    model_name=b"case",
    operators=encode_operators(NEEDS),
)
ACCEPTS = Accepts(
    formats=frozenset({FORMAT_2}),
    decoder=Decoder.DEFAULT,
    flags=0,
    arena_bytes=1000,
    tflm_abi=3,
    opset_hash=7,
    io_hash=9,
    slot_bytes=8192,
    name="case",
    kernels=3,
    operators={need.id: OperatorRange(1, need.version + 1, 0xFF) for need in NEEDS},
    tensors=7,
    quantisation=8,
    tensor_names=9,
    meta_kept=192,
)


def _moved(rng: random.Random, element: bytes, kind: str) -> bytes:
    """An element some way from where it was, as a fine-tune leaves it; now and then anywhere."""
    if rng.random() < 0.03:
        return rng.randbytes(len(element))
    if kind in ("FLOAT32", "FLOAT16"):
        value = int.from_bytes(element, "little") + rng.randint(-9, 9)
    else:
        reach = rng.choice((0, 1, 3, 40))
        value = int.from_bytes(element, "little", signed=True) + rng.randint(-reach, reach)
    return (value % 256 ** len(element)).to_bytes(len(element), "little")


class _Pair:
    """Base and target as they grow, and what is said of them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.base = bytearray()
        self.target = bytearray()
        self.hints: list[Hint] = []
        self.scales: list[tuple[int, int, int]] = []  # offset in base, in target, words
        self.ranges: list[int] = []

    def bytes(self) -> None:
        """Bytes that no model says anything of: kept, edited, dropped, new or from elsewhere."""
        rng = self.rng
        run = rng.randbytes(rng.randint(1, 24))
        way = rng.randint(0, 5)
        if way != 0:
            self.base += run
        if way == 1:
            run = bytes(b if rng.random() < 0.8 else rng.randrange(256) for b in run)
        if way == 2 and self.base:
            at = rng.randrange(len(self.base))
            run = bytes(self.base[at : at + rng.randint(4, 30)])
        if way != 3:
            self.target += run * rng.choice((1, 1, 1, 2))

    def align(self) -> None:
        self.base += bytes(-len(self.base) % 4)
        self.target += bytes(-len(self.target) % 4)

    def scale_words(self) -> None:
        """A vector of scales, some of which have changed."""
        rng = self.rng
        self.align()
        n = rng.choice((1, 1, 2, 5, 9))
        ours = [rng.uniform(0.001, 0.1) for _ in range(n)]
        theirs = [s * rng.choice((1, 1, 1.01, 0.97, 1.5)) for s in ours]
        at = (len(self.base), len(self.target), n)
        self.base += struct.pack(f"<{n}f", *ours)
        self.target += struct.pack(f"<{n}f", *theirs)
        self.scales.append(at)
        if rng.random() < 0.7:
            self.hints.append(Hint(Kind.WORDS, at[1], at[0], n))

    def range(self) -> None:
        """Some vector of scales that is sent ahead, and what follows from it or pretends to."""
        rng = self.rng
        base_at, target_at, n = rng.choice(self.scales)
        product = rng.choice(self.scales)
        factor = rng.choice(self.scales)
        parts = rng.randrange(8)
        if product[2] < n:
            parts &= ~(1 << RangePart.PRODUCT)
        if base_at + 12 * n + 8 > len(self.base):
            parts &= ~(1 << RangePart.LIMITS)
        self.ranges.append(len(self.hints))
        self.hints.append(
            Hint(
                Kind.RANGE,
                target_at,
                base_at,
                n,
                parts=parts,
                product=product[0],
                factor=factor[0],
                factor_to=factor[1],
            )
        )

    def tensor(self) -> None:
        rng = self.rng
        name, (code, size) = rng.choice(_TYPES)
        shape = tuple(rng.randint(1, 4) for _ in range(3))
        other = tuple(rng.randint(1, 4) for _ in range(3)) if rng.random() < 0.3 else shape
        if rng.random() < 0.15:  # more columns and channels than are told apart
            name, (code, size) = rng.choice(_TYPES[:2])
            shape, other = (1, 1, rng.randint(F2_CHANNELS, F2_COLUMNS + 40)), (1, 1, 9)
        d, e = shape[0] * shape[1] * shape[2], other[0] * other[1] * other[2]
        old = [rng.randbytes(size) for _ in range(max(d, e))]
        self.hints.append(
            Hint(
                Kind.TENSOR,
                len(self.target),
                len(self.base),
                type=code,
                by_channel=rng.random() < 0.4,
                range=rng.choice(self.ranges) if self.ranges and rng.random() < 0.6 else -1,
                shape=(shape[0], shape[1], shape[2]),
                base_shape=(other[0], other[1], other[2]),
            )
        )
        self.base += b"".join(old[:e])
        self.target += b"".join(_moved(rng, x, name) for x in old[:d])


def random_pair2(rng: random.Random) -> tuple[bytes, bytes, list[Hint]]:
    """Base, target, and what the encoder is told of them."""
    pair = _Pair(rng)
    # Scales come first in the base, so that ranges can be named before anything else is there.
    for _ in range(rng.randint(1, 4)):
        pair.scale_words()
    for _ in range(rng.randint(1, 9)):
        way = rng.random()
        if way < 0.35:
            pair.bytes()
        elif way < 0.6:
            pair.tensor()
        elif way < 0.8:
            pair.range()
        else:
            pair.scale_words()
    return bytes(pair.base) + b"end", bytes(pair.target) + b"end", pair.hints


def _said(rng: random.Random) -> dict[str, Any]:
    """What may be said of a target and is not compared, up to all that a slot keeps."""
    note, accuracy = rng.choice((None, None, 1, 96)), rng.choice((None, 18))
    return {
        "tensor_names": rng.choice((None, 9, 10)),
        "note": note and rng.randbytes(note),
        "accuracy": accuracy and rng.randbytes(accuracy),
        "vendor": tuple((0x80 + i, rng.randbytes(i * 70)) for i in range(rng.randrange(3))),
    }


def random_case2(rng: random.Random) -> Case:
    """A patch of format 2 that its contract takes."""
    base, target, hints = random_pair2(rng)
    lean = rng.random() < 0.25
    hints = without_ranges(hints) if lean else hints
    body = encode_body(base, target, hints, lean=lean, prices=rng.randrange(PRICE_LISTS))
    version = rng.choice((None, 0, 1, 0xFFFFFFFF))
    floor = rng.choice((None, rng.randint(0, version or 0)))
    metadata = replace(METADATA, model_version=version, version_floor=floor, **_said(rng))
    patch = write_patch(base, target, metadata=metadata, lean=lean, body=body)
    accepts = replace(ACCEPTS, decoder=Decoder.LEAN) if lean else ACCEPTS
    return Case(base, patch, accepts, target)


CLASS = 0xC0FFEE00


def with_trust(rng: random.Random, case: Case) -> Case:
    """The same patch for a class of devices, and signed; for a firmware that has the keys."""
    patch = read_patch(case.patch, None)
    body = case.patch[len(case.patch) - patch.sizes["body"] :]
    key = rng.choice(KEYS)
    down = rng.choice((None, rng.randbytes(4)))
    # What is said for all to read leaves little room behind the model.
    metadata = replace(
        patch.metadata, note=None, device_class=CLASS.to_bytes(4, "little"), downgrade=down
    )
    assert case.target is not None
    data = write_patch(
        case.base,
        case.target,
        metadata=metadata,
        lean=case.accepts.decoder is Decoder.LEAN,
        body=body,
        signer=(key.kind, key.id),
    )
    data = sign_with(data, key, len(body))
    keys = {(k.kind, k.id): k for k in (key, *rng.sample(KEYS, rng.randrange(len(KEYS))))}
    accepts = replace(
        case.accepts,
        keys=keys,
        sealed_keys=OPENERS,
        device_class=CLASS,
    )
    return Case(case.base, data, accepts, case.target)


def in_envelope(rng: random.Random, patch: bytes) -> bytes:
    opener = rng.choice(OPENERS)
    peer = bytes(rng.randrange(1, 256) for _ in peer_of(opener))
    return seal_to(patch, opener, peer)


def with_vectors(rng: random.Random, case: Case) -> bytes:
    """The patch with word of test vectors, which may be where they cannot be."""
    patch = read_patch(case.patch, None)
    size = patch.header.target_bytes
    at = rng.choice((0, 1, rng.randrange(size), size - 1, size, 0xFFFFFFFF))
    metadata = replace(patch.metadata, self_test=at)
    body = case.patch[len(case.patch) - patch.sizes["body"] :]
    lean = case.accepts.decoder is Decoder.LEAN
    assert case.target is not None
    return write_patch(case.base, case.target, metadata=metadata, lean=lean, body=body)


def mutate2(rng: random.Random, patch: bytes, body_bytes: int) -> bytes:
    """Some bytes changed, mostly of the body; now and then it is cut off or goes on.

    The CRC of a head is mostly set right again, so that what it says is judged.
    """
    mutated = bytearray(patch)
    of_head = rng.random() < 0.1 or not body_bytes
    head_bytes = len(patch) - body_bytes
    first = 0 if of_head else head_bytes
    way = rng.random()
    if way < 0.1:
        return bytes(mutated[: rng.randrange(first, len(mutated))])
    if way < 0.2:
        return bytes(mutated) + rng.randbytes(rng.randint(1, 9))
    end = head_bytes if of_head else len(mutated)
    signature = read_patch(patch, None).signature
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(first, end)
        mutated[at] = rng.choice((mutated[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
    if of_head and rng.random() < 0.8:
        behind = body_bytes + len(signature)
        return repair_crc(bytes(mutated), behind)
    return bytes(mutated)
