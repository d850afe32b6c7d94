"""The tables for themselves, and against the headers of the revisions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kernel_builds import HEADER, git, has_revision, resolver_methods

from tinymldelta.errors import Refusal
from tinymldelta.tflm import (
    BUILTINS,
    KERNEL_SETS,
    REVISIONS,
    TYPE_BITS,
    KernelBuild,
    custom_methods,
    parse_kernels,
    resolver_method,
    supported,
    type_names,
)


@pytest.mark.parametrize("revision", REVISIONS)
def test_operators_and_methods_are_those_of_the_header(revision: str) -> None:
    if "TFLM_DIR" not in os.environ:
        pytest.skip("no header to compare with: set TFLM_DIR to a clone of TFLM with its history")
    clone = Path(os.environ["TFLM_DIR"])
    if not has_revision(clone, revision):
        pytest.skip(f"the clone in TFLM_DIR does not have {revision}")
    header = git(clone, "show", f"{revision}:{HEADER}").decode()
    table = {name: support.method for name, support in supported(revision).items()}
    assert {**table, **custom_methods(revision)} == resolver_methods(header)


@pytest.mark.parametrize("kernels", KERNEL_SETS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_every_cell_can_be_met(revision: str, kernels: str) -> None:
    for name, support in supported(revision, kernels).items():
        assert 1 <= support.lowest <= support.highest <= 255, name
        assert 0 < support.types <= 0xFF, name


def test_later_revisions_keep_operators() -> None:
    older, *newer = (supported(revision) for revision in REVISIONS)
    for table in newer:
        assert older.keys() <= table.keys()
        older = table


def test_cmsis_nn_has_the_same_operators_and_never_more() -> None:
    for revision in REVISIONS:
        reference, optimised = supported(revision), supported(revision, "cmsis_nn")
        assert reference.keys() == optimised.keys()
        for name, support in optimised.items():
            assert support.highest <= reference[name].highest
            assert support.types & ~reference[name].types == 0


def test_kernel_build() -> None:
    assert KernelBuild() == parse_kernels("8d404de7")
    build = parse_kernels("9156d050/cmsis_nn")
    assert build.text == "tflm-9156d050 cmsis_nn"
    assert build.identity != KernelBuild("9156d050").identity
    assert KernelBuild().identity == 0xDFE97A15


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "9156d050"),
        ("8d404de", "8d404de7 (Zephyr 4.1 to 4.4"),
        ("8D404DE7", "8d404de7"),
        ("8d404de7/", "reference, cmsis_nn"),
        ("8d404de7/CMSIS-NN", "reference, cmsis_nn"),
    ],
)
def test_unknown_builds_are_refused_with_those_that_there_are(text: str, names: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_kernels(text)
    assert names in str(refused.value)
    revision, _, kernels = text.partition("/")
    with pytest.raises(Refusal):
        supported(revision, kernels)


def test_methods() -> None:
    assert "DIV" in BUILTINS
    assert resolver_method("DIV", custom=False) == "AddDiv"
    assert resolver_method("DIV", custom=False, revision="9156d050") is None
    assert resolver_method("DIV", custom=True) is None
    assert resolver_method("SignalRfft", custom=True) == "AddRfft"
    assert resolver_method("SignalRfft", custom=True, revision="9156d050") is None
    assert resolver_method("TOPK_V2", custom=False) is None


def test_type_names() -> None:
    assert type_names(TYPE_BITS["INT8"] | TYPE_BITS["INT4"]) == "INT8, INT4"
    assert type_names(0xFF) == "any element type"
    assert type_names(0) == "no element type"
