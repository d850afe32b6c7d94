"""Every single change of a model's facts, against a firmware built for the unchanged model.

The device's C (streamed and staged), `tmd check` and the plain Python rules must say the same:
refused by exactly the rule that the change breaks, or taken.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from model.test_facts import IO_CHANGES, OPERATOR_CHANGES
from modelkit import ModelSpec, build, default_spec, with_tensor
from tinymldelta import native
from tinymldelta.container.reader import apply_patch
from tinymldelta.contract import Contract, Limits
from tinymldelta.generate import ModelSource, model_contracts
from tinymldelta.patching import PatchOptions, check_patch, make_patch
from tinymldelta.wire.constants import Status

LIMITS = Limits(8192, 1024, 4, {}, {})
BASE = build(default_spec())


def contract_for(arena: int | None = None, kernel_build: int = 0) -> Contract:
    supply = {"m": arena} if arena else {}
    limits = replace(LIMITS, arena_bytes=supply, kernel_build=kernel_build)
    return model_contracts([ModelSource("m", BASE, "base")], limits)


ROOMY = contract_for(arena=65536)


def verdicts(target: bytes, contract: Contract) -> set[Status]:
    """What each judge says to a patch that was made without knowing the contract."""
    made = make_patch(
        BASE,
        target,
        where="patch",
        target_where="target",
        options=PatchOptions(),
        contract=None,
        index=0,
    )
    said = {
        check_patch(made.data, "patch", contract, 0, BASE).status,
        check_patch(made.data, "patch", contract, 0, None).status,
        apply_patch(BASE, made.data, contract.accepts(0)).status,
    }
    for staged in (False, True):
        with native.Device.create(contract, 0, native.geometry_of(contract)) as device:
            device.factory(BASE)
            assert device.boot() is Status.OK
            before = device.flash
            status = device.staged(made.data) if staged else device.stream(made.data, 20)
            said.add(status)
            if status is Status.OK:
                assert device.boot() is Status.OK
                assert device.read_active() == target
            else:
                assert device.flash == before
    return said


@pytest.mark.parametrize("name", OPERATOR_CHANGES)
def test_a_change_of_operators_is_refused_by_that_rule(name: str) -> None:
    assert verdicts(build(OPERATOR_CHANGES[name]), ROOMY) == {Status.OPERATORS}


@pytest.mark.parametrize("name", IO_CHANGES)
def test_a_change_of_in_and_out_tensors_is_refused_by_that_rule(name: str) -> None:
    assert verdicts(build(IO_CHANGES[name]), ROOMY) == {Status.IO}


COMPATIBLE: dict[str, ModelSpec] = {
    "new weights": with_tensor(default_spec(), 6, data=bytes(range(128, 256))),
    "new scale inside": with_tensor(default_spec(), 3, scale=(0.75,)),
    "new names": with_tensor(default_spec(), 0, name="temperature"),
    "new description": replace(default_spec(), description="retrained"),
    "a longer file": replace(default_spec(), description="x" * 900),
    "a shorter file": replace(default_spec(), description=""),
    "a smaller arena": with_tensor(default_spec(), 3, shape=(1, 2, 2, 2)),
}


@pytest.mark.parametrize("name", COMPATIBLE)
def test_what_changes_nothing_that_matters_is_taken(name: str) -> None:
    assert verdicts(build(COMPATIBLE[name]), ROOMY) == {Status.OK}


def test_the_arena_is_compared_with_what_the_firmware_has() -> None:
    larger = build(with_tensor(default_spec(), 3, shape=(1, 40, 40, 2)))
    assert verdicts(larger, ROOMY) == {Status.OK}
    assert verdicts(larger, contract_for()) == {Status.ARENA}


def test_another_kernel_build_is_refused() -> None:
    target = build(COMPATIBLE["new weights"])
    assert verdicts(target, contract_for(arena=65536, kernel_build=1)) == {Status.ABI}


def test_a_target_that_does_not_fit_the_slot_is_refused() -> None:
    assert verdicts(build(replace(default_spec(), description="x" * 9000)), ROOMY) == {Status.SLOT}
