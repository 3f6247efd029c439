"""The bounds beyond which a value is an outlier."""

from __future__ import annotations

import numpy as np


def tukey_bounds(values: np.ndarray) -> tuple[float, float]:
    """The lower and the upper fence: 3 interquartile ranges below the first and above the third quartile.

    Of these Tukey says "far out" (Exploratory Data Analysis, 1977, 2C): two of a million normal values. Where half
    of all values are equal, the range is zero and says nothing: no value is outside.

    >>> tukey_bounds(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    (-4.0, 10.0)
    """
    low, high = (float(value) for value in np.percentile(values, [25, 75]))
    spread = high - low
    if not np.isfinite(spread) or spread <= 0:
        return -np.inf, np.inf
    return low - 3 * spread, high + 3 * spread


def is_beyond(values: np.ndarray, others: np.ndarray, *, log: bool = True) -> np.ndarray:
    """Whether each value is an outlier by the bounds of others; with `log`, of positive ones on the logarithm, too.

    A length or price that is far on one scale only is one of a long tail.
    """
    low, high = tukey_bounds(others)
    beyond: np.ndarray = (values < low) | (values > high)
    if log and min(others.min(), values.min()) > 0:
        low, high = tukey_bounds(np.log(others))
        beyond &= (np.log(values) < low) | (np.log(values) > high)
    return beyond
