"""How well sets of labels are predicted, for many weightings of the same rows at once (see `metrics.weighted`).

Macro metrics are means over the labels that some, but not all, of the counted rows have; micro metrics pool the cells
of all labels.

Shapes: N rows, K labels, S weightings.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from polymodal.metrics.weighted import Values, Weights, mean, mean_of_ratios, ranking_areas, ratio

Logits = Float[np.ndarray, "N K"]
Labels = Float[np.ndarray, "N K"]

WORDS = {
    "macro_average_precision": "area under the precision-recall curve of each label, averaged",
    "micro_average_precision": "area under the precision-recall curve of all labels together",
    "macro_roc_auc": "chance that a row with a label is ranked above one without, averaged over labels",
    "macro_f1": "F1 of each label, averaged: rare labels count as much as frequent ones",
    "micro_f1": "F1 of all labels together",
    "ranking_precision": "of the labels ranked down to each true one, the share that is true",
    "label_log_loss": "how surprised the model is by the truth, in nats a label",
}
GREATER_IS_BETTER = {name: name != "label_log_loss" for name in WORDS}


def measure(logits: Logits, target: Labels, weights: Weights, *, threshold: float = 0.5) -> dict[str, Values]:
    """Every metric of this module by name. Needs at least one row of positive weight.

    Args:
        logits: log odds of each label.
        target: 1 where the row has the label, else 0.
        weights: how often each row counts.
        threshold: probability from which a label is predicted.
    """
    said = (logits >= np.log(threshold / (1 - threshold))).astype(float)
    hits, total = weights @ (said * target), weights @ (said + target)
    area, precision = ranking_areas(logits, target > 0, weights)
    return {
        "macro_average_precision": precision,
        "micro_average_precision": _micro_average_precision(logits, target, weights),
        "macro_roc_auc": area,
        "macro_f1": mean_of_ratios(2 * hits, total),
        "micro_f1": ratio(2 * hits.sum(axis=1), total.sum(axis=1)),
        "ranking_precision": _ranking_precision(logits, target, weights),
        "label_log_loss": label_log_loss(logits, target, weights),
    }


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
            result[place] = (np.diff(hits, prepend=0) * ratio(hits, retrieved, undefined=0.0)).sum() / hits[-1]
    return result


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
    of_row = ratio((share * true).sum(axis=1), true.sum(axis=1), undefined=0.0)
    return ratio(weights @ of_row, weights @ (target.sum(axis=1) > 0).astype(float))


def label_log_loss(logits: Logits, target: Labels, weights: Weights) -> Values:
    """Mean over rows and labels of minus the log-probability of what is true, in nats."""
    return mean(np.logaddexp(0, np.where(target > 0, -logits, logits)).mean(axis=1), weights)
