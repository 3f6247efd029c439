"""What scikit-learn calls X, y and sample_weight, as columns of one table."""

from __future__ import annotations

from collections.abc import Sized

import numpy as np
from scipy import sparse
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from polymodal.data.table import Table
from polymodal.errors import ColumnError


def checked(source: object) -> object:
    """An array-like (array, tensor, list) as an array [rows, columns] of any cells; tables as they are.

    Raises:
        ValueError: not two axes, no rows, no columns, or complex numbers.
        TypeError: a sparse matrix.
    """
    array_like = isinstance(source, list | tuple) or hasattr(source, "__array__") or sparse.issparse(source)
    if array_like and not hasattr(source, "columns") and not hasattr(source, "__arrow_c_stream__"):
        return check_array(source, dtype=None, ensure_all_finite=False)  # a cell may be missing; inf is a reject
    return source


def is_numeric(source: object) -> bool:
    """Whether every column is a number whatever its cells look like: an array has no words that say otherwise."""
    return isinstance(source, np.ndarray) and source.dtype.kind in "iuf"


def attach(table: Table, values: object, *, name: str | None, role: str) -> tuple[Table, str | None]:
    """The table with the values of a role as one of its columns, and the name of that column.

    Args:
        table: X.
        values: one a row; or the name of a column; None: the column called `name`.
        name: what the column is called if the values do not say; None: nobody knows.
        role: `y` or `sample_weight`.

    Raises:
        ColumnError: no such column, or the values bear the name of a column that X has.
        ValueError: not one value a row.
    """
    if values is None:
        return table, name
    if isinstance(values, str):
        table.require(values, role=role)
        return table, values
    said = getattr(values, "name", None)  # of a pandas or polars Series
    name = said if isinstance(said, str) and said else name
    if name in table.names:
        raise ColumnError(
            f"{role} is called {name!r}, and so is a column of X, which would give the answer away: "
            f"leave that out of X, or pass {role}={name!r}."
        )
    free = (role, *(f"{role}_{number}" for number in range(2, len(table.names) + 3)))
    column = name or next(word for word in free if word not in table.names)
    return table.with_column(column, one_axis(values, table)), column


def values_of(table: Table, values: object, *, name: str) -> list[object]:
    """The cells of `y`: one a row of X as given, or of the column of X that it names, or of the one called `name`.

    Raises:
        ColumnError: no such column.
        ValueError: not one value a row.
    """
    if values is None or isinstance(values, str):
        column = name if values is None else values
        table.require(column, role="y")
        return table.values(column)
    return table.without([name]).with_column(name, one_axis(values, table)).values(name)


def one_axis(values: object, table: Table) -> object:
    """One value for each row of a table: also from [rows, 1], which scikit-learn takes with a warning.

    Raises:
        ValueError: another shape.
    """
    if not isinstance(values, Sized):  # an array-like may have `__array__` alone
        values = np.asarray(values)
    if getattr(values, "ndim", 1) != 1:
        values = column_or_1d(values, warn=True)
    check_consistent_length(range(table.num_rows), values)
    return values
