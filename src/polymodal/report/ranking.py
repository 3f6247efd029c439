"""ROC and precision-recall curves: of the second of two classes, or of each class or label against the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from polymodal.codecs.previews import escaped
from polymodal.report.drawing import ACCENT, MUTED, WARM, plotted, short
from polymodal.report.subject import ReportedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve: TypeAlias = tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]

_MOST_POINTS = 200  # of a curve
_MOST_CURVES = 40


def ranking(
    subject: ReportedRun, labels: Sequence[str], scores: Float[np.ndarray, "N K"], truth: Bool[np.ndarray, "N K"]
) -> list[str]:
    """Two figures; the best and the worst of several classes stand out. None where no class has rows of both kinds."""
    hits = truth.sum(axis=0)
    shown = [k for k in range(len(labels)) if 0 < hits[k] < len(truth)]
    shown = [1] if len(labels) == 2 and 1 in shown else shown
    if not shown:
        return []
    names = [labels[k] for k in shown]
    rest = "" if len(labels) == 2 else ", each against the rest"
    rocs = [roc(scores[:, k], truth[:, k]) for k in shown]
    precisions = [precision_recall(scores[:, k], truth[:, k]) for k in shown]
    of = f" of {short(names[0])}" if len(shown) == 1 else rest
    return [
        _figure(subject, f"ROC{of}", names, rocs, ("false positive rate", "true positive rate"), _area, chance=True),
        _figure(subject, f"Precision and recall{of}", names, precisions, ("recall", "precision"), _steps, chance=False),
    ]


def roc(scores: Float[np.ndarray, " N"], truth: Bool[np.ndarray, " N"]) -> Curve:
    """False and true positive rate at each threshold, from (0, 0) to (1, 1); equal scores share one."""
    hits, others = _counts(scores, truth)
    return np.append(0, others / others[-1]), np.append(0, hits / hits[-1])


def precision_recall(scores: Float[np.ndarray, " N"], truth: Bool[np.ndarray, " N"]) -> Curve:
    """Recall and precision at each threshold, the highest first; equal scores share one."""
    hits, others = _counts(scores, truth)
    return hits / hits[-1], hits / (hits + others)


def _counts(
    scores: Float[np.ndarray, " N"], truth: Bool[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """True and other rows at or above each of the different scores."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = truth[order].cumsum()[ends].astype(float)
    return hits, ends + 1 - hits


def _area(curve: Curve) -> float:
    return float(np.trapezoid(curve[1], curve[0]))


def _steps(curve: Curve) -> float:
    """Average precision: the sum of (R_n - R_(n-1)) P_n."""
    return float((np.diff(curve[0], prepend=0) * curve[1]).sum())


def _figure(  # noqa: PLR0917 - what a curve needs
    subject: ReportedRun, caption: str, names: Sequence[str], curves: Sequence[Curve], axis_names: tuple[str, str],
    area: Callable[[Curve], float], *, chance: bool,
) -> str:  # fmt: skip
    areas = [area(curve) for curve in curves]
    order = np.argsort(areas)
    marked = {int(order[-1]): ACCENT, int(order[0]): WARM} if len(curves) > 1 else {0: ACCENT}

    def paint(axes: Axes) -> None:
        if chance:
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        for place in [int(k) for k in order[:_MOST_CURVES] if int(k) not in marked]:
            axes.plot(*_thinned(curves[place]), color=MUTED, linewidth=0.8, alpha=0.55)
        for place, colour in marked.items():
            which = "" if len(curves) == 1 else "best: " if colour == ACCENT else "worst: "
            label = f"{which}{short(names[place])} ({areas[place]:.3f})"
            axes.plot(*_thinned(curves[place]), color=colour, label=label)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel(axis_names[0])
        axes.set_ylabel(axis_names[1])
        axes.grid()
        axes.legend(loc="lower right" if chance else "lower left")

    data = []
    for name, value, (x, y) in zip(names, areas, map(_thinned, curves), strict=True):
        title = f"{escaped(name)} ({value:.3f})"
        data.append({"type": "scatter", "mode": "lines", "name": title, "x": x.tolist(), "y": y.tolist()})
    figure = plotted(data, x=axis_names[0], y=axis_names[1])
    return subject.pen.draw(caption, paint, size=(4.7, 4.4), interactive=figure)


def _thinned(curve: Curve) -> Curve:
    """At most 200 points of it, the ends among them."""
    places = np.unique(np.linspace(0, len(curve[0]) - 1, _MOST_POINTS).round().astype(int))
    return curve[0][places], curve[1][places]
