"""What looks on while a model learns: the log, the progress line, and files for TensorBoard."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from polymodal.errors import needs_extra
from polymodal.metrics.history import EpochRecord, History

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


@runtime_checkable
class Callback(Protocol):
    """Hears of every epoch and, however the training ends, of its end."""

    def on_epoch(self, record: EpochRecord) -> None: ...

    def on_end(self, history: History) -> None: ...


class JsonLog:
    """Writes one line of JSON an epoch, at once, so that a killed run leaves its log. NaN and infinity become null.

    Each line holds the fields of `EpochRecord`, after `phase` where one is given.

    Args:
        phase: which of several trainings with one log this is.
        append: keep what the file holds; else an older file of that name is replaced.
    """

    def __init__(self, path: Path, *, phase: str | None = None, append: bool = False) -> None:
        self.path = path
        self.named = {} if phase is None else {"phase": phase}
        if not append:
            path.write_text("", encoding="utf-8")

    def on_epoch(self, record: EpochRecord) -> None:
        line = json.dumps(_finite(self.named | asdict(record)), allow_nan=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def on_end(self, history: History) -> None:
        """Every line is already written."""


class Progress:
    """Shows on stderr how the training goes: live on a terminal, elsewhere one plain line an epoch, if `verbose`.

    A line is made to fit the terminal: what matters least is left out of it, nothing is cut.

    Args:
        epochs: of this training, at most.
        metric: the watched one.
        verbose: also where there is no terminal.
        title: which training this is, such as `1/2 search`.
        later: epochs of trainings to come, which count for the time that is left.
    """

    def __init__(self, epochs: int, *, metric: str, verbose: bool = False, title: str = "", later: int = 0) -> None:
        self.epochs, self.metric, self.verbose = epochs, metric, verbose
        self.title, self.later = f"{title}  " if title else "", later
        self.seconds = 0.0
        self.bar = _bar(f"{self.title}epoch 0/{epochs}") if sys.stderr.isatty() else None

    def on_epoch(self, record: EpochRecord) -> None:
        self.seconds += record.seconds
        pace = self.seconds / record.epoch
        left = timedelta(seconds=round(pace * (self.epochs - record.epoch + self.later)))
        words = [*_describe(record, self.metric), f"{left} left"]
        start = f"{self.title}epoch {record.epoch}/{self.epochs}"
        if self.bar is not None:
            line = _fitted(start, words, self.bar.console.width - 1)
            self.bar.update(self.bar.task_ids[0], completed=record.epoch, words=line, refresh=True)
        elif self.verbose:
            sys.stderr.write("  ".join([start, *words]) + "\n")

    def on_end(self, history: History) -> None:
        if self.bar is not None:
            self.bar.stop()


class TensorBoard:
    """Scalars by epoch: `loss/train`, `metric/train`, `validation/METRIC`, `speed/rows_per_second`, `lr`,
    `contribution/INPUT`.

    What is not finite, or not defined, is left out.

    Args:
        folder: of this training's event file; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.writer = require_tensorboard()(str(folder))

    def on_epoch(self, record: EpochRecord) -> None:
        scalars = {
            "loss/train": record.loss,
            "metric/train": record.metric,
            "lr": record.lr,
            "speed/rows_per_second": record.rows_per_second,
            **{f"validation/{name}": value for name, value in record.validation.items()},
            **{f"contribution/{name}": value for name, value in record.contribution.items()},
        }
        for name, value in scalars.items():
            if value is not None and math.isfinite(value):
                self.writer.add_scalar(name, value, record.epoch)
        self.writer.flush()  # a killed run leaves what it learned until then

    def on_end(self, history: History) -> None:
        self.writer.add_scalar("best_epoch", history.best_epoch, len(history.epochs))
        self.writer.close()


def require_tensorboard() -> Any:
    """The class that writes event files.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    with needs_extra("tensorboard", "tensorboard", "--tensorboard"):
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter


def clear_events(folder: Path) -> None:
    """Takes away the event files of an older run, which would be drawn into one with the new."""
    for path in sorted(folder.glob("*/events.out.tfevents.*")):
        path.unlink()


def _bar(words: str) -> Bar:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TextColumn

    bar = Bar(TextColumn("{task.fields[words]}", markup=False), console=Console(stderr=True, highlight=False))
    bar.add_task("training", total=None, words=words)
    bar.start()
    return bar


def _describe(record: EpochRecord, metric: str) -> list[str]:
    figures = [("loss", record.loss), (metric, record.metric), (f"val_{metric}", record.validation.get(metric))]
    words = [f"{name} {value:.4f}" for name, value in figures if value is not None]
    return [*words, f"{record.rows_per_second:,.0f} rows/s"]


def _fitted(start: str, words: list[str], width: int) -> str:
    """Shortens a progress line to a width: the speed is left out first, then the other parts from left to right."""
    kept = list(words)
    while kept and len("  ".join([start, *kept])) > width:
        kept.pop(-2 if len(kept) == len(words) and len(kept) > 1 else 0)
    return "  ".join([start, *kept])


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
