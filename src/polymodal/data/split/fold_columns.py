"""Columns that number the folds of a cross-validation, although nobody named them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from polymodal.data.split.sides import word_of
from polymodal.data.tables.table import Table

_NAME = re.compile(r"(?i)(k|cv|val|test|split)?[ _.-]?folds?([ _.-]?(id|no|nr|num|number|index|idx))?")
_MOST_FOLDS = 20
_LEAST_SHARE = 0.2  # of the rows that a fold of equal folds would have: folds by group differ in size


@dataclass(frozen=True)
class FoldColumn:
    """A column that says in which fold a row is: whole numbers from `first`, 0 or 1, without a gap."""

    name: str
    first: int
    num_folds: int


def fold_columns(table: Table, *, other_than: Collection[str]) -> tuple[FoldColumn, ...]:
    """The columns called `fold`, `kfold`, `cv_fold` or the like that hold the numbers of folds in every row.

    Args:
        table: the rows.
        other_than: names of columns that have a role already.
    """
    named = (name for name in table.names if name not in other_than and _NAME.fullmatch(name.strip()))
    return tuple(found for name in named if (found := _found(table, name)))


def _found(table: Table, name: str) -> FoldColumn | None:
    rows = Counter[str]()
    for cell in table.cells(name):
        rows[word_of(cell)] += 1
        if len(rows) > _MOST_FOLDS:
            return None
    if len(rows) < 2 or not all(word.isdecimal() for word in rows):
        return None
    numbers = sorted(map(int, rows))
    first, last = numbers[0], numbers[-1]
    if first > 1 or last - first + 1 != len(rows) or min(rows.values()) < _LEAST_SHARE * rows.total() / len(rows):
        return None
    return FoldColumn(name, first, len(rows))
