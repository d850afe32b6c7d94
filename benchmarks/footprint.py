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
    """A firmware: what it uses of the API, and the options that the library is built with."""

    key: str
    name: str
    uses: tuple[str, ...]  # BENCH_... of firmware.c
    options: tuple[str, ...]

    @property
    def entries(self) -> tuple[str, ...]:
        """The functions that it calls and whose stack counts."""
        return tuple(entry for use in self.uses for entry in ENTRIES[use])

    @property
    def structs(self) -> tuple[str, ...]:
        """The structs that it has, of each one, and that working memory counts."""
        return tuple(struct for use in self.uses for struct in HELD.get(use, ()))


ENTRIES = {
    "DECODER": ("tmd_patch_head", "tmd_guard_check", "tmd_patch_body", "tmd_patch_end"),
    "STREAMED": (
        "tmd_store_mount",
        "tmd_store_open",
        "tmd_model_read",
        "tmd_store_close",
        "tmd_update_begin",
        "tmd_update_write",
        "tmd_update_finish",
        "tmd_update_abort",
    ),
    "STAGED": ("tmd_update_check", "tmd_update_staged"),
    "STAGING": (
        "tmd_staging_begin",
        "tmd_staging_write",
        "tmd_staging_apply",
        "tmd_staging_resume",
    ),
    "TRIAL": ("tmd_store_confirm", "tmd_store_revert"),
    "OTHERS": (
        "tmd_store_read",
        "tmd_store_changed",
        "tmd_store_forget",
        "tmd_store_get_info",
        "tmd_store_metadata",
    ),
    "TEXTS": (),
}
HELD = {
    "DECODER": ("tmd_patch",),
    "STREAMED": ("tmd_store", "tmd_update"),
    "STAGING": ("tmd_staging",),
}

FORMAT_1 = ("-DTMD_DECODER=0",)
# The smallest store; TMD_STAGING and TMD_SELF_TEST are off by what they follow.
SMALLEST = (*FORMAT_1, "-DTMD_TRIAL=0", "-DTMD_RESUME=0")

DECODER = Configuration("decoder", "decoder and guardrails", ("DECODER",), SMALLEST)
STREAMED = Configuration("streamed", "streamed, with store", ("STREAMED",), SMALLEST)

# What the store can do beyond that, each on top of the one before. From TMD_SELF_TEST on, all
# options of the store have their defaults.
STAGED = Configuration("staged", "staged apply", (*STREAMED.uses, "STAGED"), SMALLEST)
RESUME = Configuration(
    "resume", "TMD_RESUME", STAGED.uses, (*FORMAT_1, "-DTMD_TRIAL=0", "-DTMD_STAGING=0")
)
STAGING = Configuration(
    "staging", "TMD_STAGING", (*RESUME.uses, "STAGING"), (*FORMAT_1, "-DTMD_TRIAL=0")
)
TRIAL = Configuration(
    "trial", "TMD_TRIAL", (*STAGING.uses, "TRIAL"), (*FORMAT_1, "-DTMD_SELF_TEST=0")
)
SELF_TEST = Configuration("self_test", "TMD_SELF_TEST", TRIAL.uses, FORMAT_1)
WHOLE = Configuration("whole", "other functions", (*SELF_TEST.uses, "OTHERS"), FORMAT_1)
STEPS = (STREAMED, STAGED, RESUME, STAGING, TRIAL, SELF_TEST, WHOLE)

TEXTS = Configuration("texts", "whole store, with status texts", (*WHOLE.uses, "TEXTS"), FORMAT_1)

# The sums that the first table shows.
TOTALS = {
    DECODER: DECODER.name,
    STREAMED: STREAMED.name,
    STAGED: "streamed and staged",
    WHOLE: "whole store",
    TEXTS: TEXTS.name,
}

LEAN_BUFFER = 128  # the smallest TMD_WRITE_BUFFER; by default it is 256
SMALL_BUFFER = Configuration(
    "small_buffer",
    f"TMD_WRITE_BUFFER={LEAN_BUFFER}",
    STAGED.uses,
    (*SMALLEST, f"-DTMD_WRITE_BUFFER={LEAN_BUFFER}"),
)

# The whole store with format 2.
LEAN = ("-DTMD_DECODER=1",)
DEFAULT = ("-DTMD_DECODER=2",)
FORMAT_2 = ("-DTMD_WITH_FORMAT_1=0",)
STORES = (
    Configuration("lean_2", "lean decoder, format 2 alone", WHOLE.uses, (*LEAN, *FORMAT_2)),
    Configuration("lean_both", "lean decoder, both formats", WHOLE.uses, LEAN),
    Configuration(
        "default_2", "default decoder, format 2 alone", WHOLE.uses, (*DEFAULT, *FORMAT_2)
    ),
    Configuration("default_both", "default decoder, both formats", WHOLE.uses, DEFAULT),
)


