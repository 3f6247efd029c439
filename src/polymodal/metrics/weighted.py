"""What metrics are made of: means and rankings of rows, for many weightings of the same rows at once.

A weighting says how often each row counts. Plain metrics have one weighting, all ones; a bootstrap has a thousand, and
costs a few matrix products and cumulative sums instead of a thousand calls. What a weighting leaves undefined is NaN.

Shapes: N rows, K classes or labels, S weightings.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float

Weights = Float[np.ndarray, "S N"]
Values = Float[np.ndarray, " S"]


def mean(values: Float[np.ndarray, " N"], weights: Weights) -> Values:
    """Mean over the rows."""
    return np.asarray(weights @ values / weights.sum(axis=1))


def ratio(numerator: np.ndarray, denominator: np.ndarray, *, undefined: float = math.nan) -> np.ndarray:
    """Numerator / denominator; `undefined` where the denominator is not above zero."""
    out = np.full(numerator.shape, undefined)
    return np.asarray(np.divide(numerator, denominator, out=out, where=denominator > 0))


def mean_of_ratios(numerators: Float[np.ndarray, "S K"], denominators: Float[np.ndarray, "S K"]) -> Values:
    """Mean over the classes whose denominator is positive."""
    return ratio(ratio(numerators, denominators, undefined=0.0).sum(axis=1), (denominators > 0).sum(axis=1))


def ranking_areas(
    scores: Float[np.ndarray, "N K"], true: Bool[np.ndarray, "N K"], weights: Weights
) -> tuple[Values, Values]:
    """Areas under the ROC and the precision-recall curves: means over the columns that some, but not all, rows have.

    The first is the chance that a row that has the column is ranked above one that has not, ties counting half:
    computed from ranks, as the Mann-Whitney statistic (Hanley & McNeil 1982, equation 1). The second is average
    precision, the step sum over thresholds: sum of (R_n - R_(n-1)) P_n. Rows of equal score share a threshold.
    """
    wins, pairs, gains, totals = [], [], [], []
    for score, has in zip(scores.T, true.T, strict=True):
        order = np.argsort(-score, kind="stable")
        starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
        ordered, having = weights[:, order], has[order]
        positive = np.add.reduceat(ordered * having, starts, axis=1)
        negative = np.add.reduceat(ordered * ~having, starts, axis=1)
        hits = positive.cumsum(axis=1)
        precision = ratio(hits, hits + negative.cumsum(axis=1), undefined=0.0)
        wins.append((negative * (hits - positive / 2)).sum(axis=1))
        pairs.append(positive.sum(axis=1) * negative.sum(axis=1))
        gains.append((positive * precision).sum(axis=1))
        totals.append(positive.sum(axis=1) * (negative.sum(axis=1) > 0))
    return (
        mean_of_ratios(np.stack(wins, axis=1), np.stack(pairs, axis=1)),
        mean_of_ratios(np.stack(gains, axis=1), np.stack(totals, axis=1)),
    )
