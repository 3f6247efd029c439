"""Compares fusions, stages and inputs on the same folds, and says in plain words what the figures allow."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from polymodal.comparison import entries as planning
from polymodal.comparison.analysis import AnalysisSettings, EntryProgress, analyse
from polymodal.comparison.budget import Clock, OutOfTimeError, seconds_of
from polymodal.comparison.entries import Chosen, Entry, Own, plan
from polymodal.comparison.result import Comparison
from polymodal.comparison.settings import ComparedTable, quick, subject
from polymodal.comparison.trial import Fold, run_baselines, run_trial, unread
from polymodal.comparison.verdict import needless, verdict
from polymodal.config.run_config import RunConfig
from polymodal.data.split.folds import groups_of
from polymodal.errors import PolymodalError
from polymodal.metrics.direction import greater_is_better
from polymodal.metrics.significance import Resampled
from polymodal.pipeline.trainer import Watch

Tell: TypeAlias = Callable[[str], None]
"""Hears a sentence after every training."""


@dataclass(frozen=True)
class ComparisonContext:
    """What all trainings of a comparison share.

    Attributes:
        cache: keeps decoded media and the tokens of frozen encoders.
        clock: ends a training when the budget is spent.
        watch: makes further callbacks.
        tell: hears of every training.
    """

    cache: Path
    clock: Clock
    watch: Watch
    tell: Tell

    def callbacks(self, phase: str, epochs: int, metric: str) -> Sequence[Any]:
        return [*self.watch(phase, epochs, metric), self.clock]


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
    watch: Watch | None = None,
    tell: Tell | None = None,
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
        watch: makes callbacks of each training, beside the budget's.
        tell: hears a sentence after every training.

    Raises:
        UsageError: an unknown name, or settings that do not fit the table.
        DataError: the table cannot be learned from, or has too few rows for the folds.
        KeyboardInterrupt: before anything was measured; later, the result says so.
    """
    clock = Clock(None if budget is None else seconds_of(budget))
    about = subject(table, y, config, folds=folds, repeats=repeats, purpose="compare")
    chosen = Chosen(tuple(fusions), tuple(stages), entries, singles, ablations)
    base = about.config if full else quick(about)
    planned, refused = about.possible(
        plan(base, about.columns, chosen), forgiving=planning.EVERY in (*fusions, *stages)
    )
    with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary, torch.random.fork_rng(devices=[]):
        context = ComparisonContext(cache or Path(temporary), clock, watch or (lambda *_: ()), tell or (lambda _: None))
        work = _Work(about, context, [EntryProgress(entry) for entry in planned])
        work.run(ablations=ablations)
    return work.result(folds, repeats, (*about.remarks, *refused, *_terms(base, full)))


def _terms(config: RunConfig, full: bool) -> tuple[str, ...]:
    if full:
        return ()
    return (f"Every model learns for at most {config.train.epochs} epochs and keeps the best; `full` trains as usual.",)


