"""The crypto port of simulated devices: what C is told, and that no exception goes through it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from patchkit2 import BASE, TARGET
from signkit import GOOD_SIGNED, SIGNED_METADATA
from tinymldelta import native
from tinymldelta.container.format2_writer import write_patch
from tinymldelta.container.signed import sign_patch
from tinymldelta.contract import Contract
from tinymldelta.delta.encode import encode
from tinymldelta.keys import (
    AgreementPrivate,
    MacKey,
    PrivateKey,
    generate_agreement_private,
    generate_mac_key,
    generate_private_key,
    is_mac,
    primitives,
    seal,
)
from tinymldelta.native.binding import ffi
from tinymldelta.proving import contract_taking
from tinymldelta.trust import KeyRing
from tinymldelta.wire.constants import AgreementKind, SignatureKind, Status


def signed_by(key: PrivateKey | MacKey) -> bytes:
    patch = write_patch(
        BASE,
        TARGET,
        metadata=SIGNED_METADATA,
        lean=False,
        body=encode(BASE, TARGET),
        signer=(key.kind, key.id),
    )
    return sign_patch(patch, key)


def new_key(kind: SignatureKind) -> PrivateKey | MacKey:
    return generate_mac_key(kind, 3) if is_mac(kind) else generate_private_key(kind)


def contract_with(key: PrivateKey | MacKey, *openers: AgreementPrivate) -> Contract:
    ring = KeyRing((key.public if isinstance(key, PrivateKey) else key,), openers)
    contract = contract_taking(signed_by(key), BASE, ring)
    model = replace(contract.models[0], model_sha256=native.sha256(BASE))
    return replace(contract, models=(model,))


def sent(
    contract: Contract,
    patch: bytes,
    *,
    secrets: tuple[MacKey, ...] = (),
    sealed: tuple[AgreementPrivate, ...] = (),
    crypto: native.Crypto | None = None,
) -> Status:
    """What a device says to the patch, staged and streamed. A refusal leaves flash as it was."""
    statuses = set()
    for piece in (0, 1, 33):
        with native.Device.create(
            contract,
            0,
            native.geometry_of(contract),
            native.Options(trial_starts=1),
            secrets=secrets,
            sealed=sealed,
            crypto=crypto,
        ) as device:
            device.factory(BASE)
            assert device.boot() is Status.OK
            before = device.flash
            status = device.stream(patch, piece) if piece else device.staged(patch)
            statuses.add(status)
            if status is Status.OK:
                assert device.boot() is Status.OK
                assert device.read_active() == TARGET
            else:
                assert device.flash == before
    (status,) = statuses
    return status


@pytest.mark.parametrize("kind", SignatureKind, ids=lambda kind: kind.name)
def test_every_kind_of_signature(kind: SignatureKind) -> None:
    key, other = new_key(kind), new_key(kind)
    contract = contract_with(key)
    secrets = (key,) if isinstance(key, MacKey) else ()
    patch = signed_by(key)
    assert sent(contract, patch, secrets=secrets) is Status.OK
    if isinstance(other, MacKey):  # under the same number
        assert sent(contract, patch, secrets=(other,)) is Status.SIGNATURE
        assert sent(contract, patch, secrets=(replace(other, number=4),)) is Status.KEY
        assert sent(contract, patch) is Status.KEY
    else:
        assert sent(contract, signed_by(other)) is Status.KEY


@pytest.mark.parametrize("kind", AgreementKind, ids=lambda kind: kind.name)
def test_every_kind_of_agreement(kind: AgreementKind) -> None:
    key, opener, other = (
        generate_private_key(SignatureKind.ED25519),
        generate_agreement_private(kind),
        generate_agreement_private(kind),
    )
    contract = contract_with(key, opener)
    patch = seal(signed_by(key), opener.public)
    assert sent(contract, patch, sealed=(opener, other)) is Status.OK
    assert sent(contract, patch, sealed=(other,)) is Status.KEY
    assert sent(contract, seal(signed_by(key), other.public), sealed=(other,)) is Status.KEY
    peer_at = 9
    none = patch[:peer_at] + bytes(len(opener.public.data)) + patch[peer_at + 32 :]
    assert sent(contract, none, sealed=(opener,)) is Status.HEADER


def test_an_exception_is_a_failure_of_the_cryptography(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(native.Crypto):
        def _verify(self, *_: object) -> Status:
            raise RuntimeError("the hardware is gone")

    key = generate_private_key(SignatureKind.ED25519)
    assert sent(contract_with(key), signed_by(key), crypto=Broken()) is Status.CRYPTO
    assert capfd.readouterr().err == ""


def test_a_device_for_a_signature_that_is_awaited_takes_any() -> None:
    key = generate_private_key(SignatureKind.ED25519)
    contract, good = contract_with(key), signed_by(key)
    changed = good.replace(read_signature(good), bytes(64))
    assert sent(contract, changed) is Status.SIGNATURE
    assert sent(contract, changed, crypto=native.AwaitedSignatureCrypto()) is Status.OK


def read_signature(patch: bytes) -> bytes:
    from tinymldelta.container.format2 import read_patch

    return read_patch(patch, None).signature


def test_rules_are_told_of_what_is_verified_alone() -> None:
    key, opener = (
        new_key(SignatureKind.HMAC_SHA256),
        generate_agreement_private(AgreementKind.X25519),
    )
    assert isinstance(key, MacKey)
    contract, patch = contract_with(key, opener), signed_by(key)
    status, rules = native.check_rules(contract, 0, patch, native.Crypto((key,)))
    assert (status, len(rules)) == (Status.OK, 9)
    assert native.check_rules(contract, 0, patch) == (Status.KEY, [])
    stranger = GOOD_SIGNED[SignatureKind.HMAC_SHA256]
    assert native.check_rules(contract, 0, stranger, native.Crypto((key,))) == (Status.KEY, [])
    sealed = seal(patch, opener.public)
    crypto = native.Crypto((key,), (opener,))
    assert native.check_rules(contract, 0, sealed, crypto)[0] is Status.OK
    assert native.check_rules(contract, 0, sealed, native.Crypto((key,))) == (Status.KEY, [])
    for size in (0, 1, 5, 9, 40, 41, 60):
        assert native.check_rules(contract, 0, sealed[:size], crypto)[0] is Status.TRUNCATED


def test_a_block_is_that_of_aes() -> None:
    """FIPS 197, appendix C.1."""
    key, block = bytes(range(16)), bytes(17 * i for i in range(16))
    want = bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a")
    assert primitives.aes_block(key, block) == want
    out = ffi.new("uint8_t[16]")
    assert native.Crypto().pointer.aes128(ffi.NULL, key, block, out) == Status.OK
    assert bytes(out) == want
