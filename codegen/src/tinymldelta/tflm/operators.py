"""What each revision of TensorFlow Lite Micro has: operators, versions, element types, methods.

TFLM checks no versions: its resolver finds a kernel by the operator's code alone. Up to which
version a kernel does what the version stands for is written down in `operators.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from tinymldelta.tflm.elements import ALL_TYPES, TYPE_BITS
from tinymldelta.tflm.kernels import DEFAULT_KERNELS, REVISIONS, check_kernels, check_revision

# Where the resolver's method is not the schema's name in camel case.
_METHOD_EXCEPTIONS: Final = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}


@dataclass(frozen=True, slots=True)
class OperatorSupport:
    """A kernel: the resolver's method that registers it, the versions from lowest to highest that
    it runs, and the mask of element types that it takes (`elements.operator_types`)."""

    method: str
    lowest: int
    highest: int
    types: int


def _camel(word: str) -> str:
    return word if word[0].isdigit() else word.capitalize()  # 2D stays 2D


def _method(name: str) -> str:
    return _METHOD_EXCEPTIONS.get(name, "Add" + "".join(_camel(w) for w in name.split("_")))


@cache
def _document() -> Mapping[str, Any]:
    path = Path(__file__).with_name("operators.yaml")
    document: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def _support(name: str, text: str) -> OperatorSupport:
    """From a cell of the table: "3 FLOAT32 INT8", "1 any"."""
    version, *types = text.split()
    mask = ALL_TYPES if types == ["any"] else sum(TYPE_BITS[t] for t in types)
    # A version stands for a feature beside those of all versions before it: each starts at 1.
    return OperatorSupport(_method(name), 1, int(version), mask)


def _newest(cells: Mapping[str, str], revision: str) -> str | None:
    """The cell of the revision, or of the last one before it that changed something."""
    found = None
    for known in REVISIONS:
        found = cells.get(known, found)
        if known == revision:
            break
    return found


@cache
def supported(revision: str, kernels: str = "reference") -> Mapping[str, OperatorSupport]:
    """The builtin operators of a revision, by their names in the schema.

    Raises Refusal for a revision or a kernel set without tables.
    """
    check_revision(revision)
    check_kernels(kernels)
    operators = {}
    for name, cells in _document()["operators"].items():
        cell = _newest(cells, revision)
        if kernels != "reference":
            cell = _document()[kernels].get(name, {}).get(revision, cell)
        if cell is not None:
            operators[name] = _support(name, cell)
    return MappingProxyType(operators)


@cache
def custom_methods(revision: str = DEFAULT_KERNELS.revision) -> Mapping[str, str]:
    """The custom operators that come with a revision: the name in models to the method."""
    check_revision(revision)
    known = list(REVISIONS)
    until = known.index(revision)
    return MappingProxyType(
        {
            name: method
            for since, methods in _document()["custom"].items()
            if known.index(since) <= until
            for name, method in methods.items()
        }
    )


# Builtin operators that have a kernel, by their name in the TFLite schema.
BUILTINS: Final = frozenset(supported(DEFAULT_KERNELS.revision))


def resolver_method(
    name: str, *, custom: bool, revision: str = DEFAULT_KERNELS.revision
) -> str | None:
    """The `MicroMutableOpResolver` method that registers the operator, or None if TFLM has none."""
    if custom:
        return custom_methods(revision).get(name)
    support = supported(revision).get(name)
    return support.method if support else None
