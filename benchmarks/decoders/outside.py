"""Decoders of others. Nothing of theirs is here: a folder elsewhere describes how each is built.

Such a folder has `decoder.toml`, a glue file with bench_decode() (see decoder.h), and if need be a
Python file that makes patches:

    tool = "its name"
    version = "its version, and the commit of its sources"
    [folders]                      # environment variables that name folders, and how to get each
    SOME_FOLDER = "the sources of ..."
    [[decoder]]
    patch = "det_seq_crle"         # a key of benchmarks/peers; or "file.py:function", with `maker`
    maker = "what makes the patch" # its version; only with a function
    options = "how it is built"    # behind those of the patch, if there are any
    glue = "glue.c"
    decoder = ["$SOME_FOLDER/a.c"] # what is weighed as the decoder, and as its decompressor
    decompressor = []
    flags = ["-DX=1", "-I$SOME_FOLDER"]
    note = "what a reader of its figures has to know"
"""

from __future__ import annotations

import importlib.util
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template
from typing import Any

from peers import PEERS
from peers.peer import Absent

from .decoder import PARTS, Decoder, Source

DESCRIPTION = "decoder.toml"
_OF_ALL = {"tool", "version", "folders", "decoder"}
_OF_ONE = {"patch", "maker", "options", "glue", *PARTS, "flags", "note"}


class DescriptionError(Exception):
    """A description cannot be used; the message names the file and says what is wrong."""


def read(folder: Path) -> list[Decoder]:
    """The decoders that `folder` describes.

    Raises Absent, which says how to get what is missing, and DescriptionError.
    """
    file = folder / DESCRIPTION
    try:
        described = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DescriptionError(f"{file}: {error}") from error
    try:
        _only(described, _OF_ALL)
        folders = _folders(described.get("folders", {}))
        return [_decoder(described, one, folder, folders) for one in described["decoder"]]
    except KeyError as error:
        raise DescriptionError(f"{file}: {error.args[0]} is not there") from error
    except (TypeError, ValueError) as error:
        raise DescriptionError(f"{file}: {error}") from error


def _only(table: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(table) - known):
        raise ValueError(f"{unknown[0]} means nothing here; use {', '.join(sorted(known))}")


def _folders(described: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, how in described.items():
        place = os.environ.get(name, "")
        if not place:
            raise Absent(f"{name} is not set; let it name {how}")
        if not Path(place).is_dir():
            raise Absent(f"{name}: {place} is no folder; let it name {how}")
        found[name] = str(Path(place).resolve())
    return found


def _decoder(
    described: Mapping[str, Any], one: Mapping[str, Any], folder: Path, folders: Mapping[str, str]
) -> Decoder:
    _only(one, _OF_ONE)

    def filled(text: str) -> str:
        return Template(text).substitute(folders)

    make, made_by, made_how = _maker(one, folder)
    files = [Source(Path(filled(name)), part) for part in PARTS for name in one.get(part, ())]
    for source in files:
        if not source.file.is_file():
            raise ValueError(f"{source.file} is not there")
    return Decoder(
        described["tool"],
        "; ".join(filter(None, (made_how, one.get("options", "")))),
        f"{described['version']}; patches by {made_by}",
        make,
        folder.resolve() / one["glue"],
        tuple(files),
        tuple(filled(flag) for flag in one.get("flags", ())),
        one.get("note", ""),
    )


def _maker(
    one: Mapping[str, Any], folder: Path
) -> tuple[Callable[[bytes, bytes], bytes], str, str]:
    """What makes the patch, its version, and its options."""
    key = one["patch"]
    name, colon, function = key.partition(":")
    if colon:
        spec = importlib.util.spec_from_file_location(Path(name).stem, folder / name)
        if spec is None or spec.loader is None:
            raise ValueError(f"{name} is no Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, function), one["maker"], ""
    for peer in PEERS:
        if peer.key == key:
            return peer.make, peer.tool.version(), peer.options
    raise ValueError(f"{key} is no key of benchmarks/peers")
