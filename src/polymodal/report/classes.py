"""How well classes are told apart: confusion, ROC and precision-recall, calibration, each class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from polymodal.abilities import Classes
from polymodal.codecs.previews import escaped
from polymodal.report import markup
from polymodal.report.drawing import ACCENT, INK, MUTED, WARM, plotted, short
from polymodal.report.ranking import ranking
from polymodal.report.subject import ReportedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CLASSES = 30  # of a confusion matrix that can be read
_MOST_PAIRS = 20
_BINS = 15  # as the metric `ece` has


def classes(subject: ReportedRun) -> str:
    """Everything about the classes; nothing for other targets."""
    found = [outcome for outcome in subject.outcomes if isinstance(outcome, Classes)]
    return "".join(_one(subject, outcome) for outcome in found)


def _one(subject: ReportedRun, outcome: Classes) -> str:
    counts = confusion(outcome)
    truth = outcome.target[:, None] == np.arange(len(outcome.labels))
    figures = [
        _confusion(subject, outcome.labels, counts) if len(outcome.labels) <= _MOST_CLASSES else "",
        _reliability(subject, outcome),
        *ranking(subject, outcome.labels, outcome.probabilities, truth),
    ]
    pairs = _pairs(outcome.labels, counts)
    return (
        markup.columns(filter(None, figures))
        + (f"<h3>Most confused</h3>{pairs}" if pairs else "")
        + f"<h3>Each class</h3>{_each(outcome.labels, counts)}"
    )


def confusion(outcome: Classes) -> Int[np.ndarray, "K K"]:
    """How many rows of each class (first axis) were taken for each class (second axis)."""
    counts = np.zeros((len(outcome.labels),) * 2, dtype=np.int64)
    np.add.at(counts, (outcome.target, outcome.predicted), 1)
    return counts


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


def _confusion(subject: ReportedRun, labels: list[str], counts: Int[np.ndarray, "K K"]) -> str:
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
        words = [short(label, 14) for label in labels]
        upright = max(map(len, words)) > 3 and num > 4
        axes.set_xticks(range(num), words, rotation=90 if upright else 0)
        axes.set_yticks(range(num), words)
        axes.set_xlim(-0.5, num - 0.5)
        axes.set_ylim(num - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)

    side = 4.7 if num <= 12 else 7.2
    names = [escaped(label) for label in labels]
    heat = {"type": "heatmap", "z": counts.tolist(), "x": names, "y": names}
    figure = plotted([heat], x="predicted", y="true", categories="xy")
    caption = "Rows of each class by what they were taken for"
    return subject.pen.draw(caption, paint, size=(side, side), interactive=figure)


def _reliability(subject: ReportedRun, outcome: Classes) -> str:
    confidence, accuracy, rows = reliability(outcome)
    error = float((rows * np.abs(confidence - accuracy)).sum() / rows.sum())

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axes.vlines(confidence, confidence, accuracy, color=WARM, linewidth=1.2)
        axes.plot(confidence, accuracy, color=ACCENT)
        axes.scatter(confidence, accuracy, 12 + 160 * rows / rows.max(), color=ACCENT, alpha=0.8, linewidth=0, zorder=3)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel("confidence")
        axes.set_ylabel("share that is right")
        axes.grid()

    points = {
        "type": "scatter", "mode": "lines+markers", "x": confidence.tolist(), "y": accuracy.tolist(),
        "text": [f"{count} rows" for count in rows.tolist()],
    }  # fmt: skip
    diagonal = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": {"dash": "dot"}}
    caption = f"Calibration: is it as right as it is sure? ECE {error:.3f}; the larger a dot, the more rows"
    figure = plotted([diagonal, points], x="confidence", y="share that is right")
    return subject.pen.draw(caption, paint, size=(4.7, 4.4), interactive=figure)


def _pairs(labels: list[str], counts: Int[np.ndarray, "K K"]) -> str:
    """The classes that are mixed up most often, where the matrix is too large to see it."""
    if len(labels) <= 12:
        return ""
    wrong = np.where(np.eye(len(labels), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    places = [np.unravel_index(place, wrong.shape) for place in order if wrong.flat[place]]
    of_class = counts.sum(axis=1)
    rows = []
    for true, said in places:
        share = markup.share(wrong[true, said] / of_class[true])
        rows.append((escaped(labels[true]), escaped(labels[said]), f"{wrong[true, said]:,}", share))
    return markup.table(("true", "predicted", "rows", "of the class"), rows, numbers=2) if rows else ""


def _each(labels: list[str], counts: Int[np.ndarray, "K K"]) -> str:
    hits, true, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    rows = []
    for place, label in enumerate(labels):
        precision = hits[place] / said[place] if said[place] else float("nan")
        recall = hits[place] / true[place] if true[place] else float("nan")
        f1 = 2 * hits[place] / (true[place] + said[place]) if true[place] + said[place] else float("nan")
        figures = ["–" if math.isnan(value) else f"{value:.3f}" for value in (precision, recall, f1)]
        rows.append([escaped(label), *figures, f"{true[place]:,}", f"{said[place]:,}"])
    return markup.table(("class", "precision", "recall", "F1", "rows", "predicted"), rows, numbers=5)