@dataclass(frozen=True)
class Variant:
    """A decoder of format 2, alone. Limits in bytes on the Cortex-M33, without its guardrails."""

    configuration: Configuration
    code_limit: int
    memory_limit: int

    @property
    def name(self) -> str:
        return self.configuration.name


VARIANTS = (
    Variant(Configuration("lean", "lean decoder", ("DECODER",), (*LEAN, *FORMAT_2)), 6144, 2560),
    Variant(
        Configuration("default", "default decoder", ("DECODER",), (*DEFAULT, *FORMAT_2)), 9216, 6144
    ),
)

CONFIGURATIONS = (
    DECODER,
    *STEPS,
    TEXTS,
    SMALL_BUFFER,
    *STORES,
    *(variant.configuration for variant in VARIANTS),
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
    ("core/guard.o", "*", "guardrails: rules"),
    ("core/operators.o", "*", "guardrails: operators"),
    ("core/metadata.o", "*", "guardrails: metadata"),
    ("store/store.o", "tmd_metadata_offset", "guardrails: metadata"),
    ("store/open.o", "tmd_store_metadata", "guardrails: metadata"),
    ("store/writer.o", "tmd_writer_metadata", "guardrails: metadata"),
    ("core/status.o", "*", "status texts"),
    ("store/region.o", "*", "flash regions"),
    ("store/records.o", "*", "record log"),
    ("store/store.o", "*", "mount"),
    ("store/open.o", "*", "open, trial"),
    ("store/self_test.o", "*", "test vectors"),
    ("store/update.o", "*", "update"),
    ("store/writer.o", "*", "flash writer"),
    ("store/staging.o", "*", "staging region"),
)
ALIGNMENT = "alignment"
GUARDRAILS = tuple(part for _, _, part in PARTS if part.startswith("guardrails"))
HEAD_CRC = "CRC-32"  # which a decoder of format 2 has for heads alone

# What the calls through a pointer may reach, as they are written in the source. Flash port,
# inference and the source of a staged patch are the platform's; their stack comes on top.
INDIRECT = {
    "io->emit": ("tmd_writer_emit",),
    "io->read_base": ("zephyr_module/store/update.c:read_base",),
    "flash->read": (OUTSIDE,),
    "flash->write": (OUTSIDE,),
    "flash->erase": (OUTSIDE,),
    "region->flash->map": (OUTSIDE,),
    "v->inference->setup": (OUTSIDE,),
    "v->inference->input": (OUTSIDE,),
    "v->inference->invoke": (OUTSIDE,),
    "v->inference->output": (OUTSIDE,),
    "source->read": (OUTSIDE,),
    "crypto->verify": (OUTSIDE,),
    "crypto->agree": (OUTSIDE,),
    "crypto->aes128": (OUTSIDE,),
}
# What they reach instead in a firmware that uses this.
INDIRECT_WITH: dict[str, dict[str, Sequence[str]]] = {
    "DECODER": {"io->emit": (OUTSIDE,), "io->read_base": (OUTSIDE,)},
    "STAGING": {"source->read": (OUTSIDE, "zephyr_module/store/staging.c:read_staged")},
}

KEPT = "kept"
STRUCTS = ("tmd_store", "tmd_update", "tmd_staging", "tmd_model", "tmd_patch", "tmd_fingerprint")

# Working memory of the smallest store, by what the firmware calls.
WAYS = {"streamed": STREAMED.entries, "staged": STAGED.entries}

CODE_LIMIT = 5984
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

    def of(self, parts: Iterable[str]) -> int:
        return sum(self.parts.get(part, 0) for part in set(parts))


@dataclass
class Memory:
    """The RAM of one configuration."""

    static: int
    kept: int  # of tmd_patch, for metadata that stay with a model
    structs: dict[str, int]  # all that there are
    held: tuple[str, ...]  # those that working memory counts
    stacks: dict[str, Depth]

    @property
    def held_bytes(self) -> int:
        return sum(self.structs[struct] for struct in self.held)

    def deepest(self, entries: Iterable[str] = ()) -> int:
        """The deepest stack that one of the entries needs, or of all entries."""
        return max(self.stacks[entry].bytes for entry in entries or self.stacks)

    def working(self, entries: Iterable[str] = ()) -> int:
        """The structs that the caller has, and the deepest stack."""
        return self.held_bytes + self.deepest(entries)


