"""Writes the C source of the module `tinymldelta._native` from preprocessed declarations.

    make_binding.py DECLARATIONS.h OUT.c

Run by CMake. cffi's parser wants plain C without attributes and suffixes, which is what the headers
give with TMD_CDEF defined, but for the suffix of unsigned numbers.
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import cffi


def main(declarations: Path, out: Path) -> None:
    text = declarations.read_text(encoding="utf-8")
    text = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uU]\b", r"\1", text)
    # Array lengths such as `256 / 8` or `5 * 6` are constant expressions, which cffi does not work
    # out.
    text = re.sub(r"\[(\d+) / (\d+)\]", lambda m: f"[{int(m.group(1)) // int(m.group(2))}]", text)
    text = re.sub(
        r"\[(\d+(?: \* \d+)+)\]",
        lambda m: f"[{math.prod(int(n) for n in m.group(1).split(' * '))}]",
        text,
    )
    ffi = cffi.FFI()
    ffi.cdef(text)
    ffi.set_source("tinymldelta._native", '#include "native.h"\n')
    ffi.emit_c_code(str(out))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
