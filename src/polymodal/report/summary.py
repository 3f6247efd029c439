"""What was learned, from how much, how well: the top of the page, and every metric beside the baselines."""

from __future__ import annotations

from itertools import islice

import numpy as np

from polymodal.abilities import Explaining, Named
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.direction import greater_is_better
from polymodal.metrics.results import Report
from polymodal.protocols import Task
from polymodal.report.formatting import ends, number
from polymodal.report.intervals import interval_chart
from polymodal.report.subject import ReportedRun, Section
from polymodal.types import Classes, Numbers, Texts

_MOST_ROWS = 24  # of the figure
_MOST_NAMES = 8  # of classes without a row


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
        "validation": _validation(subject),
        "interrupted": run.history.interrupted,
        "metric": metric,
        "found": None if metric is None else subject.results.measured[metric],
        "like": [] if metric is None else ends(report.get(metric) for report in _reports(subject).values()),
        "side": side,
        "measured": counts.test if side == "test" else counts.validation,
        "parameters": sum(parameter.numel() for parameter in parameters),
        "frozen": sum(parameter.numel() for parameter in parameters if not parameter.requires_grad),
        "epochs": len(run.history.epochs),
        "best_epoch": run.history.best_epoch,
    }
    name, kind = ("", "") if target is None else (target.name, target.task)
    if target is not None and isinstance(run.bundle.task, Named):
        kind = run.bundle.task.kind
    title = f"Report: {name} ({kind})" if name else f"Report: {kind}"
    return Section("summary", title, {**context, "target": name, "kind": kind})


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
    by_input = subject.results.baselines.linear_by_input
    columns = _reports(subject)
    shown = {"model": subject.results.measured, **subject.results.baselines.shown}
    shown |= {f"linear, {name} alone": report for name, report in by_input.items()}
    compared = {name: report[metric] for name, report in shown.items() if metric in report}
    caption = f"{metric} on {subject.results.side} rows, with 95 % intervals"
    untested = without_rows(subject)
    metrics = []
    for name in subject.results.measured:
        values = [report.get(name) for report in columns.values()]
        unmeasured = untested if name == "macro_f1" else ""
        metrics.append((name, _words(subject.run.bundle.task, name), unmeasured, values, ends(values)))
    context = {
        "chart": interval_chart(caption, metric, dict(islice(compared.items(), _MOST_ROWS))),
        "columns": list(columns),
        "metrics": metrics,
        "untested": untested,
    }
    return Section("results", "Results", context)


def without_rows(subject: ReportedRun) -> str:
    """Which classes or labels no measured row has, in a sentence; empty where every one has some."""
    for outcome in subject.outcomes:
        if isinstance(outcome, Numbers | Texts):
            continue
        held = set(np.unique(outcome.target) if isinstance(outcome, Classes) else np.flatnonzero(outcome.target.any(0)))
        empty = [label for place, label in enumerate(outcome.labels) if place not in held]
        if empty:
            one, several = ("class", "classes") if isinstance(outcome, Classes) else ("label", "labels")
            what = f"the {one}" if len(empty) == 1 else f"these {number(len(empty))} {several}:"
            more = ", ..." if len(empty) > _MOST_NAMES else ""
            return f"No {subject.results.side} row has {what} {', '.join(empty[:_MOST_NAMES])}{more}."
    return ""


def _reports(subject: ReportedRun) -> dict[str, Report]:
    """Every metric of the model and of the baselines, by the name of the column that shows them."""
    return {f"model, {subject.results.side}": subject.results.measured, **subject.results.baselines.shown}


def _words(task: Task, metric: str) -> str:
    """What the metric says, where the task tells it, and which way it improves."""
    if not isinstance(task, Explaining):
        return ""
    known = [name for name in task.metric_words if metric == name or metric.startswith(f"{name}_")]
    words = task.metric_words[max(known, key=len)] if known else ""
    return words if not words or greater_is_better(task.greater_is_better, metric) else f"{words}; lower is better"
