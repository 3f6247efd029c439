"""A chart of values with their intervals, one below the other: HTML, so that names wrap and nothing is cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polymodal.metrics.bootstrap import Interval
from polymodal.report.formatting import ends, number, tick

_MOST_TICKS = 4


@dataclass(frozen=True)
class IntervalLine:
    """One value with its interval; places are in percent of the width.

    Attributes:
        name: of what was measured.
        text: the value in digits.
    """

    name: str
    text: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class IntervalChart:
    """A chart of one metric.

    Attributes:
        lines: the first stands out.
        ticks: place in percent and text of each.
    """

    caption: str
    metric: str
    lines: list[IntervalLine]
    ticks: list[tuple[float, str]]


def interval_chart(caption: str, metric: str, intervals: Mapping[str, Interval]) -> IntervalChart:
    """A chart of one metric, by the name of what was measured."""
    from matplotlib.ticker import MaxNLocator

    every = ends(intervals.values())
    low, high = min(every), max(every)
    room = 0.04 * (high - low) or 0.1 * abs(high) or 0.1
    low, high = low - room, high + room

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    steps = MaxNLocator(_MOST_TICKS, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    inside = [float(step) for step in steps if low <= step <= high]
    lines = [
        IntervalLine(name, number(one.value, like=every), place(one.value), place(one.low), place(one.high))
        for name, one in intervals.items()
    ]
    return IntervalChart(caption, metric, lines, [(place(step), tick(step, inside)) for step in inside])
