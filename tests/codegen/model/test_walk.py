"""The walk: each offset and length that leaves the file is refused, in time bounded by its size."""

from __future__ import annotations

import struct
import time
from dataclasses import replace

import pytest

from modelkit import NodeSpec, build, build_shared, default_spec, with_tensor
from tinymldelta.errors import Refusal
from tinymldelta.facts import facts_of
from tinymldelta.model import read_model
from tinymldelta.model.schema import TABLES, slot_of
from tinymldelta.model.walk import walk


def u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


class Place:
    """Finds the way through a well-formed file, so that a test can spoil one thing in it."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.root = u32(data, 0)

    def vtable(self, table: int) -> int:
        return table - int(struct.unpack_from("<i", self.data, table)[0])

    def field(self, table: int, kind: str, name: str) -> int:
        entry = self.vtable(table) + 4 + 2 * slot_of(kind, name)
        return table + int(struct.unpack_from("<H", self.data, entry)[0])

    def follow(self, at: int) -> int:
        return at + u32(self.data, at)

    def graph(self) -> int:
        return self.element(self.field(self.root, "Model", "subgraphs"), 0)

    def tensor(self, index: int) -> int:
        return self.element(self.field(self.graph(), "SubGraph", "tensors"), index)

    def element(self, vector_field: int, index: int) -> int:
        return self.follow(self.follow(vector_field) + 4 + 4 * index)

    def put(self, packing: str, at: int, value: int) -> None:
        struct.pack_into(packing, self.data, at, value)


@pytest.fixture
def place() -> Place:
    return Place(build(default_spec()))


def refused(place: Place) -> str:
    with pytest.raises(Refusal) as caught:
        walk(bytes(place.data), "bad.tflite")
    assert str(caught.value).startswith("bad.tflite: damaged at ")
    return str(caught.value)


def test_the_file_as_made_is_taken(place: Place) -> None:
    walk(bytes(place.data), "m")


@pytest.mark.parametrize("offset", [0, 6, 0x7FFFFFF0, 0xFFFFFFFF])
def test_root_offset_out_of_the_file(place: Place, offset: int) -> None:
    place.put("<I", 0, offset)
    refused(place)


@pytest.mark.parametrize("size", [0, 2, 5, 0xFFFE])
def test_vtable_of_an_impossible_size(place: Place, size: int) -> None:
    place.put("<H", place.vtable(place.tensor(3)), size)
    assert "vtable" in refused(place)


@pytest.mark.parametrize("size", [0, 3, 0xFFFC])
def test_table_of_an_impossible_size(place: Place, size: int) -> None:
    place.put("<H", place.vtable(place.root) + 2, size)
    assert "damaged at model: a table of" in refused(place)


@pytest.mark.parametrize("distance", [-0x80000000, 0x7FFFFFFF, 1])
def test_vtable_out_of_the_file_or_odd(place: Place, distance: int) -> None:
    place.put("<i", place.tensor(3), distance)
    assert "tensors[3]" in refused(place)


@pytest.mark.parametrize("offset", [2, 0xFFFC])
def test_field_out_of_its_table(place: Place, offset: int) -> None:
    place.put("<H", place.vtable(place.tensor(8)) + 4 + 2 * slot_of("Tensor", "shape"), offset)
    assert ".shape: offset" in refused(place)


def test_table_on_an_odd_place(place: Place) -> None:
    at = place.field(place.graph(), "SubGraph", "operators")
    first = place.follow(at) + 4
    place.put("<I", first, u32(place.data, first) + 2)
    assert "operators[0]: offset" in refused(place)


@pytest.mark.parametrize("count", [0x0FFFFFFF, 0x40000001, 0xFFFFFFFF])
def test_vector_beyond_the_end(place: Place, count: int) -> None:
    place.put("<I", place.follow(place.field(place.tensor(3), "Tensor", "shape")), count)
    message = refused(place)
    assert f"model.subgraphs[0].tensors[3].shape: {count} elements of 4 bytes" in message


def test_vector_of_tables_beyond_the_end(place: Place) -> None:
    place.put("<I", place.follow(place.field(place.graph(), "SubGraph", "tensors")), 1 << 30)
    assert "subgraphs[0].tensors: " in refused(place)


@pytest.mark.parametrize("offset", [0, 0xFFFFFFFC])
def test_element_out_of_the_file(place: Place, offset: int) -> None:
    place.put("<I", place.follow(place.field(place.graph(), "SubGraph", "tensors")) + 4, offset)
    assert "subgraphs[0].tensors[0]: " in refused(place)


def test_text_without_its_end(place: Place) -> None:
    text = place.follow(place.field(place.tensor(0), "Tensor", "name"))
    place.data[text + 4 + u32(place.data, text)] = ord("x")
    assert "tensors[0].name: a text without its end" in refused(place)


SHARED = {
    "tensors with one long vector of scales": (
        with_tensor(
            default_spec(), 8, shape=(30000,), scale=(1.0,) * 30000, zero_point=(0,) * 30000
        ),
        "tensors",
    ),
    "nodes with one long vector of inputs": (
        replace(default_spec(), nodes=(NodeSpec(3, (7,) * 50000, (8,)),)),
        "operators",
    ),
    "one tensor many times": (default_spec(), "tensors"),
    "one node many times": (default_spec(), "operators"),
}


@pytest.mark.parametrize("name", SHARED)
def test_shared_parts_cannot_spell_out_an_enormous_tree(name: str) -> None:
    """Without a budget the first two take hours: 50,000 times 30,000 numbers."""
    spec, field = SHARED[name]
    data = build_shared(spec, field, 50_000)
    started = time.process_time()
    with pytest.raises(Refusal, match="than the file has room for"):
        read_model(data, "m")
    assert time.process_time() - started < 10


def test_a_little_sharing_is_honest() -> None:
    data = build_shared(default_spec(), "operators", 20)
    assert len(facts_of(read_model(data, "m")).operators) == 4


def test_the_schema_has_no_cycle_and_names_only_its_own_tables() -> None:
    def depth(table: str) -> int:
        return 1 + max((depth(f.table) for f in TABLES[table] if f.table), default=0)

    assert depth("Model") <= 4
