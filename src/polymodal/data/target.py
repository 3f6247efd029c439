"""The cells of the target: of one column as they are, of several together by name."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.data.table import Table


def target_cells(table: Table, columns: str | Sequence[str]) -> list[object]:
    """One value a row, None where the target is missing.

    Of one column its cells. Of several a mapping from their names to their cells; None where all of them are missing.

    Raises:
        ColumnError: the table lacks a column.
    """
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    table.require(*names, role="target")
    if isinstance(columns, str):
        return table.values(columns)
    rows = zip(*(table.values(name) for name in names), strict=True)
    return [None if all(cell is None for cell in row) else dict(zip(names, row, strict=True)) for row in rows]
