"""Names columns that are read with the day first although some of their dates have the month first, and the reverse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from polymodal.codecs.date_conflicts import order_conflict
from polymodal.data.tables.table import Table
from polymodal.schema import Column


def date_order_warnings(table: Table, columns: Sequence[Column], *, trained: bool) -> Iterator[str]:
    """One sentence for each column of dates that may be misread.

    Args:
        table: holds these columns.
        columns: with complete settings.
        trained: they are those of a model that reads another table now.
    """
    for column in columns:
        if column.modality != "datetime":
            continue
        order: Any = column.settings.get("order")
        conflict = order_conflict(table.cells(column.name), order)
        if conflict is None:
            continue
        first, other = (one.partition("_")[0] for one in (conflict.read, conflict.other))
        told = f"; all dates of this table seem to have the {other} first." if conflict.mostly and trained else "."
        words = conflict.words.removesuffix(".") + told
        advice = f"Write them as 2024-03-01{f', or with the {first} first, as in training' if trained else ''}."
        yield f"{column.name}: {words} {advice}"
