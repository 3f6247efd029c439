"""Every metric beside the baselines."""

from __future__ import annotations

from itertools import islice

from polymodal.abilities import Explaining
from polymodal.metrics.direction import greater_is_better
from polymodal.protocols import Task
from polymodal.report.intervals import draw_intervals
from polymodal.report.subject import ReportedRun, Section

_MOST_ROWS = 24  # of the figure


def results(subject: ReportedRun) -> Section | None:
    """A figure of the metric to look at first, and a table of all of them."""
    metric = subject.main_metric
    if metric is None:
        return None
    baselines, by_input = subject.results.baselines.reports, subject.results.baselines.linear_by_input
    shown = {"model": subject.results.measured, **baselines}
    shown |= {f"linear, {name} alone": report for name, report in by_input.items()}
    compared = {name: report[metric] for name, report in shown.items() if metric in report}
    caption = f"{metric} on {subject.results.side} rows, with 95 % intervals"
    columns = {f"model, {subject.results.side}": subject.results.measured, **baselines}
    context = {
        "drawing": draw_intervals(subject.pen, caption, metric, dict(islice(compared.items(), _MOST_ROWS))),
        "columns": list(columns),
        "metrics": [
            (name, _words(subject.run.bundle.task, name), [report.get(name) for report in columns.values()])
            for name in subject.results.measured
        ],
    }
    return Section("results", "Results", context)


def _words(task: Task, metric: str) -> str:
    """What the metric says, where the task tells it, and which way it improves."""
    if not isinstance(task, Explaining):
        return ""
    known = [name for name in task.metric_words if metric == name or metric.startswith(f"{name}_")]
    words = task.metric_words[max(known, key=len)] if known else ""
    return words if not words or greater_is_better(task.greater_is_better, metric) else f"{words}; lower is better"
