"""How well ordered classes are predicted, for many weightings of the same rows at once (see `metrics.weighted`).

Shapes: N rows, K classes in order, S weightings.
"""

from __future__ import annotations

import numpy as np

from polymodal.metrics.classification import Classes, LogProbabilities, accuracy, log_loss
from polymodal.metrics.weighted import Values, Weights, mean, ratio

WORDS = {
    "quadratic_weighted_kappa": "agreement beyond chance, far misses weigh more; 1 is full, 0 is chance",
    "accuracy": "share of rows whose class is right",
    "rank_mae": "mean distance of the predicted class from the true one, in places of the order",
    "log_loss": "how surprised the model is by the truth, in nats",
}
GREATER_IS_BETTER = {name: name not in {"rank_mae", "log_loss"} for name in WORDS}


def measure(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> dict[str, Values]:
    """Every metric by name. Needs at least one row of positive weight."""
    metrics = (quadratic_weighted_kappa, rank_mae, accuracy, log_loss)
    return {metric.__name__: metric(log_probabilities, target, weights) for metric in metrics}


def rank_mae(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Mean number of steps in the order between the most probable class and the true one."""
    return mean(np.abs(log_probabilities.argmax(axis=1) - target).astype(float), weights)


def quadratic_weighted_kappa(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Agreement beyond chance, a disagreement counting as the square of its steps (Cohen 1968, Weighted kappa).

    1 - (observed squared steps) / (those of independent truth and prediction); NaN where the latter are none.
    """
    said, truth = log_probabilities.argmax(axis=1).astype(float), target.astype(float)
    observed = mean((said - truth) ** 2, weights)
    # The mean of (a - b)^2 over independent a and b is mean(a^2) + mean(b^2) - 2 mean(a) mean(b).
    expected = mean(said**2 + truth**2, weights) - 2 * mean(said, weights) * mean(truth, weights)
    return 1 - ratio(observed, np.where(expected > 1e-12, expected, 0))
