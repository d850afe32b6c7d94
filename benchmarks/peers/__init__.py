"""What `./run bench size` measures: peers, TinyMLDelta's own formats, and how they compare."""

from __future__ import annotations

from .libraries import BSDIFF4, DETOOLS, HDIFFPATCH, HPATCHLITE, SUBTRACTION
from .peer import Peer
from .programs import XDELTA3, ZSTD

PEERS: tuple[Peer, ...] = (
    *BSDIFF4,
    *DETOOLS,
    *HDIFFPATCH,
    *HPATCHLITE,
    *XDELTA3,
    *ZSTD,
    *SUBTRACTION,
)
