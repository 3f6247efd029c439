"""Draws values with their intervals, one below the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from polymodal.codecs.previews import escaped
from polymodal.metrics.bootstrap import Interval
from polymodal.report.drawing import ACCENT, INK, MUTED, Drawing, Paint, Pen, short
from polymodal.report.formatting import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_NAME = 30  # characters


def draw_intervals(pen: Pen, caption: str, metric: str, intervals: Mapping[str, Interval]) -> Drawing:
    """A figure of one metric, by what it is of; the first stands out."""
    found = intervals.values()
    above = [interval.high - interval.value for interval in found]
    below = [interval.value - interval.low for interval in found]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": [interval.value for interval in found],
        "y": [escaped(name) for name in intervals],
        "error_x": {"type": "data", "symmetric": False, "array": above, "arrayminus": below},
    }
    size = (4.7, intervals_height(len(intervals)))
    return pen.draw(caption, paint_intervals(metric, intervals), [points], x=metric, y="", size=size, categories="y")


def paint_intervals(metric: str, intervals: Mapping[str, Interval]) -> Paint:
    """Draws one interval on each line; the first stands out."""

    def paint(axes: Axes) -> None:
        for place, interval in enumerate(intervals.values()):
            colour = ACCENT if place == 0 else MUTED
            axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.2)
            axes.plot(interval.value, place, "o", color=colour, markersize=6)
            words, end = figure(interval.value), (interval.high, place)
            axes.annotate(words, end, (7, 0), textcoords="offset points", va="center", color=INK)
        axes.set_yticks(range(len(intervals)), [short(name, _LONGEST_NAME) for name in intervals])
        axes.set_ylim(len(intervals) - 0.4, -0.6)
        axes.margins(x=0.15)
        axes.set_xlabel(metric)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    return paint


def intervals_height(lines: int) -> float:
    """Inches that the figure wants."""
    return 0.8 + 0.34 * lines
