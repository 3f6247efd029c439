"""Checks that a table has the columns that a trained model uses."""

from __future__ import annotations

from collections.abc import Iterable

from polymodal.data.tables.table import Table
from polymodal.errors import ColumnError, did_you_mean

_NAMED = 10


def require_inputs(table: Table, names: Iterable[str]) -> None:
    """Checks that the inputs of a model are there; a column without cells would do, as missing cells do.

    Args:
        table: new rows.
        names: of the columns that the model uses.

    Raises:
        ColumnError: names every absent one, the nearest columns that the model does not use, and what would do.
    """
    used = set(names := tuple(names))
    missing = [name for name in names if name not in table.names]
    if not missing:
        return
    others = [name for name in table.names if name not in used]
    near = "".join(did_you_mean(name, others) for name in missing[:_NAMED])
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    absent = ", ".join(map(repr, missing[:_NAMED])) + more
    one = len(missing) == 1
    raise ColumnError(
        f"{table.source} has no column {absent}, which the model uses.{near} Columns: {', '.join(table.names)}. "
        f"If {'it is' if one else 'they are'} named otherwise, rename {'it' if one else 'them'}; if unknown, add "
        f"{'it' if one else 'them'} with empty cells, which count as missing (of a DataFrame: "
        f"df[{missing[0]!r}] = None)."
    )
