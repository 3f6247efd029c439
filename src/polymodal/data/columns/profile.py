"""Looks at one column: how much is missing, how much differs, and a sample that modalities are asked about."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from functools import cache, partial
from typing import TypeAlias

import numpy as np

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells import media
from polymodal.data.tables import column_data
from polymodal.data.tables.table import Table
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Sample

SAMPLE = 256  # cells
_KEYS = (str, float, int)  # what nearly all cells are, and their own keys

Profiler: TypeAlias = Callable[[str], Sample]  # by the name of a column


def column_profiler(table: Table, limits: LimitsConfig) -> Profiler:
    """Looks at columns of a table by name, at each once."""
    return cache(lambda name: profile_column(table, name, limits))


def profile_column(table: Table, name: str, limits: LimitsConfig) -> Sample:
    """Looks at the column of that name; the cells are evenly spread over it, the same for the same column."""
    present, distinct = _counted(table, name)
    if len(present) == table.num_rows <= SAMPLE:
        values = table.values(name)
    else:
        places = np.linspace(0, len(present) - 1, min(SAMPLE, len(present))).astype(np.int64)
        values = table.column(name).take(present[places]).values(name)
    if all(isinstance(value, int | float) for value in values):  # they name and hold no file
        return Sample(values, [None] * len(values), distinct, len(present), [[]] * len(values))
    head = cache(partial(media.head, folder=table.folder))
    heads = [head(value) if isinstance(value, str) else media.head(value, table.folder) for value in values]
    several = [media.heads(value, table.folder) for value in values]
    shown = [_shown(value, limits) for value in values]
    return Sample(shown, heads, distinct=distinct, present=len(present), several=several)


def _counted(table: Table, name: str) -> tuple[np.ndarray, int]:
    """Numbers of the rows that have a cell, and how many different cells there are."""
    column = table.arrow(name)
    if column is not None:
        return column_data.present_rows(column).astype(np.int64), column_data.num_distinct(column)
    present = []
    different = set()
    for row, cell in enumerate(table.cells(name)):
        if cell is not None:
            present.append(row)
            different.add(key_of(cell))
    return np.array(present, dtype=np.int64), len(different)


def key_of(cell: object) -> Hashable:
    """Equal for equal cells; bytes and arrays by their hash, so that the set of keys stays small."""
    if isinstance(cell, _KEYS):
        return cell
    if isinstance(cell, bytes):
        return hashlib.sha256(cell).digest()
    if isinstance(cell, np.ndarray):
        return media.digest(cell) if not cell.dtype.hasobject else repr(cell)
    if isinstance(cell, list | tuple | dict | set):
        return repr(cell)
    return cell if isinstance(cell, Hashable) else id(cell)


def _shown(value: object, limits: LimitsConfig) -> object:
    try:
        return media.as_array(value, limits)
    except UnreadableCellError:  # a damaged PIL image: no modality recognises it, reading it tells why
        return value
