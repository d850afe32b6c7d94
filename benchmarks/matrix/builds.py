"""Compiles each source once for each text that options make of it.

An option changes few files. So all are preprocessed with each configuration first, by one compiler,
and what comes out the same is compiled once by each, for each core. One compiler will do for that,
since what a file asks about compiler and core has nothing to do with options; a test sees to it.
What was compiled is remembered in a file, by that text and the compiler.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tmd.places import CORE_SOURCES, ROOT, SMP_SOURCES

from matrix.combinations import Configuration
from matrix.compilers import SHAPE, STRICT, Compiler
from matrix.sections import Sizes, read_sizes
from measure.toolchain import ToolError, run

SOURCES = tuple(f"zephyr_module/{source}" for source in (*CORE_SOURCES, *SMP_SOURCES))
INCLUDE = "-Izephyr_module/include"
SAVE_EVERY = 500

Progress = Callable[[str, int, int], None]  # what is done, how many are, of how many


@dataclass(frozen=True)
class Build:
    """What one object of the matrix is compiled as."""

    compiler: Compiler
    level: str
    configuration: Configuration


@dataclass(frozen=True)
class Unit:
    """One compilation. text: digest of the file as it was preprocessed."""

    compiler: Compiler
    level: str
    source: str
    text: str

    def key(self, version: str) -> str:
        words = (
            version,
            *self.compiler.command,
            self.level,
            *STRICT,
            *SHAPE,
            self.source,
            self.text,
        )
        return hashlib.sha256("\0".join(words).encode()).hexdigest()


class Failed(Exception):  # noqa: N818 - what failed is not this program
    """Files that do not compile without a warning, with what the compiler says of each."""

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


def preprocess(compiler: Compiler, configuration: Configuration) -> dict[str, str]:
    """The digest of what the compiler sees of each source. Raises ToolError.

    All sources go through one call; markers of lines, which say where each begins, and empty lines
    are left out of the text.
    """
    command = (*compiler.command, "-std=c11", *configuration.defines, INCLUDE, "-E", *SOURCES)
    digests = {source: hashlib.sha256() for source in SOURCES}
    coming = iter(SOURCES)
    awaited = next(coming)
    current = digests[awaited]
    for line in run(command, ROOT).splitlines():
        if line.startswith("# "):
            if f'"{awaited}"' in line:
                current = digests[awaited]
                awaited = next(coming, "")
        elif line and not line.isspace():
            current.update(line.encode() + b"\n")
    if awaited:
        raise ToolError(f"{compiler.program}: {awaited} is not in what -E printed")
    return {source: digest.hexdigest() for source, digest in digests.items()}


def compile_one(unit: Unit, configuration: Configuration, folder: Path) -> Sizes:
    """Compile with the strict flags, and weigh the object. Raises ToolError, with the warnings."""
    flags = (*STRICT, *SHAPE, unit.level, *configuration.defines, INCLUDE)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        out = Path(name) / "unit.o"
        run([*unit.compiler.command, *flags, "-c", unit.source, "-o", out], ROOT)
        return read_sizes(out.read_bytes())


def refused(compiler: Compiler, configuration: Configuration) -> str:
    """What the compiler says of options that must not compile; empty if it compiles all files."""
    for source in SOURCES:
        command = (*compiler.command, *STRICT, *configuration.defines, INCLUDE, "-fsyntax-only")
        try:
            run([*command, source], ROOT)
        except ToolError as error:
            return str(error)
    return ""


class Remembered:
    """Sizes by the key of a unit, kept in a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._sizes: dict[str, Sizes] = {}
        if path is not None and path.exists():
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
                self._sizes = {key: Sizes(**sizes) for key, sizes in document.items()}
            except (ValueError, TypeError, AttributeError):
                pass  # not ours: compile again

    def get(self, key: str) -> Sizes | None:
        return self._sizes.get(key)

    def put(self, key: str, sizes: Sizes) -> None:
        self._sizes[key] = sizes

    def save(self) -> None:
        """Write the file, so that what comes after a cut goes on."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            document = {key: asdict(sizes) for key, sizes in self._sizes.copy().items()}
            beside = self._path.with_suffix(".new")
            beside.write_text(json.dumps(document), encoding="utf-8")
            beside.replace(self._path)


Objects = dict[Build, dict[str, Sizes]]


def measure(
    builds: Iterable[Build], *, jobs: int, remembered: Remembered, progress: Progress
) -> tuple[Objects, int]:
    """Compile everything, `jobs` at a time. Raises Failed with everything that does not compile.

    Returns the sizes of each build's objects by source, and how many compilations they stand for.
    """
    builds = list(dict.fromkeys(builds))
    versions = {b.compiler: b.compiler.version for b in builds}
    with ThreadPoolExecutor(jobs) as pool, tempfile.TemporaryDirectory() as name:
        texts = _preprocess_all(pool, builds, progress)
        units: dict[Unit, Configuration] = {}
        for build in builds:
            for source, text in texts[build.configuration].items():
                unit = Unit(build.compiler, build.level, source, text)
                units.setdefault(unit, build.configuration)
        sizes = _compile_all(pool, units, versions, Path(name), remembered, progress)
    objects: Objects = {}
    for build in builds:
        objects[build] = {
            source: sizes[Unit(build.compiler, build.level, source, text)]
            for source, text in texts[build.configuration].items()
        }
    return objects, len(units)


def _preprocess_all(
    pool: ThreadPoolExecutor, builds: Sequence[Build], progress: Progress
) -> dict[Configuration, dict[str, str]]:
    wanted = list(dict.fromkeys(b.configuration for b in builds))
    compiler = builds[0].compiler
    texts = {}
    results = pool.map(lambda configuration: preprocess(compiler, configuration), wanted)
    for done, (configuration, text) in enumerate(zip(wanted, results, strict=True), 1):
        texts[configuration] = text
        progress("preprocessing configurations", done, len(wanted))
    return texts


def _compile_all(
    pool: ThreadPoolExecutor,
    units: dict[Unit, Configuration],
    versions: dict[Compiler, str],
    folder: Path,
    remembered: Remembered,
    progress: Progress,
) -> dict[Unit, Sizes]:
    def one(unit: Unit) -> tuple[Unit, Sizes | None, str]:
        key = unit.key(versions[unit.compiler])
        sizes = remembered.get(key)
        if sizes is None:
            try:
                sizes = compile_one(unit, units[unit], folder)
            except ToolError as error:
                what = f"{unit.compiler.program} {unit.level} for {unit.compiler.core.name}"
                return unit, None, f"{what}, {units[unit].name}: {error}"
            remembered.put(key, sizes)
        return unit, sizes, ""

    out: dict[Unit, Sizes] = {}
    failed: list[str] = []
    try:
        for done, (unit, sizes, message) in enumerate(pool.map(one, units), 1):
            if sizes is None:
                failed.append(message)
            else:
                out[unit] = sizes
            if done % SAVE_EVERY == 0:
                remembered.save()
            progress("compiling files", done, len(units))
    finally:
        remembered.save()
    if failed:
        raise Failed(failed)
    return out
