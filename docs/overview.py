"""Draws the picture of the home page: `python docs/overview.py`; a test finds a picture that is stale.

It is narrow, so that its words can be read on a phone, and has a ground of its own, light or dark as the system is.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
FILE = DOCS / "assets/overview.svg"
_DRAW = runpy.run_path(str(DOCS / "fusion/draw.py"))

WIDTH, CELL = 432, 76
COLUMNS = {"photo": "image", "speech": "audio", "note": "text", "price": "shared", "label": "mixed"}
TEXTS = {"note": ("gold ring", "old chair", "a kite"), "price": ("920", "15", "8"), "label": ("dear", "cheap", "cheap")}
MISSING = {("speech", 1), ("price", 2)}
ENCODERS = {"photo": ("CNN", 3), "speech": ("CNN", 4), "note": ("bag of\nn-grams", 2), "price": ("MLP", 1)}


def overview() -> Any:
    """From the table at the top to what a run leaves at the bottom."""
    title = "A table of inputs and a target; an encoder for each input; fusion and head; predictions, report and bundle"
    picture = _DRAW["Picture"](WIDTH, 550, title)
    columns = {name: 20 + CELL * place for place, name in enumerate(COLUMNS)}
    for name, x in columns.items():
        _column(picture, name, x)
    joined = picture.box(20, 322, 304, 40, "fusion", kind="mixed")
    picture.words(369, 236, "encoders", anchor="start", style="small")
    picture.words(369, 290, "tokens", anchor="start", style="small")
    for name, (encoder, count) in ENCODERS.items():
        x = columns[name]
        box = picture.box(x + 3, 212, CELL - 6, 46, encoder, kind=COLUMNS[name])
        tokens = picture.tokens(x + (CELL - 16 * count) / 2, 282, [COLUMNS[name]] * count)
        _down(picture, (x + CELL / 2, 166), box.top)
        _down(picture, box.bottom, tokens.top)
        _down(picture, tokens.bottom, (tokens.bottom[0], joined.y))
    head = picture.box(112, 390, 120, 34, "head")
    _down(picture, joined.bottom, head.top)
    _compared(picture, (columns["label"] + CELL / 2, 166), (head.x + head.width, head.y + head.height / 2))
    for place, words in enumerate(("predictions\nof new rows", "report with\nintervals", "bundle: the\nsaved model")):
        box = picture.box(20 + 132 * place, 470, 124, 60, words)
        _down(picture, head.bottom, box.top)
    return picture


def _column(picture: Any, name: str, x: float) -> None:
    """The header and three cells of a column; a missing cell is dashed."""
    picture.box(x, 20, CELL, 32, name, kind=COLUMNS[name])
    for row in range(3):
        y = 52 + 38 * row
        missing = (name, row) in MISSING
        picture.box(x, y, CELL, 38, kind="absent" if missing else "box")
        if missing:
            picture.words(x + CELL / 2, y + 19, "missing", style="small")
        elif name == "photo":
            _photo(picture, x + 23, y + 7, row)
        elif name == "speech":
            _wave(picture, x + 14, y + 19, row)
        else:
            picture.words(x + CELL / 2, y + 19, TEXTS[name][row])


def _photo(picture: Any, x: float, y: float, row: int) -> None:
    """A landscape with the sun in another place."""
    picture.box(x, y, 30, 24, kind="image")
    picture.parts.append(f'<circle class="box" cx="{x + 8 + 7 * row}" cy="{y + 7}" r="3"/>')
    picture.parts.append(f'<path class="text" d="M{x} {y + 24}l9 -10l7 6l6 -8l8 12z"/>')


def _wave(picture: Any, x: float, middle: float, row: int) -> None:
    """A recording as bars."""
    heights = ((4, 10, 22, 14, 26, 8, 16, 6), (), (6, 18, 10, 24, 20, 12, 4, 8))[row]
    for place, height in enumerate(heights):
        picture.parts.append(
            f'<rect class="audio" x="{x + 6 * place}" y="{middle - height / 2}" width="4" height="{height}"/>'
        )


def _down(picture: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    picture.arrow(start, end, up=True)


def _compared(picture: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """The way of the target beside the network: it is what predictions are compared with."""
    (a, b), (c, d) = start, end
    picture.parts.append(
        f'<path class="arrow" d="M{a} {b}V{d}H{c + 1}" stroke-dasharray="4 3" marker-end="url(#tip)"/>'
    )
    picture.words((a + c) / 2 + 4, d + 16, "loss, metrics", style="small")


if __name__ == "__main__":
    FILE.write_text(overview().svg(), encoding="utf-8")
