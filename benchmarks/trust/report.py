"""The tables, and whether a comparison tells something of the MAC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import footprint
from measure import tables, toolchain
from trust.jobs import SEALED_BYTES
from trust.kinds import AGREEMENTS, MACS, NOTHING, SIGNATURES, Board, Kind
from trust.libraries import HINTS, find_library
from trust.measuring import CORE_STEPS, Result

COMPARES, CALLS = 256, 16  # as trust.c has them

Results = dict[Board, dict[Kind, Result]]


def core_table(
    board: Board, steps: Sequence[tuple[footprint.Code, footprint.Memory]]
) -> tables.Table:
    header = ("", "code", "adds", "structs", "stack", "working memory", "adds")
    table = tables.Table(f"What the core and the store add, on {board.target.name}", header)
    table.note = (
        "Without a crypto port, whose stack comes on top where it is called. TMD_VERIFY: SHA-256 of"
        " the head, keys, the form of signatures, HMAC; TMD_DECRYPT: envelope, HKDF, counter mode."
    )
    before: tuple[int, int] | None = None
    for step, (code, memory) in zip(CORE_STEPS, steps, strict=True):
        table.add(
            step.name, code.total, None if before is None else f"{code.total - before[0]:+,}",
            memory.held_bytes, memory.deepest(), memory.working(),
            None if before is None else f"{memory.working() - before[1]:+,}",
        )  # fmt: skip
        before = code.total, memory.working()
    return table


def weight_table(board: Board, results: dict[Kind, Result]) -> tables.Table:
    header = ("", "library", "port", "library's code", "core", "C library", "static RAM",
              "heap, at most", "stack")  # fmt: skip
    table = tables.Table(f"What each kind adds, on {board.target.name}", header)
    table.note = (
        "Code and constants of the port, of the library, of the core (HMAC; SHA-256 is in every"
        " firmware), and what of the C library a firmware lacks that has none of it yet. Heap and"
        f" stack as they were when it ran on {board.runs_on}; static RAM and heap hold the key of a"
        " MAC or of an agreement too."
    )
    base = results[NOTHING].weight
    assert base is not None
    for kind in (*SIGNATURES, *AGREEMENTS):
        result = results[kind]
        if result.weight is None:
            table.add(kind.name, kind.library, *["–"] * 7)
            continue
        flash = result.weight.flash
        calls = [call for name, call in result.calls.items() if name != "start"]
        ports = [result.calls[n] for n in ("verify", "agree", "block") if n in result.calls]
        table.add(
            kind.name, kind.library or "none", flash["port"], flash["crypto"],
            max(0, flash["core"] - base.flash["core"]), flash["library"] - base.flash["library"],
            result.weight.static, max((c.heap for c in calls), default=None),
            max((c.stack for c in ports), default=None),
        )  # fmt: skip
    return table


def verify_table(board: Board, results: dict[Kind, Result]) -> tables.Table:
    header = ("", "library", "one signature", "a wrong one", "a whole head")
    table = tables.Table(f"Instructions to verify, on {board.runs_on}", header)
    table.note = (
        "A whole head: read from its first byte, with its metadata, its CRC, SHA-256 and the"
        f" signature. The same head unsigned takes {plain_instructions(results):,}. Ed25519 and"
        " ECDSA take longer for some signatures than for others, which are no secret."
    )
    for kind in SIGNATURES:
        calls = results[kind].calls
        counts = [
            calls[n].instructions if n in calls else None for n in ("verify", "wrong", "head")
        ]
        table.add(kind.name, kind.library or "none", *counts)
    return table


def plain_instructions(results: dict[Kind, Result]) -> int:
    found = [
        r.calls["plain_head"].instructions for r in results.values() if "plain_head" in r.calls
    ]
    return found[0] if found else 0


def open_table(board: Board, results: dict[Kind, Result]) -> tables.Table:
    header = ("", "library", "agreement", "HKDF", "AES block", "decrypting, per byte")
    table = tables.Table(f"Instructions to open an encrypted patch, on {board.runs_on}", header)
    table.note = (
        "HKDF: with it, all else of the envelope's head. Decrypting: counter mode, with a key that"
        f" is imported for each block; over {SEALED_BYTES:,} bytes. Agreements are blinded, and no"
        " two take the same."
    )
    for kind in AGREEMENTS:
        calls = results[kind].calls
        counts = [
            calls[n].instructions if n in calls else None for n in ("agree", "derive", "block")
        ]
        rest = f"{calls['rest'].instructions / SEALED_BYTES:,.0f}" if "rest" in calls else None
        table.add(kind.name, kind.library, *counts, rest)
    return table


COMPARISONS = {
    "compare_core": ("tmd_is_equal", COMPARES),
    "compare_library": ("mbedtls_ct_memcmp", COMPARES),
    "compare_verify": ("the port's verify, as a whole", CALLS),
    "compare_early": ("one that stops early, for comparison", COMPARES),
}


def timing_table(board: Board, results: dict[Kind, Result]) -> tables.Table:
    header = ("", "MAC", "right tag", "wrong, fewest", "wrong, most", "wrong tags")
    table = tables.Table(f"Instructions to compare a MAC, on {board.runs_on}", header)
    table.note = (
        "The right tag, that tag with each of its bits changed once, and random ones. A count is"
        f" over {COMPARES} calls ({CALLS} of the port's verify), so that one instruction more in"
        " a call is seen; shown is what one call takes. As a whole, the right tag may take others"
        " than a wrong one: which of the two it is, the answer tells."
    )
    for kind in MACS:
        for name, found in results[kind].compared.items():
            what, calls = COMPARISONS[name]
            shown = [
                f"{float(ticks * board.tick / calls):,.1f}"
                for ticks in (found.right, found.fewest, found.most)
            ]
            label = kind.name + (", PSA" if kind.library else ", core")
            table.add(what, label, *shown, found.tags)
    return table


def leaks(results: Results) -> list[str]:
    """Comparisons whose time depends on the tag. Whether it is the right one is no secret."""
    out = []
    for board, kinds in results.items():
        for kind, result in kinds.items():
            for name, found in result.compared.items():
                counts = [found.fewest, found.most]
                counts += [found.right] if name in ("compare_core", "compare_library") else []
                if name != "compare_early" and max(counts) > min(counts):
                    out.append(f"{COMPARISONS[name][0]} of {kind.needs} on {board.runs_on}")
    return out


def missing(results: Results) -> list[str]:
    lines = []
    for board, kinds in results.items():
        for kind, result in kinds.items():
            if result.why_not:
                lines.append(f"{kind.needs}, on {board.target.name}: {result.why_not}")
    return list(dict.fromkeys(lines))


def report(
    results: Results,
    cores: dict[Board, list[tuple[footprint.Code, footprint.Memory]]],
) -> tuple[list[tables.Table], list[str]]:
    found: list[tables.Table] = []
    for board, steps in cores.items():
        found.append(core_table(board, steps))
    for board, kinds in results.items():
        found.append(weight_table(board, kinds))
    for board, kinds in results.items():
        if any(result.calls for result in kinds.values()):
            found += [verify_table(board, kinds), open_table(board, kinds)]
            found.append(timing_table(board, kinds))
    libraries = [library for name in HINTS if (library := find_library(name)) is not None]
    lines = [
        f"{toolchain.describe(toolchain.ARM)}, {' '.join(toolchain.COMPILE_FLAGS)}",
        *(f"{library.name} {library.version}" for library in libraries),
        *(f"left out: {line}" for line in missing(results)),
    ]
    return found, lines


def render(found: Iterable[tables.Table], lines: Sequence[str], verdict: str) -> str:
    head = [
        "# Trust",
        "",
        "Written by `./run bench trust`: what signed and encrypted patches cost a device. Sizes",
        "are bytes. Instructions are counted by QEMU with `-icount shift=0`: on mps2-an505 for the",
        "Cortex-M33; the code for the Cortex-M0+ runs on microbit, a Cortex-M0, which has the same",
        "instructions. Mbed TLS is configured small: `benchmarks/firmware/trust_mbedtls.h`.",
        "",
        *(f"- {line}" for line in lines),
        f"- {verdict}",
        "",
        "",
    ]
    return "\n".join(head) + "".join(map(tables.markdown, found)).rstrip("\n") + "\n"
