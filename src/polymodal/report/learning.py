"""How the model learned: loss and watched metric, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from polymodal.codecs.previews import escaped
from polymodal.metrics.history import History
from polymodal.report import markup
from polymodal.report.drawing import ACCENT, MUTED, WARM, Interactive, plotted
from polymodal.report.subject import ReportedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BRANCHES = 8

Points: TypeAlias = dict[int, float]
"""Epoch -> value."""


def learning(subject: ReportedRun) -> str:
    """Two figures; nothing where no epoch was completed."""
    run = subject.run
    if not run.history.epochs:
        return ""
    watched = run.bundle.config.train.early_stopping.metric or ""
    if run.branches:
        return _branches(subject, run.branches, watched)
    epochs = run.history.epochs
    losses = {"train": {record.epoch: record.loss for record in epochs}}
    if run.refit is not None:
        losses["refit on all rows but test"] = {record.epoch: record.loss for record in run.refit.epochs}
    metric = _metric(run.history, watched)
    speed = sum(record.rows_per_second for record in epochs) / len(epochs)
    words = (
        f"The weights of epoch {run.history.best_epoch} are kept: its {watched} on the validation rows is the best."
        if metric["validation"]
        else "Without validation rows the last weights are kept."
    )
    if run.refit is not None:
        words += (
            f" Then a new model learned for {len(run.refit.epochs)} epochs from these rows too: that is the bundle."
        )
    words += _shares(epochs[-1].share)
    best = run.history.best_epoch
    figures = [
        _curves(subject, "Loss while learning, with dropout and augmentation", "loss", losses, best=None),
        _curves(subject, f"{watched} on rows learned from and on rows held out", watched, metric, best=best),
    ]
    return markup.paragraph(f"{words} {speed:,.0f} rows a second.") + markup.columns(filter(None, figures))


def _branches(subject: ReportedRun, branches: Mapping[str, History], watched: str) -> str:
    """A figure for each input that learned by itself."""
    kept = ", ".join(f"{name} {history.best_epoch}" for name, history in branches.items())
    caption = "{}: " + f"{watched} on rows learned from and on rows held out"
    figures = [
        _curves(subject, caption.format(name), watched, _metric(history, watched), best=history.best_epoch)
        for name, history in list(branches.items())[:_MOST_BRANCHES]
    ]
    return markup.paragraph(f"Each input learned by itself; the weights of these epochs are kept: {kept}.") + (
        markup.columns(filter(None, figures))
    )


def _metric(history: History, watched: str) -> dict[str, Points]:
    return {
        "train": {record.epoch: record.metric for record in history.epochs if record.metric is not None},
        "validation": {
            record.epoch: record.validation[watched] for record in history.epochs if watched in record.validation
        },
    }


def _shares(share: Mapping[str, float]) -> str:
    """How sure the inputs are, in words; nothing where that was not measured."""
    if not share:
        return ""
    parts = [f"{name} {part:.0%}" for name, part in sorted(share.items(), key=lambda one: -one[1])]
    return f" Of the confidence that the inputs have by themselves in the end, {', '.join(parts)}."


def _curves(subject: ReportedRun, caption: str, name: str, lines: Mapping[str, Points], *, best: int | None) -> str:
    shown = {
        label: {epoch: value for epoch, value in points.items() if math.isfinite(value)}
        for label, points in lines.items()
    }
    shown = {label: points for label, points in shown.items() if points}
    if not shown:
        return ""

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        for (label, points), colour in zip(shown.items(), (MUTED, ACCENT), strict=False):
            mark = "o" if len(points) == 1 else ""
            axes.plot(list(points), list(points.values()), color=colour, label=label, marker=mark)
        if best is not None and best in shown.get("validation", {}):
            axes.axvline(best, color=WARM, linewidth=1, linestyle=(0, (3, 3)), label=f"epoch {best}, kept")
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.legend()

    return subject.pen.draw(caption, paint, interactive=_interactive(name, shown))


def _interactive(name: str, lines: Mapping[str, Points]) -> Interactive:
    data = [
        {"type": "scatter", "mode": "lines+markers", "name": label, "x": list(points), "y": list(points.values())}
        for label, points in lines.items()
    ]
    return plotted(data, x="epoch", y=escaped(name))
