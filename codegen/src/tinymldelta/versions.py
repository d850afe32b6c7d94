"""Versions of models: `1.2.3` for people, one number in contracts, patches and records.

The number is major * 2^24 + minor * 2^16 + patch, so that later versions are larger.
"""

from __future__ import annotations

import re

_PARTS = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,5})")
_NUMBER = re.compile(r"[0-9]{1,10}|0[xX][0-9a-fA-F]{1,8}")
_MAX = 0xFFFFFFFF


def parse_version(text: str) -> int:
    """The number of a version that somebody typed as `1.2.3` or as a whole number.

    ValueError, with a clause that says what would do, for anything else.
    """
    if parts := _PARTS.fullmatch(text):
        major, minor, patch = map(int, parts.groups())
        if major <= 0xFF and minor <= 0xFF and patch <= 0xFFFF:
            return major << 24 | minor << 16 | patch
    elif _NUMBER.fullmatch(text):
        number = int(text, 16 if text[:2].lower() == "0x" else 10)
        if number <= _MAX:
            return number
    raise ValueError(
        f"{text!r} is no version: give one like 1.2.3, up to 255.255.65535, or a whole number "
        "below 2^32"
    )


def version_text(version: int) -> str:
    """The version as `1.2.3`."""
    return f"{version >> 24}.{version >> 16 & 0xFF}.{version & 0xFFFF}"
