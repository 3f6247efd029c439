"""What the columns of targets and of sample weights say of each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from polymodal.data.tables.column_data import shown
from polymodal.data.tables.table import Table
from polymodal.errors import DataError


def target_cells(table: Table, columns: str | Sequence[str], *, called: Sequence[str] | None = None) -> list[object]:
    """One value a row, None where the target is missing.

    Of one column its cells. Of several a mapping from their names, or from what they are `called` instead, to their
    cells; None where all of them are missing.

    Raises:
        ColumnError: the table lacks a column.
    """
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    table.require(*names, role="target")
    if isinstance(columns, str):
        return table.values(columns)
    rows = zip(*(table.values(name) for name in names), strict=True)
    keys = names if called is None else called
    return [None if all(cell is None for cell in row) else dict(zip(keys, row, strict=True)) for row in rows]


def row_weights(table: Table, column: str) -> Float[np.ndarray, " N"]:
    """The sample weight of every row, as the column says it.

    Raises:
        ColumnError: the table lacks the column.
        DataError: a cell is no number from 0 upwards.
    """
    cells = table.values(column)
    for row, cell in enumerate(cells):
        if not isinstance(cell, int | float) or not 0 <= cell < float("inf"):
            found = "the cell is empty" if cell is None else f"{shown(cell)} is no sample weight"
            raise DataError(f"{table.where(row)}, column {column!r}: {found}; weights are numbers from 0 upwards.")
    return np.array(cells, dtype=np.float64)
