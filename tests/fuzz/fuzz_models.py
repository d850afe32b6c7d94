"""Fuzzes what reads models: small `.tflite` files with changes anywhere behind the identifier.

What must hold: a model comes out, and facts of it, or a Refusal; nothing else, within bounds of
time and memory. Counted: how many came to the walk through the tables, and how many were taken.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "codegen")]

from mutate import Came, drive, mutated  # noqa: E402

from modelkit import ModelSpec, NodeSpec, OperatorSpec, TensorSpec, build, default_spec  # noqa: E402
from tinymldelta.errors import Refusal  # noqa: E402
from tinymldelta.facts import facts_of, operator_needs  # noqa: E402
from tinymldelta.model import read_model  # noqa: E402

HEADER = 8  # bytes: where the root is, and the identifier
LARGE_SHARE = 64  # one input in so many is of a whole network
ROOT_SHARE = 32  # and has its header changed


def small_spec() -> ModelSpec:
    """One operator with a quantised in and out tensor."""
    q = {"scale": (0.5,), "zero_point": (3,)}
    return ModelSpec(
        tensors=(TensorSpec("a", (1, 4), **q), TensorSpec("b", (1, 4), **q)),
        operators=(OperatorSpec("RELU"),),
        nodes=(NodeSpec(0, (0,), (1,)),),
        outputs=(1,),
        description="",
    )


SMALL = (
    build(small_spec()),
    build(replace(small_spec(), operators=(OperatorSpec("mine"),))),
    build(replace(small_spec(), metadata=(("m", b"1234"),))),
)
LARGE = (build(default_spec()),)


def make(rng: random.Random) -> bytes:
    if rng.getrandbits(16) % LARGE_SHARE == 0:
        return mutated(rng, LARGE, HEADER, 4)
    kept = 0 if rng.getrandbits(16) % ROOT_SHARE == 0 else HEADER
    return mutated(rng, SMALL, kept, 8)


def run(data: bytes) -> Came:
    reached = Came.REACHED if len(data) > 2 * HEADER and data[4:8] == b"TFL3" else Came.REFUSED
    try:
        operator_needs(facts_of(read_model(data, "fuzzed")))
    except Refusal:
        return reached
    return Came.WHOLE


if __name__ == "__main__":
    drive(run, make)
