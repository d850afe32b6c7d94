"""Decoders side by side on emulated cores: ours, and others that are described outside of here."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# Not a package: what SCons, the tests and the benches need of the emulated boards.
sys.path.append(str(REPOSITORY / "boards" / "emulated"))
