"""Every metric beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from polymodal.abilities import Explaining
from polymodal.codecs.previews import escaped
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.direction import greater_is_better
from polymodal.protocols import Task
from polymodal.report import markup
from polymodal.report.drawing import ACCENT, INK, MUTED, Interactive, plotted, short
from polymodal.report.subject import ReportedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ROWS = 24  # of the plot


def results(subject: ReportedRun) -> str:
    """A plot of the metric to look at first, and a table of all of them."""
    metric = subject.main_metric
    if metric is None:
        return ""
    baselines, by_input = subject.results.baselines.reports, subject.results.baselines.linear_by_input
    reports = {f"model, {subject.side}": subject.report, **baselines}
    rows = [
        [
            f"{escaped(name)}<small>{escaped(_words(subject.run.bundle.task, name))}</small>",
            *(_in_brackets(report.get(name)) for report in reports.values()),
        ]
        for name in subject.report
    ]
    table = markup.table(("metric", *reports), rows, numbers=len(reports))
    compared = {"model": subject.report[metric]}
    compared |= {name: report[metric] for name, report in baselines.items() if metric in report}
    compared |= {f"linear, {name} alone": report[metric] for name, report in by_input.items() if metric in report}
    return markup.columns([_plot(subject, metric, compared)]) + table


def _words(task: Task, metric: str) -> str:
    """What the metric says, where the task tells it, and which way it improves."""
    if not isinstance(task, Explaining):
        return ""
    known = [name for name in task.metric_words if metric == name or metric.startswith(f"{name}_")]
    words = task.metric_words[max(known, key=len)] if known else ""
    return words if not words or greater_is_better(task.greater_is_better, metric) else f"{words}; lower is better"


def _in_brackets(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    low, high = markup.amount(interval.low), markup.amount(interval.high)
    return f"<b>{markup.amount(interval.value)}</b> <small>{low} to {high}</small>"


def _plot(subject: ReportedRun, metric: str, compared: Mapping[str, Interval]) -> str:
    shown = dict(list(compared.items())[:_MOST_ROWS])

    def paint(axes: Axes) -> None:
        for place, (name, interval) in enumerate(shown.items()):
            colour = ACCENT if name == "model" else MUTED
            axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.2)
            axes.plot(interval.value, place, "o", color=colour, markersize=6)
            words, end = markup.amount(interval.value), (interval.high, place)
            axes.annotate(words, end, (7, 0), textcoords="offset points", va="center", color=INK)
        axes.set_yticks(range(len(shown)), [short(name, 26) for name in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.margins(x=0.15)
        axes.set_xlabel(metric)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    caption = f"{metric} on {subject.side} rows, with 95 % intervals"
    size = (4.7, 0.8 + 0.34 * len(shown))
    return subject.pen.draw(caption, paint, size=size, interactive=_interactive(metric, shown))


def _interactive(metric: str, shown: Mapping[str, Interval]) -> Interactive:
    values = [interval.value for interval in shown.values()]
    above = [interval.high - interval.value for interval in shown.values()]
    below = [interval.value - interval.low for interval in shown.values()]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": [escaped(name) for name in shown],
        "error_x": {"type": "data", "symmetric": False, "array": above, "arrayminus": below},
    }
    return plotted([points], x=metric, y="", categories="y")
