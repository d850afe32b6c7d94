"""The candidates of a search as a picture. The same result gives the same bytes."""

from __future__ import annotations

import importlib
import io
from typing import Any, Final

from tinymldelta.accuracy import TITLES, Metric, MetricKind, metric_value
from tinymldelta.errors import Refusal
from tinymldelta.slim.search import Point, SlimResult

# Colours that differ in lightness too, and shapes, so that neither has to be told by hue.
_CHOSEN: Final = ("*", "#d55e00", 130)
_WITHIN: Final = ("o", "#0072b2", 34)
_BEYOND: Final = ("x", "#777777", 34)
_BASE: Final = ("v", "#000000", 40)
_TARGET: Final = ("s", "#000000", 34)
_MARGIN: Final = 0.08  # of the height, above and below what is drawn
_LEAST_HEIGHT: Final = 1e-6


def need_matplotlib(where: str) -> Any:
    """matplotlib, for the plot of that name. Refuses if it is not installed."""
    try:
        matplotlib = importlib.import_module("matplotlib")
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise Refusal(
            where, "matplotlib cannot be imported to draw it", "pip install 'tinymldelta[plot]'"
        ) from error
    return matplotlib


def draw(result: SlimResult, metric: Metric, max_drop: float, where: str) -> bytes:
    """An SVG: the value of each candidate by the bytes of its patch, with base and target.

    A bar goes down, or for an error up, to the worst value that is possible with 95 % confidence.
    A candidate whose bar ends at the budget is beyond it: the search wants a margin of 0.41 bars.
    max_drop: in the metric's unit. where: the picture's name, for messages. Raises Refusal without
    matplotlib.
    """
    matplotlib = need_matplotlib(where)
    # Text stays text, and names within the file do not depend on chance.
    style = {"svg.hashsalt": "tinymldelta", "svg.fonttype": "none", "font.size": 9}
    out = io.BytesIO()
    with matplotlib.rc_context(style):
        figure = matplotlib.figure.Figure(figsize=(7, 4.4), layout="constrained")
        axes = figure.subplots()
        scale = _Scale(metric.kind, result.target_value)
        _draw_points(axes, scale, result)
        budget = scale.worse_by(max_drop)
        axes.axhline(
            budget, color="#d55e00", linestyle="--", linewidth=1, label=f"budget of {max_drop:g}"
        )
        target = scale.of(result.target_value)
        said = metric_value(metric.kind, result.target_value)
        _mark(axes, _TARGET, result.ordinary, target, f"target, {said}")
        ends = [budget, target, *(y for point in result.points for y in scale.reach(point))]
        _draw_base(axes, scale, result, ends)
        axes.set_xlim(left=-0.03 * result.ordinary, right=1.05 * result.ordinary)
        axes.set_xlabel("patch without header and metadata, bytes")
        axes.set_ylabel(scale.title)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


class _Scale:
    """Values as they are drawn: accuracy and AUC in percent."""

    def __init__(self, kind: MetricKind, target: float) -> None:
        self.kind = kind
        self._target = self.of(target)
        error = kind is MetricKind.MAE
        percent = kind in (MetricKind.ACCURACY, MetricKind.AUC)
        self.title = TITLES[kind] + (" (%)" if percent else ", less is better" if error else "")

    def of(self, value: float) -> float:
        return 100 * value if self.kind in (MetricKind.ACCURACY, MetricKind.AUC) else value

    def worse_by(self, drop: float) -> float:
        """The value that is worse than the target's by so much, in the metric's unit."""
        if self.kind is MetricKind.MAE:
            return self._target * (1 + drop / 100)
        return self._target - drop

    def reach(self, point: Point) -> tuple[float, float]:
        """The value of a point, and the worst that is possible."""
        value = self.of(point.value)
        return value, value if point.bound is None else self.worse_by(point.bound)


def _draw_points(axes: Any, scale: _Scale, result: SlimResult) -> None:
    groups = (
        ("beyond the budget", _BEYOND, lambda n, p: not p.passes),
        ("within the budget", _WITHIN, lambda n, p: p.passes and n != result.chosen),
        ("chosen", _CHOSEN, lambda n, p: n == result.chosen),
    )
    for label, look, belongs in groups:
        points = [p for n, p in enumerate(result.points) if belongs(n, p)]
        if not points:
            continue
        values, worst = zip(*(scale.reach(p) for p in points), strict=True)
        x = [p.patch_bytes for p in points]
        axes.vlines(x, values, worst, color=look[1], linewidth=1, zorder=2)
        _mark(axes, look, x, values, label)


def _draw_base(axes: Any, scale: _Scale, result: SlimResult, ends: list[float]) -> None:
    """The base, which takes no bytes: at the edge if it is so far off that it would hide the rest.

    ends: everything else that is drawn; from this come the limits of the axis.
    """
    low, high = min(ends), max(ends)
    height = max(high - low, _LEAST_HEIGHT * max(abs(high), 1.0))
    base = scale.of(result.base_value)
    label = f"base, {metric_value(scale.kind, result.base_value)}"
    if low - height <= base <= high + height:
        low, high = min(low, base), max(high, base)
    else:
        label += ", beyond the edge"
    margin = _MARGIN * max(high - low, height)
    axes.set_ylim(low - margin, high + margin)
    _mark(axes, _BASE, 0, min(max(base, low), high), label)


def _mark(axes: Any, look: tuple[str, str, int], x: Any, y: Any, label: str) -> None:
    marker, colour, size = look
    axes.scatter(x, y, marker=marker, color=colour, s=size, label=label, zorder=3)
