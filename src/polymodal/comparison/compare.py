"""Compares fusions, stages and inputs on the same folds, and says in plain words what the figures allow."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from polymodal.comparison.analysis import EntryProgress, analyse, interactions
from polymodal.comparison.budget import Clock, OutOfTimeError, seconds_of
from polymodal.comparison.entries import EVERY, Entry, Own, plan, rest
from polymodal.comparison.result import Comparison
from polymodal.comparison.settings import ComparedTable, quick, subject
from polymodal.comparison.trial import num_measured, run_baselines, run_trial, unread
from polymodal.comparison.verdict import needless, verdict
from polymodal.config.run_config import RunConfig
from polymodal.errors import PolymodalError
from polymodal.pipeline.trainer import CallbackFactory

_LEARNED = ("linear", "gradient boosting")  # baselines that look at the inputs


def compare(  # noqa: PLR0913 - one argument for each choice that a comparison leaves
    table: object,
    y: object = None,
    *,
    fusions: Sequence[str] = (),
    stages: Sequence[str] = (),
    entries: Own | None = None,
    singles: bool = True,
    ablations: bool = True,
    folds: int = 3,
    repeats: int = 1,
    full: bool = False,
    budget: str | float | None = None,
    config: RunConfig | Mapping[str, Any] | str | Path | None = None,
    cache: Path | None = None,
    make_callbacks: CallbackFactory | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Comparison:
    """Trains several models on the same folds, and tells whether they differ.

    Compared are: simple baselines; all inputs together (the reference); each input by itself; all inputs but one, and
    those together that seem to be needed; further fusions and stages; configurations of your own. All have the same
    rows and the same number of epochs. Media are decoded once, and frozen encoders run once, for all of them.

    Args:
        table: whatever `read_table` takes, or array-like [rows, columns].
        y: the target: a column's name, or one value a row; without it the configuration names the column.
        fusions: names, or `all`; the first is the reference's, unless the configuration's fusion is among them.
        stages: names, or `all`, each with the reference's fusion.
        entries: further configurations by name: settings that differ from the reference's, or YAML files.
        singles: compare each input by itself.
        ablations: compare all inputs but one.
        folds: every row is for test once; 1: the split of the configuration, whose test rows are measured.
        repeats: of the folds, with other seeds; from two on, differences must also stand out from how they vary
            between trainings.
        full: train as `train` does; else for half of the epochs of the defaults, and without a last training on all
            rows: cheaper, and equally so for all.
        budget: seconds, or words such as `15m`: what is not measured by then is said, and left out.
        config: what else is known; `split` says how rows are divided (group, column, ...).
        cache: a folder that keeps decoded media; without it they live in a temporary one.
        make_callbacks: makes callbacks of each training, beside the budget's.
        on_message: hears a sentence after every training.

    Raises:
        UsageError: an unknown name, or settings that do not fit the table.
        DataError: the table cannot be learned from, or has too few rows for the folds.
        KeyboardInterrupt: before anything was measured; later, the result says so.
    """
    clock = Clock(None if budget is None else seconds_of(budget))
    about = subject(table, y, config, folds=folds, repeats=repeats, purpose="compare")
    base = about.config if full else quick(about)
    planned = plan(
        base, about.columns, fusions=fusions, stages=stages, own=entries, singles=singles, ablations=ablations
    )
    possible, refused = about.possible(planned, forgiving=EVERY in (*fusions, *stages))
    with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary, torch.random.fork_rng(devices=[]):
        work = _Work(
            about,
            [EntryProgress(entry) for entry in possible],
            cache=cache or Path(temporary),
            clock=clock,
            make_callbacks=clock.beside(make_callbacks),
            on_message=on_message or (lambda _: None),
        )
        work.run(ablations=ablations)
    terms = f"Every model learns for at most {base.train.epochs} epochs and keeps the best; `full` trains as usual."
    return work.result((*about.notes, *refused, *(() if full else (terms,))))


@dataclass
class _Work:
    """Goes through the entries, the reference first, one after the other through all folds.

    Baselines, and what is planned on the way, join the `outcomes`.
    """

    about: ComparedTable
    outcomes: list[EntryProgress]
    cache: Path
    clock: Clock
    make_callbacks: CallbackFactory
    on_message: Callable[[str], None]
    ended: Literal["complete", "budget", "interrupted"] = "complete"

    def __post_init__(self) -> None:
        self.reference = self.outcomes[0].entry

    def run(self, *, ablations: bool) -> None:
        """All entries, until they are done, the time is spent, or Ctrl-C."""
        trained = list(self.outcomes)
        try:
            self._baselines()
            for outcome in trained:
                if outcome.entry.kind in ("fusion", "own") and ablations:
                    self._rest()
                self._entry(outcome)
            if ablations:
                self._rest()
        except OutOfTimeError:
            self.ended = "budget"
        except KeyboardInterrupt:
            self.ended = "interrupted"
            if not any(outcome.status == "done" for outcome in self.outcomes):
                raise

    def result(self, notes: tuple[str, ...]) -> Comparison:
        """Everything that was measured, and what it says."""
        about = self.about
        metric, greater_is_better = about.metric, about.greater_is_better
        lines, pairs = analyse(self.outcomes, about)
        first = next((outcome.trials for outcome in self.outcomes if outcome.status == "done"), [])
        if unknown := sum(trial.unknown for trial in first):
            notes = (*notes, f"{unknown} times a row was not measured: its class is not among the training rows.")
        notes = (*notes, *unread(trial for outcome in self.outcomes for trial in outcome.trials))
        projected = interactions(self.outcomes, about)
        findings = verdict(lines, pairs, metric=metric, greater_is_better=greater_is_better, interactions=projected)
        return Comparison(
            metric=metric,
            greater_is_better=greater_is_better,
            reference=self.reference.name,
            lines=tuple(lines),
            pairs=tuple(pairs),
            findings=tuple(findings),
            rows=num_measured(first),
            folds=about.num_folds,
            repeats=about.repeats,
            ended=self.ended,
            notes=notes,
            seconds=self.clock.seconds,
            interactions=projected,
        )

    def _baselines(self) -> None:
        """The baselines on all folds: they come first, because they cost seconds."""
        found: dict[str, EntryProgress] = {}
        reference = self.reference
        for fold in self.about.folds:
            self.clock.check()
            for name, trial in run_baselines(reference.config, fold, cache=self.cache).items():
                inputs = reference.inputs if name in _LEARNED else ()
                entry = Entry(name, "baseline", reference.config, inputs)
                found.setdefault(name, EntryProgress(entry)).trials.append(trial)
        for outcome in found.values():
            outcome.status = "done"
        self.outcomes[:0] = found.values()
        self.on_message(f"Baselines: {', '.join(found) or 'none for this task'}.")

    def _entry(self, outcome: EntryProgress) -> None:
        """One entry through all folds; one that fails is left out and said, unless it is the reference."""
        entry, every = outcome.entry, len(self.about.folds)
        outcome.status, outcome.reason = "stopped", f"after 0 of {every} trainings"
        try:
            for fold in self.about.folds:
                self.clock.check()
                trial = run_trial(
                    entry.config,
                    fold,
                    cache=self.cache,
                    make_callbacks=self.make_callbacks,
                    timed=not outcome.trials,
                    projected=entry.kind == "reference" and fold.repeat == 0,
                )
                outcome.trials.append(trial)
                done = f"{len(outcome.trials)} of {every} trainings"
                outcome.reason = f"after {done}"
                self.on_message(f"{entry.name}: {done}, {trial.seconds:.0f} s")
        except PolymodalError as error:
            if entry.kind == "reference":
                raise
            outcome.status, outcome.reason = "failed", str(error)
            self.on_message(f"{entry.name} failed: {error}")
            return
        outcome.status, outcome.reason = "done", ""

    def _rest(self) -> None:
        """Once the ablations are done: what seems needless, each by itself, is left out all at once."""
        if any(outcome.entry.kind == "rest" for outcome in self.outcomes):
            return
        lines, pairs = analyse(self.outcomes, self.about)
        entry = rest(self.reference.config, self.about.columns, needless(lines, pairs))
        if entry is None or any(outcome.entry.inputs == entry.inputs for outcome in self.outcomes):
            return
        outcome = EntryProgress(entry)
        last = max(place for place, one in enumerate(self.outcomes) if one.entry.kind not in ("fusion", "own"))
        self.outcomes.insert(last + 1, outcome)
        self._entry(outcome)
