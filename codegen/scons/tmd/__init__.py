"""SCons tool: TinyMLDelta in firmware that SCons builds.

    env = Environment(tools=["default", "tmd"], toolpath=["<TinyMLDelta>/codegen/scons"])

    options = {"TMD_DECODER": 1, "TMD_WITH_FORMAT_1": 0}
    models = env.TmdModel(
        "generated", {"app": "base.tflite"}, slot=65536, erase=4096, write=4,
        options=["--decoder", "lean", "--no-format-1"],
    )
    core = env.TmdCore(options)
    env.Append(CPPDEFINES=options)  # structs are laid out by them: the application needs the same
    env.Program("firmware", ["main.c", *models, *core])
    env.TmdPatch("update.tmd", "base.tflite", "target.tflite", contract="generated/contract.json")

`models`, `core` and `patch` say what each takes, in this order. Wrong calls end in one UserError
while SConscripts are read; a model or patch that is refused ends the build with the refusal.

TMD_PYTHON of the environment is the Python that generates code: the one that runs SCons, if nobody
says another. Code generation needs the packages of requirements/scons.txt there, and takes
TinyMLDelta from this source tree; patches are made by the installed package, for its native part.
"""

from __future__ import annotations

import sys
from typing import Any

from .core import tmd_core
from .models import tmd_model
from .patch import tmd_patch


def generate(env: Any) -> None:
    """Give an environment TmdModel, TmdCore and TmdPatch."""
    env.SetDefault(TMD_PYTHON=sys.executable)
    env.AddMethod(tmd_model, "TmdModel")
    env.AddMethod(tmd_core, "TmdCore")
    env.AddMethod(tmd_patch, "TmdPatch")


def exists(env: Any) -> bool:
    """It is there: what it runs is looked for when it is run."""
    return True
