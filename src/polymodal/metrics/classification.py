"""How well classes are predicted, for many weightings of the same rows at once (see `metrics.weighted`).

Classes that a weighting leaves without rows do not enter its macro averages.

Shapes: N rows, K classes, S weightings.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from polymodal.metrics.weighted import Values, Weights, mean, mean_of_ratios, ranking_areas

LogProbabilities = Float[np.ndarray, "N K"]
Classes = Int[np.ndarray, " N"]

WORDS = {
    "accuracy": "share of rows whose class is right",
    "macro_f1": "F1 of each class, averaged: rare classes count as much as frequent ones",
    "balanced_accuracy": "share found of each class, averaged",
    "roc_auc": "chance that a row of a class is ranked above a row of another",
    "average_precision": "area under the precision-recall curve",
    "log_loss": "how surprised the model is by the truth, in nats",
    "ece": "how far confidence is from accuracy",
}
GREATER_IS_BETTER = {name: name not in {"log_loss", "ece"} for name in WORDS}


def measure(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> dict[str, Values]:
    """Every metric of this module by name. Needs at least one row of positive weight.

    `macro_f1` is the mean over classes, true or predicted, of F1 = 2 hits / (true rows + predicted rows);
    `balanced_accuracy` that over the true classes of recall = hits / true rows. `roc_auc` and `average_precision`
    (`ranking_areas`) are of the second of two classes; of more, means over the classes present, each against the rest.
    """
    identity = np.eye(log_probabilities.shape[1])
    true, predicted = identity[target], identity[log_probabilities.argmax(axis=1)]
    hits = weights @ (true * predicted)
    if len(identity) == 2:
        # The log odds rank: near certainty the log-probability of one class alone rounds to zero.
        area, precision = ranking_areas(log_probabilities[:, 1:] - log_probabilities[:, :1], true[:, 1:] > 0, weights)
    else:
        area, precision = ranking_areas(log_probabilities, true > 0, weights)
    return {
        "accuracy": accuracy(log_probabilities, target, weights),
        "macro_f1": mean_of_ratios(2 * hits, weights @ (true + predicted)),
        "balanced_accuracy": mean_of_ratios(hits, weights @ true),
        "roc_auc": area,
        "average_precision": precision,
        "log_loss": log_loss(log_probabilities, target, weights),
        "ece": ece(log_probabilities, target, weights),
    }


def accuracy(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Share of rows whose most probable class is the true one; the first of equally probable classes counts."""
    return mean((log_probabilities.argmax(axis=1) == target).astype(float), weights)


def log_loss(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Mean of minus the log-probability of the true class, in nats."""
    return mean(-log_probabilities[np.arange(len(target)), target], weights)


def ece(log_probabilities: LogProbabilities, target: Classes, weights: Weights, *, bins: int = 15) -> Values:
    """Expected calibration error: mean distance between confidence and accuracy over equal bins of confidence.

    Confidence is the probability of the predicted class; bin m holds confidences in ((m - 1) / bins, m / bins]
    (Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3).
    """
    confidence = np.exp(log_probabilities.max(axis=1))
    surplus = confidence - (log_probabilities.argmax(axis=1) == target)
    bin_of_row = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = weights @ (np.eye(bins)[bin_of_row] * surplus[:, None])
    return np.asarray(np.abs(gaps).sum(axis=1) / weights.sum(axis=1))


def normalised(scores: Float[np.ndarray, "N K"]) -> LogProbabilities:
    """Log-probabilities up to a constant of each row -> log-probabilities in float64, without overflow."""
    exact = scores.astype(np.float64)
    return np.asarray(exact - np.logaddexp.reduce(exact, axis=1, keepdims=True))
