"""The gate on the command line, with real models and what runs models on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from accuracykit import npz
from tinymldelta.accuracy import AccuracyRecord
from tinymldelta.cli import gate as cli_gate
from tinymldelta.cli.console import JSON_OPTION, print_json, refusals_exit_1
from tinymldelta.cli.gate import GateArguments, gate_json, gate_options, print_gate, run_gate
from tinymldelta.facts import facts_of
from tinymldelta.interpreter import TFLM, Interpreter, find_interpreter
from tinymldelta.model import read_model
from tinymldelta.vectors import build_image, run_vectors

Gate = Callable[..., Result]


@pytest.fixture(scope="module", autouse=True)
def interpreter() -> Interpreter:
    found = find_interpreter(TFLM)
    if found is None:
        pytest.skip("no interpreter can be imported: pip install -r requirements/demo.txt")
    return found


@pytest.fixture
def kept() -> list[Any]:
    """What the command came to."""
    return []


@pytest.fixture
def gate(kept: list[Any]) -> Gate:
    """A command that does as much of `tmd patch` as is the gate's."""

    @click.command()
    @click.argument("base", type=click.Path(path_type=Path))
    @click.argument("target", type=click.Path(path_type=Path))
    @gate_options
    @JSON_OPTION
    @refusals_exit_1
    def command(base: Path, target: Path, gate: GateArguments, as_json: bool) -> None:
        done = run_gate(
            gate, base.read_bytes(), target.read_bytes(),
            base_where=base.name, target_where=target.name, tolerance=None,
        )  # fmt: skip
        kept.append(done)
        if as_json:
            print_json(gate_json(done))
        elif done is not None:
            print_gate(done)

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(command, [str(a) for a in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture
def data(digits: Path, tmp_path: Path) -> Path:
    """The digits, as float images from 0 to 1."""
    arrays = np.load(digits / "eval.npz")
    path = tmp_path / "digits.npz"
    images = (arrays["inputs"].astype(np.float32) + 128) / 255
    path.write_bytes(npz(x=images, y=arrays["labels"]))
    return path


def test_a_better_target_passes_and_a_worse_one_does_not(
    gate: Gate, digits: Path, data: Path
) -> None:
    base, target = digits / "base.tflite", digits / "target.tflite"
    result = gate(base, target, "--verify-data", data, "--confident")
    assert result.exit_code == 0, result.output
    for text in ("86.00 %", "92.50 %", "-6.50", "200 samples", "accuracy: because 'y' is uint8"):
        assert text in result.output
    refused = gate(target, base, "--verify-data", data, "--max-drop", 6.4)
    assert refused.exit_code == 1
    assert "worse by 6.5 percentage points, at most 6.4 is allowed" in refused.stderr
    assert gate(target, base, "--verify-data", data, "--max-drop", 6.5).exit_code == 0
    unsure = gate(target, base, "--verify-data", data, "--max-drop", 6.5, "--confident")
    assert unsure.exit_code == 1 and "95 % confident" in unsure.stderr


def test_samples_give_the_same_as_float_and_as_quantised(
    gate: Gate, digits: Path, data: Path, tmp_path: Path
) -> None:
    arrays = np.load(digits / "eval.npz")
    quantised = tmp_path / "quantised.npz"
    quantised.write_bytes(npz(x=arrays["inputs"], y=arrays["labels"]))
    results = []
    for path in (data, quantised):
        printed = gate(
            digits / "base.tflite", digits / "target.tflite", "--verify-data", path, "--json"
        )
        results.append(json.loads(printed.output))
    digests = {result.pop("data_sha256") for result in results}
    assert [result.pop("data") for result in results] == [str(data), str(quantised)]
    assert len(digests) == 2
    assert results[0] == results[1]
    assert (results[0]["base"], results[0]["target"], results[0]["changed"]) == (0.86, 0.925, 16)


def test_an_autoencoder_is_judged_by_the_auc_of_its_error(
    gate: Gate, sst: Path, tmp_path: Path, kept: list[Any]
) -> None:
    arrays = np.load(sst / "eval.npz")
    path = tmp_path / "sst.npz"
    path.write_bytes(npz(x=arrays["inputs"], y=arrays["labels"]))
    result = gate(sst / "base.tflite", sst / "target.tflite", "--verify-data", path)
    assert result.exit_code == 0
    assert "the model restores its input" in result.output
    # As samples/host/models/README.md has them.
    assert [round(v, 4) for v in (kept[0].result.base, kept[0].result.target)] == [0.9758, 0.9758]
    record = kept[0].result.record()
    assert AccuracyRecord.decode(record.encode()).text() == record.text()


def test_chosen_vectors_pass_on_the_target_and_fail_on_the_base(
    gate: Gate, digits: Path, data: Path, kept: list[Any], interpreter: Interpreter
) -> None:
    base, target = digits / "base.tflite", digits / "target.tflite"
    gate(base, target, "--verify-data", data, "--vectors-from-data", 10)
    gate(base, target, "--verify-data", data, "--vectors-from-data", 10)
    vectors = kept[0].vectors
    assert vectors == kept[1].vectors
    run_vectors(target.read_bytes(), vectors, "t", interpreter)
    with pytest.raises(Exception, match="test vector 0 fails"):
        run_vectors(base.read_bytes(), vectors, "b", interpreter)
    classes = {int(np.argmax(np.frombuffer(output, np.int8))) for output in vectors.outputs}
    assert classes == set(range(10))
    facts = facts_of(read_model(target.read_bytes(), "t"))
    assert (vectors.type, vectors.type_code) == (facts.outputs[0].type, facts.outputs[0].type_code)
    # A base that came with vectors is an image; it runs as the model in it.
    image = data.parent / "base.img"
    image.write_bytes(build_image(base.read_bytes(), vectors)[0])
    gate(image, target, "--verify-data", data)
    assert kept[2].result == kept[0].result


def test_what_is_about_the_data_needs_data(gate: Gate, digits: Path, kept: list[Any]) -> None:
    models = (digits / "base.tflite", digits / "target.tflite")
    for options in (
        ("--metric", "mae"), ("--max-drop", 0), ("--confident",), ("--vectors-from-data", 1),
    ):  # fmt: skip
        result = gate(*models, *options)
        assert result.exit_code == 2 and "--verify-data" in result.stderr
    assert gate(*models).exit_code == 0
    assert kept == [None]


def test_refusals_name_what_is_missing(
    gate: Gate, digits: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = (digits / "base.tflite", digits / "target.tflite")
    missing = gate(*models, "--verify-data", data.parent / "no.npz")
    assert missing.exit_code == 1 and "no.npz: cannot be read" in missing.stderr
    negative = gate(*models, "--verify-data", data, "--max-drop", -1)
    assert negative.exit_code == 1 and "--max-drop: -1 is no number" in negative.stderr
    other = gate(models[0], digits / "refused_input_shape.tflite", "--verify-data", data)
    assert other.exit_code == 1 and "[1, 10, 10, 1]" in other.stderr
    monkeypatch.setattr(cli_gate, "find_interpreter", lambda first: None)
    none = gate(*models, "--verify-data", data)
    assert none.exit_code == 1
    assert "no interpreter can be imported" in none.stderr
    assert "pip install tflite-micro, ai-edge-litert or tensorflow" in none.stderr
