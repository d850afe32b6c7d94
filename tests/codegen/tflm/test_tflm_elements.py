"""What a node needs, whatever the kernels."""

from __future__ import annotations

from dataclasses import replace

import pytest
from node_cases import CASES, indices, operand, variants
from onenode import TYPES, Case, build

from tinymldelta.model import read_model
from tinymldelta.model.tables import ELEMENT_BITS, Node
from tinymldelta.tflm import ALL_TYPES, operator_types, type_names


def need(operator: str, case: Case | None = None, **types: str) -> str:
    model = read_model(build(operator, case or CASES[operator], types), operator)
    return type_names(operator_types(model, model.nodes[0]))


@pytest.mark.parametrize(
    ("operator", "types", "names"),
    [
        ("ADD", {"T": "INT8"}, "INT8"),
        ("ADD", {"T": "INT32"}, "INT32"),
        ("ADD", {"T": "FLOAT16"}, "any element type"),
        ("EQUAL", {"T": "INT8"}, "INT8"),
        ("ARG_MAX", {"T": "FLOAT32"}, "FLOAT32"),
        ("PAD", {"T": "INT8"}, "INT8"),
        ("SPLIT", {"T": "INT8"}, "INT8"),
        ("SELECT_V2", {"T": "INT8"}, "INT8"),
        ("GATHER", {"T": "INT8", "I": "INT32"}, "INT8"),
        ("GATHER", {"T": "INT8", "I": "INT64"}, "INT8, INT64"),
        ("SHAPE", {"T": "FLOAT16", "O": "INT32"}, "INT32"),
        ("CONV_2D", {"T": "INT8", "W": "INT8", "B": "INT32", "O": "INT8"}, "INT8"),
        ("CONV_2D", {"T": "INT8", "W": "INT4", "B": "INT32", "O": "INT8"}, "INT8, INT4"),
        ("CONV_2D", {"T": "INT16", "W": "INT8", "B": "INT64", "O": "INT16"}, "INT16"),
        (  # hybrid
            "CONV_2D",
            {"T": "FLOAT32", "W": "INT8", "B": "FLOAT32", "O": "FLOAT32"},
            "any element type",
        ),
        (
            "FULLY_CONNECTED",
            {"T": "INT8", "W": "INT8", "B": "INT32", "O": "FLOAT32"},
            "any element type",
        ),
        ("QUANTIZE", {"T": "UINT8", "O": "INT8"}, "INT8, UINT8"),
        ("SVDF", {"T": "INT8", "W": "INT8", "M": "INT16", "B": "INT32", "O": "INT8"}, "INT16"),
        ("SVDF", {"T": "INT8", "W": "INT8", "M": "INT8", "B": "INT32", "O": "INT8"}, "INT8"),
        ("QUANTIZE", {"T": "INT8", "O": "INT32"}, "INT8"),
        ("QUANTIZE", {"T": "INT32", "O": "INT8"}, "INT8, INT32"),
        ("QUANTIZE", {"T": "FLOAT32", "O": "UINT8"}, "any element type"),
        ("CAST", {"T": "UINT32", "O": "FLOAT32"}, "FLOAT32, INT32"),
        ("CAST", {"T": "INT64", "O": "FLOAT32"}, "any element type"),
        ("SOFTMAX", {"T": "INT8", "O": "INT16"}, "INT8, INT16"),
    ],
)
def test_what_counts(operator: str, types: dict[str, str], names: str) -> None:
    assert need(operator, **types) == names


def test_index_of_another_type_than_int32_counts() -> None:
    axis = operand(1, type="INT64")
    case = Case((operand(1, 4), axis), (operand(1, type="INT32"),))
    assert need("ARG_MAX", case, T="INT8") == "INT8, INT64"
    case = Case((operand(1, 4), indices(1)), (operand(1, type="INT32"),))
    assert need("ARG_MAX", case, T="INT8") == "INT8"


def test_custom_operators_need_nothing() -> None:
    assert need("TFLite_Detection_PostProcess", CASES["NEG"], T="FLOAT32") == "no element type"


def test_operators_without_data_need_nothing() -> None:
    model = read_model(build("NEG", CASES["NEG"], {"T": "FLOAT32"}), "NEG")
    handle = replace(model.operators[0], name="VAR_HANDLE")
    assert operator_types(replace(model, operators=(handle,)), model.nodes[0]) == 0


@pytest.mark.parametrize("operator", CASES)
def test_total_over_types_and_omitted_operands(operator: str) -> None:
    for types in variants(operator):
        model = read_model(build(operator, CASES[operator], types), operator)
        node = model.nodes[0]
        for count in range(len(node.inputs) + 1):
            omitted = tuple(-1 if i >= count else t for i, t in enumerate(node.inputs))
            for inputs in (node.inputs[:count], omitted):
                for outputs in (node.outputs, (), (-1,)):
                    one = Node(node.operator, inputs, outputs, ())
                    assert 0 <= operator_types(model, one) <= ALL_TYPES


@pytest.mark.parametrize("name", sorted(ELEMENT_BITS.keys() & TYPES.keys()))
def test_total_over_element_types(name: str) -> None:
    assert need("NEG", T=name) in (name, "any element type")
