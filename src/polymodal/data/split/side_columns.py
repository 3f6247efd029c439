"""Columns that say train and test, although nobody named them as the split."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from polymodal.data.split.split import SIDES
from polymodal.data.tables.table import Table

_MOST_OTHERS = 0.05  # of the cells that hold another word, or nothing


@dataclass(frozen=True)
class SideColumn:
    """A column that says on which side of a split a row is.

    Attributes:
        flaw: why it cannot divide the rows as it is; empty where it can.
    """

    name: str
    flaw: str


def side_columns(
    table: Table, target: Sequence[object] | None, *, other_than: Collection[str]
) -> tuple[SideColumn, ...]:
    """The columns nearly all of whose cells say train, test or validation, in any case; both of the first are there.

    Args:
        table: the rows.
        target: by row, None where it is missing: such rows are not divided. None: every row counts.
        other_than: names of columns that have a role already.
    """
    return tuple(
        SideColumn(name, _flaw(table, words, target))
        for name in table.names
        if name not in other_than and (words := _sides(table, name)) is not None
    )


def _sides(table: Table, name: str) -> list[str] | None:
    """By row, the side or ""; None of a column that says something else."""
    allowed, found = max(1, int(_MOST_OTHERS * table.num_rows)), list[str]()
    others = 0
    for cell in table.cells(name):
        word = cell.strip().lower() if isinstance(cell, str) else ""
        found.append(SIDES.get(word, ""))
        others += not found[-1]
        if others > allowed:
            return None
    return found if "train" in found and {"test", "validation"} & set(found) else None


def _flaw(table: Table, sides: Sequence[str], target: Sequence[object] | None) -> str:
    labelled = {side for row, side in enumerate(sides) if target is None or target[row] is not None}
    return next(_flaws(table, sides, labelled), "")


def _flaws(table: Table, sides: Sequence[str], labelled: set[str]) -> Iterator[str]:
    if "" in sides:
        yield f"{table.where(sides.index(''))} says something else"
    for side in ("train", "test"):
        if side not in labelled:
            yield f"no row with a target says {side}"
