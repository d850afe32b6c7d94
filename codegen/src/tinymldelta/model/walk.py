"""A bounded walk over a flatbuffer: every offset and length that will be read is checked first.

Python's flatbuffers package verifies nothing: it follows whatever offset it finds. After this walk
each field in `schema.py` can be read without leaving the file. The rules are those of the C++
verifier (flatbuffers, `verifier.h`): a table's vtable, its fields, vectors and strings lie inside
the file; strings end with a zero.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tinymldelta.errors import Refusal
from tinymldelta.model.schema import TABLES, FieldType, Kind

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")


@dataclass(frozen=True, slots=True)
class _Visit:
    """A table still to be walked: its schema, where it stands, and its path for messages."""

    table: str
    at: int
    path: str


class _Walk:
    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        # Tables may be shared, so a small file can spell out an enormous tree. Each visit of an
        # honest file costs at least 4 bytes of it (the offset that leads there).
        self._budget = len(data) // 4 + 16
        # Vectors may be shared as well, and a few are read element by element for each tensor.
        self._elements = 4 * len(data)

    def fault(self, path: str, what: str) -> Refusal:
        return Refusal(self._name, f"damaged at {path}: {what}", "export the model again")

    def _number(self, packing: struct.Struct, at: int, path: str) -> int:
        if not 0 <= at <= len(self._data) - packing.size:
            raise self.fault(path, f"offset {at} lies outside the file")
        value: int = packing.unpack_from(self._data, at)[0]
        return value

    def run(self) -> None:
        pending = [_Visit("Model", self._number(_U32, 0, "root"), "model")]
        while pending:
            self._budget -= 1
            if self._budget < 0:
                raise self.fault(pending[-1].path, "more tables than the file has room for")
            pending.extend(self._table(pending.pop()))

    def _table(self, visit: _Visit) -> Iterator[_Visit]:
        vtable = visit.at - self._number(_I32, visit.at, visit.path)
        vtable_bytes = self._number(_U16, vtable, f"{visit.path} (vtable)")
        table_bytes = self._number(_U16, vtable + 2, f"{visit.path} (vtable)")
        if vtable_bytes < 4 or vtable_bytes % 2 or vtable + vtable_bytes > len(self._data):
            raise self.fault(visit.path, f"a vtable of {vtable_bytes} bytes")
        if table_bytes < 4 or visit.at + table_bytes > len(self._data):
            raise self.fault(visit.path, f"a table of {table_bytes} bytes")
        for field in TABLES[visit.table]:
            entry = 4 + 2 * field.slot
            if entry + 2 > vtable_bytes:
                continue
            offset = self._number(_U16, vtable + entry, visit.path)
            if offset == 0:
                continue
            path = f"{visit.path}.{field.name}"
            if offset < 4 or offset + field.size > table_bytes and field.kind is Kind.SCALAR:
                raise self.fault(path, f"offset {offset} lies outside its table")
            if offset + 4 > table_bytes and field.kind is not Kind.SCALAR:
                raise self.fault(path, f"offset {offset} lies outside its table")
            yield from self._field(field, visit.at + offset, path)

    def _field(self, field: FieldType, at: int, path: str) -> Iterator[_Visit]:
        if field.kind is Kind.SCALAR:
            return
        start = at + self._number(_U32, at, path)
        if field.kind is Kind.TABLE:
            yield _Visit(field.table, start, path)
            return
        count = self._number(_U32, start, path)
        first, end = start + 4, start + 4 + count * field.size
        if end > len(self._data):
            raise self.fault(path, f"{count} elements reach beyond the end of the file")
        if field.kind is Kind.SCALARS and field.size > 1:
            self._elements -= count
            if self._elements < 0:
                raise self.fault(path, "more elements than the file has room for")
        if field.kind is Kind.STRING and (end >= len(self._data) or self._data[end] != 0):
            raise self.fault(path, "a text without its end")
        if field.kind is Kind.TABLES:
            if count > self._budget:
                raise self.fault(path, "more tables than the file has room for")
            for i in range(count):
                element = first + 4 * i
                target = element + self._number(_U32, element, path)
                yield _Visit(field.table, target, f"{path}[{i}]")


def walk(data: bytes, name: str) -> None:
    """Check every offset of the tables in `schema.py`. Raises Refusal, naming file and place."""
    _Walk(data, name).run()
