"""How well the model does when inputs are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from polymodal.metrics.results import MaskedResult, SubsetResult, SubsetResults
from polymodal.report.drawing import ACCENT, Paint, intervals_height, paint_intervals, save_picture
from polymodal.report.formatting import ends, number
from polymodal.report.intervals import interval_chart
from polymodal.report.subject import ReportedRun, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from polymodal.metrics.bootstrap import Interval

_MOST_ROWS = 40  # of the figure


def subsets(subject: ReportedRun) -> Section | None:
    """How much each input is missed: a figure and a table; nothing where there is one input only."""
    found = subject.results.subsets
    lines = [] if found is None else defined_subsets(found)
    if found is None or len(lines) < 2:
        return None
    metric = found.metric
    caption = f"{metric} on {subject.results.side} rows by the inputs that are missing, with 95 % intervals"
    context = {
        "metric": metric,
        "missed": missed(found, greater_is_better=subject.run.bundle.task.greater_is_better[metric]),
        "chart": interval_chart(caption, metric, _drawn(found)),
        "rows": [(named(line.inputs, found), line.metrics[metric], line.change) for line in lines],
        "like": ends(line.metrics[metric] for line in lines),
    }
    return Section("subsets", "Missing inputs", context)


def missed(found: SubsetResults, *, greater_is_better: bool) -> str:
    """Which input is missed most, in a sentence; empty where nothing was measured with one input masked."""
    lines = defined_subsets(found)
    if not lines:
        return ""
    whole = set(lines[0].inputs)
    gone = {
        next(iter(whole.difference(line.inputs))): line.change
        for line in lines
        if line.change is not None and len(line.inputs) == len(whole) - 1
    }
    if not gone:
        return ""
    sign = 1 if greater_is_better else -1
    most = min(gone, key=lambda name: sign * gone[name].value)
    harmless = [name for name, change in gone.items() if change.low <= 0 <= change.high]
    change = number(gone[most].value, like=ends(gone.values()), signed=True)
    words = f"What is missed most is {most}: {change} in {found.metric} without it."
    if most in harmless:
        return f"Without any one of the inputs {found.metric} stays within the intervals."
    if harmless:
        words += f" Without {' or '.join(harmless)} it stays within the intervals."
    return words


def defined_subsets(found: SubsetResults) -> list[SubsetResult]:
    """The subsets for which the metric is defined."""
    return [line for line in found.subsets if found.metric in line.metrics]


def defined_rates(found: SubsetResults) -> list[MaskedResult]:
    """The rates of masked inputs for which the metric is defined."""
    return [line for line in found.masked if found.metric in line.metrics]


def named(inputs: Sequence[str], found: SubsetResults) -> str:
    """A subset of the inputs as people read it: by what is missing, or where that is more than half, by what is there.

    >>> found = SubsetResults(metric="accuracy", subsets=[
    ...     SubsetResult(inputs=("name", "photo", "voice"), metrics={}, change=None)
    ... ])
    >>> [named(inputs, found) for inputs in (("name", "photo", "voice"), ("name", "voice"), ("voice",))]
    ['all inputs', 'without photo', 'only voice']
    """
    whole = found.subsets[0].inputs
    missing = [name for name in whole if name not in inputs]
    if not missing:
        return "all inputs"
    if 2 * len(missing) <= len(whole):
        return f"without {_listed(missing)}"
    return f"only {_listed(inputs)}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def save_subsets(found: SubsetResults, path: Path) -> None:
    """Writes a picture of the subsets, and of the curve under growing rates, as an SVG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: the file cannot be written.
    """
    drawn = _drawn(found)
    figures = {
        "By the inputs that are there": paint_intervals(found.metric, drawn),
        "Hidden at random": _paint_rates(found),
    }
    save_picture(path, figures, height=max(3.4, intervals_height(len(drawn))))


def _paint_rates(found: SubsetResults) -> Paint:
    metric, lines = found.metric, defined_rates(found)

    def paint(axes: Axes) -> None:
        rates = [100 * line.rate for line in lines]
        intervals = [line.metrics[metric] for line in lines]
        low, high = [interval.low for interval in intervals], [interval.high for interval in intervals]
        axes.fill_between(rates, low, high, color=ACCENT, alpha=0.2, linewidth=0)
        axes.plot(rates, [interval.value for interval in intervals], color=ACCENT, marker="o", markersize=4)
        axes.set(xlabel="inputs masked at random, %", ylabel=metric)
        axes.grid(axis="y")

    return paint


def _drawn(found: SubsetResults) -> dict[str, Interval]:
    """The interval of each subset that is drawn, by its inputs."""
    return {named(line.inputs, found): line.metrics[found.metric] for line in defined_subsets(found)[:_MOST_ROWS]}
