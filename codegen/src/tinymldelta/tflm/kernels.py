"""The identity of a build of TensorFlow Lite Micro's kernels: which revision, which kernel set.

The schema version of a model is always 3 and says nothing about how a node computes. What decides
that is the commit of TFLM and whether its optimised kernels replace the reference ones.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from tinymldelta.errors import Refusal

# First eight digits of TFLM's commit -> where it is found. Oldest first: operators.yaml says for
# each operator only what a revision changed.
REVISIONS: Final[dict[str, str]] = {
    "9156d050": "Zephyr 3.4, August 2021",
    "8d404de7": "Zephyr 4.1 to 4.4, February 2025",
    "90b983c2": "upstream, August 2026",
}
KERNEL_SETS: Final = ("reference", "cmsis_nn")


@dataclass(frozen=True, slots=True)
class KernelBuild:
    """A revision in `REVISIONS` and a kernel set in `KERNEL_SETS`. `identity` is what a device has:
    the CRC-32 of the text."""

    revision: str = "8d404de7"
    kernels: str = "reference"

    @property
    def text(self) -> str:
        return f"tflm-{self.revision} {self.kernels}"

    @property
    def identity(self) -> int:
        return zlib.crc32(self.text.encode("ascii"))


def check_revision(revision: str) -> None:
    """Raises Refusal for a revision without tables."""
    if revision not in REVISIONS:
        known = ", ".join(f"{name} ({where})" for name, where in REVISIONS.items())
        raise Refusal(
            f"TFLM {revision}",
            "there are no tables for this revision",
            f"name one of those that there are: {known}",
        )


def check_kernels(kernels: str) -> None:
    """Raises Refusal for a kernel set that is not known."""
    if kernels not in KERNEL_SETS:
        raise Refusal(
            f"kernels {kernels!r}",
            "there are no tables for this kernel set",
            f"name one of those that there are: {', '.join(KERNEL_SETS)}",
        )


def parse_kernels(text: str) -> KernelBuild:
    """REVISION or REVISION/KERNELS, such as "8d404de7/cmsis_nn"."""
    revision, slash, kernels = text.partition("/")
    check_revision(revision)
    if slash:
        check_kernels(kernels)
        return KernelBuild(revision, kernels)
    return KernelBuild(revision)


DEFAULT_KERNELS: Final = KernelBuild()


def kernels_text(identity: int) -> str:
    """The kernel build with that identity, in words; of one that has no tables, its number."""
    builds = (KernelBuild(revision, kernels) for revision in REVISIONS for kernels in KERNEL_SETS)
    return next((b.text for b in builds if b.identity == identity), f"kernels {identity:#010x}")
