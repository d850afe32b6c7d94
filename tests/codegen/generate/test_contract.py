"""The contract: built from facts and limits, written to JSON and read back."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from modelkit import build, default_spec, with_operator, with_tensor
from tinymldelta.container.operators import custom_id
from tinymldelta.container.patch import Metadata
from tinymldelta.contract import Contract
from tinymldelta.contractfile import contract_json, parse_contract, read_contract
from tinymldelta.errors import Refusal
from tinymldelta.generate import ModelSource, model_contracts
from tinymldelta.limits import Limits
from tinymldelta.tflm import KernelBuild, supported
from tinymldelta.wire import constants as wire

LIMITS = Limits(16384, 8192, 16, {}, {})


def source(path: Path, name: str = "app") -> ModelSource:
    return ModelSource(name, path.read_bytes(), path.name)


@pytest.fixture
def contract(digits: Path, sst: Path) -> Contract:
    models = [source(digits / "base.tflite", "digits"), source(sst / "base.tflite", "sst")]
    return model_contracts(models, LIMITS)


def test_json_comes_back_as_the_same_contract(contract: Contract) -> None:
    assert parse_contract(contract_json(contract), "c") == contract


def test_operators_are_the_union_of_all_models(contract: Contract) -> None:
    names = {op.name for op in contract.operators}
    assert names == {op.name for m in contract.models for op in m.operators}
    assert {"CONV_2D", "FULLY_CONNECTED"} <= names


FULL = replace(
    LIMITS,
    kernels=KernelBuild("90b983c2"),
    extra_operators=("TANH", "LOGISTIC"),
    meta_kept=255,
    accept=wire.ACCEPT_KERNELS_WARNED | wire.COMPARE_NAMES,
    note={"digits": "run 7, Größe S"},
    labels={"digits": ("zero", "one"), "sst": ()},
)


def test_policies_kernels_notes_and_labels_come_back_too(digits: Path, sst: Path) -> None:
    models = [source(digits / "base.tflite", "digits"), source(sst / "base.tflite", "sst")]
    contract = model_contracts(models, FULL)
    assert parse_contract(contract_json(contract), "c") == contract
    assert contract.kernels.text == "tflm-90b983c2 reference"
    assert contract.meta_kept == 255
    first, second = contract.models
    assert (first.note, first.labels) == ("run 7, Größe S", ("zero", "one"))
    assert first.said == Metadata(note="run 7, Größe S".encode(), labels=b"zero\none")
    assert second.said == Metadata()
    hashes = {(m.tensors, m.quantisation, m.tensor_names) for m in contract.models}
    assert len(hashes) == 2


def test_what_a_patch_is_judged_by_is_what_the_contract_says(digits: Path, sst: Path) -> None:
    models = [source(digits / "base.tflite", "digits"), source(sst / "base.tflite", "sst")]
    contract = model_contracts(models, FULL)
    accepts = contract.accepts(1)
    model = contract.models[1]
    assert (accepts.name, accepts.kernels) == ("sst", contract.kernels.identity)
    assert (accepts.meta_kept, accepts.write_bytes) == (255, LIMITS.write_bytes)
    assert (accepts.tensors, accepts.quantisation, accepts.tensor_names) == (
        model.tensors,
        model.quantisation,
        model.tensor_names,
    )
    # What is linked is linked for all of them.
    assert list(accepts.operators) == [op.id for op in contract.operators]
    assert accepts.has(wire.COMPARE_NAMES)
    assert not accepts.has(wire.ACCEPT_KERNELS)


def test_operators_have_the_versions_and_types_of_the_kernels_table(contract: Contract) -> None:
    table = supported(contract.kernels.revision)
    for op in contract.operators:
        has = table[op.name]
        assert (op.lowest, op.highest, op.types) == (has.lowest, has.highest, has.types)
    assert [op.id for op in contract.operators] == sorted(op.id for op in contract.operators)


def test_spare_operators_are_linked_and_in_order(digits: Path) -> None:
    limits = replace(LIMITS, extra_operators=("TANH", "ADD", "CONV_2D"))
    plain = model_contracts([source(digits / "base.tflite")], LIMITS)
    more = model_contracts([source(digits / "base.tflite")], limits)
    names = {op.name for op in more.operators} - {op.name for op in plain.operators}
    assert names == {"ADD", "TANH"}  # the third one is there anyway, and once
    assert [op.id for op in more.operators] == sorted({op.id for op in more.operators})
    assert more.models == plain.models


def test_a_custom_operator_is_linked_in_the_version_that_the_model_has() -> None:
    model = ModelSource("m", build(with_operator(default_spec(), "mine", 2)), "m")
    contract = model_contracts([model], replace(LIMITS, arena_need={"m": 4096}))
    (op,) = (op for op in contract.operators if op.custom)
    assert (op.id, op.lowest, op.highest, op.types) == (custom_id("mine"), 1, 2, 0xFF)
    assert parse_contract(contract_json(contract), "c") == contract


@pytest.mark.parametrize(
    ("name", "version", "fault"),
    [
        ("CONV_3D", 1, "has no kernel for it"),
        ("RELU", 9, r"RELU v9 for INT8: tflm-8d404de7 reference has v1 to v\d"),
    ],
)
def test_a_model_that_the_kernels_cannot_run_is_refused(
    name: str, version: int, fault: str
) -> None:
    model = ModelSource("m", build(with_operator(default_spec(), name, version)), "m")
    with pytest.raises(Refusal, match=fault):
        model_contracts([model], replace(LIMITS, arena_need={"m": 4096}))


def test_an_element_type_that_the_kernels_do_not_have_is_refused() -> None:
    spec = with_operator(default_spec(), "ELU")  # for FLOAT32 and INT8
    floats = with_tensor(with_tensor(spec, 8, type=7), 9, type=7)
    with pytest.raises(Refusal, match="ELU v1 for INT16: .* for FLOAT32, INT8"):
        model_contracts(
            [ModelSource("m", build(floats), "m")], replace(LIMITS, arena_need={"m": 4096})
        )


def test_the_model_is_found_by_name_or_alone(contract: Contract) -> None:
    assert contract.model_index("sst") == 1
    with pytest.raises(Refusal, match="no model is named 'other'.*digits, sst"):
        contract.model_index("other")
    with pytest.raises(Refusal, match="say which one with --model"):
        contract.model_index(None)
    alone = replace(contract, models=contract.models[:1])
    assert alone.model_index(None) == 0


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"slot_bytes": 4096}, "the model is .* bytes, a slot 4096"),
        ({"slot_bytes": 16385}, "--slot"),
        ({"slot_bytes": 0}, "--slot"),
        ({"write_bytes": 0}, "--write"),
        ({"write_bytes": 48}, "--write"),
        ({"write_bytes": 512}, "--write"),
        ({"erase_bytes": 100}, "--erase"),
        ({"erase_bytes": 0}, "--erase"),
        ({"arena_bytes": {"app": 100}}, "an arena of 100 bytes is too small"),
        ({"arena_bytes": {"app": 1 << 32}}, "does not fit 32 bits"),
        ({"arena_bytes": {"other": 10000}}, "no model is named 'other'"),
        ({"arena_need": {"other": 10000}}, "no model is named 'other'"),
        ({"version": {"other": 1}}, "no model is named 'other'"),
        ({"lowest_version": {"other": 1}}, "no model is named 'other'"),
        ({"note": {"other": "x"}}, "no model is named 'other'"),
        ({"labels": {"other": ("x",)}}, "no model is named 'other'"),
        ({"extra_operators": ("RELUX",)}, "--extra-op RELUX: .* no operator of that name"),
        ({"extra_operators": ("relu",)}, "--extra-op relu"),
        ({"extra_operators": ("CONV_3D",)}, "--extra-op CONV_3D"),  # in the schema, not in TFLM
        ({"meta_kept": 63}, "--meta-kept: 63 bytes"),
        ({"meta_kept": 256}, "--meta-kept: 256 bytes"),
        ({"note": {"app": "x" * 97}}, "note"),
        ({"note": {"app": "x" * 96}, "meta_kept": 64}, "98 bytes, 64 stay with a model"),
        ({"labels": {"app": ("x" * 250,)}}, "252 bytes, 192 stay with a model"),
        ({"labels": {"app": ("x" * 251,)}, "meta_kept": 255}, "labels"),
        ({"labels": {"app": ("a", "")}}, "'' is no label"),
        ({"labels": {"app": ("a\nb",)}}, "is no label"),
        ({"kernels": KernelBuild("12345678"), "arena_need": {"app": 9}}, "no tables for this rev"),
    ],
)
def test_limits_that_cannot_work_are_refused(
    digits: Path, change: dict[str, object], fault: str
) -> None:
    with pytest.raises(Refusal, match=fault):
        model_contracts([source(digits / "base.tflite")], replace(LIMITS, **change))


def test_names_are_checked(digits: Path) -> None:
    base = digits / "base.tflite"
    for name in ("", "1st", "a-b", "a" * 32, "Ä", "x\n"):
        with pytest.raises(Refusal, match="not a name for a model"):
            model_contracts([source(base, name)], LIMITS)
    with pytest.raises(Refusal, match="two models have one name"):
        model_contracts([source(base), source(base)], LIMITS)
    with pytest.raises(Refusal, match="no model was given"):
        model_contracts([], LIMITS)


def test_a_measured_arena_need_is_kept_with_its_origin(digits: Path) -> None:
    limits = replace(LIMITS, arena_need={"app": 3000}, arena_bytes={"app": 4000})
    (model,) = model_contracts([source(digits / "base.tflite")], limits).models
    assert (model.arena_bytes, model.arena_need.bytes, model.arena_need.origin) == (
        4000,
        3000,
        "given",
    )


def test_versions_are_per_model_and_kept(digits: Path, sst: Path) -> None:
    models = [source(digits / "base.tflite", "digits"), source(sst / "base.tflite", "sst")]
    limits = replace(LIMITS, version={"digits": 0x01020003}, lowest_version={"sst": 7})
    contract = model_contracts(models, limits)
    assert [(m.version, m.lowest_version) for m in contract.models] == [(0x01020003, 0), (0, 7)]
    assert parse_contract(contract_json(contract), "c") == contract
    # An id is worked out from the name, by all that need it.
    assert [m.id for m in contract.models] == [zlib.crc32(b"digits"), zlib.crc32(b"sst")]
    assert "id" not in json.loads(contract_json(contract))["models"][0]


def _all_paths(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    items: list[tuple[object, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path] + [p for k, v in items for p in _all_paths(v, (*path, k))]


def test_any_damaged_value_of_the_json_is_one_clear_refusal(contract: Contract) -> None:
    document = json.loads(contract_json(contract))
    refused = 0
    for path in _all_paths(document):
        for damage in (None, -1, 1 << 70, "?", [], {}, float("nan"), True):
            copy = json.loads(json.dumps(document))
            if not path:
                copy = damage
            else:
                place = copy
                for key in path[:-1]:
                    place = place[key]
                if place[path[-1]] == damage:
                    continue
                place[path[-1]] = damage
            try:
                parse_contract(json.dumps(copy), "c.json")
            except Refusal as refusal:
                assert str(refusal).startswith("c.json: ")
                refused += 1
    assert refused > 500


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\x00"])
def test_text_that_is_no_contract_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match=r"c\.json"):
        parse_contract(text, "c.json")


def test_another_wire_version_is_refused(contract: Contract) -> None:
    own = f'"wire_version": {wire.WIRE_VERSION}'
    text = contract_json(contract).replace(own, '"wire_version": 3')
    with pytest.raises(Refusal, match="wire version 3"):
        parse_contract(text, "c.json")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        read_contract(tmp_path / "missing.json")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refusal, match="not UTF-8"):
        read_contract(binary)