@dataclass
class Footprint:
    """What one target needs, by the key of the configuration."""

    code: dict[str, Code] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)


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
    built: dict[tuple[str, ...], tuple[Path, list[Path]]] = {}
    for configuration in CONFIGURATIONS:
        options = configuration.options
        if options not in built:
            build = folder / target.key / str(len(built))
            built[options] = build, compile_device(target, build, options)
        code, memory = measure_one(target, configuration, *built[options])
        out.code[configuration.key] = code
        out.memory[configuration.key] = memory
    return out


def measure_one(
    target: Target, configuration: Configuration, build: Path, objects: Sequence[Path]
) -> tuple[Code, Memory]:
    """Link one configuration's firmware with `objects`, which lie below `build`, and weigh it."""
    elf, linked = link_firmware(target, build, configuration, objects)
    stacks = stack.library_stacks(target, elf, linked, ".library")
    graph = stack.analyse(target, objects, REPOSITORY, indirect_of(configuration), stacks)
    sizes = struct_sizes(target, build, configuration.options)
    memory = Memory(
        static=static_bytes(target, objects),
        kept=sizes.pop(KEPT),
        structs=sizes,
        held=configuration.structs,
        stacks={entry: graph.deepest(entry) for entry in configuration.entries},
    )
    return weigh(target, elf, linked, set().union(*graph.calls.values())), memory


def indirect_of(configuration: Configuration) -> dict[str, Sequence[str]]:
    """What the calls through a pointer may reach in this firmware."""
    indirect: dict[str, Sequence[str]] = dict(INDIRECT)
    for use in configuration.uses:
        indirect |= INDIRECT_WITH.get(use, {})
    return indirect


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
    target: Target, build: Path, configuration: Configuration, objects: Sequence[Path]
) -> tuple[Path, linkmap.LinkMap]:
    defines = [*configuration.options, *(f"-DBENCH_{use}" for use in configuration.uses)]
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


def struct_sizes(target: Target, build: Path, options: Sequence[str]) -> dict[str, int]:
    """Of the structs that these options leave, and of KEPT."""
    obj = build / "structs.o"
    toolchain.compile_c(target, FIRMWARE / "structs.c", obj, REPOSITORY, (INCLUDE, *options))
    symbols = toolchain.symbols(target, obj, build)
    sizes = {struct: symbols.get(f"sizeof_{struct}") for struct in (*STRUCTS, KEPT)}
    return {struct: symbol[1] for struct, symbol in sizes.items() if symbol is not None}


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
    memory = footprint.memory[STAGED.key].working()
    return [
        Limit(f"code on {M33.name}, {STREAMED.name}", code, CODE_LIMIT),
        Limit(f"working memory on {M33.name}, streamed or staged", memory, MEMORY_LIMIT),
        *decoder_limits(footprint),
    ]


def decoder_limits(footprint: Footprint) -> Iterator[Limit]:
    for variant in VARIANTS:
        key = variant.configuration.key
        code, memory = footprint.code[key], footprint.memory[key]
        name = f"{M33.name}, {variant.name} without guardrails"
        alone = code.total - code.of((*GUARDRAILS, HEAD_CRC))
        yield Limit(f"code on {name}", alone, variant.code_limit)
        yield Limit(
            f"working memory on {name}", memory.working() - memory.kept, variant.memory_limit
        )


# ---- showing ----


def build_tables(measured: dict[Target, Footprint]) -> Iterator[tables.Table]:
    names = [target.name for target in measured]
    everything = list(measured.values())
    streamed = [footprint.code[STREAMED.key] for footprint in everything]
    whole = [footprint.code[WHOLE.key] for footprint in everything]

    yield total_table(names, everything)
    for target, footprint in measured.items():
        yield step_table(target, footprint)
    yield store_table(names, everything)
    yield guard_table(names, everything)
    yield part_table(f"Code by part ({STREAMED.name})", names, [code.parts for code in streamed])
    if M33 in measured:
        parts = [measured[M33].code[configuration.key].parts for configuration in TOTALS]
        yield part_table(f"Code by part on {M33.name}", list(TOTALS.values()), parts)
    libraries = [code.libraries for code in whole]
    table = part_table(f"Library functions ({TOTALS[WHOLE]})", names, libraries)
    table.note = (
        "Arithmetic of floats (...sf2, __aeabi_f...) is for comparing the outputs of test vectors;"
        " these builds have no floating-point unit."
    )
    yield table
    yield memory_table(names, everything)
    yield decoder_table(names, everything)
    yield stack_table("smallest store", STAGED, names, everything)
    yield stack_table(TOTALS[WHOLE], WHOLE, names, everything)


