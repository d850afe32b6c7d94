"""Prints lines for operators.yaml as a revision's kernels suggest them.

    python draft_table.py CLONE REVISION FOLDER

CLONE: of Zephyr's tflite-micro, with the revision. FOLDER: where to build its kernels. Printed are
operators whose methods or types are not those of the newest table, and the features that do not
run. It is a draft: kernels also run types that they do not compute with, so read each before the
line goes in, and decide the version by op_version.cc.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from kernel_builds import HEADER, build_runner, resolver_methods
from node_cases import CASES, variants
from node_features import FEATURES
from onenode import build
from outcomes import Outcomes, label, run_models, write_models

from tinymldelta.model import read_model
from tinymldelta.tflm import (
    ALL_TYPES,
    REVISIONS,
    custom_methods,
    operator_types,
    resolver_method,
    supported,
    type_names,
)


def suggested_types(operator: str, outcomes: Outcomes) -> int:
    """The types of all nodes that ran; all of them only if each node did."""
    mask, all_ran = 0, True
    for types in variants(operator):
        model = read_model(build(operator, CASES[operator], types), operator)
        need = operator_types(model, model.nodes[0])
        runs = outcomes[operator, label(types)] == "runs"
        all_ran &= runs
        if runs and need != ALL_TYPES:
            mask |= need
    return ALL_TYPES if all_ran else mask


def main(clone: Path, revision: str, folder: Path) -> None:
    command = [str(build_runner(clone, revision, folder))]
    with tempfile.TemporaryDirectory() as models:
        outcomes = run_models(command, Path(models), write_models(Path(models)))
    newest = list(REVISIONS)[-1]
    table = supported(newest)
    methods = resolver_methods((folder / HEADER).read_text(encoding="utf-8"))
    for name, method in sorted(methods.items()):
        custom = name in custom_methods(newest) or (name not in table and not name.isupper())
        if resolver_method(name, custom=custom, revision=newest) != method:
            print(f"{name}: {method} is not in the table")
        if name in CASES:
            types = suggested_types(name, outcomes)
            if name not in table or types != table[name].types:
                print(f"  {name}: {{{revision}: VERSION {type_names(types).replace(',', '')}}}")
    for name in sorted(table.keys() - methods.keys()):
        print(f"{name}: not in {revision}")
    for name, (operator, version, _, _) in FEATURES.items():
        if outcomes[name, ""] != "runs":
            print(f"{operator}: {name}, which is version {version}, does not run")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
