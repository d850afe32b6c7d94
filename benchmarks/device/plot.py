"""Bytes sent against instructions, for each decoder, as a picture. The same each time."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peers.compare import geometric_mean
from peers.libraries import HOW_TO_GET
from peers.peer import Absent

# Colours that differ in lightness too, and shapes, so that neither has to be told by hue.
_OURS = ("#d55e00", "#e69f00", "#a0522d")
_OTHERS = ("#0072b2", "#56b4e9", "#555555", "#009e73", "#999999", "#000000")
_SHAPES = "osD^vPX*<>"


@dataclass(frozen=True)
class Series:
    """A decoder: for each pair, bytes sent by byte of the target, and instructions by byte."""

    name: str
    ours: bool
    points: tuple[tuple[float, float], ...]


def draw(series: Sequence[Series], core: str, out: Path) -> None:
    """Write an SVG: small marks for pairs, a large one for their geometric mean. Raises Absent."""
    try:
        matplotlib = importlib.import_module("matplotlib")
        matplotlib.use("svg")
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise Absent(HOW_TO_GET) from error
    style = {"svg.hashsalt": "tinymldelta", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
        left = {True: list(_OURS), False: list(_OTHERS)}
        for number, one in enumerate(series):
            colours = left[one.ours]
            colour = colours[0] if len(colours) == 1 else colours.pop(0)
            shape = _SHAPES[number % len(_SHAPES)]
            x = [100 * point[0] for point in one.points]
            y = [point[1] for point in one.points]
            axes.scatter(x, y, marker=shape, color=colour, s=12, alpha=0.5, linewidths=0, zorder=2)
            axes.scatter(
                [geometric_mean(x)], [geometric_mean(y)], marker=shape, color=colour, s=90,
                edgecolors="white", label=one.name, zorder=3,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("bytes sent, percent of the target")
        axes.set_ylabel(f"instructions per byte of the target, {core}")
        axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.grid(color="#dddddd", linewidth=0.6)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
