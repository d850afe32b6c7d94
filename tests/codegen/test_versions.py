"""Versions as people type them and as the wire carries them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymldelta.versions import parse_version, version_text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.0.0", 0),
        ("1.2.3", 0x01020003),
        ("255.255.65535", 0xFFFFFFFF),
        ("0.0.65535", 0xFFFF),
        ("7", 7),
        ("0x01020003", 0x01020003),
        ("4294967295", 0xFFFFFFFF),
        ("001.002.00003", 0x01020003),
    ],
)
def test_a_version_is_a_number(text: str, number: int) -> None:
    assert parse_version(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "1.2", "1.2.3.4", "256.0.0", "0.256.0", "0.0.65536", "-1", "+1", "1_0", "4294967296",
     "0x100000000", "1.2.3 ", "v1.2.3", "1.2.x", "٣", "1,2,3", "0b1", "1e3"],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no version"):
        parse_version(text)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_text_and_number_go_both_ways_and_keep_the_order(one: int, other: int) -> None:
    assert parse_version(version_text(one)) == one
    parts = [tuple(map(int, version_text(v).split("."))) for v in (one, other)]
    assert (parts[0] < parts[1]) == (one < other)
