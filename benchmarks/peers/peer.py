"""What a peer is: a tool in one configuration that makes a patch and applies it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")  # a patch, or a patch with what is known of it


class Absent(Exception):  # noqa: N818 - a state of this machine, not an error
    """Something is not there. The message says how to get it."""


class NotForThisPair(Exception):  # noqa: N818 - likewise
    """This way of making patches does not take such files."""


@dataclass(frozen=True)
class Tool:
    """What peers are configurations of.

    version: name and version of all that the sizes depend on; raises Absent
    """

    name: str
    version: Callable[[], str]


@dataclass(frozen=True)
class Peer:
    """One configuration of a tool.

    key: its column in size.tsv
    options: how the tool is called, for the reader
    make: the patch, from base and target; raises NotForThisPair, and whatever the tool raises
    apply: the target, from base and patch; raises whatever the tool raises
    for_mcu: whether a decoder made for microcontrollers exists
    """

    key: str
    options: str
    tool: Tool
    make: Callable[[bytes, bytes], bytes]
    apply: Callable[[bytes, bytes], bytes]
    for_mcu: bool = False


@dataclass(frozen=True)
class Result(Generic[P]):
    """What came of one pair: what was made, if it rebuilds the target; else why not.

    Neither of the two: no patch is made for such a pair.
    """

    made: P | None = None
    fault: str = ""


def attempt(
    make: Callable[[bytes, bytes], P],
    apply: Callable[[bytes, P], bytes],
    base: bytes,
    target: bytes,
) -> Result[P]:
    """Make the patch, apply it, and compare. Raises Absent only."""
    try:
        made = make(base, target)
    except NotForThisPair:
        return Result()
    except Absent:
        raise
    except Exception as error:  # of a foreign tool: one more finding, not the end of the run
        return Result(fault=f"makes no patch: {_said(error)}")
    try:
        rebuilt = apply(base, made)
    except Exception as error:
        return Result(fault=f"its patch cannot be applied: {_said(error)}")
    if rebuilt != target:
        return Result(fault="its patch does not rebuild the target")
    return Result(made)


def _said(error: Exception) -> str:
    """In one line, as it goes into a table."""
    return " ".join(f"{type(error).__name__}: {error}".split())
