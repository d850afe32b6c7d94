"""The sizes of a run as a picture. The same run gives the same bytes."""

from __future__ import annotations

import importlib
from pathlib import Path

from .libraries import HOW_TO_GET, SUB_BROTLI
from .measuring import Bench
from .peer import Absent

# Colours that differ in lightness too, and shapes, so that neither has to be told by hue.
_BEST = ("smallest of all tools", "s", "#0072b2")
_FOR_MCU = ("smallest of tools for microcontrollers", "D", "#56b4e9")
_SUBTRACTION = ("subtraction, brotli", "x", "#555555")
_OURS = ("o", ("#d55e00", "#e69f00", "#f0e442"))  # the newest first


def draw(bench: Bench, out: Path) -> None:
    """Write an SVG: one row for each pair, sizes in percent of the target. Raises Absent."""
    try:
        matplotlib = importlib.import_module("matplotlib")
        matplotlib.use("svg")
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise Absent(HOW_TO_GET) from error

    best, _, for_mcu = bench.references(bench.ours.key)
    marks = [
        (label, marker, colour, [pair.smallest(keys) for pair in bench.pairs])
        for (label, marker, colour), keys in (
            (_FOR_MCU, for_mcu.keys),
            (_BEST, best.keys),
            (_SUBTRACTION, (SUB_BROTLI,)),
        )
    ]
    marker, colours = _OURS
    for each, colour in zip(reversed(bench.formats), colours, strict=False):
        sizes = [pair.smallest((each.key,)) for pair in bench.pairs]
        marks.append((each.name, marker, colour, sizes))

    # Text stays text, and names within the file do not depend on chance.
    style = {"svg.hashsalt": "tinymldelta", "svg.fonttype": "none", "font.size": 9}
    rows = range(len(bench.pairs))
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(8, 1.6 + 0.27 * len(rows)), layout="constrained")
        for label, marker, colour, found in marks:
            points = [
                (100 * entry[0] / bench.pairs[row].target_bytes, row)
                for row, entry in zip(rows, found, strict=True)
                if entry is not None
            ]
            x, y = [point[0] for point in points], [point[1] for point in points]
            axes.scatter(x, y, marker=marker, color=colour, s=26, label=label, zorder=3)
        axes.set_xscale("log")
        axes.set_xlabel("patch, percent of the target's bytes")
        axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.set_yticks(rows, [pair.name for pair in bench.pairs])
        axes.invert_yaxis()
        axes.grid(color="#dddddd", linewidth=0.6)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
