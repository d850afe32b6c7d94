"""Models as hostile input: each gets one clear error that names the file and the fault."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tflite
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit import (
    ModelSpec,
    NodeSpec,
    TensorSpec,
    build,
    default_spec,
    with_operator,
    with_tensor,
)
from tinymldelta.errors import Refusal
from tinymldelta.facts import facts_of
from tinymldelta.model import Model, read_model, read_model_file, reader

Make = Callable[[ModelSpec], ModelSpec]
PLAN = "OfflineMemoryAllocation"


def plan(offsets: list[int]) -> bytes:
    return struct.pack(f"<{3 + len(offsets)}i", 1, 0, len(offsets), *offsets)


def _nodes(spec: ModelSpec, index: int, **changes: object) -> ModelSpec:
    nodes = list(spec.nodes)
    nodes[index] = replace(nodes[index], **changes)
    return replace(spec, nodes=tuple(nodes))


def _operator(spec: ModelSpec, index: int, **changes: object) -> ModelSpec:
    operators = list(spec.operators)
    operators[index] = replace(operators[index], **changes)
    return replace(spec, operators=tuple(operators))


def with_others(spec: ModelSpec, *others: ModelSpec) -> ModelSpec:
    return replace(spec, others=others)


def with_calls(spec: ModelSpec, *called: int | None) -> ModelSpec:
    """As many subgraphs, and one more, each of which runs the one that is named."""
    graphs = [
        replace(
            with_operator(spec, "CALL_ONCE"),
            nodes=(*spec.nodes, NodeSpec(4, (), (), (), "CallOnceOptions", _runs(graph))),
            outputs=spec.outputs,
        )
        if graph is not None
        else spec
        for graph in called
    ]
    return with_others(graphs[0], *graphs[1:], *([spec] if len(called) == 1 else []))


def _runs(graph: int) -> dict[str, int | str]:
    return {"InitSubgraphIndex": graph}


FAULTS: dict[str, tuple[Make, str]] = {
    "no subgraph": (lambda s: replace(s, subgraphs=0), "no subgraph"),
    "several signatures": (lambda s: replace(s, signatures=2), "2 signatures"),
    "dynamic shape": (lambda s: with_tensor(s, 0, shape=(-1, 4, 4, 1)), "dynamic shape"),
    "string tensor": (lambda s: with_tensor(s, 3, type=tflite.TensorType.STRING), "STRING"),
    "variant tensor": (lambda s: with_tensor(s, 3, type=tflite.TensorType.VARIANT), "VARIANT"),
    "unknown element type": (lambda s: with_tensor(s, 3, type=99), "element type 99"),
    "custom operator without a name": (
        lambda s: with_operator(s, "CUSTOM"),
        "custom operator 4 has no name",
    ),
    "external buffer": (lambda s: with_tensor(s, 3, external=True), "outside the flatbuffer"),
    "sparse tensor": (lambda s: with_tensor(s, 6, sparse=True), "is sparse"),
    "wrong file identifier": (lambda s: replace(s, identifier=b"TFL2"), "not a TFLite model"),
    "wrong schema version": (lambda s: replace(s, version=4), "schema version 4"),
    "operator code unknown to the schema": (
        lambda s: _operator(s, 0, new_code=5000),
        "code 5000, which the schema does not know",
    ),
    "operator code negative": (
        lambda s: _operator(s, 0, legacy_code=-5, new_code=-7),
        "code -5, which the schema",
    ),
    "operator code that only marks newer ones": (
        lambda s: _operator(s, 0, legacy_code=127, new_code=127),
        "code 127",
    ),
    "operator version 0": (lambda s: _operator(s, 0, version=0), "version 0"),
    "control flow without options": (
        lambda s: with_operator(s, "WHILE"),
        "node 4 is WHILE and has no options",
    ),
    "control flow into no subgraph": (
        lambda s: with_calls(s, 2),
        "node 4 runs subgraph 2 of 2",
    ),
    "control flow into a negative subgraph": (
        lambda s: with_calls(s, -1),
        "node 4 runs subgraph -1 of 2",
    ),
    "a subgraph that runs itself": (lambda s: with_calls(s, 0), "subgraph 0 runs itself"),
    "subgraphs that run each other": (
        lambda s: with_calls(s, 1, 0),
        "subgraph 0 runs itself",
    ),
    "subgraphs that run each other without end in sight": (
        lambda s: with_calls(s, *range(1, 18), None),
        "16 deep",
    ),
    "an output that another subgraph does not have": (
        lambda s: with_others(s, replace(s, outputs=(9,))),
        "subgraph 1's outputs name tensor 9 of 9",
    ),
    "external buffers in other files": (
        lambda s: replace(s, external_buffers=1),
        "keeps data in other files",
    ),
    "tensor in another file": (
        lambda s: with_tensor(s, 3, external_buffer=1),
        "keeps its data in another file",
    ),
    "quantisation by another scheme": (
        lambda s: with_tensor(s, 6, details_type=2),
        "other than by scale and zero point",
    ),
    "scales along a dimension of another length": (
        lambda s: with_tensor(s, 1, axis=1),
        "2 scales along dimension 1",
    ),
    "quantised dimension out of range": (
        lambda s: with_tensor(s, 1, axis=4),
        "along dimension 4 of 4",
    ),
    "quantised dimension negative": (lambda s: with_tensor(s, 1, axis=-1), "dimension -1 of 4"),
    "too many inputs": (lambda s: replace(s, inputs=(0,) * 65536), "65536 inputs"),
    "intermediate index out of range": (
        lambda s: _nodes(s, 0, intermediates=(9,)),
        "tensor 9 of 9",
    ),
    "graph output out of range": (lambda s: replace(s, outputs=(-1,)), "tensor -1 of 9"),
    "offline plan without data": (
        lambda s: replace(s, metadata=((PLAN, b""),)),
        "plan is too short",
    ),
    "offline plan cut off": (
        lambda s: replace(s, metadata=((PLAN, plan([-1] * 9)[:-1]),)),
        "plan is too short",
    ),
    "offline plan for other tensors": (
        lambda s: replace(s, metadata=((PLAN, plan([-1] * 10)),)),
        "does not fit the 9 tensors",
    ),
    "offline plan below the arena": (
        lambda s: replace(s, metadata=((PLAN, plan([-2] * 9)),)),
        "does not fit the 9 tensors",
    ),
    "offline plan in a missing buffer": (
        lambda s: replace(s, metadata=((PLAN, plan([-1] * 9)),), metadata_buffer=99),
        "buffer 99",
    ),
    "opcode index out of range": (lambda s: _nodes(s, 0, operator=4), "operator 4 of 4"),
    "input index out of range": (lambda s: _nodes(s, 0, inputs=(9,)), "tensor 9 of 9"),
    "input index negative": (lambda s: _nodes(s, 0, inputs=(-2,)), "tensor -2"),
    "output index missing": (lambda s: _nodes(s, 0, outputs=(-1,)), "tensor -1"),
    "graph input out of range": (lambda s: replace(s, inputs=(9,)), "tensor 9 of 9"),
    "no inputs": (lambda s: replace(s, inputs=()), "no inputs"),
    "no outputs": (lambda s: replace(s, outputs=()), "no outputs"),
    "no operators": (lambda s: replace(s, nodes=()), "no operators"),
    "buffer out of range": (lambda s: with_tensor(s, 3, buffer=77), "buffer 77"),
    "data shorter than the shape": (lambda s: with_tensor(s, 6, data=b"123"), "3 bytes of data"),
    "shape overflow": (lambda s: with_tensor(s, 3, shape=(65536, 65536)), "impossible shape"),
    "too many dimensions": (lambda s: with_tensor(s, 3, shape=(1,) * 256), "256 dimensions"),
    "empty input": (lambda s: with_tensor(s, 0, shape=(1, 0)), "empty shape"),
    "scales that fit no dimension": (
        lambda s: with_tensor(s, 6, scale=(1.0, 2.0, 3.0), zero_point=(0, 0, 0)),
        "3 scales",
    ),
    "zero points that do not match": (
        lambda s: with_tensor(s, 1, zero_point=(0, 0, 0)),
        "2 scales and 3 zero points",
    ),
    "zero points without scales": (lambda s: with_tensor(s, 1, scale=()), "0 scales and 2 zero"),
    "zero point without scale": (
        lambda s: with_tensor(s, 0, scale=(), zero_point=(1,)),
        "no scale",
    ),
    "scale not a number": (lambda s: with_tensor(s, 6, scale=(float("nan"),)), "finite"),
    "negative scale of an input": (lambda s: with_tensor(s, 0, scale=(-1.0,)), "not positive"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_refused_by_name(name: str) -> None:
    make, message = FAULTS[name]
    with pytest.raises(Refusal) as caught:
        read_model(build(make(default_spec())), "bad.tflite")
    assert str(caught.value).startswith("bad.tflite: ")
    assert message in str(caught.value)


def test_too_short() -> None:
    with pytest.raises(Refusal, match=r"bad\.tflite: 12 bytes are too few"):
        read_model(b"\x10\0\0\0TFL3\0\0\0\0", "bad.tflite")


def test_a_refusal_is_one_line() -> None:
    spec = with_tensor(default_spec(), 0, name="two\nlines\x1b[2J", shape=(-1, 4))
    with pytest.raises(Refusal) as caught:
        read_model(build(spec), "bad.tflite")
    assert str(caught.value).isprintable()


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    data = build(default_spec())
    monkeypatch.setattr(reader, "MODEL_MAX", len(data) - 1)
    with pytest.raises(Refusal, match="too many for a model"):
        read_model(data, "m")


def test_0_bytes_long() -> None:
    with pytest.raises(Refusal, match=r"bad\.tflite: the file is empty"):
        read_model(b"", "bad.tflite")


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        read_model_file(tmp_path / "missing.tflite")


@pytest.mark.parametrize("of", ["made here", "sst/base.tflite"])
def test_truncated_at_every_byte(of: str, digits: Path) -> None:
    data = build(default_spec()) if of == "made here" else (digits.parent / of).read_bytes()
    for length in range(len(data)):
        # What a flatbuffer's end holds may be padding; then the rest is still a whole model.
        try:
            assert isinstance(read_model(data[:length], "cut.tflite"), Model)
            assert length > len(data) - 8
        except Refusal as refusal:
            assert str(refusal).startswith("cut.tflite: ")


def test_normal_things_that_look_odd_are_accepted() -> None:
    spec = with_tensor(default_spec(), 0, shape_signature=(-1, 4, 4, 1))
    assert read_model(build(spec), "m").input_tensors[0].shape == (1, 4, 4, 1)
    custom = read_model(build(with_operator(spec, "my operator", 7)), "m").operators[-1]
    assert (custom.name, custom.custom, custom.version) == ("my operator", True, 7)
    old = read_model(build(with_tensor(spec, 2, axis=3)), "m")  # old converters, on biases
    assert old.tensors[2].quantisation is not None
    one = read_model(build(with_tensor(spec, 1, zero_point=(0,))), "m")  # TFLM repeats it
    assert one.tensors[1].quantisation is not None
    ranged = (
        read_model(
            build(with_tensor(spec, 3, scale=(), zero_point=(), minimum=(0.0,), maximum=(1.0,))),
            "m",
        )
        .tensors[3]
        .quantisation
    )
    assert ranged is not None
    assert ranged.scale == ()
    assert ranged.max_span is not None
    assert ranged.max_span.length == 4
    assert read_model(build(replace(spec, metadata=(("min_runtime_version", b"1.5.0"),))), "m")
    named = with_operator(spec, "WHILE ")  # a custom operator, whatever its name
    assert read_model(build(named), "m").operators[-1].custom


def test_spans_are_where_the_file_has_the_bytes() -> None:
    data = build(default_spec())
    tensor = read_model(data, "m").tensors[1]
    assert tensor.data is not None
    assert data[tensor.data.offset :][: tensor.data.length] == bytes(range(18))
    q = tensor.quantisation
    assert q is not None
    assert q.scale_span is not None
    assert q.zero_point_span is not None
    assert struct.unpack_from("<2f", data, q.scale_span.offset) == q.scale == (0.25, 0.5)
    assert q.zero_point_span.length == 16
    assert (q.min_span, q.max_span) == (None, None)


def _read(data: bytes) -> None:
    try:
        facts_of(read_model(data, "m"))
    except Refusal as refusal:
        assert str(refusal).startswith("m: ")


def test_ten_thousand_random_mutations_give_a_model_or_a_refusal(digits: Path) -> None:
    rng = random.Random(20261121)
    bases = [
        build(default_spec()),
        (digits.parent / "sst" / "base.tflite").read_bytes(),
        (digits / "base.tflite").read_bytes(),
    ]
    for round_ in range(10_000):
        data = bytearray(bases[(round_ % 4 == 0) + (round_ % 8 == 0)])
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(len(data))
            kind = rng.randrange(4)
            if kind == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            elif kind == 2:
                data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4)))
            else:
                data[at : at + 4] = rng.randrange(2 * len(data)).to_bytes(4, "little")
        _read(bytes(data))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_behind_the_identifier(tail: bytes) -> None:
    _read(b"\x10\0\0\0TFL3" + tail)


def test_a_small_file_cannot_spell_out_an_enormous_tree() -> None:
    """Shared tables: a vector of tables whose elements all lead to the same vector of tables."""
    spec = default_spec()
    many = replace(spec, nodes=spec.nodes * 400, tensors=spec.tensors + (TensorSpec("x", (1,)),))
    data = bytearray(build(many))
    model = read_model(bytes(data), "m")
    assert len(model.nodes) == 1600
    # Point every entry of the model's vectors at the root: the walk has to give up, and soon.
    for at in range(8, len(data) - 4, 4):
        data[at : at + 4] = (12).to_bytes(4, "little")
    _read(bytes(data))


def test_a_vector_that_many_tensors_share_costs_no_more_than_its_file() -> None:
    """500 tensors that all claim 20,000 scales in the same place: 10 million to read."""
    scales = (0.5,) * 20_000
    wide = TensorSpec("w", (20_000,), scale=scales, zero_point=(0,))
    narrow = tuple(TensorSpec("n", (20_000,), scale=(0.25,), zero_point=(0,)) for _ in range(500))
    spec = replace(default_spec(), tensors=(*default_spec().tensors, wide, *narrow))
    data = bytearray(build(spec))
    model = read_model(bytes(data), "m")
    span = model.tensors[9].quantisation.scale_span  # type: ignore[union-attr]
    for tensor in model.tensors[10:]:
        at = tensor.quantisation.scale_span.offset - 4  # type: ignore[union-attr]
        # Make the short vector claim the length of the long one; what follows it are numbers too.
        if at + 4 + span.length <= len(data):  # type: ignore[union-attr]
            data[at : at + 4] = len(scales).to_bytes(4, "little")
    with pytest.raises(Refusal, match="more elements than the file has room for"):
        read_model(bytes(data), "m")


def test_every_model_of_the_corpus_reads(root: Path) -> None:
    corpus = root.parent / "shared" / "corpus"
    files = sorted(corpus.glob("*/*.tflite"))
    if not files:
        pytest.skip("no corpus beside the checkout")
    for file in files:
        assert read_model_file(file).length == file.stat().st_size
