"""What the model does when inputs are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from polymodal.codecs.previews import escaped
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.results import HiddenResult, SubsetResult, SubsetResults
from polymodal.report import markup
from polymodal.report.drawing import ACCENT, INK, MUTED, Interactive, plotted, short
from polymodal.report.subject import ReportedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ROWS = 40  # of the plot


def subsets(subject: ReportedRun) -> str:
    """How much each input is missed: a plot and a table; nothing where there is one input only."""
    found = subject.results.subsets
    lines = [] if found is None else defined_subsets(found)
    if found is None or len(lines) < 2:
        return ""
    metric = found.metric
    sentence = missed(found, greater_is_better=subject.run.bundle.task.greater_is_better[metric])
    caption = f"{metric} on {subject.side} rows by the inputs that are there, with 95 % intervals"
    plot = subject.pen.draw(
        caption, paint_subsets(found), size=(6.0, _height(len(lines))), interactive=_interactive(metric, lines)
    )
    rows = [
        (escaped(named(line.inputs)), _in_brackets(line.metrics[metric]), _in_brackets(line.change)) for line in lines
    ]
    return (
        markup.paragraph(f"The same model and rows; the inputs that are not named are hidden. {sentence}")
        + plot
        + markup.table(("inputs", metric, "change from all"), rows, numbers=2)
    )


def missed(found: SubsetResults, *, greater_is_better: bool) -> str:
    """Which input is missed most, in a sentence; empty where nothing was measured with one input hidden."""
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
    words = f"What is missed most is {most}: {gone[most].value:+.3f} in {found.metric} without it."
    if most in harmless:
        return f"Without any one of the inputs {found.metric} stays within the intervals."
    if harmless:
        words += f" Without {' or '.join(harmless)} it stays within the intervals."
    return words


def defined_subsets(found: SubsetResults) -> list[SubsetResult]:
    """The subsets for which the metric is defined."""
    return [line for line in found.subsets if found.metric in line.metrics]


def defined_rates(found: SubsetResults) -> list[HiddenResult]:
    """The rates of hidden inputs for which the metric is defined."""
    return [line for line in found.hidden if found.metric in line.metrics]


def named(inputs: Sequence[str]) -> str:
    """Inputs as people read them."""
    return " + ".join(inputs)


def paint_subsets(found: SubsetResults) -> Callable[[Axes], None]:
    """Draws one interval for each subset."""
    metric, lines = found.metric, defined_subsets(found)[:_MOST_ROWS]

    def paint(axes: Axes) -> None:
        for place, line in enumerate(lines):
            interval, colour = line.metrics[metric], ACCENT if place == 0 else MUTED
            axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.2)
            axes.plot(interval.value, place, "o", color=colour, markersize=6)
            words, end = markup.amount(interval.value), (interval.high, place)
            axes.annotate(words, end, (7, 0), textcoords="offset points", va="center", color=INK)
        axes.set_yticks(range(len(lines)), [short(named(line.inputs), 34) for line in lines])
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.margins(x=0.15)
        axes.set_xlabel(metric)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    return paint


def paint_rates(found: SubsetResults) -> Callable[[Axes], None]:
    """Draws the curve under growing rates."""
    metric, lines = found.metric, defined_rates(found)

    def paint(axes: Axes) -> None:
        rates = [100 * line.rate for line in lines]
        intervals = [line.metrics[metric] for line in lines]
        low, high = [interval.low for interval in intervals], [interval.high for interval in intervals]
        axes.fill_between(rates, low, high, color=ACCENT, alpha=0.2, linewidth=0)
        axes.plot(rates, [interval.value for interval in intervals], color=ACCENT, marker="o", markersize=4)
        axes.set_xlabel("inputs hidden at random, %")
        axes.set_ylabel(metric)
        axes.grid(axis="y")

    return paint


def picture_height(found: SubsetResults) -> float:
    """Inches that the plot of the subsets wants."""
    return max(3.4, _height(len(defined_subsets(found)[:_MOST_ROWS])))


def _height(lines: int) -> float:
    return 0.8 + 0.34 * min(lines, _MOST_ROWS)


def _in_brackets(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    low, high = markup.amount(interval.low), markup.amount(interval.high)
    return f"<b>{markup.amount(interval.value)}</b> <small>{low} to {high}</small>"


def _interactive(metric: str, lines: Sequence[SubsetResult]) -> Interactive:
    intervals = [line.metrics[metric] for line in lines]
    values = [interval.value for interval in intervals]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": [escaped(named(line.inputs)) for line in lines],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [interval.high - interval.value for interval in intervals],
            "arrayminus": [interval.value - interval.low for interval in intervals],
        },
    }
    return plotted([points], x=metric, y="", categories="y")
