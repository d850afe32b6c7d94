"""The two ends of an arena, and the plan in its head."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tinymldelta.arena.greedy import Buffer, offsets, plan
from tinymldelta.arena.memory import Arena


def test_the_tail_grows_down_from_a_multiple_of_16() -> None:
    arena = Arena()
    arena.keep(36, 4)
    arena.keep(5, 1)
    assert arena.tail == 41
    arena.keep(8)
    assert arena.tail == 64
    assert arena.need == 64


def test_each_moment_needs_both_ends() -> None:
    arena = Arena()
    arena.keep(64)
    arena.resize_head(144)
    arena.moment = "looking"
    arena.take(64, 4)
    arena.take(5, 4)
    assert (arena.need, arena.bound_by) == (64 + 144 + 69, "looking")
    arena.reset_temporaries()
    arena.moment = "later"
    arena.take(4, 4)
    assert arena.bound_by == "looking"


def test_the_tail_may_reach_into_what_is_not_used_again() -> None:
    arena = Arena()
    arena.resize_head(16)
    arena.take(64, 4, read=56)
    arena.take(12, 4, read=0)
    taken = arena.need
    assert taken == 16 + 64 + 12
    arena.keep(16)
    assert arena.need == taken  # 16 + 56 + 16 is less
    arena.keep(16)
    assert arena.need == 16 + 56 + 32
    arena.take(4, 4)
    assert arena.need == taken + 4 + 32  # temporaries do not give way


def test_the_largest_is_placed_first_and_of_equals_the_last() -> None:
    assert offsets([Buffer(16, 0, 1), Buffer(64, 0, 1), Buffer(16, 0, 1)]) == [80, 0, 64]


def test_gaps_are_filled_from_below() -> None:
    buffers = [Buffer(48, 0, 0), Buffer(32, 0, 1), Buffer(16, 1, 1)]
    assert offsets(buffers) == [0, 48, 0]
    assert plan(buffers) == 80


def test_what_is_not_alive_together_shares_its_place() -> None:
    assert offsets([Buffer(64, 0, 1), Buffer(64, 2, 3), Buffer(64, -1, -1)]) == [0, 0, 0]


def test_offline_offsets_are_kept_even_where_they_overlap() -> None:
    buffers = [Buffer(16, 0, 9), Buffer(64, 0, 9, 32), Buffer(64, 0, 9, 32)]
    assert offsets(buffers) == [0, 32, 32]
    assert plan([]) == 0


BUFFERS = st.lists(
    st.builds(
        lambda size, first, length: Buffer(16 * size, first, first + length),
        st.integers(1, 8),
        st.integers(-1, 9),
        st.integers(0, 4),
    ),
    max_size=24,
)


@given(BUFFERS)
def test_what_is_alive_together_has_room_of_its_own(buffers: list[Buffer]) -> None:
    placed = list(zip(offsets(buffers), buffers, strict=True))
    for i, (at, one) in enumerate(placed):
        for other_at, other in placed[:i]:
            if one.first <= other.last and other.first <= one.last:
                assert at + one.size <= other_at or other_at + other.size <= at


@given(BUFFERS)
def test_a_plan_lies_between_what_is_alive_at_once_and_the_sum(buffers: list[Buffer]) -> None:
    alive = (
        sum(b.size for b in buffers if b.first <= scope <= b.last)
        for scope in {b.first for b in buffers}
    )
    assert max(alive, default=0) <= plan(buffers) <= sum(b.size for b in buffers)
