"""env.TmdPatch: a patch, proved by the device's code, as a file of the build."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from SCons.Action import Action
from SCons.Errors import BuildError, UserError

from . import arguments, running
from .arguments import Arguments

_KEYWORDS = ("contract", "options")
_OWN = {
    "-o": "the first argument is the patch",
    "--out": "the first argument is the patch",
    "--contract": "write contract=<file>",
    "--json": "`tmd inspect --json` says it of the patch",
}
# Prints the files that a patch depends on beside its inputs: package and native part.
_PROBE = """
import pathlib, tinymldelta
from tinymldelta import _native
folder = pathlib.Path(tinymldelta.__file__).parent
files = sorted(f for kind in ("*.py", "*.yaml") for f in folder.rglob(kind))
print(*files, _native.__file__, sep="\\n")
"""


def tmd_patch(
    env: Any, patch: Any = None, base: Any = None, target: Any = None, **keywords: Any
) -> Any:
    """Make the patch that turns `base` into `target`, by `tmd patch` of the installed package.

    contract: contract.json of the firmware, as TmdModel makes it; without one, nothing but base and
        target is proved. options: as `tmd patch` has them, in a list, or a string without spaces in
        its words; files in them are relative to the SConscript.

    Returns the node of the patch, and those of --image and --slimmed if they are in the options.
    UserError if it is called wrongly. A patch that the device's code refuses ends the build, and no
    file is left; so does one that --slim finds no need for.
    """
    where = "TmdPatch"
    arguments.no_others(keywords, _KEYWORDS, where)
    if patch is None or base is None or target is None:
        raise UserError(f'{where}: write {where}("<out>.tmd", "<base>.tflite", "<target>.tflite")')
    words = Arguments()
    words.add("patch")
    for file in (base, target):
        words.read(arguments.one_node(env, file, where))
    words.add("-o")
    words.write(env.File(patch))
    if keywords.get("contract") is not None:
        words.add("--contract")
        words.read(arguments.one_node(env, keywords["contract"], f"{where}: contract"))
    arguments.add_options(
        env,
        words,
        keywords.get("options"),
        where,
        files=arguments.PATCH_FILES,
        own=_OWN,
        outputs=arguments.PATCH_OUTPUTS,
        functions=arguments.PATCH_FUNCTIONS,
    )
    nodes = env.Command(words.writes, words.reads, Action(_make, _say), TMD_REQUEST=words)
    python = running.python_of(env)
    env.Depends(nodes, env.Value(f"{words.signature()} {_maker(python)}"))
    return nodes


@cache
def _maker(python: str) -> str:
    """A digest of what makes patches; empty if that is not installed, which _make will say."""
    try:
        files = running.run_python(python, _PROBE).splitlines()
    except running.Refused:
        return ""
    digest = hashlib.sha256()
    for file in files:
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()


def _make(target: list[Any], source: list[Any], env: Any) -> None:
    words, top = env["TMD_REQUEST"].command_line(), Path(env.Dir("#").get_abspath())
    try:
        said = running.run_tmd(running.python_of(env), words, top)
    except running.Refused as refused:
        raise BuildError(node=target[0], errstr=str(refused), status=1) from None
    print(said, end="", flush=True)
    for node in target:  # with --slim there may be nothing to write, and a build has it to hand on
        if not Path(node.get_abspath()).is_file():
            what = f"tmd patch --slim wrote no {node}, and says why above: take it out of the build"
            raise BuildError(node=target[0], errstr=what, status=1)


def _say(target: list[Any], source: list[Any], env: Any) -> str:
    return f"TinyMLDelta: {target[0]} from {source[0]} and {source[1]}"
