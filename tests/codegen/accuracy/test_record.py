"""The gate's result in a patch: its bytes, and what `tmd inspect` says of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymldelta.accuracy import AccuracyRecord, MetricKind

shares = st.floats(0, 1, width=32)
records = st.builds(
    AccuracyRecord,
    kind=st.sampled_from(MetricKind),
    interpreter=st.sampled_from(["", "LiteRT", "TensorFlow", "TensorFlow Lite Micro"]),
    samples=st.integers(2, 2**32 - 1),
    base=shares,
    target=shares,
    data=st.binary(min_size=4, max_size=4),
)


@given(records)
def test_a_record_comes_back_as_it_was(record: AccuracyRecord) -> None:
    encoded = record.encode()
    assert len(encoded) == 18
    assert AccuracyRecord.decode(encoded) == record
    assert f"on {record.samples} samples" in record.text()
    for damaged in (b"", encoded[:-1], encoded + b"\0", b"\0" + encoded[1:], b"\5" + encoded[1:],
                    encoded[:2] + b"\1\0\0\0" + encoded[6:], encoded[:6] + b"\0\0\xc0\x7f" * 2
                    + encoded[14:]):  # fmt: skip
        with pytest.raises(ValueError):
            AccuracyRecord.decode(damaged)


def test_a_record_is_laid_out_as_the_spec_says() -> None:
    record = AccuracyRecord(MetricKind.ACCURACY, "LiteRT", 360, 0.5, 0.75, b"\x1a\x2b\x3c\x4d")
    assert record.encode().hex(" ", 2) == "0101 6801 0000 0000 003f 0000 403f 1a2b 3c4d"
    assert record.text() == (
        "accuracy 50.00 % -> 75.00 % on 360 samples, run by LiteRT, data 1a2b3c4d"
    )
    negative = replace(record, base=-0.5)
    with pytest.raises(ValueError, match="-0.5 is no value"):
        AccuracyRecord.decode(negative.encode())
    own = replace(negative, kind=MetricKind.OWN, interpreter="another")
    assert AccuracyRecord.decode(own.encode()).text() == (
        "own metric -0.5 -> 0.75 on 360 samples, data 1a2b3c4d"
    )
