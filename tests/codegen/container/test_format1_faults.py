"""Broken and hostile patches against the plain reader: by name, by cut, by bit, by mutation."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

import patchkit as kit
from tinymldelta.container.format1 import apply_patch
from tinymldelta.wire.constants import Status


@pytest.mark.parametrize("fault", kit.NAMED_FAULTS, ids=lambda fault: fault.name)
def test_named_fault(fault: kit.NamedFault) -> None:
    patch = fault.make(kit.FAULT_BASE, kit.FAULT_TARGET)
    outcome = apply_patch(kit.FAULT_BASE, patch, fault.accepts)
    assert outcome.status == fault.expected, outcome.reason
    assert outcome.target == (kit.FAULT_TARGET if fault.expected == Status.OK else None)


@pytest.mark.parametrize("size", [300, 511, 768, 60_000])
def test_named_faults_fit_models_of_any_size(size: int) -> None:
    """The list promises to work for other models too."""
    rng = random.Random(size)
    base = rng.randbytes(size)
    target = bytes(value ^ 0x11 for value in base)
    for fault in kit.NAMED_FAULTS:
        outcome = apply_patch(base, fault.make(base, target), fault.accepts)
        assert outcome.status == fault.expected, f"{fault.name}: {outcome.reason}"


def test_names_are_unique_and_every_refusal_of_a_patch_has_one() -> None:
    names = Counter(fault.name for fault in kit.NAMED_FAULTS)
    assert max(names.values()) == 1
    of_a_patch = {status for status in Status if status <= Status.TRUNCATED or status == Status.OK}
    of_a_patch -= OF_FORMAT_2
    assert {fault.expected for fault in kit.NAMED_FAULTS} == of_a_patch


# Nor is what only a device's records know, or its crypto port.
OF_FORMAT_2 = {
    Status.REVERTED,
    Status.DECODER,
    Status.SIGNATURE,
    Status.BODY,
    Status.NAME,
    Status.QUANTISATION,
    Status.TENSOR_NAMES,
    Status.CLASS,
    Status.KEY,
    Status.UNSIGNED,
    Status.CRYPTO,
    Status.SEAL,
}


def _small_patches() -> dict[str, kit.Case]:
    base = bytes(range(60))
    target = base[:10] + b"\x7f" * 30 + base[40:] + b"tail"
    parts = kit.PatchParts(
        base,
        target,
        tlvs=(*kit.TLVS, kit.tlv(0x90, b"v")),
        chunks=(
            kit.chunk(10, kit.rle(target[10:40]), encoding=kit.RLE),
            kit.chunk(50, target[50:55], has_crc=0),
            kit.chunk(60, target[60:]),
        ),
    )
    return {
        "sha256": kit.Case(base, parts.pack(), kit.ACCEPTS, target),
        "crc32": kit.Case(base, replace(parts, digest_kind=kit.CRC32).pack(), kit.ACCEPTS, target),
        "unguarded": kit.Case(
            base,
            replace(parts, tlvs=()).pack(),
            replace(kit.ACCEPTS, flags=kit.ACCEPT_UNGUARDED),
            target,
        ),
    }


SMALL = _small_patches()


@pytest.mark.parametrize("name", SMALL)
def test_cut_off_at_any_byte(name: str) -> None:
    base, patch, accepts, target = SMALL[name]
    assert apply_patch(base, patch, accepts).target == target
    for size in range(len(patch)):
        assert apply_patch(base, patch[:size], accepts).status == Status.TRUNCATED, size


@pytest.mark.parametrize("name", SMALL)
def test_any_single_bit_flipped(name: str) -> None:
    """Refused, or (in metadata, which nothing protects) without effect on the model."""
    base, patch, accepts, target = SMALL[name]
    for at in range(len(patch)):
        for bit in range(8):
            flipped = kit.set_bytes(patch, at, bytes((patch[at] ^ 1 << bit,)))
            outcome = apply_patch(base, flipped, accepts)
            if outcome.status == Status.OK:
                in_metadata = kit.HEADER_BYTES <= at < kit.HEADER_BYTES + 25
                assert in_metadata and patch[76] != 0, (at, bit)
                assert outcome.target == target
            else:
                assert outcome.target is None


def test_any_byte_added_behind() -> None:
    base, patch, accepts, _ = SMALL["sha256"]
    for value in range(256):
        trailing = patch + bytes((value,))
        assert apply_patch(base, trailing, accepts).status == Status.TRAILING


@pytest.mark.parametrize("repaired", [False, True], ids=["as_is", "repaired"])
def test_mutations_give_the_target_or_are_refused(repaired: bool) -> None:
    """With digests a mutated patch gives the target, or the one that its own digest promises."""
    rng = random.Random(7)
    statuses: Counter[Status] = Counter()
    for _ in range(6000):
        case = kit.random_case(rng)
        patch = kit.mutate(rng, case.patch, repair_for=case.base if repaired else None)
        outcome = apply_patch(case.base, patch, case.accepts)
        statuses[outcome.status] += 1
        if outcome.target is not None:
            kind = patch[1]
            assert kit.digest(kind, outcome.target) == patch[44:76]
            assert len(outcome.target) == kit.get_number(patch, kit.HEADER_FIELDS["target_bytes"])
            assert len(outcome.target) <= case.accepts.slot_bytes
            # A patch that was refused for its metadata may have got other metadata.
            same = kind == kit.SHA256 and patch[44:76] == case.patch[44:76]
            if not repaired and same and case.target is not None:
                assert outcome.target == case.target
        else:
            assert outcome.reason
    # The mutations have to reach every check, or they prove little.
    reached = {status for status in Status if status <= Status.TRUNCATED or status == Status.OK}
    reached -= OF_FORMAT_2
    missing = reached - set(statuses)
    assert missing <= ({Status.CHUNK_CRC, Status.TARGET} if repaired else set()), statuses


def test_mutations_take_any_bytes() -> None:
    rng = random.Random(8)
    for size in (0, 1, 79, 80, 81, 88, 100):
        for _ in range(200):
            patch = rng.randbytes(size)
            for mutation in kit.MUTATIONS:
                patch = mutation(rng, patch)[:400]
            kit.repair(patch, b"base")


def test_taking_apart_loses_nothing() -> None:
    rng = random.Random(9)
    for _ in range(1000):
        case = kit.random_case(rng)
        assert kit.take_apart(case.patch).rest == b""
        assert kit.repair(case.patch, case.base) == case.patch or case.target is None
        patch = kit.mutate(rng, case.patch)
        assert kit.take_apart(patch).join() == patch


def test_same_seed_same_patches() -> None:
    def run(seed: int) -> list[bytes]:
        rng = random.Random(seed)
        return [kit.mutate(rng, kit.random_case(rng).patch) for _ in range(50)]

    assert run(3) == run(3)
    assert run(3) != run(4)
