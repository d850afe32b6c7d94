"""The smallest arena with which TFLM allocates a model and runs it, on 32-bit Arm."""

from __future__ import annotations

from dataclasses import dataclass

from tinymldelta.arena.allocation import Allocation
from tinymldelta.arena.allocation2021 import Allocation2021
from tinymldelta.arena.kernels import Kernel, kernels_of
from tinymldelta.arena.memory import align
from tinymldelta.arena.sizes import STRUCTS
from tinymldelta.errors import Refusal
from tinymldelta.model import Model
from tinymldelta.tflm.kernels import DEFAULT_KERNELS, KernelBuild

_ALLOCATIONS = {
    "8d404de7": Allocation,
    "90b983c2": Allocation,
    "9156d050": Allocation2021,
}


@dataclass(frozen=True, slots=True)
class ArenaNeed:
    """Bytes of arena, from 0 up. origin: "predicted", "measured", or "given" by the user."""

    bytes: int
    origin: str


@dataclass(frozen=True, slots=True)
class ArenaParts:
    """What a predicted arena is made of, in bytes.

    lasting: what stays at its end while the model runs; planned: activations and scratch buffers
    at its start. bytes is more than both if `bound_by`, a moment during allocation, needs more.
    """

    bytes: int
    lasting: int
    planned: int
    bound_by: str


def predict_arena(model: Model, kernels: KernelBuild = DEFAULT_KERNELS) -> ArenaNeed:
    """The need of a model with these kernels. Raises Refusal if that cannot be known from here."""
    return ArenaNeed(explain_arena(model, kernels).bytes, "predicted")


def explain_arena(model: Model, kernels: KernelBuild = DEFAULT_KERNELS) -> ArenaParts:
    """The same, with what it is made of."""
    if kernels.revision not in _ALLOCATIONS:
        raise Refusal(
            f"TFLM {kernels.revision}",
            f"its arena cannot be predicted, only that of {', '.join(_ALLOCATIONS)}",
            "measure it with `tmd arena MODEL --measure`, or give --arena-need",
        )
    allocation = _ALLOCATIONS[kernels.revision](
        model, STRUCTS[kernels.revision], _kernels_for(model, kernels)
    )
    arena, planned = allocation.run()
    return ArenaParts(align(arena.need), arena.tail, planned, arena.bound_by)


def _kernels_for(model: Model, build: KernelBuild) -> list[Kernel]:
    """The kernel of each node, in their order."""
    table = kernels_of(build)
    found = []
    for index, node in enumerate(model.nodes):
        operator = model.operators[node.operator]
        if operator.custom or operator.name not in table:
            raise Refusal(
                model.name,
                f"node {index} is {'the custom operator ' * operator.custom}{operator.name}, whose "
                f"need of arena with {build.text} is not known",
                "measure it with `tmd arena MODEL --measure`, or give --arena-need",
            )
        found.append(table[operator.name])
    return found
