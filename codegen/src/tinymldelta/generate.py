"""Code generation: from models and limits to the files that a firmware is built with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinymldelta import views
from tinymldelta.contract import Contract
from tinymldelta.contractbuild import build_contract
from tinymldelta.contractfile import contract_json
from tinymldelta.errors import Refusal
from tinymldelta.facts import Facts, facts_of
from tinymldelta.limits import Limits
from tinymldelta.model import read_model
from tinymldelta.output import environment, write_if_changed
from tinymldelta.tflm import DEFAULT_KERNELS, KernelBuild


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model of the firmware: what to call it, and its bytes. `where` is its name in messages."""

    name: str
    data: bytes
    where: str


def read_facts(
    data: bytes,
    where: str,
    arena_need: int | None = None,
    kernels: KernelBuild = DEFAULT_KERNELS,
) -> Facts:
    """The facts of a model's bytes. arena_need: bytes if measured; else predicted for `kernels`."""
    return facts_of(read_model(data, where), arena_need, kernels)


def model_contracts(models: Sequence[ModelSource], limits: Limits) -> Contract:
    """Read the models and build the contract of a firmware with them."""
    if not models:
        raise Refusal("codegen", "no model was given", "name at least one .tflite")
    return build_contract(
        [
            (
                m.name,
                read_facts(m.data, m.where, limits.arena_need.get(m.name), limits.kernels),
            )
            for m in models
        ],
        limits,
    )


def render_files(contract: Contract, arrays: Sequence[ModelSource]) -> dict[str, str]:
    """Every generated file, as name -> content; `arrays` are the models to be linked in."""
    env = environment()
    files = {
        "contract.json": contract_json(contract),
        "tmd_contract.h": env.get_template("tmd_contract.h.j2").render(
            c=views.contract_view(contract)
        ),
        "tmd_op_resolver.h": env.get_template("tmd_op_resolver.h.j2").render(
            r=views.resolver_view(contract)
        ),
    }
    for model in arrays:
        view = views.model_array_view(model.name, model.data)
        for suffix in ("h", "c"):
            template = env.get_template(f"tmd_model.{suffix}.j2")
            files[f"tmd_model_{model.name}.{suffix}"] = template.render(m=view)
    return files


def generate(
    models: Sequence[ModelSource], limits: Limits, out: Path
) -> tuple[Contract, list[str]]:
    """Write the generated files to `out`; only what changed is written.

    Returns the contract and the names of the files that were written. Everything is worked out
    before the first file is touched, so that a refused model leaves `out` as it was.
    """
    contract = model_contracts(models, limits)
    files = render_files(contract, models)
    try:
        written = [name for name, content in files.items() if write_if_changed(out / name, content)]
    except OSError as error:
        raise Refusal(
            str(out), f"cannot be written: {error.strerror}", "check the folder"
        ) from error
    return contract, written
