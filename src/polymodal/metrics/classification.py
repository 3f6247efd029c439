"""How well classes are predicted, for many weightings of the same rows at once.

A weighting says how often each row counts. Plain metrics have one weighting, all ones; a bootstrap has a thousand, and
costs a few matrix products and cumulative sums instead of a thousand calls. Classes that a weighting leaves without
rows do not enter its macro averages; a metric that a weighting leaves undefined is NaN there.

Shapes: N rows, K classes, S weightings.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

LogProbabilities = Float[np.ndarray, "N K"]
Classes = Int[np.ndarray, " N"]
Weights = Float[np.ndarray, "S N"]
Values = Float[np.ndarray, " S"]


GREATER_IS_BETTER = {
    "accuracy": True,
    "macro_f1": True,
    "balanced_accuracy": True,
    "roc_auc": True,
    "average_precision": True,
    "log_loss": False,
    "ece": False,
}
WORDS = {
    "accuracy": "share of rows whose class is right",
    "macro_f1": "F1 of each class, averaged: rare classes count as much as frequent ones",
    "balanced_accuracy": "share found of each class, averaged",
    "roc_auc": "chance that a row of a class is ranked above a row of another",
    "average_precision": "area under the precision-recall curve",
    "log_loss": "how surprised the model is by the truth, in nats",
    "ece": "how far confidence is from accuracy",
}


def measure(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> dict[str, Values]:
    """Every metric of this module by name. Needs at least one row of positive weight."""
    metrics = (accuracy, macro_f1, balanced_accuracy, roc_auc, average_precision, log_loss, ece)
    return {metric.__name__: metric(log_probabilities, target, weights) for metric in metrics}


def accuracy(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Share of rows whose most probable class is the true one; the first of equally probable classes counts."""
    return _mean((log_probabilities.argmax(axis=1) == target).astype(float), weights)


def macro_f1(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Mean over classes, true or predicted, of F1 = 2 hits / (true rows + predicted rows)."""
    true, predicted = _one_hot(log_probabilities, target)
    return _mean_of_ratios(2 * weights @ (true * predicted), weights @ (true + predicted))


def balanced_accuracy(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Mean over the true classes of recall = hits / true rows."""
    true, predicted = _one_hot(log_probabilities, target)
    return _mean_of_ratios(weights @ (true * predicted), weights @ true)


def roc_auc(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Chance that a row of a class is ranked above a row of another, ties counting half.

    Two classes: of the second class. More: mean over the classes present, each against the rest. Computed from ranks,
    as the Mann-Whitney statistic (Hanley & McNeil 1982, equation 1).
    """
    wins, pairs = [], []
    for positive, negative in _ranked(log_probabilities, target, weights):
        above = positive.cumsum(axis=1) - positive / 2
        wins.append((negative * above).sum(axis=1))
        pairs.append(positive.sum(axis=1) * negative.sum(axis=1))
    return _mean_of_ratios(np.stack(wins, axis=1), np.stack(pairs, axis=1))


def average_precision(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Area under the precision-recall curve as the step sum over thresholds: sum of (R_n - R_(n-1)) P_n.

    Two classes: of the second class. More: mean over the classes present, each against the rest. Rows of equal score
    share a threshold. Undefined for a class that all rows have, as the curve is trivial there.
    """
    gains, totals = [], []
    for positive, negative in _ranked(log_probabilities, target, weights):
        hits = positive.cumsum(axis=1)
        retrieved = hits + negative.cumsum(axis=1)
        precision = np.divide(hits, retrieved, out=np.zeros_like(hits), where=retrieved > 0)
        gains.append((positive * precision).sum(axis=1))
        totals.append(positive.sum(axis=1) * (negative.sum(axis=1) > 0))
    return _mean_of_ratios(np.stack(gains, axis=1), np.stack(totals, axis=1))


def log_loss(log_probabilities: LogProbabilities, target: Classes, weights: Weights) -> Values:
    """Mean of minus the log-probability of the true class, in nats."""
    return _mean(-log_probabilities[np.arange(len(target)), target], weights)


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


def _mean(values: Float[np.ndarray, " N"], weights: Weights) -> Values:
    return np.asarray(weights @ values / weights.sum(axis=1))


def _one_hot(
    log_probabilities: LogProbabilities, target: Classes
) -> tuple[Float[np.ndarray, "N K"], Float[np.ndarray, "N K"]]:
    """True and predicted classes."""
    identity = np.eye(log_probabilities.shape[1])
    return identity[target], identity[log_probabilities.argmax(axis=1)]


def _ranked(
    log_probabilities: LogProbabilities, target: Classes, weights: Weights
) -> Iterator[tuple[Float[np.ndarray, "S G"], Float[np.ndarray, "S G"]]]:
    """For each class: weight of its rows and of the others in each of the G groups of equal score, best first."""
    num_classes = log_probabilities.shape[1]
    for k in [1] if num_classes == 2 else range(num_classes):
        # Of two classes the log odds rank: near certainty the log-probability of one alone rounds to zero.
        score = log_probabilities[:, 1] - log_probabilities[:, 0] if num_classes == 2 else log_probabilities[:, k]
        order = np.argsort(-score, kind="stable")
        starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
        ordered, positive = weights[:, order], (target == k)[order]
        yield np.add.reduceat(ordered * positive, starts, axis=1), np.add.reduceat(ordered * ~positive, starts, axis=1)


def _mean_of_ratios(numerators: Float[np.ndarray, "S K"], denominators: Float[np.ndarray, "S K"]) -> Values:
    """Mean over the classes whose denominator is positive; NaN where there is none."""
    defined = denominators > 0
    ratios = np.divide(numerators, denominators, out=np.zeros_like(numerators), where=defined)
    count = defined.sum(axis=1)
    return np.asarray(np.divide(ratios.sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0))
