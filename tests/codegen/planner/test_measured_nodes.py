"""The planner against measured arenas of one node each, for nearly every operator.

`measured_nodes.tsv`: models of `node_cases`, named by their operator and what its letters stand
for, and the smallest arena, in steps of 16 bytes, with which allocation and one invocation
succeeded with the outputs of a large one. Measured with TFLM's reference kernels on QEMU's
mps2-an385 (Cortex-M3). What does not run there is not listed, nor what the revision of 2021 runs
although its kernel has refused to be prepared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from node_cases import CASES, variants
from onenode import build

from tinymldelta.arena import predict_arena
from tinymldelta.model import read_model
from tinymldelta.tflm.kernels import KernelBuild

# embedding_lookup.cc keeps memory while its tensors are temporary. What that overwrites first was
# of no use to these small models, so that a little less than it may count on was enough.
LUCKY = frozenset({"EMBEDDING_LOOKUP"})


def rows() -> Iterator[tuple[str, str, int]]:
    text = Path(__file__).with_name("measured_nodes.tsv").read_text()
    for line in text.splitlines()[1:]:
        tflm, node, minimum = line.split("\t")
        yield tflm, node, int(minimum)


MODELS = {
    f"{operator}-{'_'.join(types.values())}": (operator, types)
    for operator in CASES
    for types in variants(operator)
}
MEASURED = list(rows())


def test_nearly_all_operators_are_measured() -> None:
    assert len({node.partition("-")[0] for _, node, _ in MEASURED}) >= 90


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row[0]} {row[1]}")
def test_as_measured(row: tuple[str, str, int]) -> None:
    tflm, node, minimum = row
    operator, types = MODELS[node]
    model = read_model(build(operator, CASES[operator], types), node)
    more = predict_arena(model, KernelBuild(tflm)).bytes - minimum
    assert more in ((0, 16) if operator in LUCKY else (0,))
