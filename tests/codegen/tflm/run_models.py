"""Runs models with the tflite-micro wheel, each in a process of its own: some kernels abort.

    python run_models.py FOLDER

Prints the name of each file in FOLDER and "runs", "fails" or "dies", separated by a tab.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy
from tflite_micro.python.tflite_micro import runtime

_ARENA = 1 << 20
_INPUTS = 3  # more than any model here has


def _set_inputs(interpreter: runtime.Interpreter) -> None:
    """Ones, which every kernel can divide by and take for an index. The arena holds anything."""
    for index in range(_INPUTS):
        with suppress(Exception):  # no such input, or a type that the wheel has no array for
            details = interpreter.get_input_details(index)
            ones = numpy.ones(details["shape"], details["dtype"])
            interpreter.set_input(ones, index)


def _run(path: Path) -> None:
    """Never returns. TFLM's complaints on stderr are dropped: most of the models should fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        interpreter = runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=_ARENA)
        _set_inputs(interpreter)
        interpreter.invoke()
    except Exception:  # the wheel raises RuntimeError and plain Exception
        os._exit(1)
    os._exit(0)


def main(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            _run(path)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(path.name, {0: "runs", 1: "fails"}.get(code, "dies"), sep="\t")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
