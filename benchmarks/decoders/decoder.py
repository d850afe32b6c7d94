"""What is measured: a decoder in one configuration, with whatever makes its patches."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure.pairs import REPOSITORY
from tinymldelta import patching

HERE = Path(__file__).resolve().parent
DEVICE = REPOSITORY / "zephyr_module"

DECODER, DECOMPRESSOR = "decoder", "decompressor"
PARTS = (DECODER, DECOMPRESSOR)


@dataclass(frozen=True)
class Source:
    """A C file, and which of PARTS its code is counted as."""

    file: Path
    part: str = DECODER


@dataclass(frozen=True)
class Decoder:
    """One decoder, built in one way.

    tool, options: together its name in the table, unlike all others
    version: of all that the figures depend on, but for the compiler
    make: the patch, from base and target; raises peers.peer.NotForThisPair where there is none for
        such a pair, and whatever the tool raises
    glue: the C file with bench_decode(), see decoder.h; `flags` are for it and for `sources`
    note: what a reader of its figures has to know
    """

    tool: str
    options: str
    version: str
    make: Callable[[bytes, bytes], bytes]
    glue: Path
    sources: tuple[Source, ...] = ()
    flags: tuple[str, ...] = ()
    note: str = ""


OURS = "tinymldelta"
COPY = "copy"


def _own_version() -> str:
    return importlib.metadata.version("tinymldelta")


def _maker(options: patching.PatchOptions) -> Callable[[bytes, bytes], bytes]:
    def make(base: bytes, target: bytes) -> bytes:
        made = patching.make_patch(
            base, target, where="patch", target_where="target", options=options, contract=None,
            index=0,
        )  # fmt: skip
        return made.data

    return make


def _ours(options: str, format: int, lean: bool, *defines: str) -> Decoder:
    sources = tuple(Source(file) for file in sorted((DEVICE / "core").glob("*.c")))
    patch = patching.PatchOptions(format=format, lean=lean or None, unguarded=True)
    flags = (f"-I{DEVICE / 'include'}", *(f"-D{define}" for define in defines))
    return Decoder(OURS, options, _own_version(), _maker(patch), HERE / "ours.c", sources, flags)


def own_decoders() -> Sequence[Decoder]:
    """The floor, then ours: without guardrail metadata, which others have none of."""
    copy = Decoder(
        COPY, "the whole model, no patch", _own_version(), lambda base, target: target,
        HERE / "copy.c",
    )  # fmt: skip
    return (
        copy,
        _ours("format 2, default decoder", 2, False, "TMD_DECODER=2", "TMD_WITH_FORMAT_1=0"),
        _ours("format 2, lean decoder", 2, True, "TMD_DECODER=1", "TMD_WITH_FORMAT_1=0"),
        _ours("format 1", 1, False, "TMD_DECODER=0", "TMD_WITH_FORMAT_1=1"),
    )
