"""What was learned, from how much, how well: the top of the page."""

from __future__ import annotations

from polymodal.codecs.previews import escaped
from polymodal.metrics.direction import greater_is_better
from polymodal.report import markup
from polymodal.report.subject import ReportedRun


def summary(subject: ReportedRun) -> str:
    """Title, one sentence, and the figures to see first."""
    run = subject.run
    rows, schema = subject.results.rows, run.bundle.schema
    learned = rows.train + (rows.validation if run.refit else 0)
    columns = len(schema.features())
    kinds = sorted({column.modality or "" for column in schema.features()})
    lede = (
        f"Learned from {learned:,} rows and {columns} column{'s' * (columns != 1)} ({', '.join(kinds)})"
        f" in {markup.duration(run.seconds)}."
    )
    if run.history.interrupted:
        lede += " The training was interrupted: the best of what was learned until then is kept."
    return (
        f'<header id="top"><p class="kicker">Polymodal report</p><h1>{escaped(subject.target)}</h1>'
        f'<p class="lede">{escaped(lede)} {escaped(verdict(subject))}</p>{_tiles(subject, learned)}</header>'
    )


def verdict(subject: ReportedRun) -> str:
    """Whether the model beats the best baseline, said no more strongly than the intervals allow."""
    metric = subject.main_metric
    if metric is None:
        return "No row was left to measure it on."
    own = subject.report[metric]
    found = {name: report[metric] for name, report in subject.results.baselines.reports.items() if metric in report}
    if not found:
        return ""
    sign = 1 if greater_is_better(subject.run.bundle.task.greater_is_better, metric) else -1
    name = max(found, key=lambda key: sign * found[key].value)
    best, gain = found[name], sign * (own.value - found[name].value)
    apart = own.low > best.high or own.high < best.low
    if gain > 0:
        chance = "by more than the intervals" if apart else "but within the intervals: that may be chance"
        return f"It beats the best baseline, {name}, by {gain:.3g} in {metric}, {chance}."
    return f"It does not beat the baseline {name} in {metric} ({-gain:.3g} behind)."


def _tiles(subject: ReportedRun, learned: int) -> str:
    model, rows = subject.run.bundle.model, subject.results.rows
    tiles = []
    metric = subject.main_metric
    if metric is not None:
        own = subject.report[metric]
        interval = f"95 % interval {markup.amount(own.low)} to {markup.amount(own.high)}"
        tiles.append((f"{escaped(metric)} on {subject.side} rows", markup.amount(own.value), interval))
    total = sum(parameter.numel() for parameter in model.parameters())
    learning = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    frozen = f"{total - learning:,} of them frozen" if learning < total else "all of them learned"
    measured = rows.test if subject.side == "test" else rows.validation
    tiles += [
        ("rows learned from", f"{learned:,}", f"{measured:,} measured on"),
        ("parameters", f"{total:,}", frozen),
        ("epochs", str(len(subject.run.history.epochs)), f"best: {subject.run.history.best_epoch}"),
    ]
    return markup.tiles(tiles)
