"""The options of the core, as tinymldelta/config.h has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from .places import INCLUDE

_DEFAULT = re.compile(
    r"/\*(?P<comment>(?:(?!\*/).)*)\*/\s*"
    r"#ifndef (?P<name>TMD_\w+)\n#define (?P=name) (?P<default>\w+)\n#endif",
    re.DOTALL,
)
_DECODER = re.compile(r"^#define (TMD_DECODER_\w+) (\d+)u?\b", re.MULTILINE)


class ConfigError(ValueError):
    """An option that config.h does not have, or a value that it does not take."""


@dataclass(frozen=True)
class Option:
    """default: as it is written, a number or a name.

    values: the numbers that it takes, or None where the C says whether it takes one.
    """

    name: str
    default: str
    values: tuple[int, ...] | None


@cache
def decoders() -> Mapping[str, int]:
    """TMD_DECODER_... of wire.h, by name."""
    text = (INCLUDE / "tinymldelta" / "wire.h").read_text(encoding="utf-8")
    return {name: int(number) for name, number in _DECODER.findall(text)}


@cache
def options() -> Mapping[str, Option]:
    """Every option that a build may set, by name."""
    text = (INCLUDE / "tinymldelta" / "config.h").read_text(encoding="utf-8")
    found: dict[str, Option] = {}
    for match in _DEFAULT.finditer(text):
        values: tuple[int, ...] | None = (0, 1) if "0 or 1" in match["comment"] else None
        if match["default"] in decoders():
            values = tuple(sorted(decoders().values()))
        found[match["name"]] = Option(match["name"], match["default"], values)
    return found


def checked(given: Mapping[str, object]) -> dict[str, int]:
    """Options as numbers, by name. Raises ConfigError for what config.h does not take."""
    result = {}
    for name, value in given.items():
        option = options().get(name)
        if option is None:
            raise ConfigError(f"there is no option {name}: use one of {', '.join(options())}")
        if isinstance(value, str):
            value = decoders().get(value, value) if option.name == "TMD_DECODER" else value
            try:
                value = int(value, 0) if isinstance(value, str) else value
            except ValueError:
                raise ConfigError(f"{name} is {value!r}, no whole number") from None
        if not isinstance(value, int):
            raise ConfigError(f"{name} is {value!r}, no whole number")
        if value < 0 or (option.values is not None and value not in option.values):
            one_of = ", ".join(map(str, option.values)) if option.values else "0 and up"
            raise ConfigError(f"{name} is {int(value)}: it takes {one_of}")
        result[name] = int(value)
    return result
