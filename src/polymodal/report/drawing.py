"""Draws figures as SVG that belongs to the page: its letters, its colours by day and by night, ids of its own."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from polymodal.codecs.previews import escaped
from polymodal.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Interactive: TypeAlias = Mapping[str, Any]
"""A figure as plotly reads it: `data` and `layout`."""

# Stand-ins that no data draws; the page's own colours take their places, so that they can change with its theme.
INK, MUTED, LINE, ACCENT, WARM = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", WARM: "warm"}
LIGHT = {INK: "#1b2430", MUTED: "#5c6875", LINE: "#c9d0d8", ACCENT: "#2160c4", WARM: "#b4530f"}
"""The colours by day, for pictures outside of the page."""

STYLE: Mapping[str, Any] = {
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


@dataclass
class Pen:
    """Draws the figures of one page.

    Attributes:
        interactive: also keep what plotly needs to draw them.
        figures: what plotly is to draw, by the id of its place.
    """

    interactive: bool = False
    figures: dict[str, Interactive] = field(default_factory=dict)
    count: int = 0

    def draw(
        self,
        caption: str,
        paint: Callable[[Axes], None],
        *,
        size: tuple[float, float] = (4.7, 3.2),
        interactive: Interactive | None = None,
    ) -> str:
        """A figure with its caption.

        Args:
            caption: what it shows; above it.
            paint: draws on its axes, with the colours of this module.
            size: in inches; 4.7 wide fills a phone, and half of a desktop.
            interactive: the same for plotly.
        """
        self.count += 1
        name = f"figure-{self.count}"
        if self.interactive and interactive is not None:
            self.figures[name] = interactive
            body = f'<div class="plot" id="{name}"></div>'
        else:
            body = self._svg(name, caption, paint, size)
        wide = ' class="wide"' if size[0] > 6 else ""
        return f"<figure{wide}><figcaption>{escaped(caption)}</figcaption>{body}</figure>"

    def _svg(self, name: str, caption: str, paint: Callable[[Axes], None], size: tuple[float, float]) -> str:
        matplotlib = require_matplotlib()
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        file = io.StringIO()
        with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's own letters are used
            figure = Figure(figsize=size, layout="constrained")
            FigureCanvasSVG(figure)
            paint(figure.add_subplot())
            figure.savefig(file, format="svg", metadata={"Date": None})
        return _embedded(file.getvalue(), name, caption)


def save_picture(path: Path, figures: Mapping[str, Callable[[Axes], None]], *, height: float) -> None:
    """Writes figures side by side as one SVG file that stands by itself, in the colours by day.

    Args:
        path: ends in `.svg`.
        figures: what draws on their axes, by title.
        height: in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: the file cannot be written.
    """
    matplotlib = require_matplotlib()
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    file = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "polymodal"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=(5.2 * len(figures), height), layout="constrained", facecolor="white")
        FigureCanvasSVG(figure)
        places = figure.subplots(1, len(figures), squeeze=False)[0]
        for axes, (title, paint) in zip(places, figures.items(), strict=True):
            paint(axes)
            axes.set_title(title)
        figure.savefig(file, format="svg", metadata={"Date": None}, facecolor="white")
    svg = file.getvalue()
    for stand_in, colour in LIGHT.items():
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
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots", "report.html") from error
    return matplotlib


def plotted(data: Sequence[Interactive], *, x: str, y: str, categories: str = "") -> Interactive:
    """A figure for plotly: traces on two named axes.

    Args:
        data: the traces.
        x: name of the axis.
        y: name of the axis.
        categories: which of the axes, `y` or `xy`, are of categories (y from above) and not of numbers.
    """
    kind = {name: {"type": "category"} if name in categories else {} for name in "xy"}
    upside = {"autorange": "reversed"} if "y" in categories else {}
    axes = {"xaxis": {"title": {"text": x}, **kind["x"]}, "yaxis": {"title": {"text": y}, **kind["y"], **upside}}
    return {"data": data, "layout": {**axes, "showlegend": any("name" in trace for trace in data)}}


def short(label: str, length: int = 18) -> str:
    """A label that fits beside an axis."""
    line = " ".join(label.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def as_json(value: object) -> str:
    """JSON that may stand inside of a script element: nothing in it can end that."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _embedded(svg: str, name: str, caption: str) -> str:
    """An SVG document as a part of a page: no prologue, no metadata, ids that no other figure has."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], count=1, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{name}-", svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var(--{variable})")
    svg = re.sub(r"font-family: [^;\"]*|(?<=px )'DejaVu Sans'[^;\"]*", "", svg)
    label = f'<svg role="img" aria-label="{escaped(caption)}"'
    return re.sub(r'<svg( [a-z]+="[0-9.]+pt")?', label, svg, count=1).replace('height="', 'data-height="', 1)
