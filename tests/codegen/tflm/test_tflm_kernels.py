"""The tables against the kernels: what is claimed runs, and what is not claimed does not."""

from __future__ import annotations

import pytest
from node_cases import CASES, NO_CASE, variants
from node_features import FEATURES
from onenode import build
from outcomes import WHEEL, Outcomes, label

from tinymldelta.model import read_model
from tinymldelta.tflm import BUILTINS, operator_types, supported

# Operators whose kernels run types that they do not compute with, or that the table leaves out.
UNCLAIMED = {
    "9156d050": {
        "CAST",  # says that it cannot and returns kTfLiteOk
        "CEIL",  # reads whatever it is as floats
        "CONV_2D",  # weights of 16 bits as if they had 8
        "DEPTHWISE_CONV_2D",  # weights are not looked at
        "FULLY_CONNECTED",  # the same
        "GATHER",  # does nothing for indices other than INT32
        "LOGICAL_AND",  # reads whatever it is as bool
        "LOGICAL_OR",
        "RESHAPE",  # copies types that have no bit, too, but does not know INT4
        "ROUND",  # as CEIL
        "SOFTMAX",  # checks its output by assertion only
        "SQUEEZE",  # as RESHAPE
        "TRANSPOSE_CONV",  # as CONV_2D
    },
    "8d404de7": {
        "CAST",  # as above
        "LOGICAL_AND",
        "LOGICAL_OR",
        "TRANSPOSE_CONV",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",  # looks at its states, not at the weights
    },
    "90b983c2": {
        "CAST",  # to BOOL, which the revision before does not do
        "LOGICAL_AND",
        "LOGICAL_OR",
        "TRANSPOSE_CONV",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    },
}
# Claimed and does not run: TFLM of 2021 does not know INT4, and SHAPE does not count its input.
NO_INT4 = {("9156d050", "SHAPE", "T=INT4 O=INT32")}

# Features above the highest version that run, without what the version stands for.
UNDONE = {
    "9156d050": {
        "grouped convolution",  # filters are read as deep as the input
        "bias of 32 bits for inputs of 16",  # read as if it had 64
        "strided slice, 5 dimensions",  # checked by assertion only
        "strided slice, new axis",  # the mask is not looked at
        "strided slice, offset",  # the end is taken for a position
        "transposed convolution, bias of 32 bits for inputs of 16",
    },
    "8d404de7": {
        "dense, bias of 32 bits for inputs of 16",
        "strided slice, offset",
        "transposed convolution, bias of 32 bits for inputs of 16",
    },
    "90b983c2": {
        "strided slice, offset",
        "transposed convolution, bias of 32 bits for inputs of 16",
    },
}


@pytest.mark.parametrize("operator", CASES)
def test_kernel_runs_the_types_that_are_claimed_and_no_others(
    operator: str, revision: str, outcomes: Outcomes
) -> None:
    support = supported(revision).get(operator)
    left_out = set()
    for types in variants(operator):
        name = label(types)
        model = read_model(build(operator, CASES[operator], types), name)
        need = operator_types(model, model.nodes[0])
        claimed = support is not None and need & ~support.types == 0
        runs = outcomes[operator, name] == "runs"
        if claimed and (revision, operator, name) not in NO_INT4:
            assert runs, f"{name} {outcomes[operator, name]}"
        elif runs:
            left_out.add(name)
    assert bool(left_out) == (operator in UNCLAIMED[revision]), left_out


@pytest.mark.parametrize("name", FEATURES)
def test_kernel_has_the_features_of_versions_up_to_the_highest(
    name: str, revision: str, outcomes: Outcomes
) -> None:
    operator, version, _, _ = FEATURES[name]
    support = supported(revision).get(operator)
    claimed = support is not None and version <= support.highest
    assert (outcomes[name, ""] == "runs") == (claimed or name in UNDONE[revision])


def test_every_operator_is_tried() -> None:
    assert set(supported(WHEEL)) == CASES.keys() | NO_CASE
    assert set(BUILTINS) <= set(supported(WHEEL))
