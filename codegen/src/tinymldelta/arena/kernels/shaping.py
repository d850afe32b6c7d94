"""Kernels that move the dimensions of their output from the file into the arena, to set them."""

from __future__ import annotations

from tinymldelta.arena.kernels.kernel import Kernel, Prepare, Preparing


def _shaping(places: str) -> Prepare:
    def prepare(k: Preparing) -> None:
        k.look(places)
        k.keep_dimensions(k.output())

    return prepare


def _embedding_lookup(k: Preparing) -> None:
    """embedding_lookup.cc has no Init()."""
    k.look("i0 i1 o0")
    k.keep_dimensions(k.output())
    k.keep_struct("embedding_lookup/OpData")


SHAPING: dict[str, Kernel] = {
    "DEPTH_TO_SPACE": Kernel(_shaping("i0 o0"), "TfLiteDepthToSpaceParams"),
    "SPACE_TO_DEPTH": Kernel(_shaping("i0 o0"), "TfLiteSpaceToDepthParams"),
    "GATHER": Kernel(_shaping("i0 i1 o0"), "TfLiteGatherParams"),
    "GATHER_ND": Kernel(_shaping("i0 i1 o0")),
    "L2_POOL_2D": Kernel(_shaping("o0 i0"), "TfLitePoolParams"),
    "EMBEDDING_LOOKUP": Kernel(_embedding_lookup),
}
