"""What the words of a text attended to: a table of words and inputs, and squares laid over pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image as Pillow

from polymodal.codecs import previews
from polymodal.inference.attention import AttendedText, attended
from polymodal.inference.predictor import Predictor
from polymodal.report.drawing import short
from polymodal.report.formatting import share
from polymodal.report.subject import ReportedRun

_MOST_WORDS = 12  # of a text
_MOST_INPUTS = 4  # with a column of their own
_LONGEST_NAME = 24  # characters, of an input
_NOTHING, _OTHERS = "nothing", "other inputs"


@dataclass(frozen=True)
class AttentionCell:
    """What one word attended to in one input: percent, the same in a sentence, and percent of the shade."""

    text: str
    words: str
    shade: int


@dataclass(frozen=True)
class AttentionPicture:
    """A picture as the model sees it, and the squares that each word attended to.

    Attributes:
        source: its address, which holds it.
        columns: squares beside one another.
        lines: squares below one another.
        words: each with its squares (column, line, percent of the shade); the one it attended to most has 100.
    """

    name: str
    source: str
    columns: int
    lines: int
    words: list[tuple[str, list[tuple[int, int, int]]]]


@dataclass(frozen=True)
class AttentionTable:
    """The words of one text, with a cell for each input; those of a word add up to 100 %, but for rounding.

    Attributes:
        left_out: words that are not shown.
    """

    heads: list[str]
    lines: list[tuple[str, list[AttentionCell]]]
    pictures: list[AttentionPicture]
    left_out: int


def attention_tables(subject: ReportedRun, rows: Sequence[int]) -> list[AttentionTable | None]:
    """Of the text that is written for each of some rows; None where its attention is not known."""
    bundle = subject.run.bundle
    table = subject.run.table.take(np.array(rows, dtype=np.int64))
    found = attended(Predictor(bundle, bundle.config.device), table)
    return [None if one is None or not one.words else attention_table(one) for one in found]


def attention_table(found: AttendedText) -> AttentionTable:
    """The table of one text; of many inputs those to which all words together attended most."""
    sums = {name: weights.sum(axis=1) for name, weights in found.inputs.items()}
    most = set(sorted(sums, key=lambda name: -float(sums[name].sum()))[:_MOST_INPUTS])
    columns = [(short(name, _LONGEST_NAME), weights) for name, weights in sums.items() if name in most]
    if len(sums) > len(most):
        columns.append((_OTHERS, np.sum([weights for name, weights in sums.items() if name not in most], axis=0)))
    columns.append((_NOTHING, found.nothing))
    lines = [
        (word, [_cell(word, name, float(weights[place])) for name, weights in columns])
        for place, word in enumerate(found.words[:_MOST_WORDS])
    ]
    pictures = [_picture(found, name) for name in found.squares if name in most]
    return AttentionTable([name for name, _ in columns], lines, pictures, len(found.words) - len(lines))


def _cell(word: str, name: str, weight: float) -> AttentionCell:
    words = f"{word}: {share(weight)} of its attention to {name}"
    return AttentionCell(f"{100 * weight:.0f}", words, round(60 * weight))


def _picture(found: AttendedText, name: str) -> AttentionPicture:
    lines, columns = found.squares[name]
    words = [
        (word, _shades(weights.reshape(lines, columns)))
        for word, weights in zip(found.words[:_MOST_WORDS], found.inputs[name], strict=False)
    ]
    source = previews.jpeg(Pillow.fromarray(found.pictures[name]))
    return AttentionPicture(short(name, _LONGEST_NAME), source, columns, lines, words)


def _shades(weights: Float[np.ndarray, "H W"]) -> list[tuple[int, int, int]]:
    """Column, line and percent of every square that has a share of the largest weight."""
    percent = np.rint(100 * weights / max(float(weights.max()), 1e-12)).astype(int)
    return [(int(column), int(line), int(percent[line, column])) for line, column in np.argwhere(percent > 0)]
