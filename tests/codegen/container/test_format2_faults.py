"""Every way in which a patch of format 2 can be wrong, by the plain reader."""

from __future__ import annotations

import pytest

from patchkit2 import ACCEPTS, BASE, GOOD, NAMED_FAULTS_2, TARGET, Fault
from tinymldelta.container.format2 import apply_patch, read_patch
from tinymldelta.container.format2_writer import write_number, write_patch
from tinymldelta.container.patch import Metadata
from tinymldelta.wire.constants import Status


def test_the_good_patch_is_taken_and_its_parts_add_up() -> None:
    outcome = apply_patch(BASE, GOOD, ACCEPTS)
    assert (outcome.status, outcome.target) == (Status.OK, TARGET)
    sizes = read_patch(GOOD, ACCEPTS).sizes
    assert sum(sizes.values()) == 2 * sizes["total"] == 2 * len(GOOD)
    assert sizes["header"] == 3  # first byte, and a length of two bytes
    assert sizes["digests"] == 2 + 8 + 16


@pytest.mark.parametrize("fault", NAMED_FAULTS_2, ids=lambda f: f.name)
def test_named_fault(fault: Fault) -> None:
    outcome = apply_patch(BASE, fault.patch, fault.accepts)
    assert (outcome.status, outcome.target) == (fault.expected, None), outcome.reason


def test_names_are_unique_and_all_statuses_are_there() -> None:
    names = [fault.name for fault in NAMED_FAULTS_2]
    assert len(set(names)) == len(names)
    reached = {fault.expected for fault in NAMED_FAULTS_2}
    assert {
        Status.VERSION,
        Status.SELF_TEST,
        Status.DECODER,
        Status.KEY,
        Status.BODY,
        Status.TRUNCATED,
    } <= reached


@pytest.mark.parametrize(
    ("value", "bytes_"), [(0, 1), (127, 1), (128, 2), (16383, 2), (2**31 - 1, 5)]
)
def test_numbers_take_seven_bits_a_byte(value: int, bytes_: int) -> None:
    assert len(write_number(value)) == bytes_


def test_what_does_not_fit_is_not_written() -> None:
    for base, target, vendor in (
        (b"", b"x", ()),
        (b"x", b"", ()),
        (b"x", b"x", ((1, b""),)),
        (b"x", b"x", ((128, bytes(256)),)),
        (b"x", b"x", tuple((128, bytes(250)) for _ in range(5))),
    ):
        with pytest.raises(ValueError, match=r"bytes|format"):
            write_patch(base, target, metadata=Metadata(vendor=vendor), lean=False, body=b"")
