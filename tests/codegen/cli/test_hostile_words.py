"""Notes, names and versions that nobody meant: a clear refusal or the words as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clikit import done, refused
from tinymldelta.container.reader import read_patch
from tinymldelta.contractbuild import build_contract
from tinymldelta.contractfile import contract_json, parse_contract, read_contract
from tinymldelta.errors import Refusal
from tinymldelta.facts import OperatorFact
from tinymldelta.generate import read_facts
from tinymldelta.limits import Limits
from tinymldelta.words import parse_labels

LIMITS = Limits(65536, 4096, 16, {}, {})


@pytest.fixture
def contract(tmp_path: Path, digits: Path) -> Path:
    done("codegen", f"digits={digits / 'base.tflite'}", "--out", tmp_path, "--slot", "65536")
    return tmp_path / "contract.json"


@pytest.mark.parametrize("note", ["run [/x] 7", "run [bold]42"])
def test_brackets_in_a_note_are_printed_as_they_are(
    tmp_path: Path, digits: Path, contract: Path, note: str
) -> None:
    out = tmp_path / "x.tmd"
    models = (digits / "base.tflite", digits / "target.tflite")
    done("patch", *models, "-o", out, "--contract", contract, "--note", note)
    assert note in done("inspect", out)


def test_the_arena_is_that_of_the_kernels_that_are_linked(tmp_path: Path, digits: Path) -> None:
    models = (digits / "base.tflite", digits / "target.tflite")
    done("codegen", f"digits={models[0]}", "--out", tmp_path, "--slot", "65536",
             "--other-kernels", "warn")  # fmt: skip
    needs = set()
    for proven in ("8d404de7", "9156d050", "8d404de7/cmsis_nn"):
        out = tmp_path / "x.tmd"
        done("patch", *models, "-o", out, "--contract", tmp_path / "contract.json",
                 "--proven-on", proven)  # fmt: skip
        needs.add(read_patch(out.read_bytes(), None).metadata.req_arena_bytes)
    assert len(needs) == 1


@pytest.mark.parametrize("words", [("--note", "\udcff"), ("--model", "\udcff")])
def test_words_that_are_no_text_are_refused(
    tmp_path: Path, digits: Path, words: tuple[str, str]
) -> None:
    models = (digits / "base.tflite", digits / "target.tflite")
    refused("patch", *models, "-o", tmp_path / "x.tmd", *words)


def test_labels_are_lines_and_nothing_else() -> None:
    assert parse_labels("\ufeffa\u0085b\r\nc\n".encode(), "f") == ("a\u0085b", "c")


def test_of_a_custom_operator_of_two_models_the_higher_version_is_linked(digits: Path) -> None:
    facts = read_facts((digits / "base.tflite").read_bytes(), "m")

    def using(version: int) -> tuple[OperatorFact, ...]:
        return (*facts.operators, OperatorFact(32, "Foo", True, version, 0))

    models = [("a", replace(facts, operators=using(2))), ("b", replace(facts, operators=using(1)))]
    assert build_contract(models, LIMITS).operators[-1].highest == 2
    with pytest.raises(Refusal, match="up to 63"):
        build_contract([("a", replace(facts, operators=using(64)))], LIMITS)


def test_operators_of_a_contract_are_in_order(contract: Path) -> None:
    read = read_contract(contract)
    backwards = replace(read, operators=read.operators[::-1])
    with pytest.raises(Refusal, match="in the order"):
        parse_contract(contract_json(backwards), "c")
