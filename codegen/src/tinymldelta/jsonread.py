"""Takes checked values out of parsed JSON; every fault names the place in the document."""

from __future__ import annotations

import json
import re
from typing import Any

from tinymldelta.errors import Refusal


def parse_json(text: str | bytes, where: str, fix: str) -> Any:
    """Parsed JSON. Refuses what is none, naming `where`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(where, f"not JSON: {error}", fix) from error


class Reader:
    """A value of a document, and where in it it stands. `fix` tells what to do about any fault."""

    def __init__(self, where: str, value: Any, fix: str, path: str = "") -> None:
        self._where, self._value, self._fix, self._path = where, value, fix, path

    def fault(self, what: str) -> Refusal:
        return Refusal(self._where, f"{self._path or 'the document'} {what}", self._fix)

    def get(self, key: str) -> Reader:
        if not isinstance(self._value, dict) or key not in self._value:
            raise self.fault(f"lacks {key!r}")
        path = f"{self._path}.{key}".lstrip(".")
        return Reader(self._where, self._value[key], self._fix, path)

    def items(self) -> list[Reader]:
        if not isinstance(self._value, list):
            raise self.fault("is not a list")
        return [
            Reader(self._where, v, self._fix, f"{self._path}[{i}]")
            for i, v in enumerate(self._value)
        ]

    def is_null(self) -> bool:
        return self._value is None

    def integer(self, low: int, high: int) -> int:
        if type(self._value) is not int or not low <= self._value <= high:
            raise self.fault(f"is not a whole number from {low} to {high}")
        return self._value

    def number(self) -> float:
        if type(self._value) not in (int, float):
            raise self.fault("is not a number")
        return float(self._value)

    def text(self) -> str:
        if not isinstance(self._value, str):
            raise self.fault("is not a text")
        if not self._value.isprintable() and any("\ud800" <= c <= "\udfff" for c in self._value):
            raise self.fault("is not a text of Unicode")
        return self._value

    def boolean(self) -> bool:
        if type(self._value) is not bool:
            raise self.fault("is neither true nor false")
        return self._value

    def hex32(self) -> int:
        if not re.fullmatch(r"0x[0-9a-f]{8}", self.text()):
            raise self.fault("is not a number like 0x0123abcd")
        return int(self.text(), 16)

    def digest(self) -> bytes:
        if not re.fullmatch(r"[0-9a-f]{64}", self.text()):
            raise self.fault("is not a SHA-256 in hexadecimal")
        return bytes.fromhex(self.text())

    def hexadecimal(self, count: int) -> bytes:
        """So many bytes; 0: an empty text."""
        if not re.fullmatch(f"(?:[0-9a-f]{{2}}){{{count}}}", self.text()):
            raise self.fault(f"is not {count} bytes in hexadecimal")
        return bytes.fromhex(self.text())
