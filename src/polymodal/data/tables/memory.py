"""Takes tables that are in memory: of pandas, polars, Arrow, `datasets`, dicts and arrays."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from polymodal.data.tables import column_data
from polymodal.data.tables.files import Pairs, arrow_pairs
from polymodal.errors import TableError


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
    if (columns := _columns(source)) is not None:
        return [(str(key), column_data.from_sequence(cells, f"{name}, column {key!r}")) for key, cells in columns]
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        try:
            return arrow_pairs(pa.table(source))
        except (pa.ArrowException, TypeError) as error:
            raise TableError(f"{name} is not a table that Arrow can read: {error}") from error
    raise TableError(
        f"{name} is not a table. Give a path, a DataFrame, an Arrow table, a dict of columns or a NumPy array "
        "[rows, columns]."
    )


def _columns(source: object) -> list[tuple[object, object]] | None:
    """Names and cells of a mapping, an array or a data frame, of which two may have one name; None of anything else."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if isinstance(source, Mapping) or (pandas is not None and isinstance(source, pandas.DataFrame)):
        return list(source.items())
    if isinstance(source, np.ndarray):
        if source.ndim != 2:
            raise TableError(f"A NumPy table has two axes, [rows, columns]; this one has shape {source.shape}.")
        return [(f"x{number}", source[:, number]) for number in range(source.shape[1])]
    if polars is not None and isinstance(source, polars.DataFrame):
        return [(series.name, series) for series in source.get_columns()]
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
