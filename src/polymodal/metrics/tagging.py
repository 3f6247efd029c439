"""How well sets of labels are predicted, for many weightings of the same rows at once (see `metrics.classification`).

Macro metrics are means over the labels that some, but not all, of the counted rows have; micro metrics pool the cells
of all labels. A metric that a weighting leaves undefined is NaN there.

Shapes: N rows, K labels, S weightings.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Logits = Float[np.ndarray, "N K"]
Labels = Float[np.ndarray, "N K"]
Weights = Float[np.ndarray, "S N"]
Values = Float[np.ndarray, " S"]


GREATER_IS_BETTER = {
    "macro_average_precision": True,
    "micro_average_precision": True,
    "macro_roc_auc": True,
    "macro_f1": True,
    "micro_f1": True,
    "ranking_precision": True,
    "label_log_loss": False,
}
WORDS = {
    "macro_average_precision": "area under the precision-recall curve of each label, averaged",
    "micro_average_precision": "area under the precision-recall curve of all labels together",
    "macro_roc_auc": "chance that a row with a label is ranked above one without, averaged over labels",
    "macro_f1": "F1 of each label, averaged: rare labels count as much as frequent ones",
    "micro_f1": "F1 of all labels together",
    "ranking_precision": "of the labels ranked down to each true one, the share that is true",
    "label_log_loss": "how surprised the model is by the truth, in nats a label",
}


def measure(logits: Logits, target: Labels, weights: Weights, *, threshold: float = 0.5) -> dict[str, Values]:
    """Every metric of this module by name. Needs at least one row of positive weight.

    Args:
        logits: log odds of each label.
        target: 1 where the row has the label, else 0.
        weights: how often each row counts.
        threshold: probability from which a label is predicted.
    """
    said = (logits >= np.log(threshold / (1 - threshold))).astype(float)
    precision, area = _ranked_by_label(logits, target, weights)
    return {
        "macro_average_precision": precision,
        "micro_average_precision": _micro_average_precision(logits, target, weights),
        "macro_roc_auc": area,
        "macro_f1": _macro_f1(said, target, weights),
        "micro_f1": _micro_f1(said, target, weights),
        "ranking_precision": _ranking_precision(logits, target, weights),
        "label_log_loss": label_log_loss(logits, target, weights),
    }


def _ranked_by_label(logits: Logits, target: Labels, weights: Weights) -> tuple[Values, Values]:
    """Average precision and area under the ROC curve: means over the labels, as `metrics.classification` has them."""
    sums, counts = np.zeros((2, len(weights))), np.zeros(len(weights))
    for score, truth in zip(logits.T, target.T, strict=True):
        order = np.argsort(-score, kind="stable")
        starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))  # rows of equal score share a threshold
        ordered = weights[:, order]
        positive = np.add.reduceat(ordered * truth[order], starts, axis=1)
        negative = np.add.reduceat(ordered, starts, axis=1) - positive
        hits, false = positive.cumsum(axis=1), negative.cumsum(axis=1)
        defined = (hits[:, -1] > 0) & (false[:, -1] > 0)
        precision = (positive * _ratio(hits, hits + false)).sum(axis=1)
        above = (negative * (hits - positive / 2)).sum(axis=1)
        sums[0] += np.where(defined, _ratio(precision, hits[:, -1]), 0)
        sums[1] += np.where(defined, _ratio(above, hits[:, -1] * false[:, -1]), 0)
        counts += defined
    return _or_nan(sums[0], counts), _or_nan(sums[1], counts)


def _micro_average_precision(logits: Logits, target: Labels, weights: Weights) -> Values:
    """Average precision over the cells of all rows and labels in one ranking."""
    score, truth = logits.ravel(), target.ravel()
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    rows, true = order // logits.shape[1], truth[order]
    result = np.full(len(weights), np.nan)
    for place, weight in enumerate(weights):  # one by one: cells are many
        counted = weight[rows]
        hits, retrieved = (counted * true).cumsum()[ends], counted.cumsum()[ends]
        if 0 < hits[-1] < retrieved[-1]:
            result[place] = (np.diff(hits, prepend=0) * _ratio(hits, retrieved)).sum() / hits[-1]
    return result


def _macro_f1(said: Labels, target: Labels, weights: Weights) -> Values:
    """Mean of F1 over the labels that a counted row has or is said to have."""
    hits, total = weights @ (said * target), weights @ (said + target)
    return _or_nan(_ratio(2 * hits, total).sum(axis=1), (total > 0).sum(axis=1))


def _micro_f1(said: Labels, target: Labels, weights: Weights) -> Values:
    """F1 over the cells of all rows and labels."""
    return _or_nan(2 * weights @ (said * target).sum(axis=1), weights @ (said + target).sum(axis=1))


def _ranking_precision(logits: Logits, target: Labels, weights: Weights) -> Values:
    """Label ranking average precision: over the labels of a row, the share of true ones among those ranked as high.

    Mean over the rows that have a label (Tsoumakas et al. 2010, Mining multi-label data, section 7.2, where it is
    called average precision). Labels of equal score rank as high as one another.
    """
    order = np.argsort(-logits, axis=1, kind="stable")
    ordered, true = np.take_along_axis(logits, order, axis=1), np.take_along_axis(target, order, axis=1)
    later = np.ones_like(ordered, dtype=bool)
    later[:, :-1] = ordered[:, :-1] != ordered[:, 1:]  # the last of those of equal score
    places = np.where(later, np.arange(logits.shape[1]), logits.shape[1])
    ends = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]
    share = np.take_along_axis(true.cumsum(axis=1), ends, axis=1) / (ends + 1)
    of_row = _ratio((share * true).sum(axis=1), true.sum(axis=1))
    return _or_nan(weights @ of_row, weights @ (target.sum(axis=1) > 0).astype(float))


def label_log_loss(logits: Logits, target: Labels, weights: Weights) -> Values:
    """Mean over rows and labels of minus the log-probability of what is true, in nats."""
    losses = np.logaddexp(0, np.where(target > 0, -logits, logits)).mean(axis=1)
    return np.asarray(weights @ losses / weights.sum(axis=1))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Zero where the denominator is."""
    return np.asarray(np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0))


def _or_nan(total: Values, count: Float[np.ndarray, " S"] | np.ndarray) -> Values:
    return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))
