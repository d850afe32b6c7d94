"""TinyMLDelta's own formats, made and applied by the library."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tinymldelta import patching, proving, trust
from tinymldelta.errors import Refusal
from tinymldelta.tflm import DEFAULT_KERNELS
from tinymldelta.wire import constants as wire

PARTS = ("header", "metadata", "digests", "signature", "body", "total")
COUNTED = ("header", "body")


@dataclass(frozen=True)
class Made:
    """A patch, and the bytes that each of PARTS has in it."""

    patch: bytes
    parts: Mapping[str, int]

    def __post_init__(self) -> None:
        if set(self.parts) != set(PARTS):
            raise ValueError(f"the parts are {', '.join(sorted(self.parts))}")
        pieces = sum(self.parts[part] for part in PARTS if part != "total")
        if not pieces == self.parts["total"] == len(self.patch):
            raise ValueError(
                f"the parts have {pieces} bytes, said to be {self.parts['total']}, "
                f"of a patch of {len(self.patch)}"
            )

    @property
    def counted(self) -> int:
        """Bytes that are compared with peers, which have no digest, guardrail or signature."""
        return sum(self.parts[part] for part in COUNTED)


@dataclass(frozen=True)
class Format:
    """One of our formats.

    make: from base and target; raises Absent where the library cannot make this format, Refusal
        where it refuses the models
    apply: the target, from base and patch; raises Refusal
    is_peer: that of the first TinyMLDelta, which the others are compared with too
    """

    key: str
    name: str
    make: Callable[[bytes, bytes], Made]
    apply: Callable[[bytes, Made], bytes]
    is_peer: bool = False


def own_versions() -> list[str]:
    """Ours, and Python's: some peers compress with its bz2, lzma and zlib."""
    own = importlib.metadata.version("tinymldelta")
    return [f"tinymldelta {own}", f"Python {platform.python_version()}"]


def _make(base: bytes, target: bytes, options: patching.PatchOptions) -> Made:
    """As `tmd patch` makes it; what cannot be a model's guardrails is left out for other files."""
    try:
        patching.target_metadata(
            target,
            "target",
            options.said,
            options.format or wire.FORMAT_2,
            DEFAULT_KERNELS,
            options.given,
        )
    except Refusal:
        options = replace(options, unguarded=True)
    made = patching.make_patch(
        base,
        target,
        where="patch",
        target_where="target",
        options=options,
        contract=None,
        index=0,
    )
    head = trust.read_head(made.data)
    if head is None:
        raise ValueError("the plain reader does not read the patch")
    return Made(made.data, head.sizes)


def make_format1(base: bytes, target: bytes) -> Made:
    """SHA-256, metadata from the target's facts."""
    return _make(base, target, patching.PatchOptions(format=1))


def make_format2(base: bytes, target: bytes) -> Made:
    """For the default decoder, metadata from the target's facts."""
    return _make(base, target, patching.PatchOptions(format=2))


def make_lean(base: bytes, target: bytes) -> Made:
    """The same for the lean decoder."""
    return _make(base, target, patching.PatchOptions(format=2, lean=True))


def apply(base: bytes, made: Made) -> bytes:
    """With the device's C code on simulated flash, under a contract that the patch meets."""
    return proving.apply_patch(made.patch, base, "patch", None, 0)


# The last one is the one that the tables are about.
FORMATS = (
    Format("format1", "format 1", make_format1, apply, is_peer=True),
    Format("lean", "format 2, lean", make_lean, apply),
    Format("format2", "format 2", make_format2, apply),
)
