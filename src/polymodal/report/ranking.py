"""ROC and precision-recall curves: of the second of two classes, or of each class or label against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from polymodal.codecs.previews import escaped
from polymodal.report.drawing import ACCENT, MUTED, WARM, Drawing, Pen, evenly, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_POINTS = 200  # of a curve
_MOST_CURVES = 40


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
    rocs = [_roc(labels[k], scores[:, k], truth[:, k]) for k in shown]
    precisions = [_precision_recall(labels[k], scores[:, k], truth[:, k]) for k in shown]
    return [
        _figure(pen, f"ROC curve{of}", rocs, x="false positive rate", y="true positive rate", chance=True),
        _figure(pen, f"Precision-recall curve{of}", precisions, x="recall", y="precision"),
    ]


def _roc(label: str, scores: Float[np.ndarray, " N"], truth: Bool[np.ndarray, " N"]) -> Curve:
    """False and true positive rate at each threshold; the area is ROC AUC."""
    others, hits, _ = roc_curve(truth, scores)
    return _thinned(label, others, hits, roc_auc_score(truth, scores))


def _precision_recall(label: str, scores: Float[np.ndarray, " N"], truth: Bool[np.ndarray, " N"]) -> Curve:
    """Recall and precision at each threshold; the area is average precision."""
    precision, recall, _ = precision_recall_curve(truth, scores)  # behind them a point of no threshold
    return _thinned(label, recall[:-1], precision[:-1], average_precision_score(truth, scores))


def _thinned(label: str, x: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"], area: float) -> Curve:
    """A curve of at most 200 of the points, the ends among them."""
    places = evenly(len(x), _MOST_POINTS)
    return Curve(label, x[places], y[places], float(area))


def _figure(pen: Pen, caption: str, curves: Sequence[Curve], *, x: str, y: str, chance: bool = False) -> Drawing:
    order = [int(k) for k in np.argsort([curve.area for curve in curves])]
    marked = {order[-1]: ("best: ", ACCENT), order[0]: ("worst: ", WARM)} if len(curves) > 1 else {0: ("", ACCENT)}

    def paint(axes: Axes) -> None:
        if chance:
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        for curve in (curves[k] for k in order[:_MOST_CURVES] if k not in marked):
            axes.plot(curve.x, curve.y, color=MUTED, linewidth=0.8, alpha=0.55)
        for place, (which, colour) in marked.items():
            curve = curves[place]
            axes.plot(curve.x, curve.y, color=colour, label=f"{which}{short(curve.label)} ({curve.area:.3f})")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
        axes.grid()
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1))  # above: curves may run everywhere

    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{escaped(curve.label)} ({curve.area:.3f})",
            "x": curve.x.tolist(),
            "y": curve.y.tolist(),
        }
        for curve in curves
    ]
    return pen.draw(caption, paint, traces, x=x, y=y, size=(4.7, 4.7))
