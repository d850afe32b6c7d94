"""What the linker put where: input sections with their owners, read from the map of GNU ld."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A section's line, joined with its continuation when the name was too long for one line.
_SECTION = re.compile(r"^ (\.[\w.$]+|COMMON)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*)$")
_OUTPUT = re.compile(r"^(\.\w+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)")
_FILL = re.compile(r"^ \*fill\*\s+0x[0-9a-f]+\s+0x([0-9a-f]+)")
_LONG_NAME = re.compile(r"^( ?\.[\w.$]+)\n\s+0x", re.MULTILINE)
_KIND = re.compile(r"^\.(?:text|s?rodata|s?data|s?bss)\.(.+)$")


@dataclass(frozen=True)
class InputSection:
    """One section of one object file, as it was linked."""

    output: str  # the output section
    name: str
    address: int
    size: int
    file: str  # object file, or archive(member)

    @property
    def symbol(self) -> str:
        """The function or object in it, of files compiled with a section for each; else ''."""
        found = _KIND.match(self.name)
        return found[1] if found else ""

    @property
    def member(self) -> str:
        """Without folders: `libc_nano.a(memcpy.o)`."""
        return self.file.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class LinkMap:
    sections: tuple[InputSection, ...]
    sizes: dict[str, int]  # of the output sections
    fill: dict[str, int]  # bytes lost to alignment, by output section

    def of(self, output: str) -> list[InputSection]:
        return [section for section in self.sections if section.output == output]


def parse(text: str) -> LinkMap:
    _, _, body = text.partition("Linker script and memory map")
    if not body:
        raise ValueError("not a link map of GNU ld")
    body = _LONG_NAME.sub(lambda m: f"{m[1]} 0x", body)
    sections: list[InputSection] = []
    sizes: dict[str, int] = {}
    fill: dict[str, int] = {}
    output = ""
    for line in body.splitlines():
        if found := _OUTPUT.match(line):
            output = found[1]
            sizes[output] = int(found[3], 16)
        elif line and not line[0].isspace():
            output = line.split()[0]  # /DISCARD/ and the like
        elif found := _FILL.match(line):
            fill[output] = fill.get(output, 0) + int(found[1], 16)
        elif found := _SECTION.match(line):
            size = int(found[3], 16)
            if size > 0:
                section = InputSection(output, found[1], int(found[2], 16), size, found[4])
                sections.append(section)
    return LinkMap(tuple(sections), sizes, fill)
