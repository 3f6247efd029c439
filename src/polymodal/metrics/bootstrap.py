"""How far a metric can be trusted: its value with a bootstrap interval over the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num

from polymodal.abilities import Weighted
from polymodal.types import Head

Metrics = Callable[[np.ndarray, np.ndarray], Mapping[str, float]]
"""Scores [N, ...] and target [N] or [N, K] -> value by name."""

WeightedMetrics = Callable[[np.ndarray, np.ndarray, np.ndarray], Mapping[str, np.ndarray]]
"""Scores [N, ...], target [N] or [N, K] and weights [S, N] -> values [S] by name, NaN where undefined."""

_CELLS = 1_000_000  # weights held at a time: 8 MB, which with the temporaries stays near the processor's cache


@dataclass(frozen=True)
class Interval:
    """A metric's value, and the range it would mostly fall in for other rows of the same kind."""

    value: float
    low: float
    high: float


def known_rows(target: Num[np.ndarray, "N ..."]) -> Bool[np.ndarray, " N"]:
    """Rows whose target is known, of several targets at least one."""
    unknown = np.isnan(target)
    return np.asarray(~(unknown if unknown.ndim == 1 else unknown.all(axis=1)))


def point(
    scores: Num[np.ndarray, "N ..."], target: Num[np.ndarray, "N ..."], function: WeightedMetrics
) -> dict[str, float]:
    """Value of each metric over the rows whose target is known (not NaN); undefined metrics are left out."""
    known = known_rows(target)
    if not known.any():
        return {}
    values = function(scores[known], target[known], np.ones((1, int(known.sum()))))
    return {name: float(value[0]) for name, value in values.items() if np.isfinite(value[0])}


def intervals(
    scores: Num[np.ndarray, "N ..."],
    target: Num[np.ndarray, "N ..."],
    function: WeightedMetrics,
    *,
    samples: int = 1000,
    seed: int,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile bootstrap over the rows whose target is known (Efron & Tibshirani 1993, section 13.3).

    Samples in which a metric is undefined, for instance because they miss a class, do not count for it; one that is
    undefined for the rows themselves, or in every sample, is left out. Metrics that resampling tends to raise (ECE)
    can have an interval that lies above their value; it is widened to hold it.

    Args:
        scores: as `function` takes them.
        target: NaN where unknown.
        function: the metrics; see `repeated` for one that knows no weights.
        samples: number of bootstrap samples.
        seed: the same seed gives the same intervals.
        level: share of the distribution between `low` and `high`.
    """
    known = known_rows(target)
    scores, target = scores[known], target[known]
    draws = [function(scores, target, weights) for weights in resamples(len(target), samples, seed)]
    result = {}
    for name, value in point(scores, target, function).items():
        drawn = np.concatenate([draw[name] for draw in draws if name in draw])
        drawn = drawn[np.isfinite(drawn)]
        if not drawn.size:
            continue
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        result[name] = Interval(value, low=min(value, float(low)), high=max(value, float(high)))
    return result


def metrics_of(head: Head) -> WeightedMetrics:
    """Every metric of a task, for many weightings of the rows."""
    return head.weighted_metrics if isinstance(head, Weighted) else repeated(head.metrics)


def repeated(function: Metrics) -> WeightedMetrics:
    """Lets metrics that know no weights be bootstrapped: each row is repeated as often as its whole weight says."""

    def measure(scores: np.ndarray, target: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        rows = [np.repeat(np.arange(len(target)), counts.astype(int)) for counts in weights]
        results = [function(scores[index], target[index]) for index in rows]
        names = {name: None for result in results for name in result}
        return {name: np.array([result.get(name, np.nan) for result in results]) for name in names}

    return measure


def resamples(rows: int, samples: int, seed: int) -> Iterator[Float[np.ndarray, "S N"]]:
    """How often each row is drawn in each of the samples, some samples at a time; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // max(rows, 1))
    for start in range(0, samples if rows else 0, step):
        size = min(step, samples - start)
        drawn = rng.integers(rows, size=(size, rows)) + rows * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(float)
