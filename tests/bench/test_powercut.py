"""The power-cut campaign: a sample of its rows, its seeded bugs, and the bound on wear."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from powercut import __main__ as command
from powercut import mutants, program
from powercut.pairs import Pair, last_layer, make_pairs, write_pair
from powercut.rows import MODES, PLACES, REAL, Row, full_rows, mutant_rows, sample_rows

SAMPLE_MIN = 50_000  # cuts
JOBS = os.cpu_count() or 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("powercut")


@pytest.fixture(scope="module")
def pairs(folder: Path) -> dict[str, Pair]:
    return make_pairs(folder)


@pytest.fixture(scope="module")
def built(folder: Path) -> Iterator[Path]:
    yield program.build(folder)


def test_a_sample_of_the_cuts(built: Path, pairs: dict[str, Pair]) -> None:
    rows = sample_rows(pairs)
    results = command.run_rows(built, rows, JOBS)
    failed = [f"{row.text}: {tally.first}" for row, tally in results if tally.failures]
    assert not failed
    assert sum(tally.cuts for _, tally in results) >= SAMPLE_MIN
    assert all(tally.cuts > 0 and tally.faults > 0 for _, tally in results)
    assert sum(tally.seconds for _, tally in results) > SAMPLE_MIN // 2


def test_the_whole_campaign_has_every_kind(pairs: dict[str, Pair]) -> None:
    rows = full_rows(pairs)
    assert len({row.geometry for row in rows if row.geometry in REAL}) >= 8
    for geometry in REAL:
        chosen = [row for row in rows if row.geometry == geometry]
        assert {row.format for row in chosen} == {1, 2}
        assert {row.mode for row in chosen} == set(range(len(MODES)))
        assert {row.place for row in chosen} == set(range(len(PLACES)))
        assert any(row.parts == 64 and row.every == 1 for row in chosen)  # every operation
    assert len({row.text for row in rows if row.second == 0}) == sum(r.second == 0 for r in rows)


def test_the_same_cuts_in_every_run(built: Path, pairs: dict[str, Pair]) -> None:
    rows = mutant_rows(pairs)[:4]
    first, second = (sorted(map(str, command.run_rows(built, rows, 2))) for _ in range(2))
    assert first == second


# One of each file; `./run bench powercut mutants` seeds all of them.
SEEDED = {mutant.file: mutant for mutant in mutants.MUTANTS}.values()


@pytest.mark.parametrize("mutant", SEEDED, ids=lambda m: m.file)
def test_seeded_bugs_are_noticed(
    mutant: mutants.Mutant, pairs: dict[str, Pair], tmp_path: Path
) -> None:
    verdict = mutants.judge(mutant, mutant_rows(pairs), tmp_path / "seeded")
    assert verdict.found is not None


def test_every_seeded_bug_fits_the_source(tmp_path: Path) -> None:
    assert len(mutants.MUTANTS) >= 20
    assert len({mutant.what for mutant in mutants.MUTANTS}) == len(mutants.MUTANTS)
    for n, mutant in enumerate(mutants.MUTANTS):
        device = mutants.seed(mutant, tmp_path / str(n))
        seeded = (device / mutant.file).read_bytes()
        assert seeded != (program.DEVICE / mutant.file).read_bytes()


def _wear_rows(pairs: dict[str, Pair], folder: Path) -> list[Row]:
    models = [last_layer(20000, 2000, seed) for seed in (2, 3, 4)]
    layer = write_pair(folder, "bound", models[1], models[2], models[0])
    return [
        Row(geometry, pair, patch_format, mode, place, progress)
        for geometry in REAL
        for pair in (*pairs.values(), layer)
        for patch_format in (1, 2)
        for mode in range(len(MODES))
        for place in range(len(PLACES))
        for progress in (0, 1, 4096)
        if place < 4 or "older" in pair.models
    ]


def test_no_update_exceeds_the_bound(built: Path, pairs: dict[str, Pair], folder: Path) -> None:
    rows = _wear_rows(pairs, folder)
    tight = 0
    for row, wear in zip(rows, program.wear(built, rows), strict=True):
        assert wear.erases <= wear.bound_erases, row.text
        assert wear.bytes <= wear.bound_bytes, row.text
        tight += wear.bytes == wear.bound_bytes
    # A bound that is never reached says little.
    assert tight > len(rows) // 2


def test_a_last_layer_costs_what_changed(built: Path, folder: Path) -> None:
    (table,) = command.wear_table(folder, built)
    staged = [row for row in table.rows if row[1] == "staged" and row[0] not in ("stm32l0",)]
    assert len(staged) == len(REAL) - 1
    for row in staged:
        erases, written, all_erases, all_bytes = row[2], row[4], row[6], row[7]
        assert isinstance(erases, int) and isinstance(all_erases, int)
        assert isinstance(written, int) and isinstance(all_bytes, int)
        if all_erases > 1:
            assert erases * 7 <= all_erases
            assert written * 7 <= all_bytes
