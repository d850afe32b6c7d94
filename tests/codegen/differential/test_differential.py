"""The C core against the plain Python reader: same status and result on random and hostile input.

TMD_SEED changes what is generated; it is printed when a run fails. The C is built with
AddressSanitizer and UndefinedBehaviorSanitizer.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from casefile import MAGIC, WRITE_BYTES, CaseFile, kept_tlvs, run_cases

from patchkit import FAULT_BASE, FAULT_TARGET, NAMED_FAULTS, mutate, random_case, set_bytes
from patchkit2 import ACCEPTS, BASE, GOOD, TARGET
from tinymldelta.wire.constants import Status

SEED = int(os.environ.get("TMD_SEED", "20261121"))
VALID = 12_000
MUTATIONS_EACH = 9
SHARDS = 24

# Each refusal of format 1's reader must really have been reached, this often at least.
REACHED = {
    Status.OK: 5000,
    Status.TRUNCATED: 500,
    Status.FORMAT: 200,
    Status.HEADER: 500,
    Status.DIGEST_KIND: 200,
    Status.METADATA: 500,
    Status.TRAILING: 200,
    Status.UNGUARDED: 200,
    Status.ARENA: 50,
    Status.ABI: 50,
    Status.OPERATORS: 50,
    Status.IO: 50,
    Status.SLOT: 50,
    Status.BASE: 200,
    Status.SELF_TEST: 100,
    Status.CHUNK_ENCODING: 200,
    Status.CHUNK_ORDER: 200,
    Status.CHUNK_BOUNDS: 200,
    Status.CHUNK_CRC: 200,
    Status.GAP: 50,
    Status.TARGET: 200,
}


def _shard(number: int) -> tuple[bytes, Counter[Status]]:
    """A part of all cases, the same in every run with the same seed."""
    rng = random.Random(SEED * 1000 + number)
    cases = CaseFile()
    seen: Counter[Status] = Counter()
    for _ in range(VALID // SHARDS):
        case = random_case(rng)
        # The base has to be on the device, so it fits its slot; the target need not. A case has no
        # room for a lowest version: test_verdicts.py has those.
        slot_bytes = max(case.accepts.slot_bytes, len(case.base))
        accepts = replace(case.accepts, slot_bytes=slot_bytes, lowest_version=0)
        seen[cases.add(case.base, case.patch, accepts)] += 1
        for i in range(MUTATIONS_EACH):
            patch = mutate(rng, case.patch, repair_for=case.base if i % 2 else None)
            seen[cases.add(case.base, patch, accepts)] += 1
    return cases.content, seen


def _shard_file(number: int, folder: Path) -> tuple[Path, Counter[Status]]:
    content, seen = _shard(number)
    file = folder / f"cases-{number}"
    file.write_bytes(content)
    return file, seen


def _generate_and_run(number: int, folder: Path, program: Path) -> tuple[Counter[Status], str]:
    file, seen = _shard_file(number, folder)
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
    assert ran == sum(seen.values()) == VALID * (1 + MUTATIONS_EACH)
    assert VALID >= 10_000
    assert VALID * MUTATIONS_EACH >= 100_000
    too_few = {s.name: (seen[s], n) for s, n in REACHED.items() if seen[s] < n}
    assert not too_few, f"reached, wanted: {too_few}"


def test_every_named_fault_is_refused_with_every_flash_byte_unchanged(
    replay: Path, tmp_path: Path
) -> None:
    cases = CaseFile()
    faults = [fault for fault in NAMED_FAULTS if fault.accepts.lowest_version == 0]
    assert len(faults) > 100
    for fault in faults:
        patch = fault.make(FAULT_BASE, FAULT_TARGET)
        statuses = cases.add_on_each_geometry(FAULT_BASE, patch, fault.accepts)
        assert statuses == {fault.expected}, fault.name
    file = tmp_path / "faults"
    file.write_bytes(cases.content)
    assert f"cases {len(WRITE_BYTES) * len(faults)}\n" in run_cases(replay, file)


def test_replay_notices_a_wrong_expectation(replay: Path, tmp_path: Path) -> None:
    """The judge itself: a case whose status, target or kept metadata are wrong must fail."""
    cases = CaseFile()
    assert cases.add(BASE, GOOD, ACCEPTS) is Status.OK
    good = cases.content
    kept = kept_tlvs(GOOD)
    assert good.endswith(TARGET + kept)
    first = len(MAGIC)
    wrong_status = good[:first] + b"\xff\xff\xff\xff" + good[first + 4 :]
    target_at = len(good) - len(kept) - 1
    wrong_target = set_bytes(good, target_at, bytes((good[target_at] ^ 1,)))
    wrong_kept = good[:-1] + bytes((good[-1] ^ 1,))
    for content, code in (
        (good, 0),
        (wrong_status, 1),
        (wrong_target, 1),
        (wrong_kept, 1),
        (MAGIC, 1),
    ):
        file = tmp_path / "case"
        file.write_bytes(content)
        assert subprocess.run([replay, file], capture_output=True).returncode == code
