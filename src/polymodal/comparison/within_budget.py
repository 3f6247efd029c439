"""What of a comparison fits into its budget: planned by the time that its first trainings took."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from polymodal.comparison.analysis import EntryProgress
from polymodal.comparison.entries import Entry, Kind
from polymodal.comparison.trial import Trial
from polymodal.config.duration import in_words, rounded_up
from polymodal.metrics.history import EpochRecord, History
from polymodal.metrics.significance import Scored

_MARGIN = 1.1  # on what a training is expected to take
_SHARE = 0.45  # of the time that is left after the first baselines: of the reference on one fold, and of one input
_IMPORTANCE: Mapping[Kind, int] = {"fusion": 1, "own": 1, "single": 2, "ablation": 3, "rest": 4}
"""After the best single input: what the user named, then the other inputs by themselves, then all inputs but one."""


class TooLongError(Exception):
    """A training will not end in its part of the budget, but one of so many epochs would. Never reaches a user."""

    def __init__(self, epochs: int) -> None:
        super().__init__(epochs)
        self.epochs = epochs


class FirstEpoch:
    """Ends the first training after one epoch where its part of the budget is too short for all; a callback."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock, self._start = seconds, clock, clock()
        self.epochs = 0  # that were asked for

    def watch(self, phase: str, epochs: int, metric: str) -> list[FirstEpoch]:
        """The callbacks of a training: of the first alone."""
        if self.epochs:
            return []
        self.epochs = epochs
        return [self]

    def on_epoch(self, record: EpochRecord) -> None:
        room = self._seconds - (self._clock() - self._start - record.seconds)
        if record.epoch == 1 and self.epochs * record.seconds > max(room, record.seconds):
            raise TooLongError(max(1, int(room / record.seconds)))

    def on_end(self, history: History) -> None:
        """Nothing: the training came to its end."""


def part_of_reference(left: float, baselines: float) -> float:
    """Seconds of the time left in which the reference may learn; its members are fitted in those of the baselines."""
    return max(0.0, _SHARE * left - baselines)


def shortened(entry: Entry, epochs: int) -> Entry:
    """The entry with no more epochs than that."""
    train = entry.config.train
    few = min(epochs, train.epochs or epochs)
    return replace(entry, config=entry.config.model_copy(update={"train": train.model_copy(update={"epochs": few})}))


def by_importance(
    outcomes: Sequence[EntryProgress], alone: Mapping[str, Scored], *, metric: str, greater_is_better: bool
) -> list[EntryProgress]:
    """The entries beside the reference, in the order in which they are trained after the best single input.

    Single inputs come by the metric of a linear model on each (`alone`), the best first.
    """
    sign = 1 if greater_is_better else -1

    def place(outcome: EntryProgress) -> tuple[int, float]:
        entry = outcome.entry
        found = alone.get(entry.inputs[0]) if entry.kind == "single" else None
        values = {} if found is None else found.metrics(np.ones((1, len(found.rows))))
        value = float(values[metric][0]) if metric in values else math.nan
        return _IMPORTANCE.get(entry.kind, 0), math.inf if math.isnan(value) else -sign * value

    return sorted(outcomes, key=place)


def mean_seconds(trials: Sequence[Trial]) -> float:
    """Of one training."""
    return float(np.mean([trial.seconds for trial in trials])) if trials else 0.0


def expected(outcome: EntryProgress, outcomes: Sequence[EntryProgress]) -> float:
    """Seconds of one training of an entry: its own, else those of its kind, else the reference's."""
    for kind in (outcome.entry.kind, "reference"):
        alike = [outcome] if outcome.trials else [one for one in outcomes if one.entry.kind == kind]
        if trials := [trial for one in alike for trial in one.trials]:
            return mean_seconds(trials)
    return 0.0


def fits(seconds: float, left: float) -> bool:
    """Whether there is time for what is expected to take so long."""
    return _MARGIN * seconds <= left


def folds_that_fit(left: float, per_fold: float, *, folds: int, repeats: int) -> int:
    """Trainings of each model that there is time for, where the first is done: whole repeats, or some folds of one."""
    more = math.inf if per_fold <= 0 else max(0.0, left) / (_MARGIN * per_fold)
    count = int(min(1 + more, folds * repeats))
    return count if count < folds else folds * (count // folds)


def would_take(seconds: float) -> str:
    """Why an entry is not run."""
    return f"would take about {in_words(rounded_up(seconds))}"


def sentence(budget: float, *, done: int, planned: int, epochs: tuple[int, int] | None, enough: float) -> str:
    """What the budget has room for, and how much would have been enough.

    Args:
        budget: in seconds.
        done: trainings of each model.
        planned: trainings that were asked for.
        epochs: of each training, and those that were asked for; None: all of them.
        enough: seconds, as far as it is known.
    """
    parts = [] if done == planned else [f"{done} of {planned} trainings of each model"]
    parts += [] if epochs is None else [f"{epochs[0]} of {epochs[1]} epochs of each training"]
    room = " and ".join(parts) if parts else "what is measured here, and not for all"
    return (
        f"The budget of {in_words(budget)} has room for {room}. About {in_words(rounded_up(enough))} would do for all."
    )
