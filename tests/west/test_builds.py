"""Reading a build folder: every fault of models.json is named with its place."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymldelta.builds import read_build
from tinymldelta.errors import Refusal
from tinymldelta.facts import facts_of
from tinymldelta.model import read_model
from tinymldelta.vectors import build_image, read_vectors
from westkit import ADDRESS, SLOT, MakeBuild


@pytest.fixture
def folder(tmp_path: Path, make_build: MakeBuild) -> Path:
    return make_build(tmp_path / "build")


def test_a_build_is_read_as_it_was_written(folder: Path) -> None:
    build = read_build(folder)
    index, model = build.model(None)
    assert (index, model.name, model.compiled_in) == (0, "digits", True)
    assert build.base(index) == folder / "tinymldelta" / "digits.tflite"
    assert [r.label for r in model.regions] == ["digits_slot0", "digits_slot1", "digits_records"]
    assert model.slots[1].address == ADDRESS + SLOT
    assert build.contract_path.is_file()


def test_models_come_in_the_order_of_the_contract(tmp_path: Path, make_build: MakeBuild) -> None:
    folder = make_build(tmp_path / "build", names=("a", "b"))
    path = folder / "tinymldelta" / "models.json"
    document = json.loads(path.read_text())
    document["models"].reverse()
    path.write_text(json.dumps(document))
    assert [m.name for m in read_build(folder).models] == ["a", "b"]


def set_at(*place: str | int, value: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = value

    return change


MODEL = ("models", 0)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (set_at("version", value=2), "version 2"),
        (set_at("version", value=True), "version is not a whole number"),
        (set_at("models", value={}), "models is not a list"),
        (set_at("models", value=[]), "not those of contract.json"),
        (set_at("models", 0, value=7), "models[0] lacks 'base'"),
        (set_at(*MODEL, "name", value="other"), "not those of contract.json"),
        (set_at(*MODEL, "name", value=None), "models[0].name is not a text"),
        (set_at(*MODEL, "base", value="../contract.json"), "models[0].base is no name"),
        (set_at(*MODEL, "base", value=".."), "models[0].base is no name"),
        (set_at(*MODEL, "compiled_in", value=1), "models[0].compiled_in is neither true nor"),
        (set_at(*MODEL, "slots", value=[]), "models[0].slots are not two"),
        (
            set_at(*MODEL, "slots", 1, "bytes", value=0),
            "slots[1].bytes is not a whole number",
        ),
        (set_at(*MODEL, "slots", 1, "bytes", value=64), "digits_slot1 has 64 bytes"),
        (set_at(*MODEL, "slots", 0, "address", value=-1), "slots[0].address is not a whole number"),
        (set_at(*MODEL, "slots", 0, "address", value="0"), "slots[0].address is not a whole"),
        (set_at(*MODEL, "records", value=None), "models[0].records lacks 'label'"),
        (set_at(*MODEL, "staging", value=[]), "models[0].staging lacks 'label'"),
    ],
)
def test_a_fault_is_named_with_its_place(
    folder: Path, change: Callable[[Any], None], place: str
) -> None:
    path = folder / "tinymldelta" / "models.json"
    document = json.loads(path.read_text())
    broken = copy.deepcopy(document)
    change(broken)
    path.write_text(json.dumps(broken))
    with pytest.raises(Refusal) as refused:
        read_build(folder)
    assert place in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100000])
def test_what_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "tinymldelta" / "models.json").write_bytes(content)
    with pytest.raises(Refusal, match=r"models\.json"):
        read_build(folder)


def test_a_base_with_test_vectors_is_what_the_device_has(
    folder: Path, digits: Path, tmp_path: Path
) -> None:
    """`tmd patch --image` writes it."""
    build = read_build(folder)
    model = (digits / "target.tflite").read_bytes()
    samples = tmp_path / "vectors.npz"
    samples.write_bytes(vectors_of(digits))
    facts = facts_of(read_model(model, "target"), None)
    image, _ = build_image(model, read_vectors(samples.read_bytes(), "vectors", facts, 255))
    path = tmp_path / "target.img"
    path.write_bytes(image)
    assert build.base(0, path) == path
    path.write_bytes(image + bytes(SLOT))
    with pytest.raises(Refusal, match="a slot holds"):
        build.base(0, path)


def vectors_of(digits: Path) -> bytes:
    model = read_model((digits / "target.tflite").read_bytes(), "target")
    facts = facts_of(model, None)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        input=np.zeros((1, *facts.inputs[0].shape[1:]), np.int8),
        output=np.zeros((1, *facts.outputs[0].shape[1:]), np.int8),
    )
    return buffer.getvalue()
