"""The confusion matrix: a table that takes the width there is, so that no class and no number is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from polymodal.report.formatting import number, share

_SHORT = 3  # characters of names that stand above columns of any number
_FEW, _MIDDLING = 4, 12  # so few columns take names so long
_BESIDE_LONG, _BESIDE_SHORT = 38, 56  # characters beside one another that a phone shows, by the length of the names


@dataclass(frozen=True)
class ConfusionCell:
    """Rows of one true and one predicted class.

    Attributes:
        text: how many, empty for none.
        words: the same in a sentence.
        shade: percent of its colour; 0 for none.
        right: the classes are one.
    """

    text: str
    words: str
    shade: int
    right: bool


@dataclass(frozen=True)
class ConfusionMatrix:
    """A line for each true class, with a cell for each predicted one.

    Attributes:
        heads: of the columns: names where they are short, else numbers, which the lines then have too.
        numbered: they are numbers.
        letters: of the longest name.
        digits: of the widest column.
        dense: more numbers than a phone can show.
    """

    caption: str
    heads: list[str]
    numbered: bool
    lines: list[tuple[str, list[ConfusionCell]]]
    letters: int
    digits: int
    dense: bool


def confusion(labels: Sequence[str], counts: Int[np.ndarray, "K K"]) -> ConfusionMatrix:
    """The matrix of counts by true (rows) and predicted class (columns)."""
    longest = max(map(len, labels))
    numbered = longest > _SHORT and not (len(labels) <= _FEW and longest <= _MIDDLING)
    heads = [str(k) for k in range(1, len(labels) + 1)] if numbered else list(labels)
    totals = np.maximum(counts.sum(axis=1), 1)
    lines = [
        (label, [_cell(labels, true, said, int(counts[true, said]), int(totals[true])) for said in range(len(labels))])
        for true, label in enumerate(labels)
    ]
    digits = max(2, len(number(int(counts.max()))), *map(len, heads))
    dense = digits * len(labels) > (_BESIDE_SHORT if longest <= _SHORT else _BESIDE_LONG)
    caption = "Confusion matrix: rows by true class (lines) and predicted class (columns)"
    return ConfusionMatrix(caption, heads, numbered, lines, longest, digits, dense)


def _cell(labels: Sequence[str], true: int, said: int, count: int, total: int) -> ConfusionCell:
    if not count:
        return ConfusionCell("", "", 0, true == said)
    words = f"{labels[true]} predicted as {labels[said]}: {number(count)} of {number(total)} ({share(count / total)})"
    return ConfusionCell(number(count), words, round(12 + 43 * count / total), true == said)
