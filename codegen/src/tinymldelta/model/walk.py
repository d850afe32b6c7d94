"""A bounded walk over a flatbuffer: every offset and length that will be read is checked first.

Python's flatbuffers package verifies nothing: it follows whatever offset it finds. After this walk
each field in `schema.py` can be read without leaving the file. The rules are those of the C++
verifier (flatbuffers, `verifier.h`), which TFLM does not run on the device: tables, vtables,
fields, vectors and strings lie inside the file and stand on multiples of their sizes; strings end
with a zero.

Time and memory are in proportion to the file. The walk keeps its own stack, no deeper than the
schema; vectors of scalars cost the same whatever their length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

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
        # Parts may be shared, so a small file can spell out an enormous tree. A file that shares
        # nothing spells out fewer bytes than it has; twice as many leave room for honest sharing.
        self._budget = 2 * len(data) + 4096

    def fault(self, path: str, what: str) -> Refusal:
        return Refusal(self._name, f"damaged at {path}: {what}", "export the model again")

    def _spend(self, size: int, path: str, what: str) -> None:
        self._budget -= size
        if self._budget < 0:
            raise self.fault(path, f"more {what} than the file has room for")

    def _number(self, packing: struct.Struct, at: int, path: str) -> int:
        if not 0 <= at <= len(self._data) - packing.size:
            raise self.fault(path, f"offset {at} lies outside the file of {len(self._data)} bytes")
        if at % packing.size:
            raise self.fault(path, f"offset {at} is no multiple of {packing.size}")
        value: int = packing.unpack_from(self._data, at)[0]
        return value

    def _target(self, at: int, path: str) -> int:
        """Where the offset at `at` leads."""
        offset = self._number(_U32, at, path)
        if offset == 0:
            raise self.fault(path, "an offset of 0")
        return at + offset

    def run(self) -> None:
        pending = [_Visit("Model", self._target(0, "root"), "model")]
        while pending:
            pending.extend(self._table(pending.pop()))

    def _table(self, visit: _Visit) -> Iterator[_Visit]:
        path = visit.path
        vtable = visit.at - self._number(_I32, visit.at, path)
        vtable_bytes = self._number(_U16, vtable, path)
        table_bytes = self._number(_U16, vtable + 2, path)
        if vtable_bytes < 4 or vtable_bytes % 2 or vtable + vtable_bytes > len(self._data):
            raise self.fault(path, f"a vtable of {vtable_bytes} bytes")
        if table_bytes < 4 or visit.at + table_bytes > len(self._data):
            raise self.fault(path, f"a table of {table_bytes} bytes")
        self._spend(table_bytes, path, "tables")
        for field in TABLES[visit.table]:
            entry = 4 + 2 * field.slot
            if entry + 2 > vtable_bytes:
                continue
            offset = self._number(_U16, vtable + entry, path)
            if offset == 0:
                continue
            size = field.size if field.kind is Kind.SCALAR else _U32.size
            if offset < 4 or offset + size > table_bytes or (visit.at + offset) % size:
                raise self.fault(f"{path}.{field.name}", f"offset {offset} is not in its table")
            if field.kind is Kind.UNION:
                member = field.members.get(self._byte(visit.at, vtable, entry - 2))
                if member is None:
                    continue
                field = replace(field, kind=Kind.TABLE, table=member)
            if field.kind is not Kind.SCALAR:
                yield from self._field(field, visit.at + offset, f"{path}.{field.name}")

    def _byte(self, table: int, vtable: int, entry: int) -> int:
        """A field of one byte that has been checked; 0 if it is absent."""
        offset = _U16.unpack_from(self._data, vtable + entry)[0]
        return self._data[table + offset] if offset else 0

    def _field(self, field: FieldType, at: int, path: str) -> Iterator[_Visit]:
        start = self._target(at, path)
        if field.kind is Kind.TABLE:
            self._spend(_U32.size, path, "tables")
            yield _Visit(field.table, start, path)
            return
        count = self._number(_U32, start, path)
        first, size = start + _U32.size, count * field.size
        if first + size > len(self._data):
            raise self.fault(
                path,
                f"{count} elements of {field.size} bytes reach beyond the end "
                f"of the file of {len(self._data)} bytes",
            )
        if count and first % field.size:
            raise self.fault(path, f"elements of {field.size} bytes at offset {first}")
        # What a SPAN holds is never read, only its place and length.
        self._spend(_U32.size + (0 if field.kind is Kind.SPAN else size), path, "elements")
        if field.kind is Kind.STRING and self._data[first + size : first + size + 1] != b"\0":
            raise self.fault(path, "a text without its end")
        if field.kind is Kind.TABLES:
            for i in range(count):
                element = f"{path}[{i}]"
                yield _Visit(field.table, self._target(first + 4 * i, element), element)


def walk(data: bytes, name: str) -> None:
    """Check every offset of the tables in `schema.py`. Raises Refusal, naming file and place."""
    _Walk(data, name).run()
