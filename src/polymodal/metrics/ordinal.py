"""How well ordered classes are predicted, for many weightings of the same rows at once (see `metrics.classification`).

Shapes: N rows, K classes in order, S weightings.
"""

from __future__ import annotations

import numpy as np

from polymodal.metrics.classification import Classes, LogProbabilities, Values, Weights, accuracy, log_loss

GREATER_IS_BETTER = {
    "quadratic_weighted_kappa": True,
    "accuracy": True,
    "rank_mae": False,
    "log_loss": False,
}
WORDS = {
    "quadratic_weighted_kappa": "agreement beyond chance, far misses weigh more; 1 is full, 0 is chance",
    "accuracy": "share of rows whose class is right",
    "rank_mae": "mean distance of the predicted class from the true one, in places of the order",
    "log_loss": "how surprised the model is by the truth, in nats",
}


def measure(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> dict[str, Values]:
    """Every metric by name. Needs at least one row of positive weight."""
    metrics = (quadratic_weighted_kappa, rank_mae, accuracy, log_loss)
    return {metric.__name__: metric(log_probabilities, target, weights) for metric in metrics}


def rank_mae(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Mean number of steps in the order between the most probable class and the true one."""
    steps = np.abs(log_probabilities.argmax(axis=1) - target).astype(float)
    return np.asarray(weights @ steps / weights.sum(axis=1))


def quadratic_weighted_kappa(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Agreement beyond chance, a disagreement counting as the square of its steps (Cohen 1968, Weighted kappa).

    1 - (observed squared steps) / (those of independent truth and prediction); NaN where the latter are none.
    """
    said, truth = log_probabilities.argmax(axis=1).astype(float), target.astype(float)
    total = weights.sum(axis=1)
    observed = weights @ (said - truth) ** 2 / total
    first, second = (weights @ of_row / total for of_row in (said, truth))
    # The mean of (a - b)^2 over independent a and b is mean(a^2) + mean(b^2) - 2 mean(a) mean(b).
    expected = weights @ (said**2 + truth**2) / total - 2 * first * second
    defined = expected > 1e-12
    return np.asarray(1 - np.divide(observed, expected, out=np.full(len(total), np.nan), where=defined))
