"""Format 2 by the C core, under sanitizers, against the plain Python decoder of SPEC.md."""

from __future__ import annotations

import os
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from casefile import WRITE_BYTES, CaseFile, run_cases
from cases2 import (
    ACCEPTS,
    METADATA,
    in_envelope,
    mutate2,
    random_case2,
    with_trust,
    with_vectors,
)

from patchkit2 import BASE, NAMED_FAULTS_2
from signkit import GOOD_SEALED, GOOD_SIGNED, SIGNED_ACCEPTS, SIGNED_FAULTS
from tinymldelta.container.format2 import read_patch
from tinymldelta.container.format2_writer import write_patch
from tinymldelta.container.reader import apply_patch
from tinymldelta.delta.encode import encode
from tinymldelta.wire.constants import AgreementKind, Status

SEED = int(os.environ.get("TMD_SEED", "20261121"))
VALID = 1_600
MUTATIONS_EACH = 6
SIGNED_EACH = 3
SHARDS = 16

# What a body can come to must really have been reached, this often at least.
REACHED = {
    Status.OK: 1600,
    Status.TRUNCATED: 300,
    Status.TRAILING: 300,
    Status.BODY: 300,
    Status.TARGET: 100,
    Status.SELF_TEST: 100,
    Status.METADATA: 200,
    Status.ARENA: 10,
    Status.ABI: 10,
    Status.OPERATORS: 10,
    Status.IO: 10,
    Status.QUANTISATION: 10,
    Status.NAME: 10,
    Status.BASE: 20,
    Status.SIGNATURE: 200,
    Status.KEY: 500,
    Status.UNSIGNED: 500,
    Status.FORMAT: 20,
    Status.SEAL: 100,
}


def mutate_envelope(rng: random.Random, sealed: bytes, head_bytes: int) -> bytes:
    """Cut off or changed, mostly in front of what is encrypted."""
    if rng.random() < 0.2:
        return sealed[: rng.randrange(len(sealed))]
    mutated = bytearray(sealed)
    end = head_bytes if rng.random() < 0.7 else len(sealed)
    mutated[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(mutated)


def _generate_and_run(number: int, folder: Path, program: Path) -> tuple[Counter[Status], str]:
    rng = random.Random(SEED * 1000 + number)
    seen: Counter[Status] = Counter()
    cases = CaseFile()
    for _ in range(VALID // SHARDS):
        case = random_case2(rng)
        body_bytes = read_patch(case.patch, None).sizes["body"]
        mutated = [mutate2(rng, case.patch, body_bytes) for _ in range(MUTATIONS_EACH)]
        mutated.append(with_vectors(rng, case))
        for i, patch in enumerate([case.patch, *mutated]):
            status = cases.add(case.base, patch, case.accepts)
            assert i > 0 or status is Status.OK, "the plain decoder refuses a whole patch"
            seen[status] += 1
        signed = with_trust(rng, case)
        body_bytes = read_patch(signed.patch, None).sizes["body"]
        mutated = [mutate2(rng, signed.patch, body_bytes) for _ in range(SIGNED_EACH)]
        for i, patch in enumerate([signed.patch, *mutated, case.patch]):
            status = cases.add(case.base, patch, signed.accepts)
            assert i > 0 or status is Status.OK, "the plain decoder refuses a signed patch"
            seen[status] += 1
        sealed = in_envelope(rng, signed.patch)
        head_bytes = len(sealed) - len(signed.patch)
        mutated = [in_envelope(rng, patch) for patch in mutated[:1]]
        mutated.append(mutate_envelope(rng, sealed, head_bytes))
        for i, patch in enumerate([sealed, *mutated]):
            status = cases.add(case.base, patch, signed.accepts)
            assert i > 0 or status is Status.OK, "the plain decoder refuses an encrypted patch"
            seen[status] += 1
        seen[cases.add(case.base, signed.patch, case.accepts)] += 1
    file = folder / f"cases2-{number}"
    file.write_bytes(cases.content)
    printed = run_cases(program, file)
    file.unlink()
    return seen, printed


def test_same_status_and_result_on_random_and_mutated_patches(replay: Path, tmp_path: Path) -> None:
    seen: Counter[Status] = Counter()
    ran = 0
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_generate_and_run, n, tmp_path, replay) for n in range(SHARDS)]
        for job in jobs:
            shard_seen, printed = job.result()
            seen += shard_seen
            ran += int(printed.split("cases ")[1].split()[0])
    print(f"{ran} cases, seed {SEED}: " + ", ".join(f"{s.name} {n}" for s, n in seen.items()))
    assert ran == sum(seen.values()) == VALID * (2 + MUTATIONS_EACH + 2 + SIGNED_EACH + 3 + 1)
    too_few = {s.name: (seen[s], n) for s, n in REACHED.items() if seen[s] < n}
    assert not too_few, f"reached, wanted: {too_few}"


