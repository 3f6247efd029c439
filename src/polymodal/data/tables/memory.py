"""Takes tables that are in memory: of pandas, polars, Arrow, `datasets`, dicts, lists of dicts and arrays."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from polymodal.data.tables import column_data
from polymodal.data.tables.files import Pairs, arrow_pairs
from polymodal.errors import TableError

_WAYS_INTO_MEMORY = ("collect", "compute", "toPandas", "to_pandas", "to_dataframe")  # of tables that are elsewhere


def read_memory(source: object, name: str) -> Pairs:
    """The columns of an object.

    Args:
        source: any of the kinds that `read_table` names.
        name: of it, for messages.

    Raises:
        TableError: not a table.
    """
    if (found := _of_datasets(source, name)) is not None:
        return arrow_pairs(found)
    if (rows := _rows(source, name)) is not None:
        labels = dict.fromkeys(label for row in rows for label in row)
        return [(str(label), column_data.from_objects(row.get(label) for row in rows)) for label in labels]
    source = _as_frame(source, name)
    if (columns := _columns(source)) is not None:
        return [(str(key), column_data.from_sequence(cells, f"{name}, column {key!r}")) for key, cells in columns]
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        try:
            return arrow_pairs(pa.table(source))
        except (pa.ArrowException, TypeError) as error:
            raise TableError(f"{name} is not a table that Arrow can read: {error}") from error
    ways = [way for way in _WAYS_INTO_MEMORY if callable(getattr(source, way, None))]
    raise TableError(
        f"{name} is not a table. {f'Call .{ways[0]}() first, or give' if ways else 'Give'} a path, a DataFrame, an "
        "Arrow table, a dict of columns, a list of dicts or a NumPy array [rows, columns]."
    )


def holds_names(source: object) -> bool:
    """Whether something that looks like an array has names of columns in it: a list of dicts, or a Series."""
    if isinstance(source, list | tuple):
        return any(_row(value) is not None for value in source)
    return _is_of("pandas", "Series", source) or _is_of("polars", "Series", source)


def _rows(source: object, name: str) -> Sequence[Mapping[Any, object]] | None:
    """Rows as cells by name, from a list of them or from a single one; None of anything else.

    Raises:
        TableError: a list holds something else beside them; a dict holds columns and cells.
    """
    if isinstance(source, list | tuple) and source:
        rows = [_row(value) for value in source]
        found = [row for row in rows if row is not None]
        if found and len(found) < len(rows):
            place = rows.index(None)
            raise TableError(f"{name}: row {place} is no dict but {type(source[place]).__name__}, unlike others.")
        return found or None
    if (row := _row(source)) is None:
        return None
    cells = [label for label, value in row.items() if _is_cell(value)]
    if cells and len(cells) < len(row) and isinstance(source, Mapping):
        other = next(label for label in row if label not in cells)
        raise TableError(
            f"{name}: {cells[0]!r} holds one cell, {other!r} a sequence. Give each column a sequence of cells, or one "
            "row as a list of one dict."
        )
    return [row] if cells or not isinstance(source, Mapping) else None


def _row(value: object) -> Mapping[Any, object] | None:
    """The cells of a dict, or of a Series whose index are names of columns, such as `df.iloc[5]`."""
    if isinstance(value, Mapping):
        return value
    if not _is_of("pandas", "Series", value):
        return None
    series: Any = value
    named = len(series) > 0 and series.index.is_unique and all(isinstance(key, str | tuple) for key in series.index)
    return dict(series.items()) if named else None


def _is_cell(value: object) -> bool:
    """Whether a value is one cell, not a sequence of them."""
    return isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable)


def _as_frame(source: Any, name: str) -> object:
    """A LazyFrame, collected; a Series as the one column that it is; all else as it is.

    Raises:
        TableError: a Series that has no name.
    """
    if _is_of("polars", "LazyFrame", source):
        return source.collect()
    of_polars = _is_of("polars", "Series", source) and not source.dtype.is_nested()
    if not of_polars and not _is_of("pandas", "Series", source):
        return source
    if not isinstance(source.name, str | tuple) or not source.name:
        raise TableError(
            f"{name} is no column, for its name is {source.name!r}, and no row, for its index holds no names of "
            "columns. Give one column as series.to_frame('NAME'), one row as df.iloc[[5]]."
        )
    return {source.name: source}


def _is_of(package: str, kind: str, value: object) -> bool:
    """Whether a value is of a class of a package, which need not be installed."""
    module = sys.modules.get(package)
    return module is not None and isinstance(value, getattr(module, kind))


def _columns(source: object) -> list[tuple[object, object]] | None:
    """Names and cells of a mapping, an array or a data frame, of which two may have one name; None of anything else."""
    if isinstance(source, Mapping):
        return list(source.items())
    if _is_of("pandas", "DataFrame", source):
        frame: Any = source
        return list(frame.items())
    if isinstance(source, np.ndarray):
        if source.ndim != 2:
            raise TableError(f"A NumPy table has two axes, [rows, columns]; this one has shape {source.shape}.")
        return [(f"x{number}", source[:, number]) for number in range(source.shape[1])]
    if _is_of("polars", "DataFrame", source):
        frame = source
        return [(series.name, series) for series in frame.get_columns()]
    return None


def _of_datasets(source: Any, name: str) -> pa.Table | None:
    """The rows of a `Dataset` of the package `datasets`, which need not be installed; None of anything else.

    Its own Arrow table would not do: rows that were sorted, shuffled or selected are only pointed at.

    Raises:
        TableError: several splits, or a stream without an end.
    """
    if isinstance(source, Mapping):
        splits = [str(key) for key, value in source.items() if _is_of_datasets(value)]
        if splits:
            raise TableError(
                f"{name} holds the splits {', '.join(splits)}. Give one of them, such as data[{splits[0]!r}], or join "
                "them with datasets.concatenate_datasets, each with a column that says its split."
            )
        return None
    if not _is_of_datasets(source):
        return None
    if not hasattr(source, "with_format") or not hasattr(source, "__len__"):
        raise TableError(
            f"{name} is a stream. Load it without streaming=True, or take rows: datasets.Dataset.from_list."
        )
    table = source.with_format("arrow")[:]
    assert isinstance(table, pa.Table), "what the format `arrow` is"
    return table


def _is_of_datasets(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "datasets"
