"""What each element of format 2 is worth: patch sizes with it left out.

    python benchmarks/ablation.py [FOLDER] [--out benchmarks/ablation.md]

FOLDER has one folder for each pair, with base.tflite and target.tflite. For each element, the
encoder is built from a copy of the sources in which it is switched off: a constant of
codegen/wire.yaml is changed, some lines of the models are replaced, or the encoder is told less.
Compared are header and body. Wants gcc. Exit status: 0; 1 if something failed; 2 if called wrongly.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cffi
import rich.console
import rich.progress

from measure import tables
from measure.pairs import REPOSITORY, SAMPLES, command_of, find_pairs
from tinymldelta.delta.hints import Hint, Kind, Limits, Planner, Way, without_ranges
from tinymldelta.errors import Refusal
from tinymldelta.model import read_layout
from tinymldelta.native import fill_hint
from tinymldelta.output import environment
from tinymldelta.wire.definition import load_wire_definition

DEFAULT_OUT = REPOSITORY / "benchmarks" / "ablation.md"
PRICE_LISTS = 3

Plans = Callable[[Planner | None, Limits], list[list[Hint]]]


def all_plans(planner: Planner | None, limits: Limits) -> list[list[Hint]]:
    """What the encoder tries."""
    if planner is None:
        return [[]]
    return [*(planner.hints(limits, way) for way in Way), []]


def no_ranges(planner: Planner | None, limits: Limits) -> list[list[Hint]]:
    return [without_ranges(hints) for hints in all_plans(planner, limits)]


def never_early(planner: Planner | None, limits: Limits) -> list[list[Hint]]:
    if planner is None:
        return [[]]
    return [planner.hints(limits, Way.LATE), planner.hints(limits, Way.NEAR), []]


def not_scaled(planner: Planner | None, limits: Limits) -> list[list[Hint]]:
    return [
        [replace(h, range=-1) if h.kind is Kind.TENSOR else h for h in hints]
        for hints in all_plans(planner, limits)
    ]


def nothing_known(planner: Planner | None, limits: Limits) -> list[list[Hint]]:
    return [[]]


@dataclass(frozen=True)
class Variant:
    """constants: of wire.yaml, by name; tables: all entries of one set to the same; lines: replaced
    in a file; plans: what the encoder is told.
    """

    name: str
    constants: dict[str, int] | None = None
    tables: dict[str, int] | None = None
    lines: tuple[tuple[str, str, str], ...] = ()
    plans: Plans = all_plans
    lean: bool = False
    prices: int = PRICE_LISTS


MODELS = "zephyr_module/core/models.h"
ENCODER = "codegen/native/encoder.c"
OPERATIONS = "codegen/native/operations.c"
ONE_OPINION = (
    MODELS,
    "	if (TMD_F2_IS_LEAN(s)) {\n		return code_bit(s, a, bit);",
    "	{\n		return code_bit(s, a, bit);",
)
ADDED_UP = (MODELS, "o->scale = bucket(size,", "o->scale = bucket(o->size,")
VARIANTS = (
    Variant("everything"),
    Variant("lean decoder", lean=True),
    Variant("nothing said of the models: only copies, edits and insertions", plans=nothing_known),
    Variant("no ranges: scales only in their place", plans=no_ranges),
    Variant("scales never sent before the weights", plans=never_early),
    Variant("weights and biases not predicted by their scales", plans=not_scaled),
    Variant("no gain by row", lines=((ENCODER, "#define GAIN_FROM 8u", "#define GAIN_FROM ~0u"),)),
    Variant("no changed word remembered", constants={"CACHED": 1}),
    Variant(
        "no repetition of what was inserted",
        lines=((OPERATIONS, "#define REPEAT_MIN 4u", "#define REPEAT_MIN ~0u"),),
    ),
    Variant("one list of prices for the cut into copies and edits", prices=1),
    Variant(
        "one opinion instead of three", lines=(ONE_OPINION,)
    ),
    Variant("the mixer does not learn", constants={"MIXER_RATE": 0}),
    Variant("contexts start without knowledge", tables={"plan_start": 128, "top_start": 128}),
    Variant("contexts learn at one rate", tables={"rates": 4096}),
    Variant("sizes of residuals not told apart", tables={"scales": 65535, "levels": 65535}),
    Variant("no part of the way between whole numbers", constants={"PARTS": 1}),
    Variant("columns not told apart", constants={"COLUMNS": 1}),
    Variant("channels not told apart", constants={"CHANNELS": 1}),
    Variant(
        "rows and columns add up instead of multiplying", lines=(ADDED_UP,)
    ),
)  # fmt: skip


def fail(message: str) -> int:
    print(f"ablation: {message}", file=sys.stderr)
    return 1


def changed_yaml(variant: Variant, text: str) -> str:
    for name, value in (variant.constants or {}).items():
        text, n = re.subn(rf"(name: {name}, value: )\d+", rf"\g<1>{value}", text)
        if n != 1:
            raise ValueError(f"{n} constants {name} in wire.yaml")
    for name, value in (variant.tables or {}).items():

        def same(match: re.Match[str], value: int = value) -> str:
            return match[1] + re.sub(r"\d+", str(value), match[2])

        text, n = re.subn(rf"(    {name}: )(\[[^\]]*\])", same, text)
        if n != 1:
            raise ValueError(f"{n} tables {name} in wire.yaml")
    return text


class Library:
    """The encoder of one variant."""

    def __init__(self, variant: Variant, folder: Path) -> None:
        for part in ("zephyr_module", "codegen/native"):
            shutil.copytree(REPOSITORY / part, folder / part)
        for file, old, new in variant.lines:
            path = folder / file
            text = path.read_text(encoding="utf-8")
            if text.count(old) != 1:
                raise ValueError(f"{file} has {text.count(old)} times: {old}")
            path.write_text(text.replace(old, new), encoding="utf-8")
        yaml = (REPOSITORY / "codegen" / "wire.yaml").read_text(encoding="utf-8")
        (folder / "wire.yaml").write_text(changed_yaml(variant, yaml), encoding="utf-8")
        wire = load_wire_definition(folder / "wire.yaml")
        env = environment()
        core = folder / "zephyr_module" / "core" / "tables.h"
        core.write_text(env.get_template("tables.h.j2").render(f2=wire.format2), encoding="utf-8")
        include = folder / "zephyr_module" / "include"
        header = include / "tinymldelta" / "wire.h"
        header.write_text(env.get_template("wire.h.j2").render(wire=wire), encoding="utf-8")
        sizes = {c.name: c.value for c in wire.format2.sizes}
        self.limits = Limits(ranges=sizes["RANGES"], pool=sizes["POOL"])
        native = folder / "codegen" / "native"
        library = folder / "encoder.so"
        sources = sorted(native.glob("*.c"))
        flags = ["-std=c11", "-O2", "-shared", "-fPIC", "-DTMD_TAKES_LEAN=1", f"-I{include}"]
        subprocess.run(["gcc", *flags, *sources, "-lm", "-o", library], check=True)
        declared = subprocess.run(
            ["gcc", "-E", "-P", "-DTMD_CDEF", f"-I{include}", native / "encoder.h"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        self._ffi = cffi.FFI()
        self._ffi.cdef(_declarations(declared), override=True)
        self._lib: Any = self._ffi.dlopen(str(library))

    def body_bytes(
        self, base: bytes, target: bytes, hints: Sequence[Hint], lean: bool, prices: int
    ) -> int:
        ffi = self._ffi
        c_hints = ffi.new("struct tmd_hint[]", max(len(hints), 1))
        for c, hint in zip(c_hints, hints, strict=False):
            fill_hint(c, hint)
        room = 2 * len(target) + 4096
        out = ffi.new("uint8_t[]", room)
        result = ffi.new("struct tmd_encoder_result *")
        err = self._lib.tmd_encode(
            base, len(base), target, len(target), c_hints, len(hints), lean, prices, out, room,
            ffi.NULL, result,
        )  # fmt: skip
        if err:
            raise RuntimeError(f"the encoder says {err}")
        return int(result.bytes)


def _declarations(text: str) -> str:
    """What the encoder's interface needs of its header."""
    wanted = re.findall(r"struct tmd_hint \{.*?\};|struct tmd_encoder_result \{.*?\};", text, re.S)
    (function,) = re.findall(r"int tmd_encode\(.*?\);", text, re.S)
    return "\n".join([*wanted, function])


