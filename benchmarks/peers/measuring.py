"""One run: every peer and every format of ours on every pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .compare import Comparison, Measured, Reference, compare
from .libraries import SUB_BROTLI
from .ours import Format, own_versions
from .peer import Absent, Peer, attempt


@dataclass(frozen=True)
class Missing:
    """Something that was not measured: its keys, and how to get it."""

    name: str
    keys: tuple[str, ...]
    how: str


@dataclass(frozen=True)
class Bench:
    """What a run found. `peers` and `formats` are those that were there, in their order."""

    pairs: Sequence[Measured]
    peers: Sequence[Peer]
    formats: Sequence[Format]
    versions: Sequence[str]
    missing: Sequence[Missing]

    @property
    def ours(self) -> Format:
        """The newest of our formats."""
        return self.formats[-1]

    def references(self, format_key: str) -> tuple[Reference, ...]:
        """What a format is held to: the smallest of the peers, and of format 1."""
        before = tuple(each.key for each in self.formats if each.is_peer and each.key != format_key)
        tools = tuple(peer.key for peer in self.peers if peer.key != SUB_BROTLI)
        everything = tuple(peer.key for peer in self.peers)
        for_mcu = tuple(peer.key for peer in self.peers if peer.for_mcu)
        return (
            Reference("best", "all tools", tools + before),
            Reference("best_sub", "all tools and subtraction", everything + before),
            Reference("best_mcu", "tools for microcontrollers", for_mcu + before),
        )

    def comparisons(self, format_key: str) -> list[Comparison]:
        """One for each reference; one without ratios where no pair has both sizes."""
        return [compare(self.pairs, format_key, to) for to in self.references(format_key)]


def measure(
    folders: Sequence[Path],
    peers: Sequence[Peer],
    formats: Sequence[Format],
    advance: Callable[[str], None] = lambda name: None,
) -> Bench:
    """Measure each pair; `advance` is called with its name when it is done.

    Raises Absent if none of our formats can be made.
    """
    versions, missing = _look_for(peers)
    lacking = {key for each in missing for key in each.keys}
    peers = [peer for peer in peers if peer.key not in lacking]
    formats = list(formats)
    pairs = []
    for folder in folders:
        base = (folder / "base.tflite").read_bytes()
        target = (folder / "target.tflite").read_bytes()
        pair = _Pair(base, target)
        for peer in peers:
            pair.weigh(peer)
        for each in tuple(formats):
            try:
                pair.weigh_ours(each)
            except Absent as absent:
                formats.remove(each)
                missing.append(Missing(f"TinyMLDelta's {each.name}", (each.key,), str(absent)))
        pairs.append(pair.measured(folder.name))
        advance(folder.name)
    if not formats:
        raise Absent("none of TinyMLDelta's formats can be made")
    return Bench(pairs, peers, formats, [*own_versions(), *versions], missing)


def _look_for(peers: Sequence[Peer]) -> tuple[list[str], list[Missing]]:
    """The versions of the peers' tools, and the tools that are not there."""
    versions: list[str] = []
    missing: list[Missing] = []
    for tool in dict.fromkeys(peer.tool for peer in peers):
        try:
            found = tool.version()
            versions.append(found if found.startswith(tool.name) else f"{tool.name}: {found}")
        except Absent as absent:
            keys = tuple(peer.key for peer in peers if peer.tool == tool)
            missing.append(Missing(tool.name, keys, str(absent)))
    return versions, missing


class _Pair:
    """What is found out about one pair, as it comes in."""

    def __init__(self, base: bytes, target: bytes) -> None:
        self._base, self._target = base, target
        self._sizes: dict[str, int] = {}
        self._parts: dict[str, Mapping[str, int]] = {}
        self._faults: dict[str, str] = {}

    def weigh(self, peer: Peer) -> None:
        result = attempt(peer.make, peer.apply, self._base, self._target)
        if result.made is not None:
            self._sizes[peer.key] = len(result.made)
        elif result.fault:
            self._faults[peer.key] = result.fault

    def weigh_ours(self, ours: Format) -> None:
        """Raises Absent."""
        result = attempt(ours.make, ours.apply, self._base, self._target)
        if result.made is not None:
            self._sizes[ours.key] = result.made.counted
            self._parts[ours.key] = result.made.parts
        elif result.fault:
            self._faults[ours.key] = result.fault

    def measured(self, name: str) -> Measured:
        sizes = len(self._base), len(self._target)
        return Measured(name, *sizes, self._sizes, self._parts, self._faults)
