"""Which revision of TensorFlow Lite Micro a folder of its sources is.

By what is in them, since a folder may be a checkout, a copy or an export: a digest over the sources
that decide which operators there are, how they compute, and how the arena is laid out. Sources of
which one byte is changed are no revision that the tables describe.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from tinymldelta.errors import Refusal

_FOLDERS: Final = (
    "tensorflow/lite/kernels/internal",
    "tensorflow/lite/kernels/internal/reference",
    "tensorflow/lite/kernels/internal/reference/integer_ops",
    "tensorflow/lite/micro",
    "tensorflow/lite/micro/arena_allocator",
    "tensorflow/lite/micro/kernels",
    "tensorflow/lite/micro/memory_planner",
)
# What TFLM's porting guide has a platform replace.
_PORTED: Final = frozenset({"debug_log.cc", "micro_time.cc", "system_setup.cc"})

# First digits of the digest -> revision. `digest_of` on a checkout gives them.
_REVISIONS: Final = {
    "e5ea18832eeed3b8": "9156d050",
    "a72e746bfd528beb": "8d404de7",
    "3af94fd741922d22": "90b983c2",
}


def source_files(folder: Path) -> list[Path]:
    """The files that tell the revision, in the order in which the digest takes them."""
    return [
        path
        for name in _FOLDERS
        for path in sorted((folder / name).glob("*"))
        if path.suffix in (".cc", ".h")
        and not path.stem.endswith("_test")
        and path.name not in _PORTED
    ]


def digest_of(folder: Path) -> str:
    """The first 16 digits of a SHA-256 over names and contents, whatever ends their lines."""
    digest = hashlib.sha256()
    for path in source_files(folder):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def detect_revision(folder: Path) -> str:
    """The revision of the sources in a folder. Raises Refusal for one without tables."""
    revision = _REVISIONS.get(digest_of(folder))
    if revision is None:
        raise Refusal(
            str(folder),
            "is no TensorFlow Lite Micro that there are tables for, or a changed one",
            f"say by CONFIG_TMD_TFLM which of {', '.join(_REVISIONS.values())} it is like",
        )
    return revision
