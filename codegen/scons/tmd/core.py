"""env.TmdCore: core and store, compiled with options of config.h."""

from __future__ import annotations

import hashlib
from typing import Any

from SCons.Defaults import processDefines
from SCons.Errors import UserError
from SCons.Node import NodeList

from . import arguments, config, places

_KEYWORDS = ("smp", "folder")


def tmd_core(env: Any, options: Any = None, **keywords: Any) -> Any:
    """Compile core/ and store/, with smp=True the management group too.

    options: numbers by option, as tinymldelta/config.h has them; {"TMD_DECODER": 1}. The sources
        that include TinyMLDelta's headers need the same: structs are laid out by them.
    folder: where the objects go, "tmd_core" if not given. Each set of options, and each compiler
        with its flags, has a folder of its own below, so that several fit into one build.

    Returns the nodes of the objects. The environment is not changed; what it has of flags and
    CPPDEFINES now is used. UserError if an option is unknown, or is another number in CPPDEFINES.
    """
    where = "TmdCore"
    arguments.no_others(keywords, _KEYWORDS, where)
    own = env.Clone()
    for name, value in _checked(env, options, where).items():
        own.Append(CPPDEFINES=[(name, value)])
    own.PrependUnique(CPPPATH=[env.Dir(str(places.INCLUDE))])
    sources = places.CORE_SOURCES + (places.SMP_SOURCES if keywords.get("smp") else ())
    base = keywords.get("folder", "tmd_core")
    folder = env.Dir(base).Dir(_key(own))
    return NodeList(_object(own, folder, source) for source in sources)


def _checked(env: Any, options: Any, where: str) -> dict[str, int]:
    """The options that are to be defined beside what CPPDEFINES has."""
    try:
        result = config.checked(dict(options or {}))
    except (TypeError, ValueError) as error:
        if isinstance(error, config.ConfigError):
            raise UserError(f"{where}: {error}") from None
        raise UserError(f'{where}: write {where}({{"TMD_<option>": <number>}})') from None
    for define in processDefines(env.get("CPPDEFINES", [])):
        name, _, text = str(env.subst(define)).partition("=")
        if name not in result:
            continue
        given = config.decoders().get(text, text or "1")
        if str(given).rstrip("uU") != str(result[name]):
            raise UserError(
                f"{where}: {name} is {result[name]} here and {text or 1} in CPPDEFINES: say one "
                "number, structs are laid out by it"
            )
        del result[name]
    return result


def _key(env: Any) -> str:
    """A name for a compiler with its flags and options."""
    command = env.subst("$CC $CFLAGS $CCFLAGS $_CCCOMCOM")
    return hashlib.sha256(command.encode()).hexdigest()[:12]


def _object(env: Any, folder: Any, source: str) -> Any:
    name = source.removesuffix(".c")
    node = folder.File(f"{name}{env.subst('$OBJSUFFIX')}")
    if node.has_builder():  # asked for before, with the same flags
        return node
    return env.Object(node, env.File(str(places.DEVICE / source)))[0]
