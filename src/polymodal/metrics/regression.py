"""How well numbers are predicted, for many weightings of the same rows at once (see `metrics.classification`).

Shapes: N rows, S weightings.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Numbers = Float[np.ndarray, " N"]
Weights = Float[np.ndarray, "S N"]
Values = Float[np.ndarray, " S"]


def measure(prediction: Numbers, target: Numbers, weights: Weights) -> dict[str, Values]:
    """Every metric of this module by name. Needs at least one row of positive weight."""
    return {metric.__name__: metric(prediction, target, weights) for metric in (r2, rmse, mae)}


def r2(prediction: Numbers, target: Numbers, weights: Weights) -> Values:
    """Share of the target's variance that the prediction explains; NaN where the target does not vary."""
    residual = weights @ (prediction - target) ** 2
    centred = target - target.mean()  # keeps the precision of the squares when the mean is far from zero
    total = weights.sum(axis=1)
    variation = weights @ centred**2 - (weights @ centred) ** 2 / total
    # Rounding leaves about eps of the squares where a weighting holds one distinct value.
    varies = variation > 1e-12 * (weights @ centred**2)
    return np.asarray(1 - np.divide(residual, variation, out=np.full(len(total), np.nan), where=varies))


def rmse(prediction: Numbers, target: Numbers, weights: Weights) -> Values:
    """Root of the mean squared error, in the target's unit."""
    return np.asarray(np.sqrt(weights @ (prediction - target) ** 2 / weights.sum(axis=1)))


def mae(prediction: Numbers, target: Numbers, weights: Weights) -> Values:
    """Mean absolute error, in the target's unit."""
    return np.asarray(weights @ np.abs(prediction - target) / weights.sum(axis=1))
