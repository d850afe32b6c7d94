"""Metadata of both formats: what is written is read again, and nothing else is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchkit import tlv
from tinymldelta.container.metadata import kept_bytes, read_metadata, write_metadata
from tinymldelta.container.operators import OperatorNeed, encode_operators
from tinymldelta.container.patch import Metadata, PatchFault
from tinymldelta.container.source import Cursor
from tinymldelta.wire.constants import (
    FORMAT_1,
    FORMAT_2,
    META_MAX,
    TLV_VENDOR_FIRST,
    TLVS,
    Status,
    Tlv,
)

LIST = encode_operators([OperatorNeed(3, 3, 2)])


def read(tlvs: bytes, format_: int) -> Metadata:
    """As of a signed patch, in which any TLV may stand."""
    cursor = Cursor(tlvs)
    metadata = read_metadata(cursor, len(tlvs), format_, None, signed=True)
    assert cursor.position == len(tlvs)
    return metadata


def fault(tlvs: bytes, format_: int) -> PatchFault:
    with pytest.raises(PatchFault) as caught:
        read(tlvs, format_)
    assert caught.value.status is Status.METADATA
    return caught.value


def value_for(tag: Tlv, size: int) -> bytes:
    """A value of that length which is well-formed, as far as that is possible."""
    return LIST if tag is Tlv.OPERATORS and size == len(LIST) else bytes(size)


def number(tag: Tlv) -> st.SearchStrategy[int]:
    return st.integers(0, 256 ** TLVS[tag].most - 1)


def text(tag: Tlv) -> st.SearchStrategy[bytes]:
    if tag is Tlv.OPERATORS:
        return st.just(LIST)
    return st.binary(min_size=TLVS[tag].least, max_size=TLVS[tag].most)


def metadata_of(format_: int) -> st.SearchStrategy[Metadata]:
    values = {
        tag.name.lower(): st.none() | (number(tag) if TLVS[tag].number else text(tag))
        for tag in Tlv
        if format_ in TLVS[tag].formats
    }
    vendor = st.lists(
        st.tuples(st.integers(TLV_VENDOR_FIRST, 255), st.binary(max_size=60)), max_size=3
    )
    return st.builds(Metadata, **values, vendor=vendor.map(tuple))


@pytest.mark.parametrize("format_", [FORMAT_1, FORMAT_2])
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read_again(format_: int, data: st.DataObject) -> None:
    metadata = data.draw(metadata_of(format_))
    tlvs = write_metadata(metadata, format_)
    assert len(tlvs) <= META_MAX
    assert read(tlvs, format_) == metadata
    vendors = sum(2 + len(value) for _, value in metadata.vendor)
    assert kept_bytes(metadata) == len(tlvs) - vendors


@pytest.mark.parametrize("format_", [FORMAT_1, FORMAT_2])
@pytest.mark.parametrize("tag", Tlv, ids=lambda tag: tag.name)
def test_a_tlv_is_taken_in_its_formats_and_lengths_alone(tag: Tlv, format_: int) -> None:
    low, high = TLVS[tag].least, TLVS[tag].most
    here = format_ in TLVS[tag].formats
    for size in range(256):
        one = tlv(tag, value_for(tag, size))
        well_formed = tag is not Tlv.OPERATORS or size in (0, len(LIST))
        if here and low <= size <= high and well_formed:
            assert read(one, format_).value(tag) is not None
            assert "twice" in str(fault(one + one, format_))
        else:
            assert fault(one, format_).at == 0
    value: Any = 1 if TLVS[tag].number else bytes(low)
    metadata = replace(Metadata(), **{tag.name.lower(): value})
    if here:
        assert read(write_metadata(metadata, format_), format_) == metadata
    else:
        with pytest.raises(ValueError, match=f"format {format_} has no {tag.name}"):
            write_metadata(metadata, format_)


def test_a_downgrade_that_nobody_signed() -> None:
    tlvs = write_metadata(Metadata(downgrade=bytes(4)), FORMAT_2)
    with pytest.raises(PatchFault, match="in signed patches only") as caught:
        read_metadata(Cursor(tlvs), len(tlvs), FORMAT_2, None)
    assert (caught.value.status, caught.value.at) == (Status.METADATA, 0)


def test_some_tlvs_are_no_numbers_and_stand_for_one() -> None:
    metadata = Metadata(device_class=b"\1\2\0\0", model_version=7)
    assert metadata.number(Tlv.DEVICE_CLASS) == 0x0201
    assert metadata.number(Tlv.MODEL_VERSION) == 7
    assert metadata.number(Tlv.DOWNGRADE) is None


def test_every_tlv_is_for_a_format_and_numbers_come_first() -> None:
    assert all(TLVS[tag].formats for tag in Tlv)
    kinds = [TLVS[tag].number for tag in Tlv]
    assert kinds == sorted(kinds, reverse=True)


@pytest.mark.parametrize("format_", [FORMAT_1, FORMAT_2])
def test_a_cut_is_found_where_it_is(format_: int) -> None:
    whole = write_metadata(Metadata(req_arena_bytes=7, vendor=((200, b"abc"),)), format_)
    for size in range(len(whole)):
        if size in (0, 6):  # between TLVs
            assert read(whole[:size], format_)
        else:
            assert fault(whole[:size], format_).at in (0, 6)


def test_what_does_not_fit_is_not_written() -> None:
    for metadata, found in (
        (Metadata(req_arena_bytes=1 << 32), "REQ_ARENA_BYTES is 4294967296"),
        (Metadata(model_name=b""), "MODEL_NAME has 0 bytes; 1 to 31"),
        (Metadata(model_name=bytes(32)), "MODEL_NAME has 32 bytes; 1 to 31"),
        (Metadata(note=bytes(97)), "NOTE has 97 bytes; 1 to 96"),
        (Metadata(labels=bytes(251)), "LABELS has 251 bytes; 1 to 250"),
        (Metadata(operators=bytes(97)), "OPERATORS has 97 bytes; 0 to 96"),
        (Metadata(vendor=((128, bytes(255)),) * 4), "1028 bytes of metadata, 1024 are the most"),
    ):
        with pytest.raises(ValueError, match=found):
            write_metadata(metadata, FORMAT_2)
