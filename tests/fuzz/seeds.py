"""What the harnesses begin with: inputs that come far, made from the project's own patches."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

_CODEGEN = Path(__file__).resolve().parents[1] / "codegen"
sys.path[:0] = [str(_CODEGEN), str(_CODEGEN / "differential")]

from cases2 import random_pair2  # noqa: E402

from tinymldelta.container.metadata import write_metadata  # noqa: E402
from tinymldelta.container.operators import OperatorNeed, encode_operators  # noqa: E402
from tinymldelta.container.patch import Metadata  # noqa: E402
from tinymldelta.delta.hints import without_ranges  # noqa: E402
from tinymldelta.native import encode_body  # noqa: E402
from tinymldelta.wire.constants import FORMAT_2  # noqa: E402

SEEDS = 1000
SEED_MAX = 400  # bytes of base and target


def _write(folder: Path, i: int, data: bytes) -> None:
    (folder / f"seed-{i:03}").write_bytes(data)


def none(folder: Path, seed: int) -> None:
    """For a harness that has its own."""


def patches(folder: Path, seed: int) -> None:
    """Inputs of fuzz_patch that rebuild their target."""
    rng = random.Random(seed)
    for i in range(SEEDS):
        base, target, hints = random_pair2(rng)
        base += b"\0" * (len(base) % 2)
        target += b"\0" * (len(target) % 2)
        if len(base) + len(target) > SEED_MAX:
            continue
        lean = rng.random() < 0.25
        body = encode_body(base, target, without_ranges(hints) if lean else hints, lean=lean)
        how = int(lean) | rng.randrange(8) << 2 | rng.randrange(4) << 6
        head = bytes((how, len(base) // 2 - 1)) + base + bytes((len(target) // 2 - 1,))
        _write(folder, i, head + body)


def heads(folder: Path, seed: int) -> None:
    """Of fuzz_head, whose metadata are taken; of some, all guardrails hold."""
    rng = random.Random(seed)
    needs = [OperatorNeed(0, 3, 1), OperatorNeed(3, 6, 2), OperatorNeed(9, 5, 255)]
    for i in range(SEEDS):
        values: dict[str, Any] = {
            "req_arena_bytes": rng.randrange(65537),
            "kernels": 1,
            "tensors": 1,
            "quantisation": rng.randrange(2),
            "model_name": rng.choice((b"any", b"other")),
            "operators": encode_operators(rng.sample(needs, rng.randrange(4))),
            "note": rng.randbytes(rng.randrange(1, 40)),
            "version_floor": rng.randrange(3),
        }
        chosen = {name: v for name, v in values.items() if rng.random() < 0.8}
        vendor = ((0x80 + rng.randrange(128), rng.randbytes(rng.randrange(9))),)
        how = rng.randrange(2) | rng.randrange(2) << 2 | rng.randrange(32) << 3
        tlvs = write_metadata(Metadata(**chosen, vendor=vendor), FORMAT_2)
        _write(folder, i, bytes((how, rng.randrange(256))) + tlvs)


def stores(folder: Path, seed: int) -> None:
    """Of fuzz_store: each flash, with acts of all kinds and without changes, and any bytes."""
    rng = random.Random(seed)
    for i in range(SEEDS):
        setup = rng.randrange(256) & (0xFE if i % 4 else 0xFF)
        acts = rng.randbytes(rng.randrange(1, 24))
        changes = rng.randrange(3)
        edits = b"".join(rng.randbytes(3) for _ in range(changes))
        _write(folder, i, bytes((setup, i % 8, changes)) + edits + acts)


def requests(folder: Path, seed: int) -> None:
    """Of fuzz_smp: transfers of all kinds, and any requests."""
    rng = random.Random(seed)
    for i in range(SEEDS):
        _write(folder, i, rng.randbytes(rng.randrange(2, 40)))
