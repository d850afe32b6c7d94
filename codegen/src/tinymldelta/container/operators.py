"""The list of operators that a patch of format 2 needs, as SPEC.md has it: bytes both ways."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tinymldelta.wire.constants import OPERATOR_CODE_MAX, OPERATOR_VERSION_MAX

_CUSTOM = 0x80000000  # ids of custom operators begin here
_ONE_BYTE_MAX = 127  # a step in one byte
_RESERVED = 0x40
_TYPES_FOLLOW = 0x80


@dataclass(frozen=True, slots=True, order=True)
class OperatorNeed:
    """One operator. id: builtin code, or `custom_id`; types: bits of element types."""

    id: int
    version: int
    types: int


def custom_id(name: str) -> int:
    """The id of a custom operator, 0x80000000 and up."""
    return zlib.crc32(name.encode("utf-8")) | _CUSTOM


def is_custom(operator_id: int) -> bool:
    return operator_id >= _CUSTOM


def encode_operators(needs: Iterable[OperatorNeed]) -> bytes:
    """The list, in the order of ids. ValueError for what the format cannot say."""
    encoded = bytearray()
    before, types = -1, None
    for need in sorted(needs):
        if need.id == before:
            raise ValueError(f"operator {need.id} stands twice")
        if not 1 <= need.version <= OPERATOR_VERSION_MAX:
            raise ValueError(f"version {need.version} of operator {need.id} is beyond the format")
        step = need.id - before
        if is_custom(need.id):
            encoded += bytes(1) + need.id.to_bytes(4, "little")
        elif max(need.id, step) > OPERATOR_CODE_MAX:  # the last code cannot come first
            raise ValueError(f"operator {need.id} is beyond the format")
        else:
            encoded += bytes((step,)) if step <= _ONE_BYTE_MAX else (0x8000 | step).to_bytes(2)
        before = need.id
        if need.types == types:
            encoded.append(need.version)
        else:
            encoded += bytes((need.version | _TYPES_FOLLOW, need.types))
            types = need.types
    return bytes(encoded)


def decode_operators(data: bytes) -> tuple[OperatorNeed, ...]:
    """The same, read. ValueError for what a device would not take."""
    needs: list[OperatorNeed] = []
    rest = iter(data)

    def take() -> int:
        byte = next(rest, None)
        if byte is None:
            raise ValueError("the list ends within an operator")
        return byte

    while (first := next(rest, None)) is not None:
        last = needs[-1] if needs else None
        operator_id = _read_id(first, take, last.id if last else -1)
        version = take()
        if version & _RESERVED or not version & OPERATOR_VERSION_MAX:
            raise ValueError(f"operator {operator_id} has no version")
        if version & _TYPES_FOLLOW:
            types = take()
        elif last is None:
            raise ValueError("the first operator has no element types")
        else:
            types = last.types
        needs.append(OperatorNeed(operator_id, version & OPERATOR_VERSION_MAX, types))
    return tuple(needs)


def _read_id(first: int, take: Callable[[], int], before: int) -> int:
    if first == 0:
        custom = int.from_bytes(bytes(take() for _ in range(4)), "little")
        if not is_custom(custom) or custom <= before:
            raise ValueError("custom operators are out of order")
        return custom
    step = first
    if first > _ONE_BYTE_MAX:
        step = (first & _ONE_BYTE_MAX) << 8 | take()
        if step <= _ONE_BYTE_MAX:
            raise ValueError("a step of one byte is written in two")
    if before + step > OPERATOR_CODE_MAX:
        raise ValueError("operators are out of order")
    return before + step
