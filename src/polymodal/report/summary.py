"""What was learned, from how much, how well: the top of the page, and every metric beside the baselines."""

from __future__ import annotations

from itertools import islice

from polymodal.abilities import Explaining
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.direction import greater_is_better
from polymodal.protocols import Task
from polymodal.report.drawing import draw_intervals
from polymodal.report.subject import ReportedRun, Section

_MOST_ROWS = 24  # of the figure


def summary(subject: ReportedRun) -> Section:
    """The target, what was learned from, the verdict, and the figures to see first."""
    run, counts, side, metric = subject.run, subject.results.rows, subject.results.side, subject.main_metric
    target, features = run.bundle.schema.target, run.bundle.schema.features()
    parameters = list(run.bundle.model.parameters())
    context = {
        "verdict": verdict(subject),
        "rows": counts.train + (counts.validation if run.refit else 0),
        "columns": len(features),
        "modalities": sorted({column.modality or "" for column in features}),
        "seconds": run.seconds,
        "cpu_seconds": run.cpu_seconds,
        "alerts": [alert.text for alert in subject.results.alerts],
        "validation": _validation(subject),
        "interrupted": run.history.interrupted,
        "num_warnings": len(run.notes) + bool(run.rejects),
        "metric": metric,
        "found": None if metric is None else subject.results.measured[metric],
        "side": side,
        "measured": counts.test if side == "test" else counts.validation,
        "parameters": sum(parameter.numel() for parameter in parameters),
        "frozen": sum(parameter.numel() for parameter in parameters if not parameter.requires_grad),
        "epochs": len(run.history.epochs),
        "best_epoch": run.history.best_epoch,
    }
    title = "" if target is None else target.name or target.task
    return Section("summary", title, context)


def _validation(subject: ReportedRun) -> Interval | None:
    """The metric on validation rows, where it is told beside that on test rows: it is far better."""
    gap = any(alert.kind == "validation_gap" for alert in subject.results.alerts)
    return subject.results.validation.get(subject.main_metric or "") if gap else None


def verdict(subject: ReportedRun) -> str:
    """Whether the model beats the best baseline, by the paired bootstrap; empty where there is none."""
    if subject.main_metric is None:
        return "No row was left to measure the model on."
    found = subject.results.verdict
    return "" if found is None else found.text


def results(subject: ReportedRun) -> Section | None:
    """A figure of the metric to look at first, and a table of all of them."""
    metric = subject.main_metric
    if metric is None:
        return None
    baselines, by_input = subject.results.baselines.shown, subject.results.baselines.linear_by_input
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
