"""Encrypted patches: opened with the right key, refused with any other, whatever the bytes are."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from keykit import new_opener
from tinymldelta.container.patch import PatchFault
from tinymldelta.keys import is_sealed, open_chunks, open_sealed, seal, sealed_key_id
from tinymldelta.wire.constants import (
    AGREEMENT_KEY_SIZE,
    SEALED_CHUNK_BYTES,
    SEALED_INFO,
    SEALED_TAG_BYTES,
    AgreementKind,
    Status,
)

KINDS = list(AgreementKind)
_KEYS = {kind: new_opener(kind) for kind in KINDS}
PATCH = b"\x12" + bytes(range(256)) * 3
LENGTH = len(PATCH).to_bytes(4, "little")


def _head_bytes(kind: AgreementKind) -> int:
    return 9 + AGREEMENT_KEY_SIZE[kind]


def _refusal(data: bytes, kind: AgreementKind) -> PatchFault:
    with pytest.raises(PatchFault) as fault:
        open_sealed(data, [_KEYS[kind]])
    return fault.value


# A first byte of 3 would be an envelope in an envelope.
_patches = st.binary(min_size=1, max_size=700).filter(lambda data: not is_sealed(data))


@given(st.sampled_from(KINDS), _patches)
def test_what_is_sealed_opens(kind: AgreementKind, patch: bytes) -> None:
    key = _KEYS[kind]
    data = seal(patch, key.public)
    assert is_sealed(data)
    chunks = -(-len(patch) // SEALED_CHUNK_BYTES)
    assert len(data) == _head_bytes(kind) + len(patch) + chunks * SEALED_TAG_BYTES
    assert sealed_key_id(data) == (kind, key.id)
    assert open_sealed(data, [new_opener(kind), *_KEYS.values()]) == patch


@pytest.mark.parametrize("kind", KINDS)
def test_the_envelope_is_as_the_specification_has_it(kind: AgreementKind) -> None:
    """Put together again from the primitives that SPEC.md names."""
    key, sender = _KEYS[kind], new_opener(kind)
    data = seal(PATCH, key.public, ephemeral=sender)
    assert data == seal(PATCH, key.public, ephemeral=sender)
    length = len(PATCH).to_bytes(4, "little")
    head = bytes((3 | kind << 4,)) + key.id + length + sender.public.data
    assert data[: len(head)] == head
    shared = key.agree(sender.public.data)
    assert shared is not None
    prk = hmac.new(bytes(32), shared, hashlib.sha256).digest()
    info = b"tinymldelta sealed patch 1" + head
    assert info.startswith(SEALED_INFO)
    secrets = hmac.new(prk, info + b"\1", hashlib.sha256).digest()
    block = Cipher(AES(secrets[:16]), ECB()).encryptor()
    stream = b"".join(block.update(n.to_bytes(16, "big")) for n in range(len(PATCH) // 16 + 1))
    encrypted = bytes(a ^ b for a, b in zip(PATCH, stream, strict=False))
    chunks = b""
    for n in range(4):
        chunk = encrypted[256 * n : 256 * (n + 1)]
        tagged = n.to_bytes(4, "little") + chunk
        chunks += chunk + hmac.new(secrets[16:], tagged, hashlib.sha256).digest()[:8]
    assert data[len(head) :] == chunks


def test_each_envelope_is_another() -> None:
    for kind in KINDS:
        assert seal(PATCH, _KEYS[kind].public) != seal(PATCH, _KEYS[kind].public)
    with pytest.raises(ValueError, match="agree"):
        seal(PATCH, _KEYS[KINDS[0]].public, ephemeral=_KEYS[KINDS[1]])
    with pytest.raises(ValueError, match="empty"):
        seal(b"", _KEYS[KINDS[0]].public)


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_is_refused(kind: AgreementKind) -> None:
    data = seal(PATCH, new_opener(kind).public)
    fault = _refusal(data, kind)
    assert fault.status is Status.KEY
    assert sealed_key_id(data)[1].hex() in str(fault)
    with pytest.raises(PatchFault) as none:
        open_sealed(data, [])
    assert none.value.status is Status.KEY


@pytest.mark.parametrize("kind", KINDS)
def test_each_flipped_bit_is_refused(kind: AgreementKind) -> None:
    data = seal(PATCH[:40], _KEYS[kind].public)
    expected = {
        0: {Status.FORMAT, Status.KEY},
        1: {Status.KEY},
        5: {Status.SEAL, Status.TRUNCATED},  # the length
        9: {Status.SEAL, Status.HEADER},  # the sender's key, which may then be none
        _head_bytes(kind): {Status.SEAL},
    }
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        fault = _refusal(bytes(changed), kind)
        place = max(at for at in expected if at <= bit // 8)
        assert fault.status in expected[place], (bit, fault)


def test_chunks_have_their_places() -> None:
    kind, whole = KINDS[0], SEALED_CHUNK_BYTES + SEALED_TAG_BYTES
    data = seal(PATCH, _KEYS[kind].public)
    at = _head_bytes(kind)
    head, chunks = data[:at], [data[i : i + whole] for i in range(at, len(data), whole)]
    assert len(chunks) == 4
    assert open_chunks(head + b"".join(chunks), [_KEYS[kind]]) == (PATCH, None)
    for order, good, status in (
        ((1, 0, 2, 3), 0, Status.SEAL),
        ((0, 2, 1, 3), 1, Status.SEAL),
        ((0, 1, 2, 2), 3, Status.SEAL),
        ((0, 1, 3), 2, Status.TRUNCATED),  # which is too short to be the third
        ((0, 1, 2), 3, Status.TRUNCATED),
        ((0, 1, 2, 3, 3), 4, Status.TRAILING),
    ):
        changed = head + b"".join(chunks[n] for n in order)
        opened, fault = open_chunks(changed, [_KEYS[kind]])
        assert fault is not None and fault.status is status, order
        assert opened == PATCH[: good * SEALED_CHUNK_BYTES]


@given(st.sampled_from(KINDS), st.binary(max_size=120))
def test_no_bytes_break_the_opening(kind: AgreementKind, data: bytes) -> None:
    for attempt in (data, bytes((3 | kind << 4,)) + _KEYS[kind].id + data):
        try:
            opened = open_sealed(attempt, [_KEYS[kind]])
        except PatchFault:
            continue
        assert not is_sealed(opened)


@pytest.mark.parametrize("kind", KINDS)
def test_an_envelope_that_ends_is_truncated(kind: AgreementKind) -> None:
    data = seal(PATCH, _KEYS[kind].public)
    for size in range(len(data)):
        assert _refusal(data[:size], kind).status is Status.TRUNCATED
    none = data[:5] + bytes(4) + data[9:]
    assert _refusal(none, kind).status is Status.HEADER


def test_other_first_bytes_are_refused() -> None:
    for first in range(256):
        if first in (3 | kind << 4 for kind in KINDS):
            continue
        assert is_sealed(bytes((first,))) == (first & 15 == 3)
        for read in (sealed_key_id, lambda data: open_sealed(data, list(_KEYS.values()))):
            with pytest.raises(PatchFault) as fault:
                read(bytes((first,)) + bytes(100))
            assert fault.value.status is Status.FORMAT
    assert not is_sealed(b"")


def test_an_envelope_in_an_envelope_is_refused() -> None:
    for outer in KINDS:
        for inner in KINDS:
            data = seal(seal(PATCH, _KEYS[inner].public), _KEYS[outer].public)
            with pytest.raises(PatchFault) as fault:
                open_sealed(data, list(_KEYS.values()))
            assert fault.value.status is Status.FORMAT


def test_senders_that_are_nobody_are_refused() -> None:
    senders = {
        AgreementKind.X25519: [bytes(32), b"\1" + bytes(31), b"\xed" + b"\xff" * 30 + b"\x7f"],
        AgreementKind.ECDH_P256: [bytes(64), b"\xff" * 64, b"\1" * 64],
    }
    for kind, publics in senders.items():
        for public in publics:
            fault = _refusal(
                bytes((3 | kind << 4,)) + _KEYS[kind].id + LENGTH + public + PATCH, kind
            )
            assert fault.status is Status.HEADER
            assert fault.at == 9
