"""Patch bytes against accuracy, as a picture. The same runs give the same bytes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from peers.libraries import HOW_TO_GET
from peers.peer import Absent
from slimming.kinds import KINDS, LARGE, SEEDS, is_held_out, kind_of
from slimming.runs import BUDGETS, Run
from slimming.store import Bench
from slimming.ways import DISTILLED

# Colours that differ in lightness too, and shapes, so that neither has to be told by hue.
_SEEDS = dict(zip(SEEDS, (("o", "#0072b2"), ("s", "#d55e00"), ("D", "#555555")), strict=True))
_COLUMNS = 3
_FARTHEST = 2.5  # percentage points that are shown


def draw(bench: Bench, out: Path) -> None:
    """Write an SVG: for each kind of pair, what candidates cost. Raises Absent."""
    try:
        matplotlib = importlib.import_module("matplotlib")
        matplotlib.use("svg")
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise Absent(HOW_TO_GET) from error

    runs = [run for run in bench.runs if run.way == DISTILLED and not is_held_out(run.pair)]
    kinds = [kind for kind in KINDS | LARGE if any(kind_of(run.pair) == kind for run in runs)]
    rows = max(-(-len(kinds) // _COLUMNS), 1)
    # Text stays text, and names within the file do not depend on chance.
    style = {"svg.hashsalt": "tinymldelta", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(
            rows, _COLUMNS, figsize=(9, 0.6 + 2.9 * rows), layout="constrained", squeeze=False,
            sharey=True,
        )  # fmt: skip
        places = list(axes.ravel())
        for place in places[len(kinds) :]:
            place.axis("off")
        for kind, place in zip(kinds, places, strict=False):
            _panel(place, kind, [run for run in runs if kind_of(run.pair) == kind])
        figure.supxlabel("patch, percent of the ordinary one")
        figure.supylabel("lost, percentage points")
        handles = {
            label: handle
            for place in places
            for handle, label in zip(*place.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper center", ncols=3, frameon=False
        )
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


def _panel(place: Any, kind: str, runs: list[Run]) -> None:
    """Lines: candidates on validation data. Marks: what was taken, on test data."""
    for budget in BUDGETS:
        place.axhline(budget, color="#999999", linewidth=0.8, linestyle="--")
    place.axhline(0, color="#dddddd", linewidth=0.8)
    for run in runs:
        seed = int(run.pair.rpartition("_")[2])
        marker, colour = _SEEDS.get(seed, _SEEDS[SEEDS[-1]])
        if run.budget == max(BUDGETS):
            shown = [c for c in run.path if c.drop <= _FARTHEST]
            x = [100 * c.patch / run.ordinary for c in shown]
            place.plot(
                x, [c.drop for c in shown], color=colour, linewidth=1,
                label=f"candidates on validation data, seed {seed}",
            )  # fmt: skip
        if run.ratio is not None:
            place.scatter(
                [100 * run.ratio], [run.test_drop], marker=marker, color=colour, s=26, zorder=3,
                label=f"taken, on test data, seed {seed}",
            )  # fmt: skip
    place.set_title(kind)
    place.set_xlim(0, 105)
    place.grid(color="#eeeeee", linewidth=0.6)
