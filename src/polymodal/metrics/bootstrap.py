"""How far a metric can be trusted: its value with a bootstrap interval over the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Metrics = Callable[[Mapping[str, np.ndarray]], Mapping[str, float]]
"""Statistics of rows, [N, ...] by name -> value by name."""

WeightedMetrics = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Weights [S, N] of rows -> values [S] by name, NaN where undefined."""

_LEVEL = 0.95  # share of the distribution that an interval holds
_CELLS = 1_000_000  # weights held at a time: 8 MB, which with the temporaries stays near the processor's cache


@dataclass(frozen=True)
class Interval:
    """A metric's value, and the range it would mostly fall in for other rows of the same kind."""

    value: float
    low: float
    high: float

    @classmethod
    def around(cls, value: float, drawn: Float[np.ndarray, " S"]) -> Interval:
        """The 95 % percentile interval of what was drawn, of which NaN does not count, widened to hold the value."""
        finite = drawn[np.isfinite(drawn)]
        low, high = np.quantile(finite, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]) if finite.size else (value, value)
        return cls(value, low=min(value, float(low)), high=max(value, float(high)))


def point(function: WeightedMetrics, num_rows: int) -> dict[str, float]:
    """Value of each metric, each row counting once; undefined metrics are left out."""
    if not num_rows:
        return {}
    values = function(np.ones((1, num_rows)))
    return {name: float(value[0]) for name, value in values.items() if np.isfinite(value[0])}


def intervals(function: WeightedMetrics, num_rows: int, *, samples: int = 1000, seed: int) -> dict[str, Interval]:
    """95 % intervals of the percentile bootstrap over rows (Efron & Tibshirani 1993, section 13.3).

    Samples in which a metric is undefined, for instance because they miss a class, do not count for it; one that is
    undefined for the rows themselves, or in every sample, is left out. Metrics that resampling tends to raise (ECE)
    can have an interval that lies above their value; it is widened to hold it.

    See `repeated` for metrics that know no weights.
    """
    draws = [function(weights) for weights in resamples(num_rows, samples, seed)]
    result = {}
    for name, value in point(function, num_rows).items():
        drawn = np.concatenate([draw[name] for draw in draws if name in draw])
        if np.isfinite(drawn).any():
            result[name] = Interval.around(value, drawn)
    return result


def repeated(
    function: Metrics, rows: Mapping[str, np.ndarray], weights: Float[np.ndarray, "S N"]
) -> dict[str, Float[np.ndarray, " S"]]:
    """Metrics that know no weights, for many weightings: each row is repeated as often as its whole weight says."""
    results = []
    for counts in weights:
        index = np.repeat(np.arange(len(counts)), counts.astype(int))
        results.append(function({name: array[index] for name, array in rows.items()}))
    names = {name: None for result in results for name in result}
    return {name: np.array([result.get(name, np.nan) for result in results]) for name in names}


def resamples(rows: int, samples: int, seed: int) -> Iterator[Float[np.ndarray, "S N"]]:
    """How often each row is drawn in each of the samples, some samples at a time; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // max(rows, 1))
    for start in range(0, samples if rows else 0, step):
        size = min(step, samples - start)
        drawn = rng.integers(rows, size=(size, rows)) + rows * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(float)
