"""Peers that are Python packages. Each is imported when it is used: it may not be there."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from io import BytesIO
from typing import Any

from .peer import Absent, NotForThisPair, Peer, Tool

HOW_TO_GET = "pip install -r requirements/peers.txt"


def _tool(name: str, package: str, *further: str) -> Tool:
    """A tool that is the Python package `package` and compresses with `further`."""

    def version() -> str:
        try:
            own, *others = (
                f"{part} {importlib.metadata.version(part)}" for part in (package, *further)
            )
            importlib.import_module(package)
        except (importlib.metadata.PackageNotFoundError, ImportError) as error:
            raise Absent(HOW_TO_GET) from error
        return f"{own} ({', '.join(others)})" if others else own

    return Tool(name, version)


# ---- bsdiff4 ----


def _bsdiff4(name: str) -> Callable[[bytes, bytes], bytes]:
    def call(base: bytes, other: bytes) -> bytes:
        out: bytes = getattr(importlib.import_module("bsdiff4"), name)(base, other)
        return out

    return call


BSDIFF4 = (
    Peer("bsdiff4", "bzip2", _tool("bsdiff4", "bsdiff4"), _bsdiff4("diff"), _bsdiff4("patch")),
)

# ---- detools ----

_DETOOLS = _tool("detools", "detools", "heatshrink2", "lz4", "zstandard")
_SEGMENT = 4096  # bytes; what a microcontroller's flash erases at once
_DETOOLS_FOR_MCU = ("heatshrink", "crle")


def _detools(compression: str) -> Peer:
    def make(base: bytes, target: bytes) -> bytes:
        detools = importlib.import_module("detools")
        patch = BytesIO()
        detools.create_patch(BytesIO(base), BytesIO(target), patch, compression)
        return patch.getvalue()

    def apply(base: bytes, patch: bytes) -> bytes:
        detools = importlib.import_module("detools")
        target = BytesIO()
        detools.apply_patch(BytesIO(base), BytesIO(patch), target)
        return target.getvalue()

    key, options = f"det_seq_{compression}", f"sequential, {compression}"
    return Peer(key, options, _DETOOLS, make, apply, compression in _DETOOLS_FOR_MCU)


def _in_place_memory(base_bytes: int, target_bytes: int) -> int:
    """Memory in which no byte of the base is overwritten early: room for both, as two slots have.

    With less, the patch would be larger. detools moves the base by two segments at least.
    """
    base, target = (-(-size // _SEGMENT) for size in (base_bytes, target_bytes))
    return (base + max(target, 2)) * _SEGMENT


def _detools_in_place(compression: str) -> Peer:
    def make(base: bytes, target: bytes) -> bytes:
        detools = importlib.import_module("detools")
        patch = BytesIO()
        detools.create_patch(
            BytesIO(base),
            BytesIO(target),
            patch,
            compression,
            "in-place",
            memory_size=_in_place_memory(len(base), len(target)),
            segment_size=_SEGMENT,
        )
        return patch.getvalue()

    def apply(base: bytes, patch: bytes) -> bytes:
        detools = importlib.import_module("detools")
        _, (_, _, _, memory_bytes, *_) = detools.patch_info(BytesIO(patch))
        memory = BytesIO(base.ljust(memory_bytes, b"\xff"))
        size: int = detools.apply_patch_in_place(memory, BytesIO(patch))
        return memory.getvalue()[:size]

    key, options = f"det_inpl_{compression}", f"in-place, {compression}"
    return Peer(key, options, _DETOOLS, make, apply, compression in _DETOOLS_FOR_MCU)


DETOOLS = (
    *map(_detools, ("lzma", "zstd", "bz2", "lz4", "heatshrink", "crle")),
    *map(_detools_in_place, ("lzma", "heatshrink", "crle")),
)

# ---- HDiffPatch and HPatchLite ----

_HDIFFPATCH = _tool("HDiffPatch", "hdiffpatch")
_HPATCHLITE = _tool("HPatchLite", "hdiffpatch")


def _hdiffpatch(key: str, options: str, configuration: str, **settings: Any) -> Peer:
    def make(base: bytes, target: bytes) -> bytes:
        hdiffpatch = importlib.import_module("hdiffpatch")
        compression = getattr(hdiffpatch, configuration)(**settings)
        # Applied and compared by the caller, as for every peer.
        out: bytes = hdiffpatch.diff(base, target, compression=compression, validate=False)
        return out

    def apply(base: bytes, patch: bytes) -> bytes:
        out: bytes = importlib.import_module("hdiffpatch").apply(base, patch)
        return out

    return Peer(f"hdp_{key}", options, _HDIFFPATCH, make, apply)


def _hpatchlite(
    key: str, options: str, configuration: str, for_mcu: bool = False, **settings: Any
) -> Peer:
    def make(base: bytes, target: bytes) -> bytes:
        hdiffpatch = importlib.import_module("hdiffpatch")
        compression = getattr(hdiffpatch, configuration)(**settings)
        out: bytes = hdiffpatch.diff_lite(base, target, compression=compression, validate=False)
        return out

    def apply(base: bytes, patch: bytes) -> bytes:
        out: bytes = importlib.import_module("hdiffpatch").apply_lite(base, patch)
        return out

    return Peer(f"hpl_{key}", options, _HPATCHLITE, make, apply, for_mcu)


# Each codec at its strongest setting, with one thread: more would not be deterministic everywhere.
HDIFFPATCH = (
    _hdiffpatch("brotli", "-c-brotli-11", "BrotliConfig", level=11),
    _hdiffpatch("lzma", "-c-lzma-9", "LzmaConfig", level=9),
    _hdiffpatch("lzma2", "-c-lzma2-9", "Lzma2Config", level=9),
    _hdiffpatch("zstd", "-c-zstd-22", "ZStdConfig", level=22),
    _hdiffpatch("zlib", "-c-zlib-9", "ZlibConfig", level=9),
    _hdiffpatch("bzip2", "-c-bzip2-9", "BZip2Config", level=9),
    _hdiffpatch("tuz", "tinyuz", "TuzConfig"),
)
HPATCHLITE = (
    _hpatchlite("brotli", "brotli, level 11", "BrotliConfig", level=11),
    _hpatchlite("lzma", "-c-lzma-9", "LzmaConfig", level=9),
    _hpatchlite("zstd", "zstd, level 22", "ZStdConfig", level=22),
    _hpatchlite("zlib", "-c-zlib-9", "ZlibConfig", level=9),
    _hpatchlite("tuz", "-c-tuzi, whole dictionary", "TuzConfig", True),
    _hpatchlite("tuz4k", "-c-tuzi-4k", "TuzConfig", True, dict_size=4096),
    _hpatchlite("tuz1k", "-c-tuzi-1k", "TuzConfig", True, dict_size=1024),
    _hpatchlite("tuz256", "-c-tuzi-256", "TuzConfig", True, dict_size=256),
    _hpatchlite("tuzl", "-c-tuz, whole dictionary", "TuzConfig", True, literal_line=True),
    _hpatchlite("tuzl4k", "-c-tuz-4k", "TuzConfig", True, literal_line=True, dict_size=4096),
    _hpatchlite("tamp", "tamp, window 2^10", "TampConfig", True, window=10),
)

# ---- subtraction ----

# As good as any tool where the files have the same length, and no tool: an idea in two lines.
SUB_BROTLI = "sub_brotli"


def _subtract(base: bytes, target: bytes) -> bytes:
    if len(base) != len(target):
        raise NotForThisPair
    difference = bytes((new - old) & 0xFF for old, new in zip(base, target, strict=True))
    patch: bytes = importlib.import_module("brotli").compress(difference, quality=11)
    return patch


def _add(base: bytes, patch: bytes) -> bytes:
    difference = importlib.import_module("brotli").decompress(patch)
    return bytes((old + new) & 0xFF for old, new in zip(base, difference, strict=True))


SUBTRACTION = (
    Peer(
        SUB_BROTLI,
        "target - base, byte by byte, then brotli -q 11; equal lengths only",
        _tool("subtraction", "brotli"),
        _subtract,
        _add,
    ),
)
