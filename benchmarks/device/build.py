"""The firmware of the bench: one for each core and decoder, and what of its code is whose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import footprint
from measure import linkmap, toolchain
from measure.pairs import REPOSITORY

from .cores import MICROBIT_JOB, Core

FIRMWARE = REPOSITORY / "benchmarks" / "firmware"
DEVICE = REPOSITORY / "zephyr_module"
OWN = (FIRMWARE / "device.c", FIRMWARE / "device_flash.c")

LIBRARIES = "C library, libgcc"


@dataclass(frozen=True)
class Decoder:
    """What a firmware decodes. format: of the patches; number: TMD_DECODER_* of the contract."""

    key: str
    name: str
    format: int
    number: int
    options: tuple[str, ...]


DECODERS = (
    Decoder("format1", "format 1", 1, 0, footprint.FORMAT_1),
    Decoder("lean", "lean", 2, 1, (*footprint.LEAN, *footprint.FORMAT_2)),
    Decoder("default", "default", 2, 2, (*footprint.DEFAULT, *footprint.FORMAT_2)),
)
DECODER = {decoder.key: decoder for decoder in DECODERS}

# Groups of functions that the tables show, by the parts that footprint.py knows.
GROUPS = {
    "decoder: all formats": "decoder",
    "decoder: format 1": "decoder",
    "decoder: heads": "decoder",
    "decoder: body of format 2": "decoder",
    "guardrails: rules": "guardrails",
    "guardrails: operators": "guardrails",
    "guardrails: metadata": "guardrails",
    "fingerprint of a model": "digests",
    "CRC-32": "digests",
    "SHA-256": "digests",
    "record log": "records",
    "staging region": "staging",
}
STORE = "store"
SHOWN_GROUPS = ("decoder", "guardrails", "digests", "records", "staging", STORE, LIBRARIES)


@dataclass(frozen=True)
class Built:
    """A firmware: its ELF file, bytes of code and constants by group, and of static RAM."""

    elf: Path
    code: dict[str, int]
    static: int

    @property
    def ours(self) -> int:
        return sum(size for group, size in self.code.items() if group != LIBRARIES)


def is_ours(section: linkmap.InputSection) -> bool:
    return section.file.startswith(tuple(f"{owner}/" for owner in footprint.OWNERS))


def code_by_group(linked: linkmap.LinkMap) -> dict[str, int]:
    """Bytes of code and constants; without the bench's own and what starts the board."""
    out = dict.fromkeys(SHOWN_GROUPS, 0)
    for section in linked.of(".text"):
        if is_ours(section):
            out[GROUPS.get(footprint.part_of(section), STORE)] += section.size
        elif not section.file.startswith(("firmware/", "board/")):
            out[LIBRARIES] += section.size
    return out


def build(core: Core, decoder: Decoder, folder: Path) -> Built:
    """Compile and link below `folder`. Raises toolchain.ToolError."""
    gcc = core.board.compiler
    out = folder / core.key / decoder.key
    flags = (*core.flags, *toolchain.COMPILE_FLAGS, f"-DJOB_AT={core.job:#x}u")
    flags = (*flags, "-DBOARD_ROUNDS", *decoder.options, f"-I{DEVICE / 'include'}")
    places = {"firmware": OWN, "board": core.board.sources}
    for owner in footprint.OWNERS:
        places[owner] = tuple(sorted((DEVICE / owner).glob("*.c")))
    objects = []
    for place, sources in places.items():
        (out / place).mkdir(parents=True, exist_ok=True)
        for source in sources:
            # The map's readers go by these names, relative to the folder of the ELF file.
            name = f"{place}/{source.stem}.o"
            toolchain.run([gcc, *flags, "-c", source, "-o", name], out)
            objects.append(name)
    toolchain.run(
        [gcc, *core.board.link_flags, "-Wl,-Map=device.map", *objects, "-o", "device.elf"], out
    )
    linked = linkmap.parse((out / "device.map").read_text(encoding="utf-8"))
    end = core.board.code[0] + sum(linked.sizes.get(name, 0) for name in (".text", ".data"))
    if core.nvmc and end > MICROBIT_JOB:
        raise toolchain.ToolError(f"the firmware for {core.name} reaches into its job's place")
    static = sum(
        section.size for section in linked.of(".data") + linked.of(".bss") if is_ours(section)
    )
    return Built(out / "device.elf", code_by_group(linked), static)
