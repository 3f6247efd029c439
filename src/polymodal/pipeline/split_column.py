"""A column that says train and test and was not named as the split: it is used after saying so, or left out.

It is used because whoever made the table divided it on purpose: a random split would put rows of one thing on both
sides, and a model that learns from the column learns nothing that new rows have.
"""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.config.run_config import RunConfig, SplitConfig
from polymodal.data.split.fold_columns import FoldColumn, fold_columns
from polymodal.data.split.side_columns import SideColumn, side_columns
from polymodal.data.tables.table import Table
from polymodal.metrics.alerts import Alert


def with_split_column(
    table: Table, config: RunConfig, target: Sequence[object] | None
) -> tuple[RunConfig, tuple[Alert, ...]]:
    """The configuration with the split that a column of the table says, and what the user is told of it.

    A column is used where no other says something else and the configuration says nothing of the split but the share
    of validation rows. It is never learned from, unless `columns` says how it is to be read; nor is a column that
    numbers folds, which is named with what it is good for.

    Args:
        table: the rows.
        config: of the run.
        target: by row, None where it is missing; None of a task without a target.
    """
    split = config.split
    if split.column is not None:
        return config, ()
    roles = {*config.targets, *config.drop, *config.columns, config.weight, split.by}
    other_than = {role for role in roles if role is not None}
    folds = fold_columns(table, other_than=other_than)
    found = side_columns(table, target, other_than=other_than)
    used = _usable(found) if split == SplitConfig(validation=split.validation) else None
    unused = [one for one in found if one is not used]
    why = _why_unused(found, used, split)
    alerts = [_unused(one, why) for one in unused] + [_folds(one) for one in folds]
    names = [*(one.name for one in unused), *(one.name for one in folds)]
    if used is not None:
        alerts.insert(0, _used(used))
        split = split.model_copy(update={"column": used.name})
    if not alerts:
        return config, ()
    drop = tuple(dict.fromkeys([*config.drop, *names]))
    return config.model_copy(update={"split": split, "drop": drop}), tuple(alerts)


def _usable(found: Sequence[SideColumn]) -> SideColumn | None:
    """The column that can divide the rows: the only one, or the first of several that say the same of every row."""
    same = len({one.sides for one in found}) == 1
    return found[0] if same and not found[0].flaw else None


def _used(column: SideColumn) -> Alert:
    name = column.name
    reading = f" ({column.reading})" if column.reading else ""
    count = column.num_left_out
    left = ""
    if count:
        left = f" {count:,} rows are for neither and have no target: they are left out."
    text = (
        f"{name} says which rows are for train and test{reading}, and is used as the split.{left} To divide the rows "
        f"otherwise, leave it out: --drop {name}."
    )
    return Alert(kind="split_column", columns=(name,), text=text)


def _why_unused(found: Sequence[SideColumn], used: SideColumn | None, split: SplitConfig) -> str:
    """Why a column without a flaw is not the split."""
    if used is not None:
        return f"{used.name} says the same"
    if len(found) > 1:
        return "other columns say so too"
    none = split == SplitConfig(validation=split.validation, test=0)
    return "the settings set no rows aside for test" if none else "the settings divide the rows otherwise"


def _unused(column: SideColumn, why: str) -> Alert:
    name = column.name
    reading = f" ({column.reading})" if column.reading else ""
    advice = f"Repair it, then add --split {name}" if column.flaw else f"To use it, add --split {name}"
    because = column.flaw or why
    text = f"{name} says train and test{reading}, but is left out, and not used as the split: {because}. {advice}."
    return Alert(kind="split_column", columns=(name,), text=text)


def _folds(column: FoldColumn) -> Alert:
    name, count = column.name, column.num_folds
    text = (
        f"{name} holds whole numbers from {column.first} to {column.first + count - 1}, as the numbers of folds: it is "
        f"left out, and not used as the split. To keep the rows of a fold on one side, add --group {name}; to measure "
        f"each fold once, use `polymodal cross-validate` with --group {name} --folds {count}."
    )
    return Alert(kind="split_column", columns=(name,), text=text)