def smallest(library: Library, variant: Variant, base: bytes, target: bytes) -> int:
    """Header and body of the smallest patch that the variant makes."""
    try:
        planner = Planner(base, target, read_layout(base, "base"), read_layout(target, "target"))
    except Refusal:
        planner = None
    tried = []
    for hints in variant.plans(planner, library.limits):
        told = without_ranges(hints) if variant.lean else hints
        tried.append((library.body_bytes(base, target, told, variant.lean, 0), told))
    best, told = min(tried, key=lambda t: t[0])
    for prices in range(1, variant.prices):
        best = min(best, library.body_bytes(base, target, told, variant.lean, prices))
    return best + 1 + (0 if len(base) == len(target) else (len(target).bit_length() + 6) // 7)


def mean(ratios: Sequence[float]) -> float:
    return math.exp(sum(math.log(r) for r in ratios) / len(ratios))


def report(sizes: dict[str, dict[str, int]], command: str) -> str:
    full = sizes[VARIANTS[0].name]
    table = tables.Table("Without", ["", "geometric mean", "most", "pair", "least", "pair "])
    for name, found in sizes.items():
        if name == VARIANTS[0].name:
            continue
        ratios = {pair: found[pair] / full[pair] for pair in full}
        most, least = max(ratios, key=lambda p: ratios[p]), min(ratios, key=lambda p: ratios[p])
        table.add(
            name, f"{mean(list(ratios.values())):.3f}",
            f"{ratios[most]:.3f}", most, f"{ratios[least]:.3f}", least,
        )  # fmt: skip
    lines = [
        "# What the elements of format 2 are worth",
        "",
        f"Written by `{command}`: header and body of a patch with one element left out, divided by",
        f"those with all of them, over {len(full)} pairs. All else stays as it is: tables were not",
        "fitted again without the element, so that some of it could be made up for.",
        "",
        tables.markdown(table).rstrip("\n"),
        "",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench ablation", description="What the elements of format 2 are worth."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLES)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="Markdown file to write")
    given = parser.parse_args(arguments)
    if shutil.which("gcc") is None:
        return fail("no gcc; sudo apt install gcc")
    pairs = find_pairs(given.folder)
    if not pairs:
        return fail(f"{given.folder}: no folder with base.tflite and target.tflite in it")
    files = {
        p.name: ((p / "base.tflite").read_bytes(), (p / "target.tflite").read_bytes())
        for p in pairs
    }
    sizes: dict[str, dict[str, int]] = {}
    console = rich.console.Console(stderr=True)
    for variant in rich.progress.track(VARIANTS, "encoding", console=console):
        with tempfile.TemporaryDirectory() as name:
            try:
                library = Library(variant, Path(name))
                sizes[variant.name] = {
                    pair: smallest(library, variant, *both) for pair, both in files.items()
                }
            except (ValueError, RuntimeError, subprocess.CalledProcessError) as error:
                return fail(f"{variant.name}: {error}")
    text = report(sizes, command_of("ablation", given.folder))
    given.out.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
