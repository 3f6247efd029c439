"""A column that says train and test and was not named as the split: it is used after saying so, or left out.

It is used because whoever made the table divided it on purpose: a random split would put rows of one thing on both
sides, and a model that learns from the column learns nothing that new rows have.
"""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.config.run_config import RunConfig, SplitConfig
from polymodal.data.split.side_columns import SideColumn, side_columns
from polymodal.data.tables.table import Table
from polymodal.metrics.alerts import Alert


def with_split_column(
    table: Table, config: RunConfig, target: Sequence[object] | None
) -> tuple[RunConfig, tuple[Alert, ...]]:
    """The configuration with the split that a column of the table says, and what the user is told of it.

    A column is used where it is the only one and the configuration says nothing of the split but the share of
    validation rows. It is never learned from, unless `columns` says how it is to be read.

    Args:
        table: the rows.
        config: of the run.
        target: by row, None where it is missing; None of a task without a target.
    """
    split = config.split
    if split.column is not None:
        return config, ()
    roles = {*config.targets, *config.drop, *config.columns, config.weight, split.by}
    found = side_columns(table, target, other_than={role for role in roles if role is not None})
    if not found:
        return config, ()
    named = split != SplitConfig(validation=split.validation)
    if len(found) == 1 and not found[0].flaw and not named:
        name = found[0].name
        text = (
            f"{name} says which rows are for train and test, and is used as the split. To divide the rows otherwise, "
            f"leave it out: --drop {name}."
        )
        used = config.model_copy(update={"split": split.model_copy(update={"column": name})})
        return used, (Alert(kind="split_column", columns=(name,), text=text),)
    names = tuple(one.name for one in found)
    left_out = config.model_copy(update={"drop": tuple(dict.fromkeys([*config.drop, *names]))})
    return left_out, tuple(_unused(one, named=named) for one in found)


def _unused(column: SideColumn, *, named: bool) -> Alert:
    name = column.name
    why = column.flaw or ("the settings divide the rows otherwise" if named else "other columns say so too")
    advice = f"Repair it, then add --split {name}" if column.flaw else f"To use it, add --split {name}"
    text = f"{name} says train and test, but is left out, and not used as the split: {why}. {advice}."
    return Alert(kind="split_column", columns=(name,), text=text)