def test_every_named_fault_is_refused(replay: Path, tmp_path: Path) -> None:
    cases = CaseFile()
    faults = [fault for fault in NAMED_FAULTS_2 if fault.accepts.lowest_version == 0]
    for fault in faults:
        statuses = cases.add_on_each_geometry(BASE, fault.patch, fault.accepts)
        assert statuses == {fault.expected}, fault.name
    file = tmp_path / "faults"
    file.write_bytes(cases.content)
    assert f"cases {len(WRITE_BYTES) * len(faults)}\n" in run_cases(replay, file)


def test_every_named_fault_of_signed_patches_is_refused(replay: Path, tmp_path: Path) -> None:
    cases = CaseFile()
    for fault in SIGNED_FAULTS:
        statuses = cases.add_on_each_geometry(BASE, fault.patch, fault.accepts)
        assert statuses == {fault.expected}, fault.name
    good = (*GOOD_SIGNED.values(), *GOOD_SEALED.values())
    for patch in good:
        assert cases.add_on_each_geometry(BASE, patch, SIGNED_ACCEPTS) == {Status.OK}
    file = tmp_path / "faults"
    file.write_bytes(cases.content)
    count = len(WRITE_BYTES) * (len(SIGNED_FAULTS) + len(good))
    assert f"cases {count}\n" in run_cases(replay, file)


def test_every_bit_of_a_signed_patch_counts(replay: Path, tmp_path: Path) -> None:
    """By the C core, staged and streamed: no bit flip is taken, and none changes what it should
    not. Of each kind of signature one patch, and an encrypted one."""
    for number, patch in enumerate((*GOOD_SIGNED.values(), GOOD_SEALED[AgreementKind.X25519])):
        cases = CaseFile()
        for at in range(len(patch)):
            for bit in range(8):
                flipped = bytearray(patch)
                flipped[at] ^= 1 << bit
                assert cases.add(BASE, bytes(flipped), SIGNED_ACCEPTS) is not Status.OK
        file = tmp_path / f"flips-{number}"
        file.write_bytes(cases.content)
        assert f"cases {8 * len(patch)}\n" in run_cases(replay, file)


@pytest.mark.parametrize("lean", [False, True], ids=["default", "lean"])
@pytest.mark.parametrize("model", ["digits", "sst"])
def test_the_plain_decoder_rebuilds_the_samples(root: Path, model: str, lean: bool) -> None:
    folder = root / "samples" / "host" / "models" / model
    base, target = ((folder / f"{name}.tflite").read_bytes() for name in ("base", "target"))
    body = encode(base, target, lean=lean)
    patch = write_patch(base, target, metadata=METADATA, lean=lean, body=body)
    outcome = apply_patch(base, patch, None)
    assert outcome.status is Status.OK, outcome.reason
    assert outcome.target == target
    assert len(patch) < len(target) * 0.8
    assert ACCEPTS.formats == {2}
