"""Arguments of `tmd` in a SConscript: numbers, options, and the files that options name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from SCons.Errors import UserError
from SCons.Util import Split

# Options that name a file which is read. Of those with True, NAME= may stand before it.
CODEGEN_FILES = {"--labels": True, "--public-key": False, "--decryption-key": False}
PATCH_FILES = {
    "--labels": False,
    "--test-vectors": False,
    "--key": False,
    "--signer": False,
    "--encrypt-for": False,
    "--verify-data": False,
    "--calibration": False,
    "--validation": False,
}
PATCH_OUTPUTS = ("--image", "--slimmed")
# FILE.py:function
PATCH_FUNCTIONS = ("--metric",)

_NAME = re.compile(r"[a-z0-9_]+=")


@dataclass
class Arguments:
    """Words of a command line, in order: text, or a node with text before and behind it."""

    words: list[str | tuple[str, Any, str]] = field(default_factory=list)
    reads: list[Any] = field(default_factory=list)
    writes: list[Any] = field(default_factory=list)

    def add(self, *words: str) -> None:
        self.words += words

    def read(self, node: Any, before: str = "", behind: str = "") -> None:
        self.words.append((before, node, behind))
        self.reads.append(node)

    def write(self, node: Any) -> None:
        self.words.append(("", node, ""))
        self.writes.append(node)

    def command_line(self) -> list[str]:
        """As they are when the command is run, from the top folder."""
        return [w if isinstance(w, str) else f"{w[0]}{path_of(w[1])}{w[2]}" for w in self.words]

    def signature(self) -> str:
        """What a build has to be done again for if it changes; of nodes SCons sees the content."""
        return repr(
            [w if isinstance(w, str) else (w[0], w[1].get_path(), w[2]) for w in self.words]
        )


def path_of(node: Any) -> str:
    """Where a file is. A source of a variant folder may be there only, or in its source folder."""
    return str(node.rfile().get_path()) if hasattr(node, "rfile") else str(node.get_path())


def one_node(env: Any, file: Any, where: str) -> Any:
    """The node of a file that is there, or is built. UserError if it is neither."""
    nodes = env.arg2nodes([file], env.fs.File)
    if len(nodes) != 1:
        raise UserError(f"{where}: {file!r} is not one file: name one")
    node = nodes[0]
    if not node.has_builder() and not node.rexists():
        if node.srcnode().exists():
            return node.srcnode()
        raise UserError(f"{where}: {node.get_path()} does not exist: correct its path")
    return node


def number(value: Any, where: str) -> str:
    """A whole number of bytes as `tmd` takes it; also text such as 0x1000. UserError otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = int(value, 0) if isinstance(value, str) else value
        if not isinstance(count, int) or count < 0:
            raise TypeError
    except (TypeError, ValueError):
        raise UserError(f"{where}={value!r}: give a whole number of bytes") from None
    return str(count)


def no_others(keywords: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """UserError if there is a keyword that is not known."""
    for keyword in keywords:
        if keyword not in known:
            raise UserError(f"{where}: there is no keyword {keyword}: use {', '.join(known)}")


def add_options(
    env: Any,
    arguments: Arguments,
    options: Any,
    where: str,
    *,
    files: Mapping[str, bool],
    own: Mapping[str, str],
    outputs: Sequence[str] = (),
    functions: Sequence[str] = (),
) -> None:
    """Put options of a command behind `arguments`, with the files that they name as nodes.

    A file's path is relative to the SConscript, or to the top folder behind a #. `own` are options
    that the call itself gives, each with what to write instead.
    """
    words = [str(word) for word in Split(options)] if options else []
    while words:
        word = words.pop(0)
        option, is_joined, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if option in own:
            raise UserError(f"{where}: {option} is no option here: {own[option]}")
        named = option in files or option in outputs or option in functions
        arguments.add(option if named else word)
        if not named:
            continue
        if not is_joined:
            if not words:
                raise UserError(f"{where}: {option} names no file: write it behind the option")
            value = words.pop(0)
        if option in outputs:
            arguments.write(env.File(value))
            continue
        before = behind = ""
        if files.get(option) and (found := _NAME.match(value)):
            before, value = found[0], value[found.end() :]
        if option in functions:
            value, colon, name = value.rpartition(":")
            behind = colon + name
            if not colon:  # one of its own, by name
                arguments.add(name)
                continue
        arguments.read(one_node(env, value, f"{where}: {option}"), before, behind)
