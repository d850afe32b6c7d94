"""Signed and encrypted patches by the plain reader: good ones, faults by name, every bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from patchkit2 import ACCEPTS, BASE, BODY, GOOD, TARGET, Fault
from signkit import (
    CLASS,
    CLASS_ACCEPTS,
    GOOD_SEALED,
    GOOD_SIGNED,
    KEYS,
    OPENERS,
    SIGNED_ACCEPTS,
    SIGNED_FAULTS,
    SIGNED_METADATA,
    PlayedKey,
    PlayedOpener,
    played_cipher,
    sign_with,
    signed_patch,
)
from tinymldelta.container.accepts import Accepts
from tinymldelta.container.format2_writer import write_patch
from tinymldelta.container.metadata import kept_bytes
from tinymldelta.container.patch import Metadata, PatchFault
from tinymldelta.container.reader import apply_patch, read_patch
from tinymldelta.container.signed import sign_patch, signed_parts
from tinymldelta.keys import MacKey, read_envelope
from tinymldelta.wire.constants import (
    AGREEMENT_KEY_SIZE,
    SIGNATURE_SIZE,
    AgreementKind,
    SignatureKind,
    Status,
)


@pytest.fixture(autouse=True)
def cipher() -> Iterator[None]:
    with played_cipher():
        yield


@pytest.mark.parametrize("kind", SignatureKind, ids=lambda kind: kind.name)
def test_a_signed_patch_is_taken_and_its_parts_add_up(kind: SignatureKind) -> None:
    patch = GOOD_SIGNED[kind]
    outcome = apply_patch(BASE, patch, SIGNED_ACCEPTS)
    assert (outcome.status, outcome.target) == (Status.OK, TARGET), outcome.reason
    read = read_patch(patch, SIGNED_ACCEPTS)
    assert read == read_patch(patch, None)
    sizes = read.sizes
    assert sum(sizes.values()) == 2 * sizes["total"] == 2 * len(patch)
    assert sizes["signature"] == 9 + SIGNATURE_SIZE[kind]
    assert sizes["digests"] == 2 + 8 + 32
    assert read.header.signer is not None
    assert (read.header.signer.kind, read.header.signer.key_id) == (kind, KEYS[kind - 1].id)
    at = len(patch) - len(BODY)
    assert read.signature == patch[at - SIGNATURE_SIZE[kind] : at]
    assert read.metadata == SIGNED_METADATA


@pytest.mark.parametrize("kind", AgreementKind, ids=lambda kind: kind.name)
def test_an_encrypted_patch_is_taken(kind: AgreementKind) -> None:
    sealed = GOOD_SEALED[kind]
    outcome = apply_patch(BASE, sealed, SIGNED_ACCEPTS)
    assert (outcome.status, outcome.target) == (Status.OK, TARGET), outcome.reason
    assert read_patch(sealed, SIGNED_ACCEPTS) == read_patch(signed_patch(), None)
    envelope = read_envelope(sealed)
    assert (envelope.kind, envelope.key_id) == (kind, OPENERS[kind - 1].id)
    assert envelope.head_bytes == 9 + AGREEMENT_KEY_SIZE[kind]
    assert envelope.patch_bytes == len(signed_patch())
    # Who has no keys sees no more than that.
    with pytest.raises(PatchFault, match="which is not given") as caught:
        read_patch(sealed, None)
    assert caught.value.status is Status.KEY


@pytest.mark.parametrize("fault", SIGNED_FAULTS, ids=lambda f: f.name)
def test_named_fault(fault: Fault) -> None:
    outcome = apply_patch(BASE, fault.patch, fault.accepts)
    assert (outcome.status, outcome.target) == (fault.expected, None), outcome.reason


def test_names_are_unique_and_all_statuses_are_there() -> None:
    names = [fault.name for fault in SIGNED_FAULTS]
    assert len(set(names)) == len(names)
    assert {fault.expected for fault in SIGNED_FAULTS} >= {
        *(Status.SIGNATURE, Status.KEY, Status.UNSIGNED, Status.CLASS, Status.HEADER),
        *(
            Status.FORMAT,
            Status.SEAL,
            Status.METADATA,
            Status.BODY,
            Status.TARGET,
            Status.TRUNCATED,
        ),
    }


@pytest.mark.parametrize("kind", SignatureKind, ids=lambda kind: kind.name)
def test_every_bit_counts(kind: SignatureKind) -> None:
    good = GOOD_SIGNED[kind]
    for at in range(len(good)):
        for bit in range(8):
            flipped = bytearray(good)
            flipped[at] ^= 1 << bit
            outcome = apply_patch(BASE, bytes(flipped), SIGNED_ACCEPTS)
            assert outcome.status is not Status.OK, (at, bit)


def test_a_secret_that_the_device_does_not_have() -> None:
    class Absent(PlayedKey):
        def verify(self, digest: bytes, signature: bytes) -> bool:
            raise LookupError

    key = KEYS[2]
    absent = Absent(key.kind, key.id, key.secret)
    accepts = replace(SIGNED_ACCEPTS, keys={(key.kind, key.id): absent})
    assert apply_patch(BASE, signed_patch(), accepts).status is Status.KEY


def test_an_encrypted_patch_that_is_read_without_a_base() -> None:
    for fault in SIGNED_FAULTS:
        if fault.expected is Status.SEAL:
            with pytest.raises(PatchFault) as caught:
                read_patch(fault.patch, fault.accepts)
            assert caught.value.status is Status.SEAL


def test_a_private_key_that_the_device_does_not_have() -> None:
    class Absent(PlayedOpener):
        def agree(self, peer: bytes) -> bytes | None:
            raise LookupError

    opener = OPENERS[0]
    absent = Absent(opener.kind, opener.id, opener.secret)
    accepts = replace(SIGNED_ACCEPTS, sealed_keys=(absent,))
    assert apply_patch(BASE, GOOD_SEALED[opener.kind], accepts).status is Status.KEY


# ---- what is written ----


def test_a_patch_is_written_for_a_signer_and_then_signed() -> None:
    key = MacKey(SignatureKind.HMAC_SHA256, bytes(range(32)), 5)
    patch = write_patch(
        BASE, TARGET, metadata=SIGNED_METADATA, lean=False, body=BODY, signer=(key.kind, key.id)
    )
    assert not any(read_patch(patch, None).signature)
    assert signed_parts(patch).to_be_signed
    signed = sign_patch(patch, key)
    assert signed == sign_with(patch, key, len(BODY))
    accepts = replace(SIGNED_ACCEPTS, keys={(key.kind, key.id): key})
    assert apply_patch(BASE, signed, accepts).target == TARGET
    assert apply_patch(BASE, patch, accepts).status is Status.SIGNATURE


def test_a_downgrade_is_written_for_a_signer_alone() -> None:
    with pytest.raises(ValueError, match="signed patches only"):
        write_patch(BASE, TARGET, metadata=SIGNED_METADATA, lean=False, body=BODY)


# ---- classes and floors ----


@pytest.mark.parametrize(
    ("said", "accepts", "status"),
    [
        (None, ACCEPTS, Status.OK),
        (CLASS, CLASS_ACCEPTS, Status.OK),
        (CLASS, ACCEPTS, Status.CLASS),
        (0, ACCEPTS, Status.OK),  # which is how nobody writes it
        (CLASS + 1, CLASS_ACCEPTS, Status.CLASS),
        (None, CLASS_ACCEPTS, Status.UNGUARDED),
        (None, replace(CLASS_ACCEPTS, flags=1), Status.OK),
        (CLASS + 1, replace(CLASS_ACCEPTS, flags=1), Status.CLASS),
    ],
)
def test_classes(said: int | None, accepts: Accepts, status: Status) -> None:
    metadata = read_patch(GOOD, None).metadata
    value = None if said is None else said.to_bytes(4, "little")
    patch = write_patch(
        BASE, TARGET, metadata=replace(metadata, device_class=value), lean=False, body=BODY
    )
    assert apply_patch(BASE, patch, accepts).status is status


@pytest.mark.parametrize(
    ("version", "downgrade", "floor", "lowest", "taken"),
    [
        (5, None, 5, 0, True),
        (4, None, 5, 0, False),
        (4, 4, 5, 0, False),
        (4, 5, 5, 0, True),
        (0, 5, 5, 0, True),
        (4, 5, 6, 0, False),
        (4, 0xFFFFFFFF, 0xFFFFFFFF, 0, True),
        (4, 9, 5, 5, False),  # the firmware's own floor is none of the records'
        (5, 9, 6, 5, True),
    ],
)
def test_floors_and_signed_exceptions(
    version: int, downgrade: int | None, floor: int, lowest: int, taken: bool
) -> None:
    value = None if downgrade is None else downgrade.to_bytes(4, "little")
    metadata = replace(SIGNED_METADATA, model_version=version, downgrade=value)
    accepts = replace(SIGNED_ACCEPTS, floor=floor, lowest_version=lowest)
    outcome = apply_patch(BASE, signed_patch(metadata=metadata), accepts)
    assert outcome.status is (Status.OK if taken else Status.VERSION), outcome.reason


def test_what_stays_with_the_model_counts_them() -> None:
    more: dict[str, Any] = {"device_class": bytes(4), "downgrade": bytes(4)}
    assert kept_bytes(Metadata(**more)) == 12
    full = replace(SIGNED_ACCEPTS, meta_kept=kept_bytes(SIGNED_METADATA) - 1)
    assert apply_patch(BASE, signed_patch(), full).status is Status.METADATA
