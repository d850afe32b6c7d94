"""Assembles TinyMLDelta as a library for Arduino and PlatformIO, from the one source.

    python bundle.py --out build/arduino/TinyMLDelta-0.1.0.zip [--option TMD_DECODER=1 ...]

The zip holds one folder, TinyMLDelta, as the Arduino IDE ("Add .ZIP Library") and PlatformIO take
it. Public headers, core, store and the management group lie below src/ as they lie in
zephyr_module/, so that what they include of each other is found with src/ alone on the include
path. One place of config.h is another one: where there is no TMD_CONFIG_FILE, it includes
src/tmd_options.h, because Arduino has no way to give a library options. The same source and options
give the same bytes.

Needs Python 3.11 and nothing else.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, NoReturn

HERE: Final = Path(__file__).resolve().parent
MODULE: Final = HERE.parents[1]
ROOT: Final = MODULE.parent
NAME: Final = "TinyMLDelta"
# library.properties has to have one; a checkout does not know its own.
URL: Final = "https://example.org/URL-OF-THIS-REPOSITORY"

# The lowest date that a zip can have: the files have none of their own.
DATE: Final = (1980, 1, 1, 0, 0, 0)
FILE_MODE: Final = 0o100644 << 16

# What lies where below src/: folder here, folder there, endings.
ROOMS: Final = (
    (MODULE / "include" / "tinymldelta", "src/tinymldelta", (".h",)),
    (MODULE / "core", "src/core", (".c", ".h")),
    (MODULE / "store", "src/store", (".c", ".h")),
    (MODULE / "smp", "src/smp", (".c", ".h")),
    (HERE / "src", "src", (".c", ".cpp", ".h")),
)
SINGLE: Final = (
    (MODULE / "ports" / "esp_idf" / "tinymldelta" / "tmd_esp_partition.c", "src"),
    (MODULE / "ports" / "esp_idf" / "tinymldelta" / "tmd_esp_partition.h", "src"),
    (ROOT / "LICENSE", "."),
    (HERE / "README.md", "."),
    (HERE / "keywords.txt", "."),
    (HERE / "library.json", "."),
    (HERE / "library.properties", "."),
    (ROOT / "samples" / "arduino" / "send.py", "extras"),
)
SKETCHES: Final = ROOT / "samples" / "arduino"
# What of a sketch's folder is ours. What `tmd codegen` writes beside it is not.
SKETCH_ENDINGS: Final = (".ino", ".csv", ".md")

CONFIG: Final = "src/tinymldelta/config.h"
CONFIG_LINES: Final = "#ifdef TMD_CONFIG_FILE\n#include TMD_CONFIG_FILE\n#endif\n"
CONFIG_INSTEAD: Final = (
    '#ifdef TMD_CONFIG_FILE\n#include TMD_CONFIG_FILE\n#else\n#include "../tmd_options.h"\n#endif\n'
)
OPTIONS: Final = "src/tmd_options.h"
OPTION: Final = re.compile(r"(TMD_[A-Z0-9_]+)=([0-9]+)")


class BundleError(Exception):
    """What the user is told."""


@dataclass(frozen=True)
class File:
    path: str
    """Below the library's folder."""
    data: bytes


def version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        found = tomllib.load(file)["project"]["version"]
    assert isinstance(found, str)
    return found


def known_options() -> set[str]:
    """Options that config.h has a default for."""
    text = (MODULE / "include" / "tinymldelta" / "config.h").read_text(encoding="utf-8")
    return set(re.findall(r"^#ifndef (TMD_[A-Z0-9_]+)$", text, re.MULTILINE))


def read_options(options: list[str]) -> dict[str, str]:
    """NAME=NUMBER to name and number. Refuses what is no option of config.h."""
    found = {}
    for option in options:
        match = OPTION.fullmatch(option)
        if match is None:
            raise BundleError(f"--option {option}: write NAME=NUMBER, such as TMD_DECODER=1")
        if match[1] not in known_options():
            raise BundleError(
                f"--option {option}: {match[1]} is no option; they are those of "
                "zephyr_module/include/tinymldelta/config.h"
            )
        found[match[1]] = match[2]
    return found


def _sources() -> list[tuple[Path, str]]:
    pairs = []
    for folder, into, endings in ROOMS:
        pairs += [
            (path, f"{into}/{path.name}") for path in folder.iterdir() if path.suffix in endings
        ]
    pairs += [(path, str(PurePosixPath(into) / path.name)) for path, into in SINGLE]
    for sketch in SKETCHES.glob("*/*.ino"):
        pairs += [
            (path, f"examples/{sketch.stem}/{path.name}")
            for path in sketch.parent.iterdir()
            if path.suffix in SKETCH_ENDINGS
        ]
    return pairs


def _replaced(text: str, what: str, by: str, path: str) -> str:
    if text.count(what) != 1:
        raise BundleError(f"{path} has not the one place that is to become {by.splitlines()[0]!r}")
    return text.replace(what, by)


def _with_options(text: str, options: dict[str, str]) -> str:
    lines = "".join(
        f"#ifndef {name}\n#define {name} {number}\n#endif\n"
        for name, number in sorted(options.items())
    )
    return _replaced(text, "\n#endif /* TMD_OPTIONS_H */", f"\n{lines}#endif", OPTIONS)


def _adapted(text: str, path: str, options: dict[str, str], url: str) -> str:
    if path == CONFIG:
        return _replaced(text, CONFIG_LINES, CONFIG_INSTEAD, path)
    if path == OPTIONS:
        return _with_options(text, options)
    if path in ("library.json", "library.properties"):
        return text.replace("@VERSION@", version()).replace("@URL@", url)
    return text


def files(options: dict[str, str] | None = None, url: str = URL) -> list[File]:
    """All files of the library, by path. Two that differ in case alone are refused."""
    found: dict[str, File] = {}
    for source, path in _sources():
        text = source.read_text(encoding="utf-8")
        if path.lower() in found:
            raise BundleError(f"two files are called {path}")
        found[path.lower()] = File(path, _adapted(text, path, options or {}, url).encode())
    return sorted(found.values(), key=lambda file: file.path)


def assemble(out: Path, options: dict[str, str] | None = None, url: str = URL) -> list[str]:
    """Write the zip. Returns the paths in it, in order; the file is there whole, or not at all."""
    content = files(options, url)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.part")
    names = []
    with zipfile.ZipFile(unfinished, "w") as bundle:
        for file in content:
            entry = zipfile.ZipInfo(f"{NAME}/{file.path}", DATE)
            entry.external_attr = FILE_MODE
            entry.create_system = 3  # Unix, wherever this runs
            # What compressed bytes are depends on the zlib that Python has.
            entry.compress_type = zipfile.ZIP_STORED
            bundle.writestr(entry, file.data)
            names.append(entry.filename)
    unfinished.replace(out)
    return names


def main() -> NoReturn:
    parser = argparse.ArgumentParser(description="Assembles the Arduino library.")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "arduino" / f"{NAME}-{version()}.zip"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="an option of config.h that the library is compiled with, such as TMD_DECODER=1",
    )
    parser.add_argument("--url", default=URL, help="what library.properties names as its home")
    arguments = parser.parse_args()
    try:
        names = assemble(arguments.out, read_options(arguments.option), arguments.url)
    except (BundleError, OSError) as error:
        print(f"bundle.py: {error}", file=sys.stderr)
        sys.exit(1)
    print(f"{arguments.out}: {len(names)} files")
    sys.exit(0)


if __name__ == "__main__":
    main()
