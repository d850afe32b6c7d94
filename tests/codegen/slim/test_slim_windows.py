"""Windows: taken apart as the schema says, and put together by the transpose."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinymldelta.slim.windows import Windows

PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))
WINDOWS = st.builds(Windows, PAIRS, PAIRS, PAIRS, st.booleans())
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def fits(windows: Windows, sizes: tuple[int, int]) -> bool:
    reach = [(f - 1) * d + 1 for f, d in zip(windows.filter, windows.dilation, strict=True)]
    return windows.same or all(r <= s for r, s in zip(reach, sizes, strict=True))


def by_loops(windows: Windows, x: np.ndarray, fill: float) -> np.ndarray:
    """(places, samples, height, width, channels), worked out index by index from the schema's
    words: out = ceil(in / stride) if SAME, else ceil((in - reach + 1) / stride)."""
    out_sizes, before = [], []
    for size, taps, stride, dilation in zip(
        x.shape[1:3], windows.filter, windows.stride, windows.dilation, strict=True
    ):
        reach = (taps - 1) * dilation + 1
        out = -(-size // stride) if windows.same else -(-(size - reach + 1) // stride)
        out_sizes.append(out)
        before.append(max((out - 1) * stride + reach - size, 0) // 2 if windows.same else 0)
    places = windows.filter[0] * windows.filter[1]
    found = np.full((places, len(x), *out_sizes, x.shape[3]), fill, np.float32)
    for place in range(places):
        row, column = divmod(place, windows.filter[1])
        for i in range(out_sizes[0]):
            for j in range(out_sizes[1]):
                at = (
                    i * windows.stride[0] + row * windows.dilation[0] - before[0],
                    j * windows.stride[1] + column * windows.dilation[1] - before[1],
                )
                if 0 <= at[0] < x.shape[1] and 0 <= at[1] < x.shape[2]:
                    found[place, :, i, j] = x[:, at[0], at[1]]
    return found


@settings(max_examples=120, deadline=None)
@given(WINDOWS, SIZES, st.sampled_from([0.0, -np.inf]))
def test_split_is_what_each_place_of_the_filter_sees(
    windows: Windows, sizes: tuple[int, int], fill: float
) -> None:
    assume(fits(windows, sizes))
    x = np.random.default_rng(1).standard_normal((2, *sizes, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.stack(windows.split(x, fill)), by_loops(windows, x, fill))


@settings(max_examples=120, deadline=None)
@given(WINDOWS, SIZES)
def test_join_is_the_transpose_of_split(windows: Windows, sizes: tuple[int, int]) -> None:
    """<split x, y> = <x, join y> for all x and y. In whole numbers, so that no sum is rounded."""
    assume(fits(windows, sizes))
    random = np.random.default_rng(2)
    x = random.integers(-9, 10, (2, *sizes, 3)).astype(np.float32)
    seen = np.stack(windows.split(x))
    y = random.integers(-9, 10, seen.shape).astype(np.float32)
    joined = windows.join(list(y), x.shape)
    assert joined.shape == x.shape
    assert (seen * y).sum() == (x * joined).sum()
