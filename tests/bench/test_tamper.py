"""A sample of the tampering campaign, and that it would notice."""

from __future__ import annotations

from pathlib import Path

import pytest

import tamper


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[tamper.Signed]:
    return tamper.prepare(tmp_path_factory.mktemp("tamper"))


def test_nothing_is_taken(made: list[tamper.Signed]) -> None:
    tallies, sorts = tamper.campaign(made, 157, 2)
    assert [line for tally in tallies.values() for line in tally.taken] == []
    assert all(tally.changes > 20 for tally in tallies.values())
    assert sum(sorts.values()) == sum(tally.changes for tally in tallies.values())


def test_changes_are_all_there(made: list[tamper.Signed]) -> None:
    patch = made[0].patch
    changes = list(tamper.changes_of(patch))
    by_sort = {what: [c for c in changes if c.what == what] for what in {c.what for c in changes}}
    assert len({c.data for c in by_sort["bits"]}) == 8 * len(patch)
    assert [len(c.data) for c in by_sort["truncations"]] == list(range(len(patch)))
    assert len(by_sort["trailing bytes"]) == 256
    assert len(by_sort["swapped TLVs"]) == len(by_sort["swapped TLVs, CRC right"]) > 40
    assert len(by_sort["TLVs moved out"]) > 50
    assert sum(c.data == patch for c in changes) == 0


@pytest.mark.parametrize("kind", [0, len(tamper.PAIRS)])
def test_what_is_taken_is_noticed(made: list[tamper.Signed], tmp_path: Path, kind: int) -> None:
    """The patch as it was signed stands for a change that nobody finds."""
    signed = made[kind]
    unchanged = tamper.Change("nothing", signed.patch)
    assert "exits with 0" in tamper.give_to_tmd(signed, unchanged, tmp_path)
    with tamper.contextlib.ExitStack() as stack:
        geometry = tamper.native.geometry_of(signed.contract)
        device = tamper._device(stack, signed.contract, geometry, signed.base)
        assert tamper.give_to_device(device, unchanged, signed.base)[0] != ""
