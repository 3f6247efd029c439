"""Whether one model is better than another, or only luckier: both are measured on the same rows, again and again.

The paired bootstrap (Efron & Tibshirani 1993, chapters 13 and 16) draws rows with replacement, the same rows for every
model, and looks at how a difference varies. Where rows belong together, whole groups are drawn (the cluster bootstrap,
Davison & Hinkley 1997, section 3.8). It speaks of other rows of the same kind, for models that are trained already.
The corrected resampled t-test (Nadeau & Bengio 2003) looks at how a difference varies from one training to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from polymodal.metrics.bootstrap import Interval, WeightedMetrics, resamples

_FEW = 10  # drawings: a share of fewer is no more than a guess


@dataclass(frozen=True)
class Scored:
    """What one training says of the rows that it did not see.

    Attributes:
        rows: their numbers in the table; the target of each is known.
        metrics: weights [S, N] of these rows -> values [S] by name.
        size: numbers that a weighting looks at.
        repeat: the trainings of one repeat measure every row once.
    """

    rows: Int[np.ndarray, " N"]
    metrics: WeightedMetrics
    size: int
    repeat: int = 0


@dataclass(frozen=True)
class Resampled:
    """A metric of one model.

    Attributes:
        value: over the rows as they are.
        drawn: over each drawing of rows; NaN where undefined.
        folds: of each training by itself.
    """

    value: float
    drawn: Float[np.ndarray, " S"]
    folds: Float[np.ndarray, " J"]

    def interval(self) -> Interval:
        """The 95 % percentile interval, widened to hold the value."""
        return Interval.around(self.value, self.drawn)


@dataclass(frozen=True)
class Difference:
    """By how much one model is better than another: above zero where the first is.

    Attributes:
        interval: of the difference.
        p: chance of a difference as large, either way, if there were none.
        p_rows: the same by the bootstrap over rows alone.
        p_trainings: by the corrected t-test over trainings alone; NaN of a single training.
    """

    interval: Interval
    p: float
    p_rows: float
    p_trainings: float


def resampled(
    folds: Sequence[Scored], units: Int[np.ndarray, " R"], *, samples: int = 2000, seed: int = 0
) -> dict[str, Resampled]:
    """Every metric of one model over all its trainings: of a repeat the mean over its folds by their rows, of all
    repeats the mean.

    Models whose trainings measure the same rows get the same drawings, so that their differences are paired.

    Args:
        folds: the trainings; of each row the target is known.
        units: by row of the table, the number of the unit it is drawn with: its group, else a number of its own.
        samples: number of drawings.
        seed: of the drawings.
    """
    drawn_from = np.unique(units[np.concatenate([fold.rows for fold in folds])])
    places = [np.searchsorted(drawn_from, units[fold.rows]) for fold in folds]
    drawn = [_measure(folds, [weights[:, place] for place in places])
             for weights in resamples(len(drawn_from), samples, seed)]  # fmt: skip
    whole = _measure(folds, [np.ones((1, len(fold.rows))) for fold in folds])
    alone = [_measure([fold], [np.ones((1, len(fold.rows)))]) for fold in folds]
    return {
        name: Resampled(
            value=float(value[0]),
            drawn=np.concatenate([values.get(name, np.full(_samples(values), np.nan)) for values in drawn]),
            folds=np.array([float(fold[name][0]) if name in fold else math.nan for fold in alone]),
        )
        for name, value in whole.items()
        if np.isfinite(value[0])
    }


def difference(
    first: Resampled, second: Resampled, *, greater_is_better: bool, test_share: float, trainings: bool
) -> Difference:
    """By how much the first model is better than the second, on the same drawings of the same rows.

    Args:
        first: a metric of one model.
        second: the same metric of another.
        greater_is_better: of the metric.
        test_share: rows measured by a training, divided by the rows that it learned from.
        trainings: the difference must also stand out from how it varies between trainings: `p` is the larger of the
            two. Few trainings (one repeat of some folds) tell little of that, so that it is asked for repeats only.
    """
    sign = 1.0 if greater_is_better else -1.0
    drawn = sign * (first.drawn - second.drawn)
    finite = drawn[np.isfinite(drawn)]
    value = sign * (first.value - second.value)
    p_rows = _p_of_rows(value, finite) if finite.size else 1.0
    p_trainings = corrected_t(sign * (first.folds - second.folds), test_share=test_share)
    use_both = trainings and math.isfinite(p_trainings)
    return Difference(
        interval=Interval.around(value, drawn),
        p=max(p_rows, p_trainings) if use_both else p_rows,
        p_rows=p_rows,
        p_trainings=p_trainings,
    )


def _p_of_rows(value: float, drawn: Float[np.ndarray, " S"]) -> float:
    """Twice the share of drawings on the other side of zero: the level of the widest percentile interval that leaves
    zero out (Efron & Tibshirani 1993, section 16.5).

    Hardly any drawing on the other side says only that p is small. How small, which the correction for many pairs needs
    to know, the standard interval (there, section 12.3) tells.
    """
    from scipy.special import ndtr

    tail = float(min((drawn <= 0).sum(), (drawn >= 0).sum()))
    p = min(1.0, 2 * (1 + tail) / (1 + len(drawn)))
    spread = float(drawn.std())
    return min(p, float(2 * ndtr(-abs(value) / spread))) if tail < _FEW and spread > 0 else p


def corrected_t(differences: Float[np.ndarray, " J"], *, test_share: float) -> float:
    """Two-sided p of the corrected resampled t-test; NaN of fewer than two differences.

    t = mean / sqrt((1/J + test rows / training rows) s^2) with J - 1 degrees of freedom: the training rows of two folds
    overlap, and the plain t-test takes their differences for independent (Nadeau & Bengio 2003, "Inference for the
    generalization error", section 4; for repeated folds Bouckaert & Frank 2004).

    >>> round(corrected_t(np.array([0.02, 0.04, 0.03]), test_share=0.5), 3)
    0.081
    """
    from scipy.special import stdtr

    values = differences[np.isfinite(differences)]
    if len(values) < 2:
        return math.nan
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if spread <= 1e-12 * abs(mean) or spread == 0:
        return 1.0 if mean == 0 else 0.0
    statistic = mean / (spread * math.sqrt(1 / len(values) + test_share))
    return float(2 * stdtr(len(values) - 1, -abs(statistic)))


def holm(p_values: Iterable[float]) -> list[float]:
    """P values corrected for their number, in the order given: none of several true equalities is called a difference
    with more than the level's chance (Holm 1979, "A simple sequentially rejective multiple test procedure").

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = list(p_values)
    adjusted, largest = [1.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - place) * values[index]))
        adjusted[index] = largest
    return adjusted


