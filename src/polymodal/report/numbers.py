"""How well numbers are predicted: against the truth, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from polymodal.abilities import Numbers
from polymodal.codecs.previews import escaped
from polymodal.report import markup
from polymodal.report.drawing import ACCENT, MUTED, WARM, plotted
from polymodal.report.subject import ReportedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_POINTS = 1_500  # of a scatter plot: more only blacken it
_MOST_TARGETS = 6  # of which figures are drawn


def numbers(subject: ReportedRun) -> str:
    """Two figures and a line of a table for each target of numbers; nothing for other targets."""
    found = [outcome for outcome in subject.outcomes if isinstance(outcome, Numbers)]
    if not found:
        return ""
    parts = []
    for outcome in found[:_MOST_TARGETS]:
        title = f"<h3>{escaped(outcome.name)}</h3>" if len(found) > 1 else ""
        parts.append(title + markup.columns([_against(subject, outcome), _residuals(subject, outcome)]))
    header = ("target", "mean error", "median |error|", "90 % of |errors| below", "largest |error|", "rows")
    return "".join(parts) + markup.table(header, map(_line, found), numbers=5)


def _line(outcome: Numbers) -> list[str]:
    error = outcome.predicted - outcome.target
    size = np.abs(error)
    figures = [error.mean(), np.median(size), np.quantile(size, 0.9), size.max()]
    return [escaped(outcome.name), *(markup.amount(float(value)) for value in figures), f"{len(error):,}"]


def _against(subject: ReportedRun, outcome: Numbers) -> str:
    true, said = _drawn(outcome.target, outcome.predicted)
    ends = [float(min(true.min(), said.min())), float(max(true.max(), said.max()))]

    def paint(axes: Axes) -> None:
        axes.plot(ends, ends, color=WARM, linewidth=1, linestyle=(0, (3, 3)))
        axes.scatter(true, said, 9, color=ACCENT, alpha=0.55, linewidth=0)
        axes.set_xlabel("true")
        axes.set_ylabel("predicted")
        axes.grid()

    points = {"type": "scatter", "mode": "markers", "x": true.tolist(), "y": said.tolist()}
    line = {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": {"dash": "dot"}}
    figure = plotted([line, points], x="true", y="predicted")
    return subject.pen.draw("Predicted against true", paint, size=(4.7, 4.0), interactive=figure)


def _residuals(subject: ReportedRun, outcome: Numbers) -> str:
    error = outcome.predicted - outcome.target
    bins = int(np.clip(np.sqrt(len(error)) * 1.5, 8, 40))

    def paint(axes: Axes) -> None:
        axes.hist(error, bins=bins, color=ACCENT, alpha=0.75, rwidth=0.92, linewidth=0)
        axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axes.axvline(error.mean(), color=WARM, linewidth=1.2, label=f"mean {markup.amount(float(error.mean()))}")
        axes.set_xlabel("predicted minus true")
        axes.set_ylabel("rows")
        axes.grid(axis="y")
        axes.legend()

    bars = {"type": "histogram", "x": error.tolist(), "nbinsx": bins}
    figure = plotted([bars], x="predicted minus true", y="rows")
    return subject.pen.draw("Errors", paint, size=(4.7, 4.0), interactive=figure)


def _drawn(
    true: Float[np.ndarray, " N"], said: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """At most 1,500 of the points, evenly spread over the rows."""
    places = np.unique(np.linspace(0, len(true) - 1, _MOST_POINTS).round().astype(int))
    return true[places], said[places]
