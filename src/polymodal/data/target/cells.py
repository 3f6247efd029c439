"""The cells of the target: of one column as they are, of several together by name."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.data.tables.table import Table


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
