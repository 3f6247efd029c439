"""How well numbers are predicted, for many weightings of the same rows at once (see `metrics.weighted`).

Shapes: N rows, K targets, S weightings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from polymodal.metrics.weighted import Values, Weights, mean, ratio

Numbers = Float[np.ndarray, " N"]

WORDS = {
    "r2": "share of the variance that is explained",
    "rmse": "root of the mean squared error, in the target's unit",
    "mae": "mean absolute error, in the target's unit",
}
GREATER_IS_BETTER = {name: name == "r2" for name in WORDS}


def measure(prediction: Numbers, target: Numbers, weights: Weights) -> dict[str, Values]:
    """Every metric of this module by name. Needs at least one row of positive weight."""
    return {metric.__name__: metric(prediction, target, weights) for metric in (r2, rmse, mae)}


def measure_targets(
    prediction: Float[np.ndarray, "N K"],
    target: Float[np.ndarray, "N K"],
    weights: Weights,
    *,
    names: Sequence[str],
    units: Float[np.ndarray, " K"],
) -> dict[str, Values]:
    """`r2`, `rmse`, `mae`: means over the targets; then the same of each target, in its own unit: `rmse_height`, ...

    A target counts where it is known. The means of `rmse` and `mae` are of errors divided by `units`: else one target
    that is counted in thousands would drown the others. A mean is over the targets for which the metric is defined.

    Args:
        prediction: in each target's own unit.
        target: the same; NaN where unknown.
        weights: how often each row counts.
        names: of the targets.
        units: by what errors are divided for the means: standard deviations.
    """
    means: dict[str, list[Values]] = {"r2": [], "rmse": [], "mae": []}
    single: dict[str, Values] = {}
    for k, name in enumerate(names):
        known = ~np.isnan(target[:, k])
        counted = weights[:, known]
        some = counted.any(axis=1)
        measured = {metric: np.full(len(weights), np.nan) for metric in means}
        if some.any():
            for metric, values in measure(prediction[known, k], target[known, k], counted[some]).items():
                measured[metric][some] = values
        for metric, values in measured.items():
            single[f"{metric}_{name}"] = values
            means[metric].append(values if metric == "r2" else values / units[k])
    return {metric: _mean_of_defined(np.stack(values)) for metric, values in means.items()} | single


def r2(prediction: Numbers, target: Numbers, weights: Weights) -> Values:
    """Share of the target's variance that the prediction explains; NaN where the target does not vary."""
    residual = weights @ (prediction - target) ** 2
    centred = target - target.mean()  # keeps the precision of the squares when the mean is far from zero
    total = weights.sum(axis=1)
    variation = weights @ centred**2 - (weights @ centred) ** 2 / total
    # Rounding leaves about eps of the squares where a weighting holds one distinct value.
    varies = variation > 1e-12 * (weights @ centred**2)
    return 1 - ratio(residual, np.where(varies, variation, 0))


def rmse(prediction: Numbers, target: Numbers, weights: Weights) -> Values:
    """Root of the mean squared error, in the target's unit."""
    return np.asarray(np.sqrt(mean((prediction - target) ** 2, weights)))


def mae(prediction: Numbers, target: Numbers, weights: Weights) -> Values:
    """Mean absolute error, in the target's unit."""
    return mean(np.abs(prediction - target), weights)


def _mean_of_defined(values: Float[np.ndarray, "K S"]) -> Values:
    """Mean over the targets without NaN; NaN where all are."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=0), defined.sum(axis=0))
