"""The tool in a PlatformIO project: options of its platformio.ini.

    custom_tmd_model     <name> = <file>.tflite, one in each line; relative to the project
    custom_tmd_slot      bytes that a slot holds for a model
    custom_tmd_erase     the flash's erase unit in bytes, and its write unit, where they are not
    custom_tmd_write         what `tmd codegen` assumes
    custom_tmd_options   further options of `tmd codegen`, in quotes where they have spaces
    custom_tmd_core      yes: compile core and store of this source tree, and add their headers to
                         the include path. Without it the project has the library TinyMLDelta.
                         Options of config.h are build_flags: all sources need the same
    custom_tmd_python    the Python that generates code, if not the one that runs PlatformIO

PlatformIO looks for sources and headers while it reads scripts, so code is generated then.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from SCons.Errors import UserError

from . import places

_KNOWN = ("model", "slot", "erase", "write", "options", "core", "python")
_SWITCH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}
_FOLDER = "$BUILD_DIR/tinymldelta"
_OBJECTS = "$BUILD_DIR/tmd_objects"


def add_to_project(env: Any) -> None:
    """Generate code for the project's models, and let PlatformIO compile it.

    What is wrong is said in one line, and ends PlatformIO with status 1. Cleaning needs nothing of
    it: PlatformIO removes its build folder, also of a project whose options are wrong.
    """
    if env.GetOption("clean"):
        return
    try:
        with _in_project(env):
            _add(env)
    except UserError as error:
        sys.stderr.write(f"Error: TinyMLDelta: {error}\n")
        env.Exit(1)


def _add(env: Any) -> None:
    given = {name: _option(env, name) for name in _KNOWN}
    for name in ("model", "slot"):
        if not given[name]:
            raise UserError(f"custom_tmd_{name} is missing in platformio.ini")
    if given["core"].lower() not in _SWITCH:
        raise UserError(f"custom_tmd_core = {given['core']}: write yes or no")
    with_core = _SWITCH[given["core"].lower()]
    if given["python"]:
        env["TMD_PYTHON"] = given["python"]
    nodes = env.TmdModel(
        _FOLDER,
        _models(given["model"]),
        slot=given["slot"],
        erase=given["erase"] or None,
        write=given["write"] or None,
        options=_words(given["options"]),
        headers=with_core,
        now=True,
    )
    names = [node.name for node in nodes]
    env.BuildSources(f"{_OBJECTS}/models", _FOLDER, _only(names))
    if with_core:
        for room in ("core", "store"):
            files = [s.split("/")[1] for s in places.CORE_SOURCES if s.startswith(f"{room}/")]
            env.BuildSources(f"{_OBJECTS}/{room}", str(places.DEVICE / room), _only(files))


def _option(env: Any, name: str) -> str:
    return str(env.GetProjectOption(f"custom_tmd_{name}", "") or "").strip()


def _models(text: str) -> list[tuple[str, str]]:
    """<name> = <file> in each line."""
    pairs = []
    for line in text.splitlines():
        if not line.strip():
            continue
        name, sign, file = (part.strip() for part in line.partition("="))
        if not sign or not name or not file:
            raise UserError(f"custom_tmd_model: {line.strip()!r} is not <name> = <file>.tflite")
        pairs.append((name, file))
    return pairs


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"custom_tmd_options: {error}: {text!r}") from None


def _only(files: list[str]) -> str:
    """PlatformIO's filter for these files of a folder."""
    return " ".join(["-<*>", *(f"+<{file}>" for file in files)])


@contextmanager
def _in_project(env: Any) -> Iterator[None]:
    """Relative paths are the project's, though the script that is read lies elsewhere."""
    before = env.fs.getcwd()
    env.fs.chdir(env.fs.Dir(env.subst("$PROJECT_DIR") or "#"))
    try:
        yield
    finally:
        env.fs.chdir(before)
