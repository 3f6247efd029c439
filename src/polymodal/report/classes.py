"""How well classes are told apart, and labels found: confusion, ROC and precision-recall, calibration, each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from polymodal.codecs.previews import escaped
from polymodal.metrics.weighted import ratio
from polymodal.report.confusion import confusion
from polymodal.report.drawing import ACCENT, MUTED, WARM, Drawing, Pen, evenly, short
from polymodal.report.formatting import figure, number
from polymodal.report.subject import ReportedRun, Section
from polymodal.types import Classes, Labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CLASSES = 30  # of a confusion matrix that can be read
_FEW_CLASSES = 12  # with so many, the matrix shows at a glance which are mixed up
_MOST_PAIRS = 20
_BINS = 15  # as the metric `ece` has
_MOST_LABELS = 200  # of the table
_MOST_POINTS = 200  # of a curve
_MOST_CURVES = 40
_SIZE = (4.2, 4.2)  # inches


def classes(subject: ReportedRun) -> Section | None:
    """Everything about the classes; nothing for other targets."""
    shown = [_context(subject.pen, outcome) for outcome in subject.outcomes if isinstance(outcome, Classes)]
    return Section("classes", "Classes", {"outcomes": shown}) if shown else None


def labels(subject: ReportedRun) -> Section | None:
    """Curves, and a line for each label; nothing for other targets."""
    shown = [
        {
            "figures": ranking(subject.pen, outcome.labels, outcome.probabilities, outcome.target),
            "rows": _label_rows(outcome),
            "num_labels": len(outcome.labels),
        }
        for outcome in subject.outcomes
        if isinstance(outcome, Labels)
    ]
    return Section("labels", "Labels", {"outcomes": shown}) if shown else None


def _context(pen: Pen, outcome: Classes) -> dict[str, object]:
    labels = outcome.labels
    counts = confusion_matrix(outcome.target, outcome.predicted, labels=np.arange(len(labels)))
    truth = outcome.target[:, None] == np.arange(len(labels))
    return {
        "matrix": confusion(labels, counts) if len(labels) <= _MOST_CLASSES else None,
        "figures": [_reliability(pen, outcome), *ranking(pen, labels, outcome.probabilities, truth)],
        "confused": _confused(labels, counts) if len(labels) > _FEW_CLASSES else [],
        "rows": _class_rows(outcome),
    }


def reliability(outcome: Classes) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"], Int[np.ndarray, " M"]]:
    """Mean confidence, accuracy and rows of each of 15 equal bins of confidence that holds any.

    Guo et al. 2017, On Calibration of Modern Neural Networks, section 2.
    """
    confidence = outcome.probabilities.max(axis=1)
    right = outcome.predicted == outcome.target
    bins = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    rows = np.bincount(bins, minlength=_BINS)
    held = rows > 0
    mean = np.bincount(bins, confidence, _BINS)[held] / rows[held]
    share = np.bincount(bins, right, _BINS)[held] / rows[held]
    return mean, share, rows[held]


def _reliability(pen: Pen, outcome: Classes) -> Drawing:
    confidence, accuracy, rows = reliability(outcome)
    error = float((rows * np.abs(confidence - accuracy)).sum() / rows.sum())

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axes.vlines(confidence, confidence, accuracy, color=WARM, linewidth=1.2)
        axes.plot(confidence, accuracy, color=ACCENT)
        axes.scatter(confidence, accuracy, 12 + 160 * rows / rows.max(), color=ACCENT, alpha=0.8, linewidth=0, zorder=3)
        axes.set(xlim=(0, 1.04), ylim=(-0.02, 1.04))
        axes.grid()

    points = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": confidence.tolist(),
        "y": accuracy.tolist(),
        "text": [f"{number(count)} rows" for count in rows.tolist()],
        "marker": {"size": (6 + 14 * rows / rows.max()).tolist()},
    }
    diagonal = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": {"dash": "dot"}}
    caption = f"Calibration (ECE {figure(error)}): accuracy by confidence, dots sized by rows"
    return pen.draw(caption, paint, [diagonal, points], x="confidence", y="accuracy", size=_SIZE)


def _confused(labels: list[str], counts: Int[np.ndarray, "K K"]) -> list[tuple[str, str, int, float]]:
    """The pairs that are mixed up most often: true class, predicted class, rows, share of the true class."""
    wrong = np.where(np.eye(len(labels), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    places = [np.unravel_index(place, wrong.shape) for place in order if wrong.flat[place]]
    of_class = counts.sum(axis=1)
    return [
        (labels[true], labels[said], int(wrong[true, said]), wrong[true, said] / of_class[true])
        for true, said in places
    ]


def _class_rows(outcome: Classes) -> list[tuple[str, float, float, float, int, int]]:
    """Of each class: name, precision, recall, F1 (NaN where undefined), rows, and rows that are predicted to be it."""
    num = len(outcome.labels)
    precision, recall, f1, _ = precision_recall_fscore_support(
        outcome.target, outcome.predicted, labels=np.arange(num), zero_division=np.nan
    )
    rows, predicted = (np.bincount(of, minlength=num) for of in (outcome.target, outcome.predicted))
    return list(zip(outcome.labels, precision, recall, f1, rows.tolist(), predicted.tolist(), strict=True))


def _label_rows(outcome: Labels) -> list[dict[str, object]]:
    """A line for each of the most frequent labels; NaN where a figure is undefined."""
    true, predicted = outcome.target.sum(axis=0), outcome.predicted.sum(axis=0)
    hits = (outcome.target & outcome.predicted).sum(axis=0)
    precision, recall = ratio(hits, predicted), ratio(hits, true)
    rows: list[dict[str, object]] = []
    for k in np.argsort(-true, kind="stable")[:_MOST_LABELS]:
        has = outcome.target[:, k]
        both = bool(has.any() and not has.all())
        rows.append(
            {
                "label": outcome.labels[k],
                "average_precision": average_precision_score(has, outcome.probabilities[:, k])
                if both
                else float("nan"),
                "share": float(has.mean()),
                "precision": precision[k],
                "recall": recall[k],
                "rows": int(true[k]),
            }
        )
    return rows


@dataclass(frozen=True)
class Curve:
    """One curve and the area under it."""

    label: str
    x: Float[np.ndarray, " P"]
    y: Float[np.ndarray, " P"]
    area: float


def ranking(
    pen: Pen, labels: Sequence[str], scores: Float[np.ndarray, "N K"], truth: Bool[np.ndarray, "N K"]
) -> list[Drawing]:
    """Two figures; the best and the worst of several classes stand out. None where no class has rows of both kinds."""
    hits = truth.sum(axis=0)
    shown = [k for k in range(len(labels)) if 0 < hits[k] < len(truth)]
    shown = [1] if len(labels) == 2 and 1 in shown else shown
    if not shown:
        return []
    rest = "" if len(labels) == 2 else ", each against the rest"
    of = f" of {short(labels[shown[0]])}" if len(shown) == 1 else rest
    rocs, precisions = [], []
    for k in shown:
        has, score = truth[:, k], scores[:, k]
        others, found, _ = roc_curve(has, score)
        rocs.append(_curve(labels[k], others, found, roc_auc_score(has, score)))
        precision, recall, _ = precision_recall_curve(has, score)  # behind them a point of no threshold
        precisions.append(_curve(labels[k], recall[:-1], precision[:-1], average_precision_score(has, score)))
    return [
        _figure(pen, f"ROC curve{of}", rocs, x="false positive rate", y="true positive rate", chance=True),
        _figure(pen, f"Precision-recall curve{of}", precisions, x="recall", y="precision"),
    ]


def _curve(label: str, x: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"], area: float) -> Curve:
    """A curve of at most 200 of the points, the ends among them."""
    places = evenly(len(x), _MOST_POINTS)
    return Curve(label, x[places], y[places], float(area))


def _figure(pen: Pen, caption: str, curves: Sequence[Curve], *, x: str, y: str, chance: bool = False) -> Drawing:
    order = [int(k) for k in np.argsort([curve.area for curve in curves])]
    marked = {order[-1]: ("best ", ACCENT), order[0]: ("worst ", WARM)} if len(curves) > 1 else {0: ("", ACCENT)}

    def paint(axes: Axes) -> None:
        if chance:
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        for curve in (curves[k] for k in order[:_MOST_CURVES] if k not in marked):
            axes.plot(curve.x, curve.y, color=MUTED, linewidth=0.8, alpha=0.55)
        for place, (which, colour) in marked.items():
            curve = curves[place]
            axes.plot(curve.x, curve.y, color=colour, label=f"{which}{figure(curve.area)}: {short(curve.label)}")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
        axes.grid()
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1))  # above: curves may run everywhere

    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{escaped(curve.label)} ({figure(curve.area)})",
            "x": curve.x.tolist(),
            "y": curve.y.tolist(),
        }
        for curve in curves
    ]
    return pen.draw(caption, paint, traces, x=x, y=y, size=_SIZE)
