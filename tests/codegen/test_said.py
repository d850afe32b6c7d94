"""From a model's facts to what a patch of format 2 says, by the bytes of SPEC.md."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields, replace

import pytest

from modelkit import (
    ModelSpec,
    NodeSpec,
    OperatorSpec,
    build,
    default_spec,
    with_operator,
    with_tensor,
)
from tinymldelta.container.operators import OperatorNeed, custom_id, decode_operators
from tinymldelta.container.patch import Metadata
from tinymldelta.errors import Refusal
from tinymldelta.facts import Facts, facts_of, operator_needs
from tinymldelta.model import read_model
from tinymldelta.said import Said, fact_metadata, said_metadata
from tinymldelta.tflm import KernelBuild
from tinymldelta.wire.constants import FORMAT_1, FORMAT_2

SPEC = default_spec()
KERNELS = KernelBuild()
INT8 = 1 << 1


def facts(spec: ModelSpec = SPEC) -> Facts:
    return facts_of(read_model(build(spec), "m"), arena_need=2048)


def said(spec: ModelSpec = SPEC, format_: int = FORMAT_2, *, names: bool = True) -> Metadata:
    return fact_metadata(facts(spec), Said("app"), KERNELS, format_, names=names)


def interface(*tensors: bytes) -> int:
    """One input and one output."""
    return zlib.crc32(b"".join(b"\x01\0" + tensor for tensor in tensors))


def test_hashes_are_those_of_the_specification() -> None:
    metadata = said()
    assert metadata.kernels == zlib.crc32(b"tflm-8d404de7 reference")
    shape_in = struct.pack("<BB4i", 9, 4, 1, 4, 4, 1)
    shape_out = struct.pack("<BB2i", 9, 2, 1, 4)
    assert metadata.tensors == interface(shape_in, shape_out)
    scale_in = struct.pack("<iIfIq", 0, 1, 0.5, 1, -128)
    scale_out = struct.pack("<iIfIq", 0, 1, 1 / 256, 1, -128)
    assert metadata.quantisation == interface(scale_in, scale_out)
    assert metadata.tensor_names == interface(b"\x02\0in", b"\x03\0out")


def test_each_fact_is_in_one_hash_alone() -> None:
    base = said()
    for change, field in (
        (with_tensor(SPEC, 0, shape=(1, 4, 4, 2)), "tensors"),
        (with_tensor(SPEC, 8, shape=(4,)), "tensors"),
        (with_tensor(SPEC, 0, scale=(0.25,)), "quantisation"),
        (with_tensor(SPEC, 8, zero_point=(0,)), "quantisation"),
        (with_tensor(SPEC, 0, name="other"), "tensor_names"),
        (replace(SPEC, operators=(OperatorSpec("CONV_2D", 4), *SPEC.operators[1:])), "operators"),
        (with_tensor(SPEC, 3, name="inner", scale=(3.0,)), None),
        (replace(SPEC, description="another"), None),
    ):
        changed = said(change)
        assert [
            f.name for f in fields(Metadata) if getattr(changed, f.name) != getattr(base, f.name)
        ] == ([field] if field else [])


def test_each_operator_is_said_once_with_its_highest_version_and_all_types() -> None:
    spec = with_operator(with_operator(SPEC, "RELU", 1), "RELU", 2)
    spec = with_operator(with_tensor(spec, 10, type=0), "mine", 3)  # the second gives floats
    float32 = 1 << 0
    assert [n for n in operator_needs(facts(spec)) if n.id in (19, custom_id("mine"))] == [
        OperatorNeed(19, 2, INT8 | float32),
        OperatorNeed(custom_id("mine"), 3, 0),
    ]
    needs = decode_operators(said(spec).operators or b"")
    assert needs == operator_needs(facts(spec))
    assert [n.id for n in needs] == sorted({n.id for n in needs})


def test_what_no_node_uses_is_not_said() -> None:
    more = replace(SPEC, operators=(*SPEC.operators, OperatorSpec("TANH")))
    assert said(more).operators == said().operators
    fewer = replace(SPEC, nodes=(*SPEC.nodes[:2], NodeSpec(2, (5, 6, -1), (8,))))
    assert {n.id for n in operator_needs(facts(fewer))} == {3, 9, 22}


def test_each_format_says_what_it_has_a_place_for() -> None:
    old, new = said(format_=FORMAT_1), said(names=False)
    assert {f.name for f in fields(Metadata) if getattr(old, f.name)} == {
        "req_arena_bytes",
        "tflm_abi",
        "opset_hash",
        "io_hash",
    }
    assert (old.tflm_abi or 0) == (KERNELS.identity & 0xFF) << 8 | 3
    assert {f.name for f in fields(Metadata) if getattr(new, f.name)} == {
        "req_arena_bytes",
        "kernels",
        "tensors",
        "quantisation",
        "model_name",
        "operators",
    }


def test_what_people_say() -> None:
    words = Said("app", version=7, version_floor=5, note="Größe", labels=("a", "b"))
    assert said_metadata(words, FORMAT_2) == Metadata(
        model_version=7, version_floor=5, note="Größe".encode(), labels=b"a\nb"
    )
    plain = replace(words, note="", labels=())
    assert said_metadata(plain, FORMAT_1) == Metadata(model_version=7, version_floor=5)
    for change in ({"note": "x"}, {"labels": ("x",)}):
        with pytest.raises(Refusal, match="format 1 has no note and no labels"):
            said_metadata(replace(plain, **change), FORMAT_1)
    for longer, found in (
        ({"note": "é" * 49}, "its note needs 98 bytes, 96 are the most"),
        ({"labels": ("x" * 125, "y" * 125)}, "needs 251 bytes, 250 are the most"),
        ({"labels": ("a\nb",)}, "is no label"),
        ({"labels": ("",)}, "is no label"),
    ):
        with pytest.raises(Refusal, match=found):
            said_metadata(replace(plain, **longer), FORMAT_2)
