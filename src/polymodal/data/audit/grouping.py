"""Which column says what rows are of: one person, one product, one recording session."""

from __future__ import annotations

from collections.abc import Collection, Hashable

import numpy as np

from polymodal.data.columns.profile import key_of
from polymodal.data.split.sides import SIDES, word_of
from polymodal.data.split.split import Split
from polymodal.data.tables.table import Table

_FEW_MISSING = 0.05  # of the cells
_REPEATING = 0.5  # different cells for each row, at most
_SHARED_BY_TEST = 0.02  # of the test rows, whose cell a row of train or validation has
_SHARED_BY_VALIDATION = 0.5  # of the validation rows, whose cell a training row has
_FEWEST, _ENOUGH = 3, 5  # groups


def grouping_column(table: Table, split: Split, *, other_than: Collection[str]) -> str | None:
    """The column whose cells train and validation share, and test does not: rows of one thing seem to have one cell.

    Of several the one with the fewest groups: it keeps the most rows together. None where there is none.
    """
    found = []
    for name in table.names:
        if name not in other_than and (count := _num_groups(list(map(_key, table.cells(name))), split)):
            found.append((count < _ENOUGH, count, name))
    return min(found)[2] if found else None


def _key(cell: object) -> Hashable:
    return None if cell is None else key_of(cell)


def _num_groups(keys: list[Hashable], split: Split) -> int:
    """How many different cells train and validation have; 0 where the column does not say what rows are of."""
    of_test, of_validation = _of(keys, split.test), _of(keys, split.validation)
    learned = [*(of_train := _of(keys, split.train)), *of_validation]
    known, different = set(of_train), set(learned)
    missing = sum(key is None for key in [*learned, *of_test])
    if not _FEWEST <= len(different) <= _REPEATING * len(learned) or missing > _FEW_MISSING * len(keys):
        return 0
    if all(word_of(key) in SIDES for key in different):
        return 0
    shared = sum(key in different for key in of_test) <= _SHARED_BY_TEST * len(of_test)
    crossing = sum(key in known for key in of_validation) >= _SHARED_BY_VALIDATION * len(of_validation)
    return len(different) if shared and crossing else 0


def _of(keys: list[Hashable], rows: np.ndarray) -> list[Hashable]:
    return [keys[row] for row in rows.tolist()]