def decoder_table(names: Sequence[str], everything: Sequence[Footprint]) -> tables.Table:
    table = tables.Table("Decoders of format 2", ("", *names))
    table.note = (
        "Container, body, guardrails and digests, without store and format 1. Working memory"
        " is `struct tmd_patch` and the deepest stack, without that of the functions that read the"
        " base and take the target. Of guardrails: their code, with the CRC-32 of heads, and the"
        " room for metadata; the limits are for what is left."
    )
    for variant in VARIANTS:
        add_configuration(table, variant.configuration, everything, "struct")
        codes = [footprint.code[variant.configuration.key] for footprint in everything]
        memories = [footprint.memory[variant.configuration.key] for footprint in everything]
        guardrails = (code.of((*GUARDRAILS, HEAD_CRC)) for code in codes)
        table.add(f"{variant.name}: code of guardrails", *guardrails)
        table.add(f"{variant.name}: memory of guardrails", *(memory.kept for memory in memories))
    return table


def add_configuration(
    table: tables.Table,
    configuration: Configuration,
    everything: Sequence[Footprint],
    structs: str,
    libraries: bool = False,
) -> None:
    """The rows of one configuration, with a column for each target."""
    codes = [footprint.code[configuration.key] for footprint in everything]
    memories = [footprint.memory[configuration.key] for footprint in everything]
    name = configuration.name
    table.add(f"{name}: code", *(code.total for code in codes))
    if libraries:
        table.add(f"{name}: with libraries", *(code.with_libraries for code in codes))
    table.add(f"{name}: {structs}", *(memory.held_bytes for memory in memories))
    table.add(f"{name}: stack", *(memory.deepest() for memory in memories))
    table.add(f"{name}: working memory", *(memory.working() for memory in memories))


def store_table(names: Sequence[str], everything: Sequence[Footprint]) -> tables.Table:
    table = tables.Table("The whole store with format 2", ("", *names))
    table.note = (
        "The store's options at their defaults, and all functions but those for status texts."
        " Working memory is struct tmd_store, tmd_update and tmd_staging, and the deepest stack."
    )
    for configuration in STORES:
        add_configuration(table, configuration, everything, "structs", libraries=True)
    return table


def guard_table(names: Sequence[str], everything: Sequence[Footprint]) -> tables.Table:
    table = tables.Table("Guardrails", ("", *names))
    table.note = (
        "Of the whole store: rules, operators, and metadata that stay with a model and are told;"
        " without what the reader of heads does for all metadata. Their RAM is in struct"
        " tmd_update, and on the stack when a store is mounted or a model opened. Format 1 has"
        " nothing but rules, and metadata that are told of the firmware's own model."
    )
    for configuration, name, decoder in (
        (WHOLE, "format 1 alone", DECODER),
        (STORES[-1], STORES[-1].name, VARIANTS[-1].configuration),
    ):
        codes = [footprint.code[configuration.key] for footprint in everything]
        for part in dict.fromkeys(GUARDRAILS):
            if any(part in code.parts for code in codes):
                label = part.removeprefix("guardrails: ")
                table.add(f"{name}: {label}", *(code.of((part,)) for code in codes))
        table.add(f"{name}: code", *(code.of(GUARDRAILS) for code in codes))
        stacks = [
            footprint.memory[decoder.key].stacks["tmd_guard_check"] for footprint in everything
        ]
        table.add(f"{name}: stack of tmd_guard_check", *(depth.bytes for depth in stacks))
    memories = [footprint.memory[STORES[-1].key] for footprint in everything]
    table.add(f"{STORES[-1].name}: RAM for metadata", *(memory.kept for memory in memories))
    return table


def step_table(target: Target, footprint: Footprint) -> tables.Table:
    """Each row is the store with the options of the rows above, and one more."""
    header = ("", "code", "adds", "with libraries", "structs", "stack", "working memory", "adds")
    table = tables.Table(f"What each option of the store adds, on {target.name}", header)
    table.note = (
        "Format 1 alone. Each row has what the rows above it have; the last one is the whole store."
        " Staged apply: tmd_update_check and tmd_update_staged. Other functions: tmd_store_read,"
        " tmd_store_changed, tmd_store_forget, tmd_store_get_info, tmd_store_metadata. Working"
        " memory is the structs, tmd_store and tmd_update and from TMD_STAGING on tmd_staging, and"
        " the deepest stack."
    )
    before: tuple[int, int] | None = None
    for step in STEPS:
        code, memory = footprint.code[step.key], footprint.memory[step.key]
        total, working = code.total, memory.working()
        table.add(
            "smallest store" if before is None else f"+ {step.name}",
            total,
            None if before is None else f"{total - before[0]:+,}",
            code.with_libraries,
            memory.held_bytes,
            memory.deepest(),
            working,
            None if before is None else f"{working - before[1]:+,}",
        )
        before = total, working
    return table


