"""What the list of operators costs in a patch, over every model that is here."""

from __future__ import annotations

from pathlib import Path

from tinymldelta.container.metadata import TLV_HEAD_BYTES
from tinymldelta.container.operators import encode_operators
from tinymldelta.facts import facts_of, operator_needs
from tinymldelta.model import read_model_file

MOST = 24  # bytes, with the head of the TLV


def test_the_operators_of_a_typical_model_take_at_most_24_bytes(root: Path) -> None:
    files = [*(root / "samples").rglob("*.tflite"), *(root / "tests").rglob("*.tflite")]
    corpus = root.parent / "shared" / "corpus"  # not in every checkout
    files += corpus.rglob("*.tflite")
    assert len(files) >= 9
    sizes = {}
    for file in files:
        facts = facts_of(read_model_file(file), arena_need=0)
        sizes[file] = TLV_HEAD_BYTES + len(encode_operators(operator_needs(facts)))
    largest = max(sizes, key=lambda file: sizes[file])
    print(f"{len(files)} models, at most {sizes[largest]} bytes: {largest.parent.name}")
    assert sizes[largest] <= MOST, largest
