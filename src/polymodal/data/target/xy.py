"""What scikit-learn calls X, y and sample_weight, as columns of one table."""

from __future__ import annotations

from collections.abc import Sized
from numbers import Integral

import numpy as np
from scipy import sparse

from polymodal.data.tables.memory import holds_names
from polymodal.data.tables.table import Table
from polymodal.data.target.cells import target_cells
from polymodal.errors import ColumnError


def checked(source: object) -> object:
    """An array-like (array, tensor, list) as an array [rows, columns] of any cells; tables and rows as they are.

    Raises:
        ValueError: not two axes, no rows, no columns, or complex numbers.
        TypeError: a sparse matrix.
    """
    if holds_names(source):
        return source
    array_like = isinstance(source, list | tuple) or hasattr(source, "__array__") or sparse.issparse(source)
    if array_like and not hasattr(source, "columns") and not hasattr(source, "__arrow_c_stream__"):
        from sklearn.utils import check_array  # it imports pandas, and tables in files need neither

        return check_array(source, dtype=None, ensure_all_finite=False)  # a cell may be missing; inf is a reject
    return source


def is_numeric(source: object) -> bool:
    """Whether every column is a number whatever its cells look like: an array has no words that say otherwise."""
    return isinstance(source, np.ndarray) and source.dtype.kind in "iuf"


def attach(table: Table, values: object, *, name: str | None, role: str) -> tuple[Table, str | None]:
    """The table with the values of a role as one of its columns, and the name of that column.

    Args:
        table: X.
        values: one a row; or the name of a column, or its label; None: the column called `name`.
        name: what the column is called if the values do not say; None: nobody knows.
        role: `y` or `sample_weight`.

    Raises:
        ColumnError: no such column, or the values bear the name of a column that X has.
        ValueError: not one value a row.
    """
    if values is None:
        return table, name
    if (column := _column_name(values, table, role=role)) is not None:
        return table, column
    said = getattr(values, "name", None)  # of a pandas or polars Series
    name = str(said) if isinstance(said, str | tuple) and said else name
    if name in table.names:
        raise ColumnError(
            f"{role} is called {name!r}, and so is a column of X, which would give the answer away: "
            f"leave that out of X, or pass {role}={name!r}."
        )
    free = (role, *(f"{role}_{number}" for number in range(2, len(table.names) + 3)))
    column = name or next(word for word in free if word not in table.names)
    return table.with_column(column, one_axis(values, table)), column


def attach_target(
    table: Table, values: object, *, name: str | tuple[str, ...] | None, several: bool
) -> tuple[Table, str | tuple[str, ...] | None]:
    """The table with the values of `y` among its columns, and the name of that column, or of those.

    Args:
        table: X.
        values: what `attach` takes; names of several columns; where `several`, also [rows, K], whose columns are called
            as those of a data frame, else as `name` says, else y_1, y_2, ...
        name: as the configuration has it.
        several: whether more than one column can be predicted.

    Raises:
        ColumnError: no such column, or the values bear the name of a column that X has.
        ValueError: not one value a row, or not one name a column.
    """
    if values is None:
        return table, name
    if (label := _column_name(values, table, role="y")) is not None:
        return table, label
    if (names := _column_names(values, table)) is not None:
        return table, names
    columns = _columns(values, None if isinstance(name, str) else name) if several else None
    if columns is None:
        return attach(table, values, name=name if isinstance(name, str) else None, role="y")
    for column, cells in columns.items():
        table, _ = attach(table, cells, name=column, role="y")
    return table, tuple(columns)


def targets_of(table: Table, values: object, *, name: str | tuple[str, ...]) -> list[object]:
    """The cells of `y` as `target_cells` has them, by the names of training.

    Args:
        table: X.
        values: as for `attach_target`; None: the columns of X called as in training.
        name: of the target, or names of several.

    Raises:
        ColumnError: no such column.
        ValueError: not one value a row for each target.
    """
    if isinstance(name, str):
        column = name if values is None else _column_name(values, table, role="y")
        if column is not None:
            table.require(column, role="y")
            return table.values(column)
        return table.without([name]).with_column(name, one_axis(values, table)).values(name)
    columns = None if values is None else _columns(values, name)
    if columns is not None:
        given = table.without([column for column in name if column in table.names])
        for column, cells in zip(name, columns.values(), strict=True):
            given = given.with_column(column, one_axis(cells, table))
        return target_cells(given, name)
    names = name if values is None else _column_names(values, table)
    if names is None or len(names) != len(name):
        raise ValueError(
            f"y must hold the {len(name)} targets {', '.join(name)}: [rows, {len(name)}], or their columns."
        )
    return target_cells(table, names, called=name)


def _column_name(values: object, table: Table, *, role: str) -> str | None:
    """Name of the column of X that is meant by its name, its label, or a list of this one; None of one value a row.

    Raises:
        ColumnError: no such column.
    """
    if isinstance(values, list | tuple) and len(values) == 1 and table.num_rows > 1 and _is_label(values[0]):
        values = values[0]
    if isinstance(values, str):
        table.require(values, role=role)
        return values
    if isinstance(values, tuple):  # of a MultiIndex, unless it holds one value a row
        return str(values) if len(values) != table.num_rows and str(values) in table.names else None
    if not isinstance(values, Integral) or isinstance(values, bool):
        return None
    if str(values) in table.names:
        return str(values)
    place = int(values)
    name = table.names[place] if -len(table.names) <= place < len(table.names) else None
    there = "" if name is None else f" The one at position {place} is called {name!r}: {role}={name!r}."
    raise ColumnError(
        f"{role}={place}: {table.source} has no column that is labelled {place}.{there} Give the name of a column, or "
        f"one value a row. Columns: {', '.join(table.names)}."
    )


def _is_label(value: object) -> bool:
    """Whether it can be a label of pandas: text, a whole number, or a tuple of a MultiIndex."""
    return isinstance(value, str | tuple | Integral) and not isinstance(value, bool)


def _column_names(values: object, table: Table) -> tuple[str, ...] | None:
    """Names of several columns of X; None where the values are something else, such as one word a row."""
    if not isinstance(values, list | tuple) or len(values) in (0, 1, table.num_rows):
        return None
    if not all(isinstance(value, str) for value in values):
        labels = tuple(map(str, values))  # of a MultiIndex, or numbers
        return labels if all(map(_is_label, values)) and set(labels) <= set(table.names) else None
    table.require(*values, role="y")
    return tuple(values)


def _columns(values: object, names: tuple[str, ...] | None) -> dict[str, object] | None:
    """The columns of [rows, K], K at least 2, by name; None where the values have one axis.

    Raises:
        ValueError: not one name a column, or rows of different length.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[1] < 2:
        return None
    said, count = getattr(values, "columns", None), array.shape[1]
    known = tuple(map(str, said)) if said is not None else names or tuple(f"y_{k}" for k in range(1, count + 1))
    if len(set(known)) != count:
        raise ValueError(f"y has {count} columns, but {len(set(known))} names: {', '.join(known)}.")
    return {name: array[:, k] for k, name in enumerate(known)}


def one_axis(values: object, table: Table) -> object:
    """One value for each row of a table: also from [rows, 1], which scikit-learn takes with a warning.

    Raises:
        ValueError: another shape.
    """
    from sklearn.utils import check_consistent_length, column_or_1d

    if not isinstance(values, Sized):  # an array-like may have `__array__` alone
        values = np.asarray(values)
    if getattr(values, "ndim", 1) != 1:
        values = column_or_1d(values, warn=True)
    check_consistent_length(range(table.num_rows), values)
    return values
