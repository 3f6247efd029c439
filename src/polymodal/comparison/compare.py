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
from polymodal.comparison.within_budget import (
    FirstEpoch,
    TooLongError,
    by_importance,
    expected,
    fits,
    folds_that_fit,
    mean_seconds,
    part_of_reference,
    sentence,
    shortened,
    would_take,
)
from polymodal.config.run_config import RunConfig
from polymodal.errors import PolymodalError
from polymodal.pipeline.trainer import CallbackFactory
from polymodal.training.callbacks import Callback

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
        budget: seconds, or words such as `15m`. Planned by what the first trainings take: what matters most comes
            first (the baselines, the reference, the best single input), on fewer folds and of fewer epochs where there
            is no time for more; then each entry that fits as a whole. What is left out is said, with its time.
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
            make_callbacks=make_callbacks or (lambda *_: ()),
            on_message=on_message or (lambda _: None),
        )
        work.run(ablations=ablations)
    epochs = work.reference.config.train.epochs
    terms = f"Every model learns for at most {epochs} epochs and keeps the best; `full` trains as usual."
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
    said: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.first = self.outcomes[0]
        self.folds, self.found = list(self.about.folds), dict[str, EntryProgress]()
        self.epochs: tuple[int, int] | None = (
            None  # of each training, and those that were asked for, where it has fewer
        )

    @property
    def reference(self) -> Entry:
        """What the others are compared with."""
        return self.first.entry

    def run(self, *, ablations: bool) -> None:
        """All entries, until they are done, the time is spent, or Ctrl-C."""
        trained = list(self.outcomes)
        try:
            if self.clock.budget is not None:
                self._what_fits(trained, ablations=ablations)
                return
            self._baselines()
            for outcome in trained:
                if outcome.entry.kind in ("fusion", "own") and ablations:
                    self._rest()
                self._entry(outcome)
            if ablations:
                self._rest()
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
        notes = (*notes, *self.said, *unread(trial for outcome in self.outcomes for trial in outcome.trials))
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
        found, reference = self.found, self.reference
        done = max((len(outcome.trials) for outcome in found.values()), default=0)
        for fold in self.folds[done:]:
            for name, trial in run_baselines(reference.config, fold, cache=self.cache).items():
                inputs = reference.inputs if name in _LEARNED else ()
                entry = Entry(name, "baseline", reference.config, inputs)
                found.setdefault(name, EntryProgress(entry)).trials.append(trial)
        for outcome in found.values():
            outcome.status = "done"
        if done:
            return
        self.outcomes[:0] = found.values()
        self.on_message(f"Baselines: {', '.join(found) or 'none for this task'}.")

    def _entry(self, outcome: EntryProgress, *, make_callbacks: CallbackFactory | None = None) -> None:
        """One entry through all folds; one that fails is left out and said, unless it is the reference."""
        entry, every = outcome.entry, len(self.folds)
        outcome.status, outcome.reason = "stopped", f"after {len(outcome.trials)} of {every} trainings"
        try:
            for fold in self.folds[len(outcome.trials) :]:
                trial = run_trial(
                    entry.config,
                    fold,
                    cache=self.cache,
                    make_callbacks=make_callbacks or self.make_callbacks,
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
        self._if_it_fits(outcome)

    def _what_fits(self, trained: Sequence[EntryProgress], *, ablations: bool) -> None:
        """Within a budget: first what matters most, on as many folds as fit; then whatever else fits, as a whole.

        The first fold of the baselines, the reference and the single input that a linear model finds best are measured
        in any case: without them there is no verdict.
        """
        self.folds = self.folds[:1]
        self._baselines()
        self._first_training()
        linear = self.found.get("linear")
        alone = linear.trials[0].by_input if linear else {}
        about, others = self.about, [one for one in trained if one is not self.first]
        others = by_importance(others, alone, metric=about.metric, greater_is_better=about.greater_is_better)
        essential = [self.first]
        for single in [one for one in others if one.entry.kind == "single"]:
            self._entry(single)
            if single.status == "done":
                essential.append(single)
                break
        self._further_folds(essential)
        for outcome in others:
            if outcome.status == "not run":
                self._if_it_fits(outcome)
        if ablations:
            self._rest()
        planned = len(about.folds)
        if len(self.folds) < planned or self.epochs or any(one.status != "done" for one in self.outcomes):
            self._say_what_fitted(planned)

    def _first_training(self) -> None:
        """The reference on the first fold; where the budget has no room for all epochs, all entries get fewer."""
        watch = FirstEpoch(part_of_reference(self._left, self._baseline_seconds))

        def callbacks(phase: str, epochs: int, metric: str) -> Sequence[Callback]:
            return [*self.make_callbacks(phase, epochs, metric), *watch.watch(phase, epochs, metric)]

        try:
            self._entry(self.first, make_callbacks=callbacks)
        except TooLongError as error:
            self.epochs = error.epochs, watch.epochs
            for outcome in self.outcomes:
                outcome.entry = shortened(outcome.entry, error.epochs)
            self._entry(self.first)

    def _further_folds(self, essential: Sequence[EntryProgress]) -> None:
        """What matters most on further folds, as many as there is time for; all of them have the same ones."""
        about = self.about
        per_fold = self._baseline_seconds + sum(mean_seconds(one.trials) for one in essential)
        count = folds_that_fit(self._left, per_fold, folds=about.num_folds, repeats=about.repeats)
        self.folds = list(about.folds[:count])
        try:
            self._baselines()
            for outcome in essential:
                self._entry(outcome)
        except KeyboardInterrupt:
            self.folds = self.folds[:1]
            for outcome in (*self.found.values(), *essential):
                outcome.trials, outcome.status, outcome.reason = outcome.trials[:1], "done", ""
            raise

    def _if_it_fits(self, outcome: EntryProgress) -> None:
        """One entry through all folds, where the time that is left is enough by what was measured."""
        if self.clock.budget is None:
            self._entry(outcome)
            return
        seconds = len(self.folds) * expected(outcome, self.outcomes)
        if not fits(seconds, self._left):
            outcome.reason = would_take(seconds)
            return
        try:
            self._entry(outcome, make_callbacks=self.clock.beside(self.make_callbacks))
        except OutOfTimeError:  # it took longer than expected
            self.on_message(f"{outcome.entry.name}: stopped {outcome.reason}")

    @property
    def _left(self) -> float:
        return (self.clock.budget or 0.0) - self.clock.seconds

    @property
    def _baseline_seconds(self) -> float:
        return max((mean_seconds(outcome.trials) for outcome in self.found.values()), default=0.0)

    def _say_what_fitted(self, planned: int) -> None:
        missing = [(one, planned - len(one.trials)) for one in self.outcomes if one.entry.kind != "baseline"]
        enough = self.clock.seconds + sum(trainings * expected(one, self.outcomes) for one, trainings in missing)
        enough += (planned - len(self.folds)) * self._baseline_seconds
        if self.epochs:
            enough *= self.epochs[1] / self.epochs[0]
        self.ended = "budget"
        budget = self.clock.budget or 0.0
        self.said = (sentence(budget, done=len(self.folds), planned=planned, epochs=self.epochs, enough=enough),)
