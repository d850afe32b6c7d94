"""The tables of device.md, from runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from measure import tables

from . import report_parts
from .build import DECODERS, LIBRARIES, SHOWN_GROUPS, Built, Decoder
from .cores import Core
from .limits import Limit
from .parts import Part
from .running import Run, Way


@dataclass
class Results:
    """All that was measured. built, runs: by core and decoder; on_parts: runs by part's name."""

    cores: list[Core]
    pairs: list[str]
    built: dict[tuple[str, str], Built] = field(default_factory=dict)
    runs: dict[tuple[str, str, str], Run] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    on_parts: dict[tuple[str, str], Run] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def run(self, core: str, decoder: str, pair: str) -> Run | None:
        return self.runs.get((core, decoder, pair))

    def all_of(self, core: str, decoder: str) -> list[Run]:
        found = (self.run(core, decoder, pair) for pair in self.pairs)
        return [run for run in found if run is not None]

    def any_of(self, decoder: str, pair: str) -> Run | None:
        """Of whichever core: where only the patch counts."""
        found = (self.run(core.key, decoder, pair) for core in self.cores)
        return next((run for run in found if run is not None), None)


def per_byte(way: Way | None, run: Run) -> float | None:
    return None if way is None else way.total("instructions") / run.target_bytes


def shown(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def build_tables(results: Results) -> Iterator[tables.Table]:
    yield pair_table(results)
    yield summary_table(results)
    for core in results.cores:
        yield core_table(core, results)
    yield from phase_tables(results)
    yield code_table(results)
    yield memory_table(results)
    yield flash_table(results)
    yield from report_parts.build_tables(results.parts, results.pairs, results.on_parts)
    yield report_parts.sending_table(
        [run for pair in results.pairs if (run := results.any_of("default", pair)) is not None]
    )


def pair_table(results: Results) -> tables.Table:
    table = tables.Table("Pairs", ("pair", "base", "target", *(d.name for d in DECODERS)))
    table.note = (
        "Bytes of the models, and of the patch for each decoder. Patches carry guardrail metadata,"
        " which the device's contract answers; those with an asterisk none, as this version of TFLM"
        " does not run their target."
    )
    for pair in results.pairs:
        runs = [results.any_of(decoder.key, pair) for decoder in DECODERS]
        first = next((run for run in runs if run is not None), None)
        if first is not None:
            sizes = [None if run is None else run.patch_bytes for run in runs]
            table.add(pair + ("" if first.guarded else " *"), first.base_bytes, first.target_bytes,
                      *sizes)  # fmt: skip
    return table


def summary_table(results: Results) -> tables.Table:
    table = tables.Table(
        "The cores side by side",
        ("core", "decoder", "pairs", "decoder alone, median", "most", "streamed, median", "most",
         "staged, median", "most"),
    )  # fmt: skip
    table.note = (
        "Instructions per byte of the target. Decoder alone: head and body, from memory to memory."
        " Streamed and staged: the whole update, from mounting the store to the confirmed first"
        " start of the new model, with the digests of base and target, the comparison of all that"
        " was written, and records; staged, the patch is first kept in flash, then decoded twice."
    )
    for core in results.cores:
        for decoder in DECODERS:
            runs = results.all_of(core.key, decoder.key)
            if not runs:
                continue
            cells: list[str] = []
            for values in (
                [run.decode_per_byte for run in runs],
                [v for run in runs if (v := per_byte(run.streamed, run)) is not None],
                [v for run in runs if (v := per_byte(run.staged, run)) is not None],
            ):
                cells += (
                    [shown(median(values)), shown(max(values))] if values else [shown(None)] * 2
                )
            table.add(core.name, decoder.name, len(runs), *cells)
    return table


def core_table(core: Core, results: Results) -> tables.Table:
    columns = [f"{d.name}: {what}" for d in DECODERS for what in ("alone", "streamed", "staged")]
    table = tables.Table(f"Instructions per byte on {core.name}", ("pair", *columns))
    table.note = f"On {core.note}."
    for pair in results.pairs:
        cells: list[str] = []
        for decoder in DECODERS:
            run = results.run(core.key, decoder.key, pair)
            cells += (
                [shown(None)] * 3
                if run is None
                else [shown(run.decode_per_byte), shown(per_byte(run.streamed, run)),
                      shown(per_byte(run.staged, run))]
            )  # fmt: skip
        table.add(pair, *cells)
    return table


PHASES = {
    "head": "reading header and metadata",
    "guard": "guardrails",
    "decode": "decoding",
    "digest": "SHA-256 of the target",
    "mount": "mount, with the base's digest",
    "stream": "streamed: the update",
    "start": "first start and confirmation",
    "receive": "staged: keeping the patch",
    "apply": "staged: checking and applying",
}


def phase_tables(results: Results) -> Iterator[tables.Table]:
    """What an update consists of, on the core that the limits are for and on the smallest."""
    for key in ("m33", "m0plus"):
        core = next((core for core in results.cores if core.key == key), None)
        if core is None:
            continue
        table = tables.Table(
            f"What an update consists of, on {core.name}", ("", *(d.name for d in DECODERS))
        )
        table.note = (
            "Instructions per byte of the target, medians over the pairs. The update has in it what"
            " stands above it, and the base's digest, the writer, notes of progress, reading back"
            " and the record. What other tools' decoders have of this is decoding."
        )
        for name, words in PHASES.items():
            cells = []
            for decoder in DECODERS:
                values = [
                    phase.instructions / run.target_bytes
                    for run in results.all_of(key, decoder.key)
                    for phases in (
                        run.alone, run.streamed.phases, run.staged.phases if run.staged else {},
                    )
                    for phase_name, phase in phases.items()
                    if phase_name == name
                ]  # fmt: skip
                cells.append(shown(median(values)) if values else shown(None))
            table.add(words, *cells)
        yield table


def code_table(results: Results) -> tables.Table:
    table = tables.Table(
        "Code by function group", ("", *(core.name for core in results.cores)),
        note="Bytes of code and constants, by the link map; of the whole store, streamed and"
        " staged, with trials. Decoder: container and body. Store: slots, update, writer, mount,"
        " open. C library, libgcc: what a firmware needs that has none of it yet.",
    )  # fmt: skip
    for decoder in DECODERS:
        built = [results.built.get((core.key, decoder.key)) for core in results.cores]
        for group in SHOWN_GROUPS:
            table.add(f"{decoder.name}: {group}", *(b.code[group] if b else None for b in built))
        table.add(f"{decoder.name}: without {LIBRARIES}", *(b.ours if b else None for b in built))
    return table


def memory_table(results: Results) -> tables.Table:
    table = tables.Table(
        "RAM", ("", *(core.name for core in results.cores)),
        note="Bytes. Core and store have no static RAM of their own: the structs are the caller's,"
        " all buffers are in them. The stack is what was painted over, of all pairs the most, with"
        " the bench's own flash functions.",
    )  # fmt: skip
    for decoder in DECODERS:
        runs = [results.all_of(core.key, decoder.key) for core in results.cores]
        rows = {
            "static, of core and store": [
                _static(results, core, decoder) for core in results.cores
            ],
            "struct tmd_store": [r[0].structs["store"] if r else None for r in runs],
            "struct tmd_update": [r[0].structs["update"] if r else None for r in runs],
            "struct tmd_staging": [r[0].structs["staging"] if r else None for r in runs],
            "stack, decoder alone": [
                max(x.alone[n].stack for x in r for n in ("head", "decode")) if r else None
                for r in runs
            ],
            "stack, streamed": [max(x.streamed.stack for x in r) if r else None for r in runs],
            "stack, staged": [
                max((x.staged.stack for x in r if x.staged), default=None) for r in runs
            ],
            "decoder alone, struct and stack": [
                max(x.decoder_ram for x in r) if r else None for r in runs
            ],
            "all, structs and stack": [max(x.ram for x in r) if r else None for r in runs],
        }
        for name, cells in rows.items():
            table.add(f"{decoder.name}: {name}", *cells)
    return table


def _static(results: Results, core: Core, decoder: Decoder) -> int | None:
    built = results.built.get((core.key, decoder.key))
    return built.static if built else None


def flash_runs(results: Results) -> list[Run | None]:
    """Of the first core whose flash is not the board's own: on all such cores it is the same."""
    keys = [core.key for core in results.cores if not core.nvmc] or [results.cores[0].key]
    return [results.run(keys[0], "default", pair) for pair in results.pairs]


def flash_table(results: Results) -> tables.Table:
    what = ("erases", "writes", "written", "reads", "read")
    table = tables.Table(
        "Flash operations",
        ("pair", *(f"{way}: {name}" for way in ("streamed", "staged") for name in what)),
        note="Of the whole update with the default decoder: of slot, records and, staged, the"
        " staging region, in erase units of 4 KB and write units of 4 bytes; writes and reads are"
        " calls, written and read are bytes. The slot that is written was empty: one that holds an"
        " older model keeps, in a staged update, the units that do not change. The same on every"
        " core but the Cortex-M0, whose units are its own.",
    )
    for run in flash_runs(results):
        if run is not None:
            cells: list[tables.Cell] = []
            for way in (run.streamed, run.staged):
                cells += [None if way is None else way.total(name) for name in what]
            table.add(run.pair, *cells)
    return table


def flash_differs(results: Results) -> list[str]:
    """Cores that do other things to the same flash, which none may."""
    out = []
    keys = [core.key for core in results.cores if not core.nvmc]
    for decoder in DECODERS:
        for pair in results.pairs:
            seen = set()
            for key in keys:
                run = results.run(key, decoder.key, pair)
                ways = [] if run is None else [w for w in (run.streamed, run.staged) if w]
                if ways:
                    seen.add(
                        tuple(
                            w.total(n)
                            for w in ways
                            for n in ("erases", "writes", "written", "read")
                        )
                    )
            if len(seen) > 1:
                out.append(f"{pair}, {decoder.name}")
    return out
