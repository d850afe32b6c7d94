"""What TinyMLDelta costs a firmware: code, RAM and stack, for several processors.

    python benchmarks/footprint.py [--out benchmarks/footprint.md] [--json] [--limits]

Compiles core and store, links a small firmware for each configuration, and reads the figures from
the link map, the object files and gcc's call graph. Exit status: 0, or 1 if a limit is exceeded,
the stack has no bound, or no compiler is there.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from measure import linkmap, stack, tables, toolchain
from measure.stack import OUTSIDE, Depth
from measure.toolchain import M33, TARGETS, Target

REPOSITORY = Path(__file__).resolve().parent.parent
DEVICE = Path("zephyr_module")
FIRMWARE = Path("benchmarks", "firmware")
INCLUDE = f"-I{(DEVICE / 'include').as_posix()}"

OWNERS = ("core", "store")


@dataclass(frozen=True)
class Configuration:
    key: str
    name: str
    defines: tuple[str, ...]


DECODER = Configuration("decoder", "decoder and guardrails", ("DECODER",))
STREAMED = Configuration("streamed", "streamed, with store", ("STREAMED",))
STAGED = Configuration("staged", "streamed and staged", ("STREAMED", "STAGED"))
TEXTS = Configuration("texts", "with status texts", ("STREAMED", "STAGED", "TEXTS"))
CONFIGURATIONS = (DECODER, STREAMED, STAGED, TEXTS)

# What the configurations are built with: format 1 alone.
FORMAT_1 = ("-DTMD_DECODER=0",)


@dataclass(frozen=True)
class Variant:
    """A decoder of format 2, alone. Limits in bytes on the Cortex-M33."""

    key: str
    name: str
    defines: tuple[str, ...]
    code_limit: int
    memory_limit: int


VARIANTS = (
    Variant("lean", "lean decoder", ("-DTMD_DECODER=1", "-DTMD_WITH_FORMAT_1=0"), 6144, 2560),
    Variant("default", "default decoder", ("-DTMD_DECODER=2", "-DTMD_WITH_FORMAT_1=0"), 9216, 6144),
)

# Source file and symbol to the part that they belong to; the first that matches. Files that are not
# here are parts of their own.
PARTS = (
    ("core/digest.o", "*fingerprint*", "fingerprint of a model"),
    ("core/digest.o", "*crc*", "CRC-32"),
    ("core/digest.o", "*", "SHA-256"),
    ("core/patch.o", "*", "decoder: all formats"),
    ("core/format1.o", "*", "decoder: format 1"),
    ("core/format2.o", "*", "decoder: heads"),
    ("core/body.o", "*", "decoder: body of format 2"),
    ("core/guard.o", "*", "guardrails"),
    ("core/status.o", "*", "status texts"),
    ("store/region.o", "*", "flash regions"),
    ("store/records.o", "*", "record log"),
    ("store/store.o", "*", "mount, read, map"),
    ("store/update.o", "*", "update and flash writer"),
)
ALIGNMENT = "alignment"

# What the calls through a pointer may reach, as they are written in the source. The flash port and
# the source of a staged patch are the platform's; their stack comes on top.
INDIRECT = {
    "io->emit": ("zephyr_module/store/update.c:emit",),
    "io->read_base": ("zephyr_module/store/update.c:read_base",),
    "flash->read": (OUTSIDE,),
    "flash->write": (OUTSIDE,),
    "flash->erase": (OUTSIDE,),
    "slot->flash->map": (OUTSIDE,),
    "source->read": (OUTSIDE,),
}

STREAMED_ENTRIES = (
    "tmd_store_mount",
    "tmd_store_read",
    "tmd_store_map",
    "tmd_update_begin",
    "tmd_update_write",
    "tmd_update_finish",
    "tmd_update_abort",
)
DECODER_ENTRIES = ("tmd_patch_head", "tmd_patch_body", "tmd_patch_end")
STAGED_ENTRIES = ("tmd_update_check", "tmd_update_staged")
ENTRIES = STREAMED_ENTRIES + STAGED_ENTRIES
WAYS = {"streamed": STREAMED_ENTRIES, "staged": ENTRIES}

STRUCTS = ("tmd_store", "tmd_update", "tmd_patch", "tmd_fingerprint")

BUFFER = 256  # TMD_WRITE_BUFFER's default
LEAN_BUFFER = 64
BUFFERS = (BUFFER, LEAN_BUFFER)

CODE_LIMIT = 5120
MEMORY_LIMIT = 1536


@dataclass
class Code:
    """The bytes of code and constants that one configuration links."""

    owners: dict[str, int]
    parts: dict[str, int]
    functions: dict[str, int]
    libraries: dict[str, int]
    library_bytes: int

    @property
    def total(self) -> int:
        return sum(self.owners.values())

    @property
    def with_libraries(self) -> int:
        return self.total + self.library_bytes


@dataclass
class Memory:
    """RAM, for one size of the write buffer."""

    static: int
    structs: dict[str, int]
    stacks: dict[str, Depth]

    def working(self, entries: Iterable[str]) -> int:
        """Store, update, and the deepest stack that one of the entries needs."""
        deepest = max(self.stacks[entry].bytes for entry in entries)
        return self.structs["tmd_store"] + self.structs["tmd_update"] + deepest


@dataclass
class Footprint:
    code: dict[str, Code] = field(default_factory=dict)  # by configuration
    memory: dict[int, Memory] = field(default_factory=dict)  # by TMD_WRITE_BUFFER
    decoders: dict[str, tuple[Code, int, int]] = field(default_factory=dict)  # struct, stack


# ---- measuring ----


def part_of(section: linkmap.InputSection) -> str:
    """The part that a section of core or store belongs to."""
    for file, symbol, part in PARTS:
        if section.file == file and fnmatch.fnmatchcase(section.symbol, symbol):
            return part
    return section.file.removesuffix(".o")


def measure(target: Target, folder: Path) -> Footprint:
    """Build everything for one target below `folder` and weigh it."""
    out = Footprint()
    for buffer in BUFFERS:
        build = folder / target.key / str(buffer)
        defines = (f"-DTMD_WRITE_BUFFER={buffer}", *FORMAT_1)
        objects = compile_device(target, build, defines)
        # The largest configuration has every library function that the analysis can meet.
        elf, linked = link_firmware(target, build, TEXTS, objects)
        stacks = stack.library_stacks(target, elf, linked, ".library")
        graph = stack.analyse(target, objects, REPOSITORY, INDIRECT, stacks)
        out.memory[buffer] = Memory(
            static=static_bytes(target, objects),
            structs=struct_sizes(target, build, buffer),
            stacks={entry: graph.deepest(entry) for entry in ENTRIES},
        )
        if buffer == BUFFER:
            called = set().union(*graph.calls.values())
            for configuration in CONFIGURATIONS:
                elf, linked = link_firmware(target, build, configuration, objects)
                out.code[configuration.key] = weigh(target, elf, linked, called)
    for variant in VARIANTS:
        out.decoders[variant.key] = measure_decoder(target, folder / target.key, variant)
    return out


def measure_decoder(target: Target, folder: Path, variant: Variant) -> tuple[Code, int, int]:
    """Code of a decoder with guardrails and digests, and its RAM: the struct and the stack."""
    build = folder / variant.key
    objects = compile_device(target, build, variant.defines)
    elf, linked = link_firmware(target, build, DECODER, objects, variant.defines)
    stacks = stack.library_stacks(target, elf, linked, ".library")
    outside = {**INDIRECT, "io->emit": (OUTSIDE,), "io->read_base": (OUTSIDE,)}
    graph = stack.analyse(target, objects, REPOSITORY, outside, stacks)
    called = set().union(*graph.calls.values())
    deepest = max(graph.deepest(entry).bytes for entry in DECODER_ENTRIES)
    size = struct_sizes(target, build, BUFFER, variant.defines)["tmd_patch"]
    return weigh(target, elf, linked, called), size, deepest


def compile_device(target: Target, build: Path, defines: Sequence[str]) -> list[Path]:
    objects = []
    for owner in OWNERS:
        for source in sorted((REPOSITORY / DEVICE / owner).glob("*.c")):
            obj = build / owner / f"{source.stem}.o"
            relative = source.relative_to(REPOSITORY)
            toolchain.compile_c(target, relative, obj, REPOSITORY, (INCLUDE, *defines))
            objects.append(obj)
    return objects


def link_firmware(
    target: Target,
    build: Path,
    configuration: Configuration,
    objects: Sequence[Path],
    extra: Sequence[str] = FORMAT_1,
) -> tuple[Path, linkmap.LinkMap]:
    defines = [*extra, *(f"-DBENCH_{name}" for name in configuration.defines)]
    firmware = build / "firmware.o"
    toolchain.compile_c(target, FIRMWARE / "firmware.c", firmware, REPOSITORY, (INCLUDE, *defines))
    elf = build / f"{configuration.key}.elf"
    # Relative names, which the linker script's patterns and the map's readers go by.
    inputs = [path.relative_to(build) for path in (firmware, *objects)]
    text = toolchain.link(target, REPOSITORY / FIRMWARE / "firmware.ld", inputs, elf)
    return elf, linkmap.parse(text)


def weigh(target: Target, elf: Path, linked: linkmap.LinkMap, called: set[str]) -> Code:
    owners = {owner: linked.sizes.get(f".{owner}", 0) for owner in OWNERS}
    parts: dict[str, int] = {}
    functions: dict[str, int] = {}
    for owner in OWNERS:
        fill = linked.fill.get(f".{owner}", 0)
        sections = linked.of(f".{owner}")
        if sum(section.size for section in sections) + fill != owners[owner]:
            raise toolchain.ToolError(f"the link map's sections do not add up to .{owner}")
        for section in sections:
            part = part_of(section)
            parts[part] = parts.get(part, 0) + section.size
            name = f"{section.file.removesuffix('.o')}: {section.symbol or section.name}"
            functions[name] = functions.get(name, 0) + section.size
        parts[ALIGNMENT] = parts.get(ALIGNMENT, 0) + fill
    libraries: dict[str, int] = {}
    symbols = toolchain.symbols(target, elf, elf.parent)
    for section in linked.of(".library"):
        end = section.address + section.size
        names = {
            name
            for name, (address, _) in symbols.items()
            if section.address <= address & ~1 < end and not name.startswith(("$", "."))
        }
        label = ", ".join(sorted(names & called)) or min(names, default=section.member)
        libraries[label] = libraries.get(label, 0) + section.size
    return Code(owners, parts, functions, libraries, linked.sizes.get(".library", 0))


def static_bytes(target: Target, objects: Sequence[Path]) -> int:
    """.data and .bss of our objects."""
    listed = toolchain.run([target.toolchain.tool("size"), *objects], REPOSITORY)
    rows = [line.split() for line in listed.splitlines()[1:]]
    return sum(int(row[1]) + int(row[2]) for row in rows)


def struct_sizes(
    target: Target, build: Path, buffer: int, defines: Sequence[str] = FORMAT_1
) -> dict[str, int]:
    obj = build / "structs.o"
    extra = (INCLUDE, f"-DTMD_WRITE_BUFFER={buffer}", *defines)
    toolchain.compile_c(target, FIRMWARE / "structs.c", obj, REPOSITORY, extra)
    symbols = toolchain.symbols(target, obj, build)
    return {struct: symbols[f"sizeof_{struct}"][1] for struct in STRUCTS}


# ---- limits ----


@dataclass(frozen=True)
class Limit:
    what: str
    bytes: int
    limit: int

    @property
    def holds(self) -> bool:
        return self.bytes <= self.limit

    def __str__(self) -> str:
        room = self.limit - self.bytes
        verdict = f"{room:,} to spare" if self.holds else f"EXCEEDED by {-room:,}"
        return f"{self.what}: {self.bytes:,} of {self.limit:,} bytes, {verdict}"


def limits_of(measured: dict[Target, Footprint]) -> list[Limit]:
    """The limits, with what was measured; none if their processor was not."""
    if M33 not in measured:
        return []
    footprint = measured[M33]
    code = footprint.code[STREAMED.key].total
    memory = footprint.memory[BUFFER].working(ENTRIES)
    return [
        Limit(f"code on {M33.name}, {STREAMED.name}", code, CODE_LIMIT),
        Limit(f"working memory on {M33.name}, streamed or staged", memory, MEMORY_LIMIT),
        *decoder_limits(footprint),
    ]


def decoder_limits(footprint: Footprint) -> Iterator[Limit]:
    for variant in VARIANTS:
        if variant.key in footprint.decoders:
            code, size, deepest = footprint.decoders[variant.key]
            yield Limit(
                f"code on {M33.name}, {variant.name}", code.owners["core"], variant.code_limit
            )
            yield Limit(
                f"working memory on {M33.name}, {variant.name}",
                size + deepest,
                variant.memory_limit,
            )


# ---- showing ----


def build_tables(measured: dict[Target, Footprint]) -> Iterator[tables.Table]:
    names = [target.name for target in measured]
    everything = list(measured.values())
    streamed = [footprint.code[STREAMED.key] for footprint in everything]

    yield total_table(names, everything)
    yield part_table(f"Code by part ({STREAMED.name})", names, [code.parts for code in streamed])
    if M33 in measured:
        parts = [measured[M33].code[configuration.key].parts for configuration in CONFIGURATIONS]
        columns = [configuration.name for configuration in CONFIGURATIONS]
        yield part_table(f"Code by part on {M33.name}", columns, parts)
    libraries = [code.libraries for code in streamed]
    yield part_table(f"Library functions ({STREAMED.name})", names, libraries)
    yield memory_table(names, everything)
    yield decoder_table(names, everything)
    yield stack_table(names, everything)


def decoder_table(names: Sequence[str], everything: Sequence[Footprint]) -> tables.Table:
    table = tables.Table("Decoders of format 2", ("", *names))
    table.note = (
        "Container, body, guardrails and digests, without store and format 1. Working memory"
        " is `struct tmd_patch` and the deepest stack, without that of the functions that read the"
        " base and take the target."
    )
    for variant in VARIANTS:
        measured = [footprint.decoders[variant.key] for footprint in everything]
        table.add(f"{variant.name}: code", *(code.owners["core"] for code, _, _ in measured))
        table.add(f"{variant.name}: struct", *(size for _, size, _ in measured))
        table.add(f"{variant.name}: stack", *(deepest for _, _, deepest in measured))
        table.add(f"{variant.name}: working memory", *(size + deep for _, size, deep in measured))
    return table


def total_table(names: Sequence[str], everything: Sequence[Footprint]) -> tables.Table:
    table = tables.Table("Code and constants", ("", *names))
    table.note = (
        "Linked, with what is not used dropped. Library functions are those of the C library and of"
        " libgcc that this adds to a firmware which has none of them yet."
    )
    for configuration in CONFIGURATIONS:
        codes = [footprint.code[configuration.key] for footprint in everything]
        table.add(f"{configuration.name}: core", *(code.owners["core"] for code in codes))
        table.add(f"{configuration.name}: store", *(code.owners["store"] for code in codes))
        table.add(f"{configuration.name}: both", *(code.total for code in codes))
        table.add(f"{configuration.name}: with libraries", *(code.with_libraries for code in codes))
    return table


def part_table(title: str, names: Sequence[str], columns: Sequence[dict[str, int]]) -> tables.Table:
    """One row for each key, those that stand for most bytes first."""
    table = tables.Table(title, ("", *names))
    most: dict[str, int] = {}
    for column in columns:
        for part, size in column.items():
            most[part] = max(size, most.get(part, 0))
    for part in sorted(most, key=lambda part: (part == ALIGNMENT, -most[part], part)):
        table.add(part, *(column.get(part) for column in columns))
    return table


def memory_table(names: Sequence[str], everything: Sequence[Footprint]) -> tables.Table:
    table = tables.Table("RAM", ("", *names))
    table.note = (
        "Working memory is struct tmd_store, struct tmd_update, which has tmd_patch and"
        " tmd_fingerprint in it, and the deepest stack of the functions below."
    )
    default = [footprint.memory[BUFFER] for footprint in everything]
    lean = [footprint.memory[LEAN_BUFFER] for footprint in everything]
    table.add("static (.data, .bss)", *(memory.static for memory in default))
    for struct in STRUCTS:
        table.add(f"struct {struct}", *(memory.structs[struct] for memory in default))
    for way, entries in WAYS.items():
        table.add(f"working memory, {way}", *(memory.working(entries) for memory in default))
    for way, entries in WAYS.items():
        label = f"the same, {way}, TMD_WRITE_BUFFER={LEAN_BUFFER}"
        table.add(label, *(memory.working(entries) for memory in lean))
    return table


def stack_table(names: Sequence[str], everything: Sequence[Footprint]) -> tables.Table:
    table = tables.Table("Worst-case stack", ("", *names))
    table.note = (
        "From gcc's call graph; that of library functions from their machine code. Upper bounds:"
        " tail calls count as calls. On top come the stack of the flash port's functions and of a"
        " staged patch's source, and that of interrupts."
    )
    for entry in ENTRIES:
        depths = [footprint.memory[BUFFER].stacks[entry] for footprint in everything]
        table.add(entry, *(depth.bytes for depth in depths))
    return table


def deepest_paths(measured: dict[Target, Footprint]) -> dict[str, str]:
    """On the processor that the limits are for: what the deepest stack consists of."""
    if M33 not in measured:
        return {}
    stacks = measured[M33].memory[BUFFER].stacks
    return {entry: str(stacks[entry]) for entry in ENTRIES}


def render_markdown(
    measured: dict[Target, Footprint], versions: Sequence[str], skipped: Sequence[str]
) -> str:
    flags = " ".join(toolchain.COMPILE_FLAGS)
    out = (
        "# Footprint\n\n"
        f"Written by `./run bench`. All figures are bytes; compiled with `{flags}`:\n\n"
    )
    out += "".join(f"- {version}\n" for version in versions)
    out += "".join(f"- {line}\n" for line in skipped)
    limits = limits_of(measured)
    if limits:
        out += "\n## Limits\n\n" + "".join(f"- {limit}\n" for limit in limits)
    out += "\n"
    for table in build_tables(measured):
        out += tables.markdown(table)
    paths = deepest_paths(measured)
    if paths:
        out += f"## The deepest paths on {M33.name}\n\nEach function with its frame.\n\n"
        out += "".join(f"- {path}\n" for path in paths.values())
    return out.rstrip("\n") + "\n"


def render_json(
    measured: dict[Target, Footprint], versions: Sequence[str], skipped: Sequence[str]
) -> str:
    def memory_of(memory: Memory) -> dict[str, object]:
        return {
            "static": memory.static,
            "structs": memory.structs,
            "stack": {
                entry: {"bytes": depth.bytes, "path": [list(step) for step in depth.path]}
                for entry, depth in memory.stacks.items()
            },
            "working_memory": {way: memory.working(entries) for way, entries in WAYS.items()},
        }

    def code_of(code: Code) -> dict[str, object]:
        return {
            **code.owners,
            "total": code.total,
            "with_libraries": code.with_libraries,
            "parts": code.parts,
            "functions": code.functions,
            "libraries": code.libraries,
        }

    document = {
        "compilers": list(versions),
        "skipped": list(skipped),
        "targets": {
            target.key: {
                "name": target.name,
                "code": {key: code_of(code) for key, code in footprint.code.items()},
                "memory": {
                    str(buffer): memory_of(memory) for buffer, memory in footprint.memory.items()
                },
            }
            for target, footprint in measured.items()
        },
        "limits": [
            {"what": limit.what, "bytes": limit.bytes, "limit": limit.limit, "holds": limit.holds}
            for limit in limits_of(measured)
        ],
    }
    return json.dumps(document, indent=2)


# ---- the command ----


def fail(message: str) -> int:
    print(f"footprint: {message}", file=sys.stderr)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Code size, RAM and stack of core and store.")
    parser.add_argument(
        "--out",
        type=Path,
        default=REPOSITORY / "benchmarks" / "footprint.md",
        metavar="FILE",
        help="Markdown file to write (default: benchmarks/footprint.md)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--limits",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="exit 1 if a limit is exceeded (default)",
    )
    options = parser.parse_args(arguments)

    toolchains = list(dict.fromkeys(target.toolchain for target in TARGETS))
    there = [chain for chain in toolchains if toolchain.is_installed(chain)]
    skipped = [
        f"skipped: {', '.join(target.name for target in TARGETS if target.toolchain == chain)}: "
        f"no {chain.tool('gcc')} with {chain.library}; {chain.install_hint}"
        for chain in toolchains
        if chain not in there
    ]
    for line in skipped:
        print(line, file=sys.stderr)
    if not there:
        return fail("no cross compiler is there")

    targets = [target for target in TARGETS if target.toolchain in there]
    try:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda target: measure(target, Path(folder)), targets))
    except (toolchain.ToolError, stack.StackError) as error:
        return fail(str(error))
    measured = dict(zip(targets, results, strict=True))
    versions = [toolchain.describe(chain) for chain in there]

    if options.json:
        print(render_json(measured, versions, skipped))
    else:
        tables.print_all(build_tables(measured), versions)
    text = render_markdown(measured, versions, skipped)
    if not options.out.exists() or options.out.read_text(encoding="utf-8") != text:
        options.out.write_text(text, encoding="utf-8")

    return check(measured, options.limits)


def check(measured: dict[Target, Footprint], limits_count: bool) -> int:
    """Say what does not hold. Static RAM is always an error; the limits are when asked for."""
    for target, footprint in measured.items():
        static = footprint.memory[BUFFER].static
        if static != 0:
            return fail(f"core and store have {static} bytes of static RAM on {target.name}")
    limits = limits_of(measured)
    if limits_count and not limits:
        return fail(f"the limits cannot be checked without a compiler for {M33.name}")
    for limit in limits:
        print(f"{'limit' if limit.holds else 'LIMIT'}: {limit}", file=sys.stderr)
    return 1 if limits_count and not all(limit.holds for limit in limits) else 0


if __name__ == "__main__":
    sys.exit(main())
