"""What a run found, as Markdown and as TSV. The same run gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

from measure import tables

from .compare import Measured, geometric_mean
from .libraries import SUB_BROTLI
from .measuring import Bench
from .ours import COUNTED, PARTS
from .peer import Peer

FAULT, ABSENT = "fault", "absent"


def build_tables(bench: Bench) -> Iterator[tables.Table]:
    """All of them: summary, pairs, our parts, peers, and every size."""
    yield summary_table(bench)
    yield pair_table(bench)
    yield from part_tables(bench)
    yield peer_table(bench)
    yield from size_tables(bench)


def summary_table(bench: Bench) -> tables.Table:
    header = ("", "pairs", "geometric mean", "smaller on", "best", "worst")
    table = tables.Table("Ours ÷ the smallest of others", header)
    table.note = (
        "The smallest is chosen for each pair, so it is stronger than any single tool. Below 1,"
        " ours is smaller. Subtraction takes the difference of each two bytes, then brotli, where"
        " both files have the same length. Tools for microcontrollers are those with a decoder made"
        " for one: detools heatshrink and crle, HPatchLite tinyuz and tamp. An older format of"
        " TinyMLDelta counts as such a tool for a newer one."
    )
    for each in bench.formats:
        for found in bench.comparisons(each.key):
            over = f"{len(found.ratios)} of {len(bench.pairs)}"
            row: list[tables.Cell] = [f"{each.name} ÷ {found.reference.title}", over]
            if found.ratios:
                row += [f"{found.mean:.3f}", found.smaller]
                row += [_named(found.best), _named(found.worst)]
            else:
                row += [None] * 4
            table.add(*row)
    return table


def summary_lines(bench: Bench) -> list[str]:
    """The summary for a terminal: a line for each format and reference."""
    lines = []
    for each in bench.formats:
        for found in bench.comparisons(each.key):
            what = f"{each.name} ÷ {found.reference.title}"
            over = f"over {len(found.ratios)} of {len(bench.pairs)} pairs"
            if found.ratios:
                lines.append(f"{what}: {found.mean:.3f} {over}, worst {_named(found.worst)}")
            else:
                lines.append(f"{what}: nothing to compare {over}")
    return lines


def _named(entry: tuple[str, float]) -> str:
    name, ratio = entry
    return f"{ratio:.3f} {name}"


def pair_table(bench: Bench) -> tables.Table:
    comparisons = bench.comparisons(bench.ours.key)
    header = ["", "base", "target", *(each.name for each in bench.formats)]
    for found in comparisons:
        header += [found.reference.title, "which", "ratio"]
    table = tables.Table(f"Pairs, with the ratios of {bench.ours.name}", header)
    table.note = f"Of ours, {' and '.join(COUNTED)} are counted: no peer has the other parts."
    for pair in bench.pairs:
        row: list[tables.Cell] = [pair.name, pair.base_bytes, pair.target_bytes]
        row += [_cell(pair, each.key) for each in bench.formats]
        for found in comparisons:
            size, key = pair.smallest(found.reference.keys) or (None, None)
            ratio = found.ratios.get(pair.name)
            row += [size, key, None if ratio is None else f"{ratio:.3f}"]
        table.add(*row)
    return table


def _cell(pair: Measured, key: str) -> tables.Cell:
    return FAULT if key in pair.faults else pair.sizes.get(key)


def part_tables(bench: Bench) -> Iterator[tables.Table]:
    for each in bench.formats:
        table = tables.Table(f"Parts of {each.name}", ("", *PARTS))
        for pair in bench.pairs:
            parts = pair.parts.get(each.key, {})
            table.add(pair.name, *(parts.get(part) for part in PARTS))
        yield table


def peer_table(bench: Bench) -> tables.Table:
    """How each does alone."""
    ours = bench.ours
    header = ("", "tool", "options", "for MCUs", "pairs", "smallest on", f"{ours.name} ÷ it")
    table = tables.Table("Peers, one by one", header)
    table.note = (
        "The ratio is the geometric mean over the pairs that the peer takes. Subtraction is left"
        " out of who is smallest."
    )
    best = bench.references(ours.key)[0]
    winners = [found[1] for pair in bench.pairs if (found := pair.smallest(best.keys)) is not None]
    for peer in bench.peers:
        pairs = [pair for pair in bench.pairs if peer.key in pair.sizes]
        ratios = [p.sizes[ours.key] / p.sizes[peer.key] for p in pairs if ours.key in p.sizes]
        table.add(
            peer.key,
            peer.tool.name,
            peer.options,
            "yes" if peer.for_mcu else None,
            len(pairs),
            None if peer.key == SUB_BROTLI else winners.count(peer.key),
            f"{geometric_mean(ratios):.3f}" if ratios else None,
        )
    return table


def size_tables(bench: Bench) -> Iterator[tables.Table]:
    """Every size: a table for each tool with many configurations, and one for the others."""
    groups: dict[str, list[Peer]] = {}
    for peer in bench.peers:
        configurations = sum(other.tool == peer.tool for other in bench.peers)
        groups.setdefault(peer.tool.name if configurations > 3 else "others", []).append(peer)
    for name, peers in sorted(groups.items(), key=lambda group: group[0] == "others"):
        table = tables.Table(f"Sizes: {name}", ("", *(peer.key for peer in peers)))
        for pair in bench.pairs:
            table.add(pair.name, *(_cell(pair, peer.key) for peer in peers))
        yield table


def fault_lines(bench: Bench) -> list[str]:
    """One for each patch that could not be made, or that did not rebuild its target."""
    return [
        f"{pair.name}, {key}: {fault}" for pair in bench.pairs for key, fault in pair.faults.items()
    ]


def missing_lines(bench: Bench) -> list[str]:
    return [f"{each.name} ({', '.join(each.keys)}): {each.how}" for each in bench.missing]


def render_markdown(bench: Bench, command: str, plot: str | None) -> str:
    """`plot`: the file beside it that shows the same, if there is one."""
    out = (
        "# Patch sizes\n\n"
        f"Written by `{command}`: {len(bench.pairs)} pairs, {len(bench.peers)} configurations of"
        " peers. All sizes are bytes. Only patches that were applied and gave the target are"
        " counted.\n\n"
    )
    out += "".join(f"- {line}\n" for line in bench.versions)
    for heading, lines in (("Absent", missing_lines(bench)), ("Faults", fault_lines(bench))):
        if lines:
            out += f"\n## {heading}\n\n" + "".join(f"- {line}\n" for line in lines)
    out += "\n"
    if plot is not None:
        out += f"![Patch sizes by pair]({plot})\n\n"
    for table in build_tables(bench):
        out += tables.markdown(table)
    return out.rstrip("\n") + "\n"


def render_tsv(bench: Bench) -> str:
    """One line for each pair. Empty: no such patch for this pair; or `absent`, or `fault`."""
    peers = [peer.key for peer in bench.peers]
    absent = [key for each in bench.missing for key in each.keys]
    formats = [each.key for each in bench.formats]
    references = bench.references(bench.ours.key)
    header = ["name", "base", "target", *peers, *absent, *formats]
    header += [f"{key}_{part}" for key in formats for part in PARTS]
    header += [name for each in references for name in (each.key, f"{each.key}_tool")]
    lines = [header]
    for pair in bench.pairs:
        row: list[str | int | None] = [pair.name, pair.base_bytes, pair.target_bytes]
        row += [_cell(pair, key) for key in peers] + [ABSENT for _ in absent]
        row += [_cell(pair, key) for key in formats]
        row += [pair.parts.get(key, {}).get(part) for key in formats for part in PARTS]
        for each in references:
            row += pair.smallest(each.keys) or (None, None)
        lines.append(["" if cell is None else str(cell) for cell in row])
    return "".join("\t".join(line) + "\n" for line in lines)
