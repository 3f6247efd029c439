"""Looks at one column: how much is missing, how much differs, and a sample that modalities are asked about."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells import media
from polymodal.data.tables.table import Table
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Sample

SAMPLE = 256  # cells


@dataclass(frozen=True)
class ColumnProfile:
    """What a look at one column found.

    Attributes:
        rows: of the table.
        sample: cells that are not missing, evenly spread over the column: the same for the same column.
    """

    rows: int
    sample: Sample

    @property
    def missing(self) -> int:
        return self.rows - self.sample.present

    @property
    def distinct(self) -> int:
        return self.sample.distinct


class ColumnProfiles(Mapping[str, ColumnProfile]):
    """A look at every column of a table by name, each taken at first use and then kept."""

    def __init__(self, table: Table, limits: LimitsConfig) -> None:
        self._table, self._limits = table, limits
        self._found: dict[str, ColumnProfile] = {}

    def __getitem__(self, name: str) -> ColumnProfile:
        if name not in self._found:
            self._found[name] = profile_column(self._table, name, self._limits)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.names)

    def __len__(self) -> int:
        return len(self._table.names)


def profile_column(table: Table, name: str, limits: LimitsConfig) -> ColumnProfile:
    """Looks at the column of that name."""
    present = []
    different = set()
    for row, cell in enumerate(table.cells(name)):
        if cell is not None:
            present.append(row)
            different.add(key_of(cell))
    places = np.linspace(0, len(present) - 1, min(SAMPLE, len(present))).astype(np.int64)
    rows = np.array(present, dtype=np.int64)[places]
    values = table.without([other for other in table.names if other != name]).take(rows).values(name)
    heads = [media.head(value, table.folder) for value in values]
    several = [media.heads(value, table.folder) for value in values]
    shown = [_shown(value, limits) for value in values]
    return ColumnProfile(
        table.num_rows, Sample(shown, heads, distinct=len(different), present=len(present), several=several)
    )


def key_of(cell: object) -> Hashable:
    """Equal for equal cells; bytes and arrays by their hash, so that the set of keys stays small."""
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
