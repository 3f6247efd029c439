"""How good one setting is, measured on every row: trained anew for each fold, by the recipe of `train`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polymodal.comparison.budget import Clock, OutOfTimeError, seconds_of
from polymodal.comparison.result import aligned, finite
from polymodal.comparison.settings import subject
from polymodal.comparison.trial import Trial, num_measured, run_trial, unread
from polymodal.config.run_config import RunConfig
from polymodal.errors import DataError
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.figures import between, figure
from polymodal.metrics.significance import resampled
from polymodal.pipeline.trainer import CallbackFactory

_SAMPLES = 1000


@dataclass(frozen=True)
class CrossValidation:
    """What `cross_validate` found.

    Attributes:
        metric: the task's first.
        metrics: over all trainings, with 95 % bootstrap intervals over the rows (groups, where there are).
        folds: by metric, its value in each training.
        rows: how many were measured.
        ended: `complete`, or `budget`: the figures are of the trainings that ended by then.
        notes: on rows that were left out.
    """

    metric: str
    metrics: Mapping[str, Interval]
    folds: Mapping[str, tuple[float, ...]]
    rows: int
    ended: str
    notes: tuple[str, ...]
    seconds: float

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Head and lines for people."""
        rows: list[tuple[str, ...]] = []
        for name, interval in self.metrics.items():
            folds = self.folds[name]
            rows.append((name, between(interval), figure(float(np.nanstd(folds))), " ".join(map(figure, folds))))
        return ("metric", "mean", "spread", "each training"), rows

    def __str__(self) -> str:
        return "\n".join([*aligned(*self.table()), *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "metric": self.metric,
            "metrics": {
                name: {**asdict(interval), "folds": [finite(value) for value in self.folds[name]]}
                for name, interval in self.metrics.items()
            },
            "rows": self.rows,
            "ended": self.ended,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 1),
        }


def cross_validate(  # noqa: PLR0913 - one argument for each choice
    table: object,
    y: object = None,
    *,
    folds: int = 5,
    repeats: int = 1,
    budget: str | float | None = None,
    config: RunConfig | Mapping[str, Any] | str | Path | None = None,
    cache: Path | None = None,
    make_callbacks: CallbackFactory | None = None,
    on_message: Callable[[str], None] | None = None,
) -> CrossValidation:
    """Trains one setting, `config`, on all folds but one, measures it on that one, and so for each of them.

    The arguments are those of `compare`. Rows that a split column says are for test are left alone. Of a `budget` the
    trainings count that ended by then.

    Raises:
        UsageError: settings that do not fit the table.
        DataError: the table cannot be learned from, has too few rows for the folds, or no training ended in time.
        KeyboardInterrupt: Ctrl-C; some folds only are not the rows that were asked for.
    """
    clock = Clock(None if budget is None else seconds_of(budget))
    about = subject(table, y, config, folds=folds, repeats=repeats, purpose="cross-validate")
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary, torch.random.fork_rng(devices=[]):
        for fold in about.folds:
            try:
                clock.check()
                callbacks = clock.beside(make_callbacks)
                trial = run_trial(about.config, fold, cache=cache or Path(temporary), make_callbacks=callbacks)
            except OutOfTimeError:
                break
            trials.append(trial)
            if on_message is not None:
                on_message(f"{len(trials)} of {len(about.folds)} trainings, {trial.seconds:.0f} s")
    if not trials:
        raise DataError(f"No training ended within the budget of {budget}. Give more time, or set train.epochs.")
    notes = (*about.notes, *unread(trials))
    ended = "complete" if len(trials) == len(about.folds) else "budget"
    if ended == "budget":
        notes = (*notes, f"The budget ended it after {len(trials)} of {len(about.folds)} trainings.")
    found = resampled([trial.scored for trial in trials], about.units, samples=_SAMPLES, seed=about.config.seed)
    return CrossValidation(
        metric=about.metric,
        metrics={name: of_name.interval() for name, of_name in found.items()},
        folds={name: tuple(of_name.folds.tolist()) for name, of_name in found.items()},
        rows=num_measured(trials),
        ended=ended,
        notes=notes,
        seconds=clock.seconds,
    )
