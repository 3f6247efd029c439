"""Finds columns whose points may stand between thousands, because another column of the file has decimal commas."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

_DECIMAL_COMMA = r"^-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+),([0-9]{1,2}|[0-9]{4,})$"
_PERHAPS_THOUSANDS = r"^-?([0-9]{1,3}|[1-9][0-9]{0,2}(\.[0-9]{3})+)$"
_SHOWN = 5  # columns


def doubtful_points(
    names: Sequence[str], written: Sequence[pa.ChunkedArray], columns: Sequence[pa.ChunkedArray]
) -> str | None:
    """What to say where numbers such as `2.341` are read as decimals, though others are such as `970,44`; else None.

    Args:
        names: of the columns.
        written: their cells as text.
        columns: the same as they are read.
    """
    texts = (k for k, column in enumerate(columns) if pa.types.is_string(column.type))
    comma = next((k for k in texts if _all(written[k], _DECIMAL_COMMA)), None)
    if comma is None:
        return None
    decimals = [k for k, column in enumerate(columns) if pa.types.is_float64(column.type)]
    doubtful = [k for k in decimals if _all(written[k], _PERHAPS_THOUSANDS)]
    if not doubtful:
        return None
    example = next(cell for cell in written[doubtful[0]].to_pylist() if cell and "." in cell)
    more = f" and {len(doubtful) - _SHOWN} more" if len(doubtful) > _SHOWN else ""
    return (
        f"{', '.join(names[k] for k in doubtful[:_SHOWN])}{more}: numbers such as {example} are read with a decimal "
        f"point, though {names[comma]} has decimal commas. If these points stand between thousands, set "
        "table.decimal=comma"
    )


def _all(cells: pa.ChunkedArray, pattern: str) -> bool:
    """Whether all cells that there are match; one of them is asked first, which costs less."""
    first = cells[0].as_py() if len(cells) else None
    if first is not None and not re.search(pattern, first):
        return False
    return cells.null_count < len(cells) and bool(pc.all(pc.match_substring_regex(cells, pattern)).as_py())