def _measure(
    folds: Sequence[Scored], weights: Sequence[Float[np.ndarray, "S _"]]
) -> dict[str, Float[np.ndarray, " S"]]:
    """Metrics of all trainings for each weighting of the rows; NaN where no training has them."""
    samples = len(weights[0])
    sums: dict[tuple[str, int], np.ndarray] = {}
    shares: dict[tuple[str, int], np.ndarray] = {}
    for fold, of_rows in zip(folds, weights, strict=True):
        share = of_rows.sum(axis=1)
        has = np.flatnonzero(share)  # a drawing may leave a small fold without rows
        for name, values in (fold.metrics(of_rows[has]) if has.size else {}).items():
            key = (name, fold.repeat)
            defined = np.isfinite(values)
            where = has[defined]
            sums.setdefault(key, np.zeros(samples))[where] += share[where] * values[defined]
            shares.setdefault(key, np.zeros(samples))[where] += share[where]
    repeats: dict[str, list[np.ndarray]] = {}
    for (name, repeat), total in sums.items():
        share = shares[name, repeat]
        repeats.setdefault(name, []).append(np.where(share > 0, total / np.where(share > 0, share, 1), np.nan))
    return {name: np.mean(of_repeats, axis=0) for name, of_repeats in repeats.items()}


def _samples(values: dict[str, np.ndarray]) -> int:
    return len(next(iter(values.values()), ()))
