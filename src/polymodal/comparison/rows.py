"""Which rows a comparison measures, and how they are divided: the same way for every entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polymodal.comparison.trial import Fold
from polymodal.config.run_config import RunConfig, SplitConfig
from polymodal.data.split.folds import fold_of_rows
from polymodal.data.split.split import SIDES
from polymodal.data.tables.table import Table
from polymodal.errors import ConfigError, DataError

_FOLD = "fold"


def divide(
    table: Table, config: RunConfig, values: Sequence[object] | None, *, stratify: bool, folds: int, repeats: int
) -> tuple[list[Fold], tuple[str, ...]]:
    """The folds of every repeat, and notes on rows that are left out.

    With one fold, the split of the configuration is used: its test rows are measured. With more, every row that has a
    target is for test once in each repeat; rows that a split column says are for test are left alone, so that they can
    still tell how good the choice is.

    Args:
        table: the rows.
        config: its `split` and `seed`.
        values: the target of each row, None where it is missing; None of a task without a target.
        stratify: whether these are classes.
        folds: in each repeat.
        repeats: with other folds and other seeds.

    Raises:
        ConfigError: a number or a method of folds that makes no sense; no test rows.
        DataError: too few rows, groups, or rows of a class.
    """
    if folds < 1 or repeats < 1:
        raise ConfigError(f"compare: folds and repeats are numbers from 1; got {folds} and {repeats}.")
    notes = []
    if unlabelled := sum(value is None for value in values or ()):
        notes.append(f"{unlabelled} rows have no target and are left out.")
    split = config.split
    if folds == 1:
        if split.column is None and not split.test:
            raise ConfigError("compare: with 1 fold, the split needs test rows: set split.test, or use more folds.")
        on = f"the column {split.column!r}" if split.column else f"{split.test:g} of the rows"
        notes.append(f"Measured on the test rows ({on}), with which no choice should be made that they then confirm.")
        return [Fold(table, split, (), repeat, 0) for repeat in range(repeats)], tuple(notes)
    kept, left = _to_be_divided(table, split, values)
    if left:
        notes.append(f"{left} test rows of the column {split.column!r} are left alone: the folds divide the others.")
    rows = table.take(kept)
    of_rows = None if values is None else [values[row] for row in kept]
    name = next(n for n in (_FOLD, *(f"{_FOLD}_{k}" for k in range(2, len(table.names) + 3))) if n not in table.names)
    method = SplitConfig(column=name, method=split.method, by=split.by, validation=split.validation)
    drop = (split.column,) if split.column else ()
    found = []
    for repeat in range(repeats):
        seed = config.seed + repeat
        of_fold = fold_of_rows(rows, split, target=of_rows, stratify=stratify, seed=seed, folds=folds)
        for number in range(folds):
            sides = np.where(of_fold == number, "test", "train").tolist()
            found.append(Fold(rows.with_column(name, sides), method, drop, repeat, number))
    return found, tuple(notes)


def _to_be_divided(table: Table, split: SplitConfig, values: Sequence[object] | None) -> tuple[np.ndarray, int]:
    """The rows that folds are made of, and how many the split column sets aside for test."""
    every = range(table.num_rows)
    rows = np.array([row for row in every if values is None or values[row] is not None], dtype=np.int64)
    if split.column is None:
        return rows, 0
    table.require(split.column, role="split.column")
    words = ["" if cell is None else str(cell).strip().lower() for cell in table.cells(split.column)]
    strange = [row for row in rows.tolist() if words[row] not in SIDES]
    if strange:
        raise DataError(
            f"{table.where(strange[0])}, split column {split.column!r}: {words[strange[0]]!r} is none of"
            f" {', '.join(SIDES)}."
        )
    test = np.array([SIDES[words[row]] == "test" for row in rows.tolist()], dtype=bool)
    if test.all():
        raise DataError(
            f"{table.source}: every row that has a target is for test in {split.column!r}; folds have none."
        )
    return rows[~test], int(test.sum())
