"""The search for the smallest arena, with stand-ins for the emulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymldelta.errors import Refusal
from tinymldelta.measuring import BELOW, STEP, Outcome, Trial, find_minimum


@dataclass
class Model:
    """Allocates from so many bytes on, runs from so many bytes on; `calls` is what was tried."""

    allocates: int
    runs: int = 0
    used: int = 0
    largest: int = 1 << 20
    failure: Outcome = Outcome.ALLOCATION_FAILED
    outputs: Callable[[int], int] = lambda arena: 7
    says: Callable[[int], str] = lambda arena: ""
    calls: list[tuple[int, bool]] = field(default_factory=list)

    def __call__(self, arena: int, *, invoke: bool) -> Trial:
        assert 0 <= arena <= self.largest
        self.calls.append((arena, invoke))
        if arena < self.allocates:
            return Trial(self.failure, log="too small\n")
        if invoke and arena < self.runs:
            return Trial(Outcome.INVOCATION_FAILED)
        said = self.says(arena) + ("of inference\n" if invoke else "")
        return Trial(Outcome.DONE, self.used, self.outputs(arena) if invoke else 0, said)


def rounded(size: int) -> int:
    return (size + STEP - 1) // STEP * STEP


@given(
    allocates=st.integers(1, 300_000),
    more=st.integers(0, 5000),
    used=st.integers(0, 300_000),
    failure=st.sampled_from([Outcome.ALLOCATION_FAILED, Outcome.FAULT, Outcome.TIME_OUT]),
)
def test_the_smallest_is_found_and_proved(
    allocates: int, more: int, used: int, failure: Outcome
) -> None:
    model = Model(allocates, allocates + more, used, failure=failure)
    found = find_minimum(model, "m")
    assert found.bytes == rounded(allocates + more)
    assert found.used == used
    assert found.need.origin == "measured"
    assert found.trials == len(model.calls)
    tried = {arena for arena, _ in model.calls}
    assert tried >= {b for b in (found.bytes - i * STEP for i in range(1, BELOW + 1)) if b > 0}
    assert (found.bytes, True) in model.calls


def test_a_good_guess_needs_few_runs_of_the_whole_model() -> None:
    model = Model(allocates=82_300, used=82_292)
    assert find_minimum(model, "m").bytes == 82_304
    assert sum(invoke for _, invoke in model.calls) == 2  # the reference, and the proof


def test_no_more_is_tried_than_there_is_room_for() -> None:
    model = Model(allocates=1_040_000, used=600_000, largest=1_040_005)
    assert find_minimum(model, "m").bytes == 1_040_000


def test_other_outputs_than_with_a_large_arena_are_a_failure() -> None:
    model = Model(allocates=1000, outputs=lambda arena: 7 if arena >= 2000 else 8)
    assert find_minimum(model, "m").bytes == 2000


def test_an_error_that_is_only_printed_is_a_failure() -> None:
    lines: list[str] = []
    model = Model(allocates=1000, says=lambda arena: "" if arena >= 2000 else "no memory\n")
    assert find_minimum(model, "m", lines.append).bytes == 2000
    assert "1,984 bytes: error printed" in lines
    chatty = Model(allocates=1000, says=lambda arena: "deprecated\n")
    assert find_minimum(chatty, "m").bytes == 1008


def test_a_size_below_that_works_after_all_is_taken() -> None:
    class Uneven(Model):
        """Fails at 1,600 too, where a search by halves takes all below for failing."""

        def __call__(self, arena: int, *, invoke: bool) -> Trial:
            result = super().__call__(arena, invoke=invoke)
            return Trial(Outcome.FAULT) if arena == 1600 else result

    assert find_minimum(Uneven(allocates=1584, used=1600), "m").bytes == 1584


def test_progress_names_each_trial() -> None:
    lines: list[str] = []
    found = find_minimum(Model(allocates=100, largest=4096), "m", lines.append)
    assert len(lines) == found.trials
    assert lines[0] == "4,096 bytes: runs"
    assert "96 bytes: allocation failed" in lines
    assert "112 bytes: allocates" in lines


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Model(allocates=5000, largest=4096), ["4,096 bytes", "allocation failed", "too small"]),
        (Model(allocates=5000, largest=4096, failure=Outcome.FAULT), ["fault"]),
        (Model(allocates=1, runs=5000, largest=4096), ["invocation failed", "operators"]),
        (Model(allocates=5000, largest=4096, failure=Outcome.TIME_OUT), ["time out", "more time"]),
    ],
)
def test_a_model_that_never_runs_is_refused(model: Model, words: list[str]) -> None:
    with pytest.raises(Refusal) as caught:
        find_minimum(model, "some.tflite")
    assert caught.value.where == "some.tflite"
    assert all(word in str(caught.value) for word in words)