@dataclass
class _Work:
    """Goes through the entries, one after the other through all folds."""

    about: ComparedTable
    context: ComparisonContext
    outcomes: list[EntryProgress]
    ended: Literal["complete", "budget", "interrupted"] = "complete"
    measured: dict[str, Mapping[str, Resampled]] = field(default_factory=dict)

    @property
    def terms(self) -> AnalysisSettings:
        about = self.about
        return AnalysisSettings(
            metric=about.metric,
            greater_is_better=greater_is_better(about.choices.task.greater_is_better, about.metric),
            units=groups_of(about.folds[0].table, about.config.split),
            seed=about.config.seed,
            trainings=about.repeats > 1,
        )

    def run(self, *, ablations: bool) -> None:
        """All entries, until they are done, the time is spent, or Ctrl-C."""
        trained = list(self.outcomes)
        try:
            self._baselines(trained[0].entry)
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

    def result(self, folds: int, repeats: int, remarks: tuple[str, ...]) -> Comparison:
        """Everything that was measured, and what it says."""
        lines, pairs = analyse(self.outcomes, self.terms, self.measured)
        about = self.about
        metric, larger = about.metric, greater_is_better(about.choices.task.greater_is_better, about.metric)
        first = next((outcome for outcome in self.outcomes if outcome.status == "done"), None)
        measured = {int(row) for trial in (first.trials if first else ()) for row in trial.scored.rows}
        unknown = sum(trial.unknown for trial in (first.trials if first else ()))
        if unknown:
            remarks = (*remarks, f"{unknown} times a row was not measured: its class is not among the training rows.")
        remarks = (*remarks, *unread(trial for outcome in self.outcomes for trial in outcome.trials))
        return Comparison(
            metric=metric,
            greater_is_better=larger,
            reference=next(o.entry.name for o in self.outcomes if o.entry.kind == "reference"),
            lines=tuple(lines),
            pairs=tuple(pairs),
            findings=tuple(verdict(lines, pairs, metric=metric, greater_is_better=larger)),
            rows=len(measured),
            folds=folds,
            repeats=repeats,
            ended=self.ended,
            remarks=remarks,
            seconds=self.context.clock.seconds,
        )

    def _baselines(self, reference: Entry) -> None:
        """The baselines on all folds: they come first, because they cost next to nothing."""
        found: dict[str, EntryProgress] = {}
        assert reference.config is not None
        for fold in self.about.folds:
            self.context.clock.check()
            trials = run_baselines(reference.config, fold, cache=self.context.cache)
            for name, trial in trials.items():
                entry = Entry(name, "baseline", None, reference.inputs if name == "linear" else ())
                found.setdefault(name, EntryProgress(entry)).trials.append(trial)
        for outcome in found.values():
            outcome.status = "done"
        self.outcomes[:0] = found.values()
        self.context.tell(f"Baselines: {', '.join(found) or 'none for this task'}.")

    def _entry(self, outcome: EntryProgress) -> None:
        """One entry through all folds; one that fails is left out and said, unless it is the reference."""
        config = outcome.entry.config
        assert config is not None
        every = len(self.about.folds)
        outcome.status, outcome.reason = "stopped", f"after 0 of {every} trainings"
        try:
            for fold in self.about.folds:
                self.context.clock.check()
                trial = run_trial(
                    config, fold, cache=self.context.cache, watch=self.context.callbacks, timed=not outcome.trials
                )
                outcome.trials.append(trial)
                outcome.reason = f"after {len(outcome.trials)} of {every} trainings"
                self._tell(outcome.entry, fold, trial.seconds)
        except PolymodalError as error:
            if outcome.entry.kind == "reference":
                raise
            outcome.status, outcome.reason = "failed", str(error)
            self.context.tell(f"{outcome.entry.name} failed: {error}")
            return
        outcome.status, outcome.reason = "done", ""

    def _rest(self) -> None:
        """Once the ablations are done: what seems needless, each by itself, is left out all at once."""
        if any(outcome.entry.kind == "rest" for outcome in self.outcomes):
            return
        reference = next(outcome.entry for outcome in self.outcomes if outcome.entry.kind == "reference")
        lines, pairs = analyse(self.outcomes, self.terms, self.measured)
        entry = planning.rest(reference.config or RunConfig(), self.about.columns, needless(lines, pairs))
        if entry is None or any(outcome.entry.inputs == entry.inputs for outcome in self.outcomes):
            return
        outcome = EntryProgress(entry)
        last = max(place for place, one in enumerate(self.outcomes) if one.entry.kind not in ("fusion", "own"))
        self.outcomes.insert(last + 1, outcome)
        self._entry(outcome)

    def _tell(self, entry: Entry, fold: Fold, seconds: float) -> None:
        place = fold.repeat * self.about.num_folds + fold.number + 1
        self.context.tell(f"{entry.name}: {place} of {len(self.about.folds)} trainings, {seconds:.0f} s")
