"""Draws figures as SVG that belongs to the page: its letters, its colours by day and by night, ids of its own.

Also what several sections draw: values with their intervals, one below the other.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Int
from markupsafe import Markup

from polymodal.codecs.previews import escaped
from polymodal.errors import UsageError, needs_extra
from polymodal.metrics.bootstrap import Interval
from polymodal.report.formatting import ends, number, tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

Paint: TypeAlias = "Callable[[Axes], None]"
"""Draws a figure on its axes."""

# Stand-ins that no data draws; the page's own colours take their places, so that they can change with its theme.
INK, MUTED, LINE, ACCENT, WARM = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", WARM: "warm"}
_BY_DAY = {INK: "#1b2430", MUTED: "#5c6875", LINE: "#c9d0d8", ACCENT: "#2160c4", WARM: "#b4530f"}

_MOST_IN_LEGEND = 8  # of a figure by plotly; of more curves the names show under the pointer
_LONGEST_NAME = 30  # characters, of what has an interval
_TICK_CHARACTERS = 34  # of all ticks below a figure

_STYLE: Mapping[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "text.parse_math": False,  # a class may be called $x$
    "axes.formatter.use_mathtext": False,
}


@dataclass(frozen=True)
class Drawing:
    """A figure of the page.

    Attributes:
        name: its id.
        svg: None where plotly draws it.
    """

    name: str
    caption: str
    svg: Markup | None


@dataclass
class Pen:
    """Draws the figures of one page.

    Attributes:
        interactive: also keep what plotly needs to draw them.
        figures: what plotly is to draw, by the id of its place.
    """

    interactive: bool = False
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    count: int = 0

    def draw(
        self,
        caption: str,
        paint: Paint,
        traces: Sequence[Mapping[str, Any]],
        *,
        x: str,
        y: str,
        size: tuple[float, float] = (4.2, 3.2),
    ) -> Drawing:
        """A figure with its caption, painted with the colours of this module; `traces` are the same for plotly.

        `size` is in inches; whatever it is, the figure takes the width of a phone, or its share of a desktop.
        """
        self.count += 1
        name = f"figure-{self.count}"
        if self.interactive:
            self.figures[name] = _plotted(traces, x, y)
            return Drawing(name, caption, None)

        def labelled(axes: Axes) -> None:
            paint(axes)
            axes.set(xlabel=x, ylabel=y)

        svg = _embedded(_svg({"": labelled}, size, salt=name), name, caption)
        return Drawing(name, caption, Markup(svg))  # noqa: S704 - matplotlib escapes text, `_embedded` the caption


def paint_intervals(metric: str, intervals: Mapping[str, Interval]) -> Paint:
    """Draws one interval on each line; the first stands out."""
    every = ends(intervals.values())

    def paint(axes: Axes) -> None:
        for place, interval in enumerate(intervals.values()):
            colour = ACCENT if place == 0 else MUTED
            axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.2)
            axes.plot(interval.value, place, "o", color=colour, markersize=6)
            words, end = number(interval.value, like=every), (interval.high, place)
            axes.annotate(words, end, (7, 0), textcoords="offset points", va="center", color=INK)
        axes.set_yticks(range(len(intervals)), [short(name, _LONGEST_NAME) for name in intervals])
        axes.set(xlabel=metric, ylim=(len(intervals) - 0.4, -0.6))
        axes.margins(x=0.15)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    return paint


def intervals_height(lines: int) -> float:
    """Inches that the figure wants."""
    return 0.8 + 0.34 * lines


def save_picture(path: Path, figures: Mapping[str, Paint], *, height: float) -> None:
    """Writes figures, by title, side by side as one SVG file that stands by itself, in the colours by day.

    `height` is in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: the file cannot be written.
    """
    svg = _svg(figures, (5.2 * len(figures), height), salt="polymodal", paper="white")
    for stand_in, colour in _BY_DAY.items():
        svg = svg.replace(stand_in, colour)
    try:
        path.write_text(svg, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"Cannot write the picture {path}: {error.strerror}.") from error


def require_matplotlib() -> Any:
    """The drawing library.

    Raises:
        MissingExtraError: it is not installed.
    """
    with needs_extra("matplotlib", "plots", "report.html"):
        import matplotlib
    return matplotlib


def short(label: str, length: int = 18) -> str:
    """A label that fits beside an axis: both of its ends, since labels may differ in either.

    >>> short("a class with a number: 12", 12)
    'a class…: 12'
    """
    line = " ".join(label.split())
    end = length // 3
    return line if len(line) <= length else f"{line[: length - end - 1]}…{line[-end:]}"


def evenly(count: int, most: int) -> Int[np.ndarray, " P"]:
    """At most so many of the places 0 to `count` - 1, spread evenly, the first and the last among them.

    >>> evenly(9, 3).tolist(), evenly(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def _plotted(traces: Sequence[Mapping[str, Any]], x: str, y: str) -> dict[str, Any]:
    """A figure as plotly reads it; its texts may hold markup, and must not."""
    axes = {f"{axis}axis": {"title": {"text": escaped(name)}} for axis, name in zip("xy", (x, y), strict=True)}
    named = sum("name" in trace for trace in traces)
    return {"data": traces, "layout": {**axes, "showlegend": 0 < named <= _MOST_IN_LEGEND}}


def _svg(figures: Mapping[str, Paint], size: tuple[float, float], *, salt: str, paper: str = "none") -> str:
    """An SVG document of figures side by side, each below its title, in the stand-ins of the colours."""
    matplotlib = require_matplotlib()
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    file = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's own letters are used
        picture = Figure(figsize=size, layout="constrained", facecolor=paper)
        FigureCanvasSVG(picture)
        places = picture.subplots(1, len(figures), squeeze=False)[0]
        for axes, (title, paint) in zip(places, figures.items(), strict=True):
            paint(axes)
            _number_axes(axes)
            axes.set_title(title)
        picture.savefig(file, format="svg", metadata={"Date": None}, facecolor=paper)
    return file.getvalue()


def _number_axes(axes: Axes) -> None:
    """Ticks of numbers as the page writes numbers, and so few that they do not touch one another."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, ScalarFormatter

    for axis in (axes.xaxis, axes.yaxis):
        if not isinstance(axis.get_major_formatter(), ScalarFormatter):
            continue  # names
        for most in (5, 4, 3, 2):
            locator = axis.get_major_locator()
            if isinstance(locator, MaxNLocator):
                locator.set_params(nbins=most)
            low, high = sorted(axis.get_view_interval())
            shown = [float(place) for place in axis.get_majorticklocs() if low <= place <= high]
            if axis is axes.yaxis or sum(len(tick(place, shown)) + 2 for place in shown) <= _TICK_CHARACTERS:
                break
        axis.set_major_formatter(FuncFormatter(partial(_tick, axis)))


def _tick(axis: Axis, value: float, _: int | None) -> str:
    return tick(value, axis.get_majorticklocs())


def _embedded(svg: str, name: str, caption: str) -> str:
    """An SVG document as a part of a page: no prologue, no metadata, ids that no other figure has."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], count=1, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{name}-", svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var(--{variable})")
    svg = re.sub(r"font-family: [^;\"]*|(?<=px )'DejaVu Sans'[^;\"]*", "", svg)
    label = f'<svg role="img" aria-label="{escaped(caption)}"'
    start, rest = svg.split(">", 1)
    return re.sub(r' (width|height)="[0-9.]+pt"', "", start).replace("<svg", label, 1) + ">" + rest
