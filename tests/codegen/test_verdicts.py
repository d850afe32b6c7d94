"""Versions, their floors and test vectors: what a device's records and interpreter decide.

The guardrails before them are judged in test_matrix.py.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import replace

import pytest

from modelkit import build, default_spec, with_tensor
from tinymldelta import native
from tinymldelta.container import format1_writer, format2_writer
from tinymldelta.container.patch import Metadata
from tinymldelta.container.reader import apply_patch, read_patch
from tinymldelta.generate import ModelSource, model_contracts
from tinymldelta.limits import Limits
from tinymldelta.patching import PatchOptions, make_patch
from tinymldelta.said import Said
from tinymldelta.wire.constants import DigestKind, Status

BASE = build(default_spec())
ROOMY = model_contracts([ModelSource("m", BASE, "base")], Limits(8192, 1024, 4, {"m": 65536}, {}))
LONGER = build(replace(default_spec(), description="x" * 900))
RETRAINED = build(with_tensor(default_spec(), 6, data=bytes(range(128, 256))))
RENAMED = build(with_tensor(default_spec(), 0, name="temperature"))


VERSIONS = (0, 1, 0x01020002, 0x01020003, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@pytest.mark.parametrize("runs_vectors", [False, True])
@pytest.mark.parametrize("format_", [1, 2])
def test_versions_and_vectors_by_the_device_and_by_the_plain_reader(
    format_: int, runs_vectors: bool
) -> None:
    """What the case files of tests/core/replay cannot say: a lowest version, and an interpreter."""
    target = LONGER
    data = make_patch(
        BASE,
        target,
        where="patch",
        target_where="target",
        options=PatchOptions(format=format_, said=Said("m")),
        contract=None,
        index=0,
    )
    rng = random.Random(format_)
    seen: Counter[Status] = Counter()
    for _ in range(150):
        lowest = rng.choice(VERSIONS)
        version = rng.choice((None, *VERSIONS))
        at = rng.choice((None, None, 0, 1, len(target) - 1, len(target), 0xFFFFFFFF))
        arena = rng.choice((None, *[data.metadata.req_arena_bytes] * 8, 1 << 20))
        base = BASE if rng.randrange(4) else BASE + b"\0"
        metadata = replace(
            data.metadata, req_arena_bytes=arena, model_version=version, self_test=at
        )
        patch = with_metadata(data.data, target, metadata, format_)
        (model,) = ROOMY.models
        on_device = replace(
            model,
            lowest_version=lowest,
            model_bytes=len(base),
            model_sha256=hashlib.sha256(base).digest(),
        )
        contract = replace(ROOMY, models=(on_device,))
        accepts = replace(contract.accepts(0), self_test=runs_vectors)
        expected = apply_patch(base, patch, accepts)
        seen[expected.status] += 1
        options = native.Options(trial_starts=1 if runs_vectors else 0)
        for staged in (False, True):
            with native.Device.create(contract, 0, native.geometry_of(contract), options) as device:
                device.factory(base)
                assert device.boot() is Status.OK
                before = device.flash
                status = device.staged(patch) if staged else device.stream(patch, 33)
                assert status is expected.status, expected.reason
                if status is not Status.OK:
                    assert device.flash == before
    wanted = {Status.OK, Status.ARENA, Status.UNGUARDED, Status.VERSION, Status.METADATA}
    wanted |= {Status.BASE} if runs_vectors else {Status.BASE, Status.SELF_TEST}
    assert set(seen) == wanted
    assert min(seen.values()) >= 3


def with_metadata(patch: bytes, target: bytes, metadata: Metadata, format_: int) -> bytes:
    """The patch from BASE to `target` with other metadata."""
    if format_ == 1:
        return format1_writer.write_patch(BASE, target, digest=DigestKind.SHA256, metadata=metadata)
    body = patch[len(patch) - read_patch(patch, None).sizes["body"] :]
    return format2_writer.write_patch(BASE, target, metadata=metadata, lean=False, body=body)


def patch_with_versions(base: bytes, target: bytes, version: int, floor: int) -> bytes:
    """A patch with these versions, whether `tmd patch` would make it or not."""
    made = make_patch(
        base,
        target,
        where="p",
        target_where="t",
        options=PatchOptions(said=Said("m")),
        contract=None,
        index=0,
    )
    metadata = replace(made.metadata, model_version=version, version_floor=floor)
    body = made.data[len(made.data) - read_patch(made.data, None).sizes["body"] :]
    return format2_writer.write_patch(base, target, metadata=metadata, lean=False, body=body)


def test_a_floor_above_the_models_own_version_does_not_take_the_model_away() -> None:
    """A careless or hostile patch: it is refused, or what is confirmed is there after a reboot."""
    options = native.Options(trial_starts=1)
    with native.Device.create(ROOMY, 0, native.geometry_of(ROOMY), options) as device:
        device.factory(BASE)
        assert device.boot() is Status.OK
        for patch in (
            patch_with_versions(BASE, RETRAINED, 0, 0),
            patch_with_versions(RETRAINED, RENAMED, 1, 2),
        ):
            if device.stream(patch, 64) is Status.OK:
                assert device.open() is Status.OK
                device.close()
                assert device.confirm() is Status.OK
        before = device.active
        assert device.boot() is Status.OK
        assert device.active == before


def test_without_trials_a_floor_counts_at_once() -> None:
    """Without a trial a new model counts as confirmed when it is there."""
    with native.Device.create(ROOMY, 0, native.geometry_of(ROOMY)) as device:
        device.factory(BASE)
        assert device.boot() is Status.OK
        assert device.stream(patch_with_versions(BASE, RETRAINED, 3, 2), 64) is Status.OK
        assert device.info.floor == 2
        assert device.boot() is Status.OK
        assert (device.active.slot, device.info.floor) == (1, 2)
