"""The predicted arena: what it grows with, what it refuses, and that it holds what was measured.

`tests/arena` has measured values of whole models; `measured_nodes.tsv` those of single nodes.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest
import tflite

from modelkit import (
    INT32,
    ModelSpec,
    NodeSpec,
    OperatorSpec,
    TensorSpec,
    build,
    default_spec,
    with_operator,
    with_tensor,
)
from tinymldelta.arena import explain_arena, predict_arena
from tinymldelta.errors import Refusal
from tinymldelta.model import Model, read_model
from tinymldelta.tflm.kernels import REVISIONS, KernelBuild

ONE = KernelBuild()
OLD = KernelBuild("9156d050")


def model_of(spec: ModelSpec) -> Model:
    return read_model(build(spec), "m")


def arena(spec: ModelSpec, kernels: KernelBuild = ONE) -> int:
    return predict_arena(model_of(spec), kernels).bytes


def chain(*sizes: int) -> ModelSpec:
    """Operators in a row, with activations of these sizes in bytes."""
    return replace(
        default_spec(),
        tensors=tuple(TensorSpec(f"t{i}", (1, size)) for i, size in enumerate(sizes)),
        operators=(OperatorSpec("NEG"),),
        nodes=tuple(NodeSpec(0, (i,), (i + 1,)) for i in range(len(sizes) - 1)),
        outputs=(len(sizes) - 1,),
    )


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_has_a_prediction(revision: str) -> None:
    need = predict_arena(model_of(default_spec()), KernelBuild(revision))
    assert need.origin == "predicted"
    assert 1000 < need.bytes < 2500
    assert need.bytes % 16 == 0


def test_activations_that_are_not_alive_together_share_their_place() -> None:
    def grows(change: ModelSpec) -> int:
        return arena(change) - arena(chain(9600, 9600, 16, 16))

    assert grows(chain(9600, 9600, 9600, 9600)) == 0
    assert grows(chain(9600, 9616, 9600, 9600)) == 16
    assert grows(replace(chain(9600, 9600, 9600, 9600), outputs=(3, 0))) >= 9600


def test_what_nothing_reads_or_writes_still_has_its_size() -> None:
    spec = chain(16, 16)
    tensors = (*spec.tensors, TensorSpec("idle", (100_000,)))
    assert arena(replace(spec, tensors=tensors)) > 100_000


def test_variables_are_kept_beside_the_activations() -> None:
    spec = chain(9600, 9600, 9600)
    variable = TensorSpec("state", (5000,), is_variable=True)
    grown = arena(replace(spec, tensors=(*spec.tensors, variable))) - arena(spec)
    assert 5000 <= grown < 5050


def test_4_bit_elements_take_a_byte_each_in_the_arena() -> None:
    four = with_tensor(chain(9600, 9600), 0, type=tflite.TensorType.INT4)
    assert arena(four) == arena(chain(9600, 9600))


def test_16_bit_softmax_has_tables() -> None:
    wide = with_tensor(with_tensor(default_spec(), 7, type=7), 8, type=7)
    narrow = explain_arena(model_of(default_spec()))
    assert (
        explain_arena(model_of(wide)).lasting - narrow.lasting == 2 * 1040
    )  # 513 each, of 2 bytes


def test_an_offline_plan_is_followed() -> None:
    spec = chain(160, 160)

    def planned(*offsets: int) -> int:
        plan = struct.pack("<5i", 1, 0, 2, *offsets)
        return arena(replace(spec, metadata=(("OfflineMemoryAllocation", plan),)))

    assert planned(-1, -1) == arena(spec)
    assert planned(0, 50_000) >= 50_160
    assert planned(50_000, -1) >= 50_160


def test_the_parts_say_what_binds() -> None:
    large = explain_arena(model_of(chain(9600, 9600)))
    assert large.bound_by == "running"
    assert (large.planned, large.bytes) == (19_200, (large.lasting + 19_200 + 15) // 16 * 16)
    small = explain_arena(model_of(chain(16, 16, 16, 16)))
    assert small.bound_by == "planning activations and scratch buffers"
    assert small.bytes > small.lasting + small.planned
    wide = ModelSpec(
        (
            TensorSpec("in", (1, 1, 1, 1)),
            TensorSpec("weights", (64, 1, 1, 1), scale=(1,) * 64, zero_point=(0,) * 64,
                       data=bytes(64)),
            TensorSpec("out", (1, 1, 1, 64)),
        ),
        (OperatorSpec("CONV_2D"),),
        (NodeSpec(0, (0, 1), (2,)),),
        outputs=(2,),
    )  # fmt: skip
    assert explain_arena(model_of(wide)).bound_by == "preparing node 0, CONV_2D"


def matmul(**fields: int) -> ModelSpec:
    spec = chain(64, 64)
    tensors = (TensorSpec("a", (8, 8)), TensorSpec("b", (8, 8)), TensorSpec("c", (8, 8)))
    node = NodeSpec(0, (0, 1), (2,), (), "BatchMatMulOptions", fields)
    return replace(
        spec,
        tensors=tensors,
        operators=(OperatorSpec("BATCH_MATMUL"),),
        nodes=(node,),
        inputs=(0, 1),
        outputs=(2,),
    )


def test_a_matrix_product_copies_what_is_not_transposed_as_it_wants() -> None:
    neither = arena(matmul(AdjY=1))
    assert arena(matmul(AdjX=1, AdjY=1)) - neither >= 64
    assert arena(matmul()) == arena(matmul(AdjX=1, AdjY=1))
    assert arena(matmul(AdjX=1)) - neither >= 128
    bare = replace(matmul(), nodes=(NodeSpec(0, (0, 1), (2,)),))
    assert arena(bare) == arena(matmul())


def stateful(name: str, assigned: tuple[str, ...] = ("state",)) -> ModelSpec:
    """Reads a variable of 640 bytes, and assigns it and others."""
    handles = [TensorSpec(f"h{i}", (1,), tflite.TensorType.RESOURCE) for i in range(4)]
    variables = ("state", *assigned)
    nodes = [
        NodeSpec(0, (), (2 + i,), (), "VarHandleOptions", {"SharedName": variable})
        for i, variable in enumerate(variables)
    ]
    nodes += [NodeSpec(2, (3 + i, 0), ()) for i in range(len(assigned))]
    return ModelSpec(
        (TensorSpec("in", (640,)), TensorSpec("out", (640,)), *handles),
        (OperatorSpec("VAR_HANDLE"), OperatorSpec("READ_VARIABLE"), OperatorSpec(name)),
        (*nodes, NodeSpec(1, (2,), (1,))),
        outputs=(1,),
    )


def test_a_resource_variable_has_memory_once_however_often_it_is_assigned() -> None:
    once = arena(stateful("ASSIGN_VARIABLE"))
    assert once - arena(stateful("NEG")) == 640
    assert arena(stateful("ASSIGN_VARIABLE", ("state", "state"))) - once < 200
    assert arena(stateful("ASSIGN_VARIABLE", ("state", "other"))) - once >= 640


def with_branches(then: ModelSpec, otherwise: ModelSpec) -> ModelSpec:
    node = NodeSpec(
        0, (2, 0), (1,), (), "IfOptions", {"ThenSubgraphIndex": 1, "ElseSubgraphIndex": 2}
    )
    return ModelSpec(
        (
            TensorSpec("in", (16,)),
            TensorSpec("out", (16,)),
            TensorSpec("condition", (1,), tflite.TensorType.BOOL),
        ),
        (OperatorSpec("IF"), OperatorSpec("NEG")),
        (node,),
        inputs=(0, 2),
        outputs=(1,),
        others=(renumbered(then), renumbered(otherwise)),
    )


def renumbered(spec: ModelSpec) -> ModelSpec:
    return replace(spec, nodes=tuple(replace(node, operator=1) for node in spec.nodes))


def test_branches_that_never_run_together_share_their_place() -> None:
    small = arena(with_branches(chain(16, 16), chain(16, 16)))
    one = arena(with_branches(chain(9600, 9600), chain(16, 16)))
    both = arena(with_branches(chain(9600, 9600), chain(9600, 9600)))
    assert one - small > 18_000
    assert both - one < 200


def test_the_revision_of_2021_plans_one_graph() -> None:
    spec = with_branches(chain(16, 16), chain(16, 16))
    with pytest.raises(Refusal, match=r"node 0 is IF, .* is not known \(measure"):
        arena(spec, OLD)
    unused = replace(chain(16, 16), others=(chain(16, 16),))
    with pytest.raises(Refusal, match="2 subgraphs, which TFLM of 2021"):
        arena(unused, OLD)


def test_subgraphs_that_double_with_each_level_are_refused() -> None:
    def level(next_graph: int) -> ModelSpec:
        twice = {"CondSubgraphIndex": next_graph, "BodySubgraphIndex": next_graph}
        return replace(
            chain(16, 16), nodes=(NodeSpec(1, (0,), (1,), (), "WhileOptions", twice),) * 4
        )

    levels = [level(n + 1) for n in range(15)]
    spec = replace(
        levels[0],
        operators=(OperatorSpec("NEG"), OperatorSpec("WHILE")),
        others=(*levels[1:], chain(16, 16)),
    )
    with pytest.raises(Refusal, match="run each other too often"):
        arena(spec)


def test_custom_operators_are_refused_by_name() -> None:
    with pytest.raises(Refusal) as caught:
        arena(with_operator(default_spec(), "mine"))
    assert "node 4 is the custom operator mine" in str(caught.value)
    assert "--arena-need" in str(caught.value)
    assert "tmd arena MODEL --measure" in str(caught.value)
    model = model_of(with_operator(default_spec(), "mine"))
    posing = (*model.operators[:-1], replace(model.operators[-1], name="ADD"))
    with pytest.raises(Refusal, match="custom operator ADD"):
        predict_arena(replace(model, operators=posing))


def test_operators_without_a_kernel_are_refused_by_name() -> None:
    with pytest.raises(Refusal, match="node 4 is GELU"):
        arena(with_operator(default_spec(), "GELU"))
    assert arena(with_operator(default_spec(), "REVERSE_V2"), KernelBuild("90b983c2"))
    with pytest.raises(Refusal, match="node 4 is REVERSE_V2"):
        arena(with_operator(default_spec(), "REVERSE_V2"))


def test_optimised_kernels_are_refused_where_they_ask_for_more() -> None:
    optimised = KernelBuild(kernels="cmsis_nn")
    with pytest.raises(Refusal, match="node 0 is CONV_2D, .* tflm-8d404de7 cmsis_nn"):
        arena(default_spec(), optimised)
    assert arena(chain(16, 16), optimised) == arena(chain(16, 16))


def test_an_unknown_revision_is_refused() -> None:
    with pytest.raises(Refusal, match="TFLM 12345678: its arena cannot be predicted"):
        arena(default_spec(), KernelBuild("12345678"))


def test_too_many_activations_to_plan_are_refused() -> None:
    many = tuple(TensorSpec("", (1,)) for _ in range(5000))
    spec = replace(chain(16, 16), tensors=(*chain(16, 16).tensors, *many))
    with pytest.raises(Refusal, match="5002 activations"):
        arena(spec)


def test_a_model_with_a_thousand_tensors_takes_less_than_a_second() -> None:
    model = model_of(chain(*range(100, 1100)))
    started = time.process_time()
    assert predict_arena(model).bytes > 2000
    assert time.process_time() - started < 1


ODD: Mapping[str, NodeSpec] = {
    "nothing": NodeSpec(4, (), ()),
    "omitted": NodeSpec(4, (-1, -1), ()),
    "one": NodeSpec(4, (0,), (2,)),
    "a scalar": NodeSpec(4, (0, 1), (2,)),
    "a scalar first": NodeSpec(4, (1, 0), (1, 2)),
    "empty": NodeSpec(4, (3, 3), (3,)),
    "many": NodeSpec(4, (0, 1, 2, 3) * 6, (0, 1, 2, 3)),
}
OPTIONS = {
    "CALL_ONCE": ("CallOnceOptions", {"InitSubgraphIndex": 1}),
    "IF": ("IfOptions", {"ThenSubgraphIndex": 1, "ElseSubgraphIndex": 1}),
    "VAR_HANDLE": ("VarHandleOptions", {"SharedName": "v"}),
    "WHILE": ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 1}),
}


@pytest.mark.parametrize("kind", (tflite.TensorType.INT8, tflite.TensorType.INT16))
@pytest.mark.parametrize("case", ODD)
def test_any_operator_on_any_tensors_is_predicted_or_refused(case: str, kind: int) -> None:
    tensors = (
        TensorSpec("a", (2, 3), kind, scale=(0.5,), zero_point=(0,)),
        TensorSpec("scalar", ()),
        TensorSpec("b", (6,), INT32),
        TensorSpec("none", (0, 4), kind),
    )
    known = set()
    for name in (n for n in vars(tflite.BuiltinOperator) if not n.startswith("_")):
        options, fields = OPTIONS.get(name, ("", {}))
        spec = replace(
            with_operator(default_spec(), name),
            tensors=tensors,
            nodes=(replace(ODD[case], options=options, fields=fields),),
            outputs=(2,),
            others=(replace(chain(16, 16), nodes=()),) if name in OPTIONS else (),
        )
        try:
            model = model_of(spec)
        except Refusal:
            continue
        for revision in REVISIONS:
            try:
                assert predict_arena(model, KernelBuild(revision)).bytes > 0
            except Refusal:
                continue
            known.add((revision, name))
    assert len(known) > 250
