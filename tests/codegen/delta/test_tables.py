"""Tables of offsets, which change word by word when a converter writes a file anew."""

from __future__ import annotations

import random
import struct

import pytest

from tinymldelta.container.body2 import decode_body
from tinymldelta.delta.encode import encode


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("words", [1, 2, 3, 40])
def test_a_table_whose_words_have_moved(words: int, lean: bool) -> None:
    rng = random.Random(words)
    before, behind = rng.randbytes(400), rng.randbytes(403)
    table = [rng.randrange(1000, 60_000) for _ in range(words)]
    moved = [value - 300 + rng.randrange(16) for value in table]
    base = before + struct.pack(f"<{words}I", *table) + behind
    target = before + struct.pack(f"<{words}I", *moved) + behind
    body = encode(base, target, lean=lean)
    assert decode_body(base, body, len(target), lean=lean) == target
    assert len(body) <= 12 + 1.7 * words


def test_a_table_between_insertions_and_other_words() -> None:
    rng = random.Random(3)
    table = [rng.randrange(1000, 60_000) for _ in range(12)]
    moved = [value + (0 if i in (2, 3, 7) else 268) for i, value in enumerate(table)]
    base = rng.randbytes(100) + struct.pack("<12I", *table) + rng.randbytes(90)
    target = base[:96] + b"new" + base[96:100] + struct.pack("<12I", *moved) + base[148:] + b"end"
    body = encode(base, target)
    assert decode_body(base, body, len(target), lean=False) == target
    assert len(body) < 48
