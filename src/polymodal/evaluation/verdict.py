"""The model of a run against the best of its baselines, measured on the same drawings of the same rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from polymodal.metrics.direction import greater_is_better
from polymodal.metrics.rows import RowStatistics
from polymodal.metrics.significance import Resampled, Scored, difference, resampled
from polymodal.metrics.verdict import RunVerdict
from polymodal.protocols import Task

_LEVEL = 0.05
_WORK = 50_000_000  # numbers looked at over all drawings of a model: a second or two
_FEWEST, _MOST = 200, 2_000  # drawings


def judge(
    task: Task, model: RowStatistics, baselines: Mapping[str, object], units: Int[np.ndarray, " R"], *, seed: int
) -> RunVerdict | None:
    """The verdict on the task's first metric; None where the model or every baseline has none.

    The best baseline is chosen on the rows that it is measured on, which favours it. That the model beats it all the
    same needs no correction; that it beats the model is corrected for the number of baselines (Bonferroni).

    Args:
        task: fitted.
        model: of the measured rows.
        baselines: of the same rows; what is no `RowStatistics` does not count.
        units: by row of the table, the number of what it is drawn with: its group, else itself.
        seed: of the drawings.
    """
    metric = task.metric
    found = {name: one for name, one in baselines.items() if isinstance(one, RowStatistics)}
    values = {name: one.values().get(metric) for name, one in found.items()}
    known = {name: value for name, value in values.items() if value is not None}
    own = model.values().get(metric)
    if own is None or not known:
        return None
    rises = greater_is_better(task.greater_is_better, metric)
    best = (max if rises else min)(known.values())
    names = tuple(name for name, value in known.items() if np.isclose(value, best, rtol=0, atol=1e-12))
    first, second = _resampled(model, units, metric, seed), _resampled(found[names[0]], units, metric, seed)
    gap = difference(first, second, greater_is_better=rises, test_share=0.0, trainings=False)
    p = gap.p if gap.interval.value > 0 else min(1.0, gap.p * len(known))
    decision = "same" if p >= _LEVEL else "better" if gap.interval.value > 0 else "worse"
    return RunVerdict(
        metric=metric, baselines=names, model=own, baseline=best, gain=gap.interval, p=p, decision=decision
    )


def _resampled(statistics: RowStatistics, units: Int[np.ndarray, " R"], metric: str, seed: int) -> Resampled:
    samples = int(np.clip(_WORK // max(statistics.size, 1), _FEWEST, _MOST))
    scored = Scored(statistics.rows, statistics.metrics, statistics.size)
    return resampled([scored], units, samples=samples, seed=seed)[metric]
