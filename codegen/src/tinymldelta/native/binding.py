"""The compiled module `tinymldelta._native`, for the modules of this package alone."""

from __future__ import annotations

from typing import Final

try:
    from tinymldelta._native import ffi, lib
except ImportError as error:  # a source tree without the compiled part
    raise ImportError(
        "tinymldelta's native part is not built; install the package (`pip install .`) "
        "with a C compiler and CMake"
    ) from error

__all__ = ["METADATA_MAX", "ffi", "lib"]

METADATA_MAX: Final = 255  # TMD_STORE_METADATA_MAX; the binding has no macros
