"""The model: how it learned, what it is made of, and how to use it."""

from __future__ import annotations

import math
import platform
import shlex
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

import torch
import yaml

from polymodal import __version__
from polymodal.metrics.history import History
from polymodal.models.stage import INTERMEDIATE
from polymodal.report.drawing import ACCENT, MUTED, WARM, Drawing, Pen
from polymodal.report.formatting import number
from polymodal.report.subject import ReportedRun, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BRANCHES = 8
_MOST_INPUTS = 50
_MOST_COLUMNS = 8  # of an input


def training(subject: ReportedRun) -> Section | None:
    """Curves of loss and metric, or one of each input that learned by itself; nothing without a completed epoch."""
    run = subject.run
    history, epochs = run.history, run.history.epochs
    if not epochs:
        return None
    watched = run.bundle.config.train.early_stopping.metric or ""
    caption = f"{watched} on training rows and validation rows"
    if run.branches:
        figures = [
            _metric_curves(subject.pen, f"{name}: {caption}", watched, branch)
            for name, branch in islice(run.branches.items(), _MOST_BRANCHES)
        ]
    else:
        losses = {"train": {record.epoch: record.loss for record in epochs}}
        if run.refit is not None:
            losses["refit on all rows but test"] = {record.epoch: record.loss for record in run.refit.epochs}
        loss_caption = "Loss while learning, with dropout and augmentation"
        figures = [
            _curves(subject.pen, loss_caption, "loss", losses),
            _metric_curves(subject.pen, caption, watched, history),
        ]
    context = {
        "figures": [figure for figure in figures if figure is not None],
        "branches": [(name, branch.best_epoch) for name, branch in run.branches.items()],
        "choice": history.choice(watched, run.bundle.metrics.rows.validation),
        "refit_epochs": None if run.refit is None else len(run.refit.epochs),
        "confidence": sorted(epochs[-1].contribution.items(), key=lambda one: -one[1]),
        "rows_per_second": sum(record.rows_per_second for record in epochs) / len(epochs),
    }
    return Section("training", "Training", context)


def _metric_curves(pen: Pen, caption: str, watched: str, history: History) -> Drawing | None:
    lines = {
        "train": {record.epoch: record.metric for record in history.epochs if record.metric is not None},
        "validation": {
            record.epoch: record.validation[watched] for record in history.epochs if watched in record.validation
        },
    }
    return _curves(pen, caption, watched, lines, best=history.best_epoch)


def _curves(
    pen: Pen, caption: str, name: str, lines: Mapping[str, dict[int, float]], *, best: int | None = None
) -> Drawing | None:
    """Draws lines of values by epoch; nothing where none is finite."""
    shown = {
        label: {epoch: value for epoch, value in points.items() if math.isfinite(value)}
        for label, points in lines.items()
    }
    shown = {label: points for label, points in shown.items() if points}
    if not shown:
        return None

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        for (label, points), colour in zip(shown.items(), (MUTED, ACCENT), strict=False):
            mark = "o" if len(points) == 1 else ""
            axes.plot(list(points), list(points.values()), color=colour, label=label, marker=mark)
        if best is not None and best in shown.get("validation", {}):
            axes.axvline(best, color=WARM, linewidth=1, linestyle=(0, (3, 3)), label=f"epoch {best}, kept")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y")
        axes.legend()

    traces = [
        {"type": "scatter", "mode": "lines+markers", "name": label, "x": list(points), "y": list(points.values())}
        for label, points in shown.items()
    ]
    return pen.draw(caption, paint, traces, x="epoch", y=name)


def construction(subject: ReportedRun) -> Section:
    """Inputs, encoders and their sizes; settings in full; with what it was made."""
    bundle = subject.run.bundle
    model, config = bundle.model, bundle.config
    inputs = []
    for entry in bundle.schema.inputs[:_MOST_INPUTS]:
        size = sum(parameter.numel() for parameter in model.encoders[entry.name].parameters())
        columns = ", ".join(entry.columns[:_MOST_COLUMNS]) + (", ..." if len(entry.columns) > _MOST_COLUMNS else "")
        parameters = number(size) if entry.shares is None else f"those of {entry.shares}"
        inputs.append(((entry.name, entry.modality, entry.encoder, columns), parameters))
    optimizer = config.train.optimizer
    made = {
        "task": bundle.schema.target.task if bundle.schema.target else "",
        "fusion": config.fusion.name or "",
        "stage": config.stage.name or INTERMEDIATE,
        "optimizer": f"{optimizer.name}, learning rate {optimizer.lr:g}" if optimizer.lr else str(optimizer.name),
        "batch size": str(config.train.batch_size),
        "seed": str(config.seed),
        "Polymodal": __version__,
        "PyTorch": torch.__version__,
        "Python": platform.python_version(),
    }
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return Section("model", "Model", {"inputs": inputs, "made": made, "settings": settings})


def usage(subject: ReportedRun) -> Section:
    """Commands and Python that predict with the bundle."""
    return Section("usage", "How to use it", {"place": shlex.quote(subject.place), "quoted": repr(subject.place)})