def total_table(names: Sequence[str], everything: Sequence[Footprint]) -> tables.Table:
    table = tables.Table("Code and constants", ("", *names))
    table.note = (
        "Linked, with what is not used dropped. Library functions are those of the C library and of"
        " libgcc that this adds to a firmware which has none of them yet. Format 1"
        " alone. The whole store has all options at their defaults (TMD_TRIAL, TMD_SELF_TEST,"
        " TMD_RESUME, TMD_STAGING), and those above it have none."
    )
    for configuration, name in TOTALS.items():
        codes = [footprint.code[configuration.key] for footprint in everything]
        table.add(f"{name}: core", *(code.owners["core"] for code in codes))
        table.add(f"{name}: store", *(code.owners["store"] for code in codes))
        table.add(f"{name}: both", *(code.total for code in codes))
        table.add(f"{name}: with libraries", *(code.with_libraries for code in codes))
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
        "Of the smallest store, and of the whole one, for format 1. Working memory is struct"
        " tmd_store, struct tmd_update, which has tmd_patch and tmd_fingerprint in it, with staging"
        " struct tmd_staging, and the deepest stack of the functions below. A struct tmd_model for"
        " each model that is open comes on top."
    )
    default = [footprint.memory[STAGED.key] for footprint in everything]
    small = [footprint.memory[SMALL_BUFFER.key] for footprint in everything]
    table.add("static (.data, .bss)", *(memory.static for memory in default))
    for struct in default[0].structs:
        table.add(f"struct {struct}", *(memory.structs[struct] for memory in default))
    for label, memories in (("", default), (f", {SMALL_BUFFER.name}", small)):
        for way, entries in WAYS.items():
            row = (memory.working(entries) for memory in memories)
            table.add(f"working memory, {way}{label}", *row)
    whole = [footprint.memory[WHOLE.key] for footprint in everything]
    for struct in WHOLE.structs:
        table.add(f"whole store: struct {struct}", *(memory.structs[struct] for memory in whole))
    table.add("whole store: working memory", *(memory.working() for memory in whole))
    return table


def stack_table(
    name: str,
    configuration: Configuration,
    names: Sequence[str],
    everything: Sequence[Footprint],
) -> tables.Table:
    table = tables.Table(f"Worst-case stack ({name})", ("", *names))
    table.note = (
        "From gcc's call graph; that of library functions from their machine code. Upper bounds:"
        " tail calls count as calls. On top come the stack of the functions of the flash port, of"
        " the inference and of a source of one's own for staged patches, and that of interrupts."
    )
    for entry in configuration.entries:
        depths = [footprint.memory[configuration.key].stacks[entry] for footprint in everything]
        table.add(entry, *(depth.bytes for depth in depths))
    return table


def deepest_paths(measured: dict[Target, Footprint]) -> dict[str, Sequence[str]]:
    """On the processor that the limits are for: what the deepest stacks consist of."""
    if M33 not in measured:
        return {}
    memory = measured[M33].memory
    return {
        name: [str(depth) for depth in memory[configuration.key].stacks.values()]
        for name, configuration in (("smallest store", STAGED), (TOTALS[WHOLE], WHOLE))
    }


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
    for name, paths in deepest_paths(measured).items():
        out += f"## The deepest paths on {M33.name} ({name})\n\nEach function with its frame.\n\n"
        out += "".join(f"- {path}\n" for path in paths) + "\n"
    return out.rstrip("\n") + "\n"


def render_json(
    measured: dict[Target, Footprint], versions: Sequence[str], skipped: Sequence[str]
) -> str:
    def memory_of(memory: Memory) -> dict[str, object]:
        return {
            "static": memory.static,
            "structs": memory.structs,
            "held": list(memory.held),
            "stack": {
                entry: {"bytes": depth.bytes, "path": [list(step) for step in depth.path]}
                for entry, depth in memory.stacks.items()
            },
            "working_memory": memory.working(),
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
                "memory": {key: memory_of(memory) for key, memory in footprint.memory.items()},
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
        static = max(memory.static for memory in footprint.memory.values())
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
