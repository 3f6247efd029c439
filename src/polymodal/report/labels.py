"""How well labels are found, of which a row may have any number."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score

from polymodal.abilities import Labels
from polymodal.report.ranking import ranking
from polymodal.report.subject import ReportedRun, Section

_MOST_LABELS = 200  # of the table


def labels(subject: ReportedRun) -> Section | None:
    """Curves, and a line for each label; nothing for other targets."""
    shown = [
        {
            "figures": ranking(subject.pen, outcome.labels, outcome.probabilities, outcome.target),
            "rows": _rows(outcome),
            "num_labels": len(outcome.labels),
        }
        for outcome in subject.outcomes
        if isinstance(outcome, Labels)
    ]
    return Section("labels", "Labels", {"outcomes": shown}) if shown else None


def _rows(outcome: Labels) -> list[dict[str, object]]:
    """A line for each of the most frequent labels; NaN where a figure is undefined."""
    true, predicted = outcome.target.sum(axis=0), outcome.predicted.sum(axis=0)
    hits = (outcome.target & outcome.predicted).sum(axis=0)
    rows: list[dict[str, object]] = []
    for k in np.argsort(-true, kind="stable")[:_MOST_LABELS]:
        has = outcome.target[:, k]
        both = bool(has.any() and not has.all())
        line = {
            "label": outcome.labels[k],
            "average_precision": average_precision_score(has, outcome.probabilities[:, k]) if both else float("nan"),
            "share": float(has.mean()),
            "precision": hits[k] / predicted[k] if predicted[k] else float("nan"),
            "recall": hits[k] / true[k] if true[k] else float("nan"),
            "rows": int(true[k]),
        }
        rows.append(line)
    return rows
