"""How much each row counts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from polymodal.data.tables.table import Table
from polymodal.errors import DataError


def row_weights(table: Table, column: str) -> Float[np.ndarray, " N"]:
    """The sample weight of every row, as the column says it.

    Raises:
        ColumnError: the table lacks the column.
        DataError: a cell is no number from 0 upwards.
    """
    cells = table.values(column)
    for row, cell in enumerate(cells):
        if not isinstance(cell, int | float) or not 0 <= cell < float("inf"):
            found = "the cell is empty" if cell is None else f"{cell!r} is no sample weight"
            raise DataError(f"{table.where(row)}, column {column!r}: {found}; weights are numbers from 0 upwards.")
    return np.array(cells, dtype=np.float64)
