"""The planner against measured arenas, without TFLM: tests/arena/README.md says how they were made.

Models are in the archive of skeletons, without their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import arena
from tinymldelta.arena import predict_arena
from tinymldelta.errors import Refusal
from tinymldelta.model import read_model

ROWS = arena.read_rows()
REFERENCE = [row for row in ROWS if row.kernels == "reference"]
OPTIMISED = [row for row in ROWS if row.kernels != "reference"]


@cache
def skeletons() -> dict[str, bytes]:
    return arena.read_archive()


def name_of(row: arena.Row) -> str:
    return f"{row.name}-{row.tflm}-{row.kernels}"


def bytes_more(row: arena.Row) -> int:
    need = predict_arena(read_model(skeletons()[row.name], row.name), row.build)
    assert need.origin == "predicted"
    return need.bytes - row.minimum


def test_the_data_is_as_broad_as_it_says() -> None:
    names = {row.name for row in ROWS}
    operators = {operator for row in ROWS for operator in row.operators.split()}
    assert len(names) >= 25
    assert len(operators) >= 15
    assert len({(row.name, row.build) for row in ROWS}) == len(ROWS)
    assert set(skeletons()) == names <= set(arena.read_sources())
    for row in ROWS:
        assert row.minimum % 16 == 0
        assert row.arena_used_bytes <= row.minimum


@pytest.mark.parametrize("row", REFERENCE, ids=name_of)
def test_a_prediction_is_never_short_and_three_percent_more_at_most(row: arena.Row) -> None:
    assert 0 <= bytes_more(row) <= 0.03 * row.minimum


def test_the_readme_says_what_the_data_say() -> None:
    models = {row.sha256 for row in REFERENCE}
    operators = {operator for row in REFERENCE for operator in row.operators.split()}
    exact = [row for row in REFERENCE if bytes_more(row) == 0]
    assert len(exact) == len(REFERENCE)
    said = f"Of {len(models)} models with {len(operators)} operators"
    readme = (arena.REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert said in readme
    assert f"all {len(exact)} predictions are exact" in readme


def test_nine_of_ten_predictions_are_64_bytes_more_at_most() -> None:
    close = [bytes_more(row) <= 64 for row in REFERENCE]
    assert sum(close) >= 0.9 * len(close)


@pytest.mark.parametrize("row", OPTIMISED, ids=name_of)
def test_with_optimised_kernels_a_prediction_is_refused_or_not_short(row: arena.Row) -> None:
    try:
        more = bytes_more(row)
    except Refusal as refusal:
        assert "--measure" in refusal.fix
    else:
        assert more >= 0


def prediction(data: bytes, row: arena.Row) -> int | str:
    try:
        return predict_arena(read_model(data, row.name), row.build).bytes
    except Refusal as refusal:
        return str(refusal)


def at_hand() -> list[arena.Row]:
    """Those whose models are in this repository, or beside it."""
    return [row for row in ROWS if arena.load(row.source, clones=None, files=None)]


@pytest.mark.parametrize("row", at_hand(), ids=name_of)
def test_a_skeleton_predicts_what_its_model_does(row: arena.Row) -> None:
    data = arena.load(row.source, clones=None, files=None)
    assert data
    assert arena.skeleton(data) == skeletons()[row.name]
    assert prediction(data, row) == prediction(skeletons()[row.name], row)


def test_skeletons_have_no_weights() -> None:
    assert (
        arena.SKELETONS.stat().st_size < 100_000
    )  # no weights: the models themselves have megabytes


def test_the_archive_depends_on_its_contents_alone(tmp_path: Path) -> None:
    contents = {"b.tflite": b"1" * 1000, "a.tflite": b"2"}
    for name, order in (("one", sorted), ("two", lambda c: sorted(c, reverse=True))):
        _write(tmp_path / name, contents, order)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert arena.read_archive(tmp_path / "one") == {"a": b"2", "b": b"1" * 1000}


def _write(path: Path, contents: dict[str, bytes], order: Callable[..., list[str]]) -> None:
    arena.write_archive(path, {name: contents[name] for name in order(contents)})
