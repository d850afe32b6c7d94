"""env.TmdModel: what a firmware is built with, from its models."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SCons.Action import Action
from SCons.Errors import BuildError, UserError
from SCons.Node import NodeList

from . import arguments, places, running
from .arguments import Arguments

_KEYWORDS = ("slot", "erase", "write", "options", "compiled_in", "headers", "now")
_OWN = {
    "--out": "the first argument is the folder",
    "--slot": "write slot=<bytes>",
    "--erase": "write erase=<bytes>",
    "--write": "write write=<bytes>",
    "--json": "what comes of it stands in contract.json",
}
_FILES = ("contract.json", "tmd_contract.h", "tmd_op_resolver.h")
_NAME = re.compile(r"[a-z0-9_]+")
# Folders that are taken in this run of SCons, with the names of their models.
_taken: dict[str, str] = {}


@dataclass
class Request:
    """One run of `tmd codegen`: its command line, the folder that it fills, and with what."""

    arguments: Arguments
    folder: Any
    names: tuple[str, ...]
    compiled_in: bool

    @property
    def arrays(self) -> list[str]:
        """The C sources with the models' bytes, as `tmd codegen` calls them."""
        return [f"tmd_model_{name}.c" for name in self.names]

    @property
    def files(self) -> list[str]:
        """All that is generated."""
        headers = [f"tmd_model_{name}.h" for name in self.names] if self.compiled_in else []
        return [*_FILES, *headers, *(self.arrays if self.compiled_in else [])]

    def run(self, env: Any) -> str:
        """Generate. Returns what is said of it. Raises running.Refused."""
        words = [*self.arguments.command_line(), "--out", self.folder.get_path()]
        top = Path(env.Dir("#").get_abspath())
        said = running.run_codegen(running.python_of(env), words, top)
        if not self.compiled_in:  # `tmd codegen` always writes them
            folder = Path(self.folder.get_abspath())
            for name in self.names:
                for suffix in ("c", "h"):
                    (folder / f"tmd_model_{name}.{suffix}").unlink(missing_ok=True)
        return said


def tmd_model(env: Any, folder: Any = None, models: Any = None, **keywords: Any) -> Any:
    """Generate contract.json, tmd_contract.h, tmd_op_resolver.h and tmd_model_<name>.{h,c}.

    folder: where to, relative to the SConscript; it is appended to the environment's CPPPATH.
    models: file of each model by name, as a dict or in pairs. A firmware has one contract, so all
        its models are given in one call; names are of a to z, 0 to 9 and _.
    slot: bytes that a slot holds for a model. erase, write: the flash's erase and write unit in
        bytes, where they are not what `tmd codegen` assumes.
    options: as `tmd codegen` has them, in a list, or a string without spaces in its words. Files
        are relative to the SConscript.
    compiled_in: False leaves the models' bytes out: they are in flash when the device is made.
    headers: False leaves TinyMLDelta's headers out of CPPPATH, where something else brings them.
    now: True generates while SConscripts are read, for a build that looks into the folder then.

    Returns the nodes of the C sources, one for each model. Generated again when the content of a
    model, of a file in the options, or of the generator changes. UserError if it is called wrongly.
    """
    where = "TmdModel"
    arguments.no_others(keywords, _KEYWORDS, where)
    request = _request(env, folder, models, keywords, where)
    _take(env, request, where)
    paths = [request.folder]
    if keywords.get("headers", True):
        paths.append(env.Dir(str(places.INCLUDE)))
    generate = _generate_now if keywords.get("now") else _generate_later
    nodes = generate(env, request)
    env.AppendUnique(CPPPATH=paths)
    return NodeList(node for node in nodes if node.name in request.arrays)


def _request(
    env: Any, folder: Any, models: Any, keywords: Mapping[str, Any], where: str
) -> Request:
    if folder is None or models is None or "slot" not in keywords:
        raise UserError(
            f'{where}: write {where}("<folder>", {{"<name>": "<file>.tflite"}}, slot=<bytes>)'
        )
    if isinstance(models, str) or not isinstance(models, Mapping | list | tuple):
        raise UserError(f'{where}: {models!r} is no model by name: write {{"<name>": "<file>"}}')
    pairs = list(models.items()) if isinstance(models, Mapping) else list(models)
    if not pairs:
        raise UserError(f"{where}: there is no model: name at least one .tflite")
    words = Arguments()
    names: list[str] = []
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise UserError(f"{where}: {pair!r} is no pair of a name and a file")
        name, file = pair
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UserError(f"{where}: {name!r} is no name of a model: use a to z, 0 to 9 and _")
        if name in names:
            raise UserError(f"{where}: two models are called {name}: give each its own name")
        names.append(name)
        words.read(arguments.one_node(env, file, f"{where}({name})"), before=f"{name}=")
    for unit in ("slot", "erase", "write"):
        if keywords.get(unit) is not None:
            words.add(f"--{unit}", arguments.number(keywords[unit], f"{where}: {unit}"))
    arguments.add_options(
        env, words, keywords.get("options"), where, files=arguments.CODEGEN_FILES, own=_OWN
    )
    compiled_in = bool(keywords.get("compiled_in", True))
    return Request(words, env.Dir(folder), tuple(names), compiled_in)


def _take(env: Any, request: Request, where: str) -> None:
    """One contract for an environment: with two, the include path would decide which one counts."""
    names = ", ".join(request.names)
    path = request.folder.get_abspath()
    if env.get("TMD_MODELS"):
        raise UserError(
            f"{where}({names}): this environment has the contract of {env['TMD_MODELS']} already: "
            "name all models of a firmware in one call, or Clone() the environment before the first"
        )
    if path in _taken:
        raise UserError(
            f"{where}({names}): the contract of {_taken[path]} is in {request.folder} already: "
            "give each firmware a folder of its own"
        )
    _taken[path] = names
    env["TMD_MODELS"] = names


def _generate_later(env: Any, request: Request) -> list[Any]:
    nodes = env.Command(
        [request.folder.File(name) for name in request.files],
        request.arguments.reads,
        Action(_generate, _say),
        TMD_REQUEST=request,
    )
    # What was generated before stays until it changes, and if it is refused.
    env.Precious(nodes)
    env.Depends(nodes, env.Value(request.arguments.signature() + running.python_of(env)))
    env.Depends(nodes, [env.File(str(file)) for file in places.generator_files()])
    return list(nodes)


def _generate(target: list[Any], source: list[Any], env: Any) -> None:
    try:
        said = env["TMD_REQUEST"].run(env)
    except running.Refused as refused:
        raise BuildError(node=target[0], errstr=str(refused), status=1) from None
    # What did not change was not written, and a build that goes by times would find it older than
    # the model for ever. To one that goes by content a newer file is the same.
    for node in target:
        os.utime(node.get_abspath())
    print(said, end="", flush=True)


def _say(target: list[Any], source: list[Any], env: Any) -> str:
    request = env["TMD_REQUEST"]
    return f"TinyMLDelta: {request.folder} from {' '.join(map(str, request.arguments.reads))}"


def _generate_now(env: Any, request: Request) -> list[Any]:
    if not env.GetOption("clean") and not env.GetOption("no_exec"):
        try:
            request.run(env)
        except running.Refused as refused:
            raise UserError(str(refused)) from None
    return [request.folder.File(name) for name in request.files]
