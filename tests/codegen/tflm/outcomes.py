"""What the kernels do with each model of one node."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from node_cases import CASES, variants
from node_features import FEATURES
from onenode import build

# (operator, label of the types) or (name of the feature, "") -> "runs", "fails" or "dies"
Outcomes = Mapping[tuple[str, str], str]

WHEEL = "90b983c2"  # the revision that the builds of every night are nearest to


def label(types: Mapping[str, str]) -> str:
    """What the letters of a case stand for: "T=INT8 W=INT4"."""
    return " ".join(f"{letter}={name}" for letter, name in types.items())


def write_models(folder: Path) -> list[tuple[str, str]]:
    """Fills the folder with models, called by their places in the list that is returned."""
    models = {
        (operator, label(types)): build(operator, case, types)
        for operator, case in CASES.items()
        for types in variants(operator)
    }
    for name, (operator, version, case, types) in FEATURES.items():
        models[name, ""] = build(operator, case, types, version)
    for number, content in enumerate(models.values()):
        (folder / f"{number:04}").write_bytes(content)
    return list(models)


def run_models(command: Sequence[str], folder: Path, keys: Sequence[tuple[str, str]]) -> Outcomes:
    """`command` is that of `run_models.py` or of `runner.cc`."""
    done = subprocess.run([*command, str(folder)], check=True, capture_output=True, text=True)
    lines = dict(line.split("\t") for line in done.stdout.splitlines())
    return {key: lines[f"{number:04}"] for number, key in enumerate(keys)}
