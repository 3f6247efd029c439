"""Draws the pictures of these pages: `python docs/fusion/draw.py`; a test finds pictures that are stale.

Each has a ground of its own, so that it can be read on a light page and on a dark one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parent
NAMES = ("ground", "ink", "muted", "box", "line", "image", "audio", "text", "mixed", "shared")
BY_DAY = "f7f8fa 1b2430 5c6875 ffffff 8b96a3 7fb0e6 f0ab6b 8ccf9c c3a3dd e3c94f"
BY_NIGHT = "1b2129 e8ebef a3adb9 29313b 77828f 3f77b5 b06a26 3f8a53 7d56a3 8f7a16"
CELL = 16  # side of a token


class Box(NamedTuple):
    """A rectangle, and the middles of its sides."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height


class Picture:
    """An SVG that grows as things are drawn."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.size, self.title = (width, height), title
        self.parts: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, words: str = "", *, kind: str = "box") -> Box:
        """A rounded rectangle with words in it; a kind of `absent` is dashed and empty."""
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="4"/>')
        lines = words.split("\n") if words else []
        for place, line in enumerate(lines):
            self.words(x + width / 2, y + height / 2 + 18 * (place - (len(lines) - 1) / 2), line)
        return Box(x, y, width, height)

    def tokens(self, x: float, y: float, kinds: Iterable[str], *, down: bool = False) -> Box:
        """A row, or a column, of squares."""
        kinds = list(kinds)
        for place, kind in enumerate(kinds):
            self.box(x + (0 if down else place * CELL), y + (place * CELL if down else 0), CELL, CELL, kind=kind)
        long = CELL * len(kinds)
        return Box(x, y, CELL, long) if down else Box(x, y, long, CELL)

    def words(self, x: float, y: float, words: str, *, anchor: str = "middle", style: str = "") -> None:
        """A line of words, its middle at that height."""
        css = f' class="{style}"' if style else ""
        self.parts.append(f'<text{css} x="{x}" y="{y + 5}" text-anchor="{anchor}">{escape(words)}</text>')

    def arrow(self, start: tuple[float, float], end: tuple[float, float], *, up: bool = False) -> None:
        """A curve that leaves and arrives along the way of the data: to the right, or up."""
        (a, b), (c, d) = start, end
        control = f"{a} {(b + d) / 2} {c} {(b + d) / 2}" if up else f"{(a + c) / 2} {b} {(a + c) / 2} {d}"
        self.parts.append(f'<path class="arrow" d="M{a} {b}C{control} {c} {d}" marker-end="url(#tip)"/>')

    def svg(self) -> str:
        width, height = self.size
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img" font-family="system-ui, sans-serif" font-size="14">',
            f"<title>{escape(self.title)}</title>",
            f"<style>{_style(BY_DAY)}@media (prefers-color-scheme: dark){{{_style(BY_NIGHT)}}}</style>",
            '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path class="tip" d="M0 0L8 4L0 8z"/></marker>',
            f'<rect class="ground" width="{width}" height="{height}" rx="8"/>',
            *self.parts,
            "</svg>",
        ]) + "\n"  # fmt: skip


def _style(theme: str) -> str:
    colours = {name: f"#{colour}" for name, colour in zip(NAMES, theme.split(), strict=True)}
    ink, muted, line = colours["ink"], colours["muted"], colours["line"]
    rules = [f".{kind}{{fill:{colour};stroke:{line}}}" for kind, colour in colours.items()]
    rules += [
        f".ground{{fill:{colours['ground']};stroke:none}}",
        f".absent{{fill:none;stroke:{line};stroke-dasharray:3 3}}",
        f".frame{{fill:none;stroke:{line}}}",
        f"text{{fill:{ink}}}.small{{fill:{muted};font-size:12px}}.head{{font-weight:600}}",
        f".arrow{{fill:none;stroke:{muted};stroke-width:1.5}}.tip{{fill:{muted}}}",
    ]
    return "".join(rules)


INPUTS = {"image": 1, "audio": 4, "text": 3}  # tokens of each


def _pooled(picture: Picture, *, absent: str | None = None) -> dict[str, Box]:
    """The inputs as rows: tokens, their mean, LayerNorm and Linear, one vector each; gives the vectors."""
    vectors = {}
    for row, (name, count) in enumerate(INPUTS.items()):
        y, gone = 46 + 76 * row, name == absent
        picture.words(20, y + 24, name, anchor="start")
        tokens = picture.tokens(70, y + 16, ["absent" if gone else name] * count)
        mean = picture.box(154, y + 9, 58, 30, "mean")
        linear = picture.box(236, y + 2, 84, 44, "LayerNorm\nLinear")
        vectors[name] = picture.tokens(344, y - 8, ["absent" if gone else name] * 4, down=True)
        picture.arrow(tokens.right, mean.left)
        picture.arrow(mean.right, linear.left)
        picture.arrow(linear.right, vectors[name].left)
    return vectors


def averaging() -> Picture:
    picture = Picture(
        640, 280, "Averaging: one vector for each input, weighted and added; an absent input has weight 0"
    )
    vectors = _pooled(picture, absent="text")
    result = picture.tokens(566, 106, ["mixed"] * 4, down=True)
    add = picture.box(480, 114, 48, 48, "Σ")
    for name, vector in vectors.items():
        gone = name == "text"
        factor = {"image": "× w₁", "audio": "× w₂", "text": "× 0"}[name]
        weight = picture.box(392, vector.y + 17, 58, 30, factor, kind="absent" if gone else "box")
        picture.arrow(vector.right, weight.left)
        picture.arrow(weight.right, add.left)
    picture.arrow(add.right, result.left)
    picture.words(574, 188, "z")
    picture.words(350, 270, "absent: the others share its weight", style="small")
    return picture


def concatenation() -> Picture:
    picture = Picture(560, 280, "Concatenation: vectors one below the other, a learned one where an input is absent")
    vectors = _pooled(picture, absent="text")
    long = picture.tokens(460, 42, ["image"] * 4 + ["audio"] * 4 + ["shared"] * 4, down=True)
    for place, name in enumerate(("image", "audio")):
        picture.arrow(vectors[name].right, (long.x, long.y + CELL * (4 * place + 2)))
    picture.words(468, 252, "z")
    picture.words(486, 202, "learned", anchor="start", style="small")
    return picture


def _grid(picture: Picture, x: float, title: str, kind: Callable[[int, int], str], below: str) -> None:
    """The outer product of [1; image] down and [1; audio] across; `kind` says what a cell is."""
    picture.words(x + 72, 24, title, style="head")
    for row in range(4):
        for column in range(4):
            used = kind(row, column)
            one = "1" if row == column == 0 and used == "box" else ""
            picture.box(x + 24 * column + 36, 62 + 24 * row, 24, 24, one, kind=used)
    for place in range(4):
        one = "" if place else "1"
        picture.box(x + 8, 62 + 24 * place, 20, 24, one, kind="image" if place else "box")
        across = "absent" if "absent" in title else "audio"
        picture.box(x + 36 + 24 * place, 38, 24, 18, one, kind=across if place else "box")
    for line, words in enumerate(below.split("\n")):
        picture.words(x + 72, 178 + 17 * line, words, style="small")


def products() -> Picture:
    picture = Picture(
        700, 228, "Products: which cells of the outer product of [1; image] and [1; audio] are learned from"
    )

    def full(row: int, column: int) -> str:
        return "mixed" if row and column else "image" if row else "audio" if column else "box"

    def diagonal(row: int, column: int) -> str:
        return full(row, column) if row == column else "absent"

    _grid(picture, 10, "product", lambda r, c: diagonal(r, c) if r else "absent", "equal features\nmultiplied")
    _grid(picture, 182, "polynomial", lambda r, c: full(r, c) if not (r and c) else diagonal(r, c),
          "bias, each input,\nequal features multiplied")  # fmt: skip
    _grid(picture, 354, "bilinear, tensor", full, "every feature\nwith every other;\nlow_rank: as a sum")
    _grid(
        picture,
        526,
        "audio absent",
        lambda r, c: full(r, c) if not c else "absent",
        "[1; 0]: what has no part\nin audio stays",
    )
    return picture


def gates() -> Picture:
    picture = Picture(640, 250, "Gates: all inputs together decide how much of each passes")
    gate = picture.box(214, 96, 120, 58, "gates, from all\ninputs together")
    add = picture.box(500, 101, 48, 48, "Σ")
    for name, y, number in (("image", 26, "₁"), ("audio", 170, "₂")):
        vector = picture.tokens(90, y - 4, [name] * 4, down=True)
        picture.words(20, y + 28, name, anchor="start")
        told = picture.box(214, y, 120, 56, f"h{number} = tanh(W x)\nor an expert")
        times = picture.box(404, y + 10, 56, 36, f"× g{number}")
        picture.arrow(vector.right, told.left)
        picture.arrow(vector.right, gate.left)
        picture.arrow(told.right, times.left)
        picture.arrow(gate.right, times.left)
        picture.arrow(times.right, add.left)
    result = picture.tokens(590, 93, ["mixed"] * 4, down=True)
    picture.arrow(add.right, result.left)
    picture.words(598, 176, "y")
    return picture


def attention() -> Picture:
    picture = Picture(700, 330, "Token fusions: attention over all tokens, cross-attention of pairs, and a bottleneck")
    _all_tokens(picture)
    _one_pair(picture)
    _through_shared(picture)
    return picture


def _all_tokens(picture: Picture) -> None:
    picture.words(112, 24, "attention", style="head")
    row = picture.tokens(20, 252, ["shared", "image", *["audio"] * 4, *["text"] * 2, "absent"])
    look = picture.box(20, 150, 184, 56, "every token\nsees every other")
    out = picture.tokens(84, 78, ["mixed"] * 4)
    for place in (0.5, 1.5, 3.5, 7.0):
        picture.arrow((20 + CELL * place, row.y), (20 + CELL * place, look.y + look.height), up=True)
    picture.arrow((28, look.y), out.bottom, up=True)
    picture.words(112, 60, "z")
    picture.words(20, 284, "learned token, image, audio, text", anchor="start", style="small")
    picture.words(20, 302, "dashed: masked, seen by none", anchor="start", style="small")


def _one_pair(picture: Picture) -> None:
    picture.words(350, 24, "cross_attention", style="head")
    query = picture.tokens(252, 252, ["audio"] * 4)
    memory = picture.tokens(378, 252, ["shared", *["text"] * 3])
    look = picture.box(252, 150, 190, 56, "audio asks,\ntext answers")
    out = picture.tokens(318, 78, ["mixed"] * 4)
    picture.arrow(query.top, (query.top[0], look.y + look.height), up=True)
    picture.arrow(memory.top, (memory.top[0], look.y + look.height), up=True)
    picture.arrow(look.top, out.bottom, up=True)
    picture.words(350, 60, "mean: one part of z")
    picture.words(252, 284, "beside text, a learned “nothing”", anchor="start", style="small")
    picture.words(252, 302, "a part for each ordered pair", anchor="start", style="small")


def _through_shared(picture: Picture) -> None:
    picture.words(590, 24, "bottleneck", style="head")
    below = picture.tokens(574, 252, ["shared"] * 2)
    for level, y in enumerate((190, 110)):
        shared = picture.tokens(574, y - 34, ["shared"] * 2) if level == 0 else None
        for name, x, count in (("image", 492, 1), ("audio", 612, 3)):
            block = picture.box(x, y, 76, 30, name, kind=name)
            if level == 0:
                tokens = picture.tokens(x + 38 - CELL * count / 2, 252, [name] * count)
                picture.arrow(tokens.top, block.bottom, up=True)
                picture.arrow(below.top, block.bottom, up=True)
                picture.arrow(block.top, (block.top[0], 140), up=True)
                if shared:
                    picture.arrow(block.top, shared.bottom, up=True)
            else:
                picture.arrow((590, 156), block.bottom, up=True)
                picture.arrow(block.top, (590, 80), up=True)
    picture.words(590, 64, "mean: z")
    picture.words(492, 284, "each reads its own and the", anchor="start", style="small")
    picture.words(492, 302, "shared tokens, and writes these", anchor="start", style="small")


def stage() -> Picture:
    picture = Picture(700, 560, "Four stages: when the inputs meet")
    rows = {
        "early": ("cut up, nearly raw", None, "fusion of\nall tokens", "head", "trained together"),
        "intermediate": ("encoder", None, "fusion", "head", "trained together"),
        "late": ("encoder", "head", "fusion of\nscores", None, "each trained alone, then combined"),
        "fuse_then_train": ("features, frozen", None, "fusion\nof features", "any\npredictor", "fused once and stored"),
    }  # fmt: skip
    for place, (title, (first, own_head, middle, last, below)) in enumerate(rows.items()):
        y = 40 + 132 * place
        picture.words(20, y - 14, title, anchor="start", style="head")
        join = picture.box(430, y + 6, 100, 66, middle, kind="mixed")
        for row, name in enumerate(INPUTS):
            centre = y + 12 + 27 * row
            tokens = picture.tokens(20, centre - 8, [name] * 2)
            box = picture.box(90, centre - 11, 150, 22, first, kind=name)
            picture.arrow(tokens.right, box.left)
            if own_head:
                head = picture.box(280, centre - 11, 80, 22, own_head, kind=name)
                picture.arrow(box.right, head.left)
                box = head
            picture.arrow(box.right, (join.x, y + 19 + 20 * row))
        if last:
            end = picture.box(580, y + 14, 100, 50, last)
            picture.arrow(join.right, end.left)
        picture.words(430, y + 88, below, anchor="start", style="small")
    return picture


PICTURES = {
    "averaging": averaging,
    "products": products,
    "gates": gates,
    "attention": attention,
    "concatenation": concatenation,
    "stage": stage,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")
