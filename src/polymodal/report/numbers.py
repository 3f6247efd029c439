"""How well numbers are predicted: against the truth, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from polymodal.report.drawing import ACCENT, MUTED, WARM, Drawing, Pen, evenly
from polymodal.report.formatting import number
from polymodal.report.subject import ReportedRun, Section
from polymodal.types import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_POINTS = 1_500  # of a scatter plot: more only blacken it
_MOST_TARGETS = 6  # of which figures are drawn
_SIZE = (4.2, 3.6)  # inches


def numbers(subject: ReportedRun) -> Section | None:
    """Two figures and a line of a table for each target of numbers; nothing for other targets."""
    found = [outcome for outcome in subject.outcomes if isinstance(outcome, Numbers)]
    if not found:
        return None
    figures = [
        (outcome.name, [_against(subject.pen, outcome), _residuals(subject.pen, outcome)])
        for outcome in found[:_MOST_TARGETS]
    ]
    return Section("numbers", "Predicted and true", {"targets": figures, "rows": list(map(_line, found))})


def _line(outcome: Numbers) -> tuple[str, list[str]]:
    error = outcome.predicted - outcome.target
    size = np.abs(error)
    most = float(np.quantile(size, 0.9))  # one outlier shall not hide the digits of the rest
    figures = [float(error.mean()), float(np.median(size)), most, float(size.max())]
    return outcome.name, [*(number(value, like=[most]) for value in figures), number(len(error))]


def _against(pen: Pen, outcome: Numbers) -> Drawing:
    places = evenly(len(outcome.target), _MOST_POINTS)
    true, predicted = outcome.target[places], outcome.predicted[places]
    ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]

    def paint(axes: Axes) -> None:
        axes.plot(ends, ends, color=WARM, linewidth=1, linestyle=(0, (3, 3)))
        axes.scatter(true, predicted, 9, color=ACCENT, alpha=0.55, linewidth=0)
        axes.grid()

    points = {"type": "scatter", "mode": "markers", "x": true.tolist(), "y": predicted.tolist()}
    line = {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": {"dash": "dot"}}
    return pen.draw("Predicted against true", paint, [line, points], x="true", y="predicted", size=_SIZE)


def _residuals(pen: Pen, outcome: Numbers) -> Drawing:
    error = outcome.predicted - outcome.target
    bins = int(np.clip(np.sqrt(len(error)) * 1.5, 8, 40))

    def paint(axes: Axes) -> None:
        axes.hist(error, bins=bins, color=ACCENT, alpha=0.75, rwidth=0.92, linewidth=0)
        axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axes.axvline(error.mean(), color=WARM, linewidth=1.2)
        axes.grid(axis="y")

    bars = {"type": "histogram", "x": error.tolist(), "nbinsx": bins}
    caption = f"Residuals; their mean is {number(float(error.mean()), like=[float(np.abs(error).mean())])}"
    return pen.draw(caption, paint, [bars], x="predicted minus true", y="rows", size=_SIZE)
