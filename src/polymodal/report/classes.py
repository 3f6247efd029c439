"""How well classes are told apart: confusion, ROC and precision-recall, calibration, each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from polymodal.abilities import Classes
from polymodal.codecs.previews import escaped
from polymodal.report.drawing import ACCENT, INK, MUTED, WARM, Drawing, Pen, short
from polymodal.report.ranking import ranking
from polymodal.report.subject import ReportedRun, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CLASSES = 30  # of a confusion matrix that can be read
_FEW_CLASSES = 12  # with so many, the matrix shows at a glance which are mixed up
_MOST_PAIRS = 20
_BINS = 15  # as the metric `ece` has


def classes(subject: ReportedRun) -> Section | None:
    """Everything about the classes; nothing for other targets."""
    shown = [_context(subject.pen, outcome) for outcome in subject.outcomes if isinstance(outcome, Classes)]
    return Section("classes", "Classes", {"outcomes": shown}) if shown else None


def _context(pen: Pen, outcome: Classes) -> dict[str, object]:
    labels = outcome.labels
    counts = confusion_matrix(outcome.target, outcome.predicted, labels=np.arange(len(labels)))
    truth = outcome.target[:, None] == np.arange(len(labels))
    matrix = [_confusion(pen, labels, counts)] if len(labels) <= _MOST_CLASSES else []
    return {
        "figures": [*matrix, _reliability(pen, outcome), *ranking(pen, labels, outcome.probabilities, truth)],
        "confused": _confused(labels, counts) if len(labels) > _FEW_CLASSES else [],
        "rows": _rows(outcome),
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


def _confusion(pen: Pen, labels: list[str], counts: Int[np.ndarray, "K K"]) -> Drawing:
    num = len(labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def paint(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        for true, said in zip(*np.nonzero(counts), strict=True):
            colour, share = ACCENT if true == said else WARM, shares[true, said]
            box = Rectangle((said - 0.47, true - 0.47), 0.94, 0.94, facecolor=colour, alpha=0.12 + 0.6 * share)
            axes.add_patch(box)
            if num <= 20:
                axes.text(said, true, str(counts[true, said]), ha="center", va="center", fontsize=9, color=INK)
        words = [short(label, 14 if num <= _FEW_CLASSES else 24) for label in labels]
        upright = max(map(len, words)) > 3 and num > 4
        axes.set_xticks(range(num), words, rotation=90 if upright else 0)
        axes.set_yticks(range(num), words)
        axes.set(xlim=(-0.5, num - 0.5), ylim=(num - 0.5, -0.5), aspect="equal")
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)

    side = 4.7 if num <= _FEW_CLASSES else 7.2
    names = [escaped(label) for label in labels]
    heat = {"type": "heatmap", "z": counts.tolist(), "x": names, "y": names}
    caption = "Confusion matrix: rows by true and predicted class"
    return pen.draw(caption, paint, [heat], x="predicted", y="true", size=(side, side), categories="xy")


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
        "type": "scatter", "mode": "lines+markers", "x": confidence.tolist(), "y": accuracy.tolist(),
        "text": [f"{count} rows" for count in rows.tolist()], "marker": {"size": (6 + 14 * rows / rows.max()).tolist()},
    }  # fmt: skip
    diagonal = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": {"dash": "dot"}}
    caption = f"Calibration (ECE {error:.3f}): accuracy by confidence, dots sized by rows"
    return pen.draw(caption, paint, [diagonal, points], x="confidence", y="accuracy", size=(4.7, 4.7))


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


def _rows(outcome: Classes) -> list[tuple[str, float, float, float, int, int]]:
    """Of each class: name, precision, recall, F1 (NaN where undefined), rows, and rows that are predicted to be it."""
    num = len(outcome.labels)
    precision, recall, f1, rows = precision_recall_fscore_support(
        outcome.target, outcome.predicted, labels=np.arange(num), zero_division=np.nan
    )
    predicted = np.bincount(outcome.predicted, minlength=num)
    return list(zip(outcome.labels, precision, recall, f1, rows.tolist(), predicted.tolist(), strict=True))
