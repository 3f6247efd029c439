"""From trials to lines and pairs: intervals, differences, and their correction for being many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from polymodal.comparison.entries import Entry
from polymodal.comparison.result import Interactions, Line, Pair, Status
from polymodal.comparison.settings import ComparedTable
from polymodal.comparison.trial import Trial
from polymodal.errors import DataError
from polymodal.metrics.significance import Resampled, Scored, difference, holm, resampled

_MOST_SAMPLES, _FEWEST_SAMPLES = 2000, 200
_WORK = 200_000_000  # scores looked at over all drawings of an entry: some seconds


@dataclass
class EntryProgress:
    """An entry, and what came of it so far."""

    entry: Entry
    trials: list[Trial] = field(default_factory=list)
    status: Status = "not run"
    reason: str = ""
    resampled: Mapping[str, Resampled] = field(default_factory=dict)


def analyse(outcomes: Sequence[EntryProgress], about: ComparedTable) -> tuple[list[Line], list[Pair]]:
    """Lines of all entries, pairs of those that are done; these keep their resampled metrics, for the next call.

    Raises:
        DataError: entries measured different rows; or the metric is defined for none.
    """
    done = [outcome for outcome in outcomes if outcome.status == "done"]
    _check_rows(done)
    for outcome in done:
        if not outcome.resampled:
            outcome.resampled = _resampled([trial.scored for trial in outcome.trials], about)
            if about.metric not in outcome.resampled:
                raise DataError(f"The rows that were measured give no {about.metric}; use fewer folds or more rows.")
    return [_line(outcome, about.metric) for outcome in outcomes], _pairs(done, about)


def interactions(outcomes: Sequence[EntryProgress], about: ComparedTable) -> Interactions | None:
    """The reference beside its additive projection, over the trainings of the first repeat that measured both."""
    trials = [
        trial
        for outcome in outcomes
        if outcome.entry.kind == "reference" and outcome.status == "done"
        for trial in outcome.trials
    ]
    pairs = [trial.projection for trial in trials if trial.projection is not None]
    if not pairs:
        return None
    model, additive = (
        _resampled(scored, about).get(about.metric)
        for scored in ([pair.model for pair in pairs], [pair.additive for pair in pairs])
    )
    if model is None or additive is None:  # undefined, such as a correlation of equal numbers
        return None
    return Interactions(
        rows=sum(len(pair.model.rows) for pair in pairs),
        model=model.interval(),
        additive=additive.interval(),
        difference=difference(
            model, additive, greater_is_better=about.greater_is_better, test_share=0.0, trainings=False
        ),
    )


def _resampled(scored: Sequence[Scored], about: ComparedTable) -> dict[str, Resampled]:
    """Every metric over some trainings; what measures the same rows gets the same drawings."""
    size = sum(one.size for one in scored)  # the same for all that is compared
    samples = int(np.clip(_WORK // max(size, 1), _FEWEST_SAMPLES, _MOST_SAMPLES))
    return resampled(scored, about.units, samples=samples, seed=about.config.seed)


def _line(outcome: EntryProgress, metric: str) -> Line:
    trials, done = outcome.trials, outcome.status == "done"
    latencies = [trial.latency for trial in trials if trial.latency is not None]
    sizes = [trial.parameters for trial in trials if trial.parameters is not None]
    return Line(
        entry=outcome.entry,
        status=outcome.status,
        reason=outcome.reason,
        trainings=len(trials),
        metrics={name: of_name.interval() for name, of_name in outcome.resampled.items()},
        folds=tuple(outcome.resampled[metric].folds.tolist()) if done else (),
        parameters=round(float(np.mean(sizes))) if done and sizes else None,
        seconds=float(np.mean([trial.seconds for trial in trials])) if done else None,
        latency=float(np.mean(latencies)) if done and latencies else None,
    )


def _pairs(done: Sequence[EntryProgress], about: ComparedTable) -> list[Pair]:
    """The reference with all others, and the ways of fusing with one another; none without the reference.

    With repeats, a difference must also stand out from how it varies between trainings.
    """
    reference = next((outcome for outcome in done if outcome.entry.kind == "reference"), None)
    if reference is None:
        return []
    ways = [outcome for outcome in done if outcome.entry.kind in ("fusion", "own")]
    compared = [(reference, other) for other in done if other is not reference] + list(combinations(ways, 2))
    found = [
        difference(
            first.resampled[about.metric],
            second.resampled[about.metric],
            greater_is_better=about.greater_is_better,
            test_share=_test_share(first.trials),
            trainings=about.repeats > 1,
        )
        for first, second in compared
    ]
    corrected = holm(one.p for one in found)
    return [
        Pair(first.entry.name, second.entry.name, one, p)
        for (first, second), one, p in zip(compared, found, corrected, strict=True)
    ]


def _test_share(trials: Sequence[Trial]) -> float:
    return sum(len(trial.scored.rows) for trial in trials) / max(sum(trial.train_rows for trial in trials), 1)


def _check_rows(done: Sequence[EntryProgress]) -> None:
    for outcome in done[1:]:
        pairs = zip(done[0].trials, outcome.trials, strict=True)
        if not all(np.array_equal(a.scored.rows, b.scored.rows) for a, b in pairs):
            raise DataError(
                f"{outcome.entry.name!r} and {done[0].entry.name!r} were measured on different rows: some classes are"
                " in the training rows of one of them only. Use fewer folds, or leave out what drops rows (clean)."
            )
