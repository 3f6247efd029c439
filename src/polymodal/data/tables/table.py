"""The table that everything starts from: named columns of cells, from a file or from memory."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from polymodal.config.table import TableConfig
from polymodal.data.tables import column_data
from polymodal.data.tables.column_data import ColumnData
from polymodal.data.tables.files import read_file
from polymodal.data.tables.memory import read_memory
from polymodal.errors import ColumnError, TableError, did_you_mean

_STEP = 1024  # cells made Python objects at a time
_AS_IT_SAYS = TableConfig()


class Table:
    """Named columns of equal length; made by `read_table`, never changed.

    Attributes:
        num_rows: rows are numbered from 0.
        names: of the columns, in order.
        folder: what relative media paths are relative to.
        source: where it came from, for messages.
        notes: what was found out of how its file is written, in sentences.
        warnings: what seems to be wrong with its file, in sentences.
    """

    def __init__(
        self,
        data: Mapping[str, ColumnData],
        *,
        folder: Path,
        source: str,
        lines: Callable[[], Sequence[int]] | None = None,
        origin: np.ndarray | None = None,
        notes: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> None:
        self._columns = dict(data)
        self._lines = lines
        self._origin = origin  # row numbers in the file; None: the rows are those of the file
        self.names = tuple(self._columns)
        self.num_rows = len(next(iter(self._columns.values()))) if self._columns else 0
        self.folder = folder
        self.source = source
        self.notes = notes
        self.warnings = warnings

    def __repr__(self) -> str:
        return f"Table({self.source}: {self.num_rows} rows, {len(self.names)} columns)"

    def values(self, name: str) -> list[object]:
        """The cells of a column as Python objects; None where the cell is null, NaN, NaT or the empty string."""
        return list(self.cells(name))

    def cells(self, name: str) -> Iterator[object]:
        """The same cells one after the other, without holding them all as Python objects."""
        self.require(name)
        column = self._columns[name]
        steps = (column[start : start + _STEP] for start in range(0, self.num_rows, _STEP))
        return chain.from_iterable(map(column_data.cells, steps))

    def arrow(self, name: str) -> pa.ChunkedArray | None:
        """A column of texts, numbers or booleans as Arrow holds it; None for any other."""
        self.require(name)
        column = self._columns[name]
        known = isinstance(column, pa.ChunkedArray) and column_data.is_scalar(column.type)
        return column if known else None

    def take(self, rows: np.ndarray) -> Table:
        """The table of some rows, by number, in the order given."""
        rows = np.asarray(rows, dtype=np.int64)
        taken = {name: column_data.take(column, rows) for name, column in self._columns.items()}
        origin = rows if self._origin is None else self._origin[rows]
        return self._holding(taken, origin)

    def without(self, names: Collection[str]) -> Table:
        """The table less some columns; names that it does not have are no error."""
        names = frozenset(names)  # of a list, the time would grow with columns squared
        kept = {name: column for name, column in self._columns.items() if name not in names}
        return self._holding(kept, self._origin)

    def column(self, name: str) -> Table:
        """The table of one column alone."""
        self.require(name)
        return self._holding({name: self._columns[name]}, self._origin)

    def with_column(self, name: str, values: object) -> Table:
        """The table and one more column, of a name that it does not have.

        Raises:
            TableError: not a sequence, or not one cell for each row.
        """
        assert name not in self._columns, f"{self.source} has a column {name!r} already"
        column = column_data.from_sequence(values, name)
        if len(column) != self.num_rows:
            raise TableError(f"{name} has {len(column)} cells, but {self.source} has {self.num_rows} rows.")
        return self._holding({**self._columns, name: column}, self._origin)

    def within(self, folder: Path) -> Table:
        """The table, its relative media paths relative to another folder."""
        return self._holding(self._columns, self._origin, folder)

    def _holding(self, data: Mapping[str, ColumnData], origin: np.ndarray | None, folder: Path | None = None) -> Table:
        return Table(
            data,
            folder=folder or self.folder,
            source=self.source,
            lines=self._lines,
            origin=origin,
            notes=self.notes,
            warnings=self.warnings,
        )

    def require(self, *names: str, role: str | None = None) -> None:
        """Checks that columns exist.

        Args:
            names: of the columns.
            role: who asks for them, such as `split.by`, for the message.

        Raises:
            ColumnError: with the nearest known names.
        """
        absent = [name for name in names if name not in self._columns]
        if absent:
            asked = f"{role}: " if role else ""
            told = " No column ".join(f"{name!r}.{self._near(name, role)}" for name in absent)
            raise ColumnError(
                f"{asked}{self.source} has no column {told} Columns: {', '.join(self.names)}.{self._doubts()}"
            )

    def _doubts(self) -> str:
        return "".join(f" {warning[0].upper()}{warning[1:]}." for warning in self.warnings)

    def _near(self, name: str, role: str | None) -> str:
        """What may be meant by the name of a column that there is not."""
        parts = [part.strip() for part in re.split(r"[,;]", name)]
        if len(parts) < 2 or not self._columns.keys() >= set(parts):
            return did_you_mean(name, self.names)
        options = " ".join(f"--{role} {shlex.quote(part)}" for part in parts)
        how = f"{options}; in Python and YAML {parts}" if role in ("drop", "target") else "each by itself"
        return f" It names {len(parts)} columns in one word; give {how}."

    def line(self, row: int) -> int | None:
        """The line of the file on which a row starts; None where the table is not made of lines."""
        if self._lines is None:
            return None
        lines = self._lines()
        number = row if self._origin is None else int(self._origin[row])
        return lines[number] if number < len(lines) else None

    def where(self, row: int) -> str:
        """Names a row in a message, by its number in the source: `data.csv, row 3 (line 5)`."""
        line = self.line(row)
        number = row if self._origin is None else self._origin[row]
        return f"{self.source}, row {number}" + ("" if line is None else f" (line {line})")


def read_table(source: object, *, folder: Path | str | None = None, text: TableConfig = _AS_IT_SAYS) -> Table:
    """A table from whatever holds one.

    Args:
        source: a path (.csv, .tsv, .jsonl, .ndjson, also compressed; .parquet, .arrow, .feather, or a folder of
            these); an object that speaks the Arrow PyCapsule interface (polars, pyarrow, ...); a pandas DataFrame,
            whose index is ignored; a LazyFrame of polars, which is collected; a Dataset of `datasets`; a dict of
            sequences; a list of dicts, one a row; one row: a dict of cells, or a Series such as `df.iloc[5]`; a NumPy
            array [rows, columns], whose columns are called x0, x1, ...; a Table, given back as it is. Labels that are
            no text become text: 2 is "2", those of a MultiIndex are such as "('a', 'b')".
        folder: what relative media paths are relative to. If not given: the folder that holds the table's file; a
            table's folder itself; for what is in memory, the current folder.
        text: how CSV, TSV and JSON lines are written, where they do not say so themselves.

    Raises:
        TableError: unreadable, ragged, empty or with two columns of one name; no such folder.

    >>> read_table({"size": [1, 2], "name": ["a", ""]}).values("name")
    ['a', None]
    """
    given = None if folder is None else Path(folder)
    if given is not None and not given.is_dir():
        raise TableError(f"folder: there is no folder {given}, to which paths of media could be relative.")
    if isinstance(source, Table):
        return source if given is None else source.within(given)
    lines: Callable[[], Sequence[int]] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    if isinstance(source, str | Path):
        path = Path(source)
        found = read_file(path, text)
        pairs, lines, notes, warnings = found.pairs, found.lines, found.notes, found.warnings
        name, place = str(path), given or (path if path.is_dir() else path.parent)
    else:
        name, place = f"the {type(source).__name__}", given or Path.cwd()
        pairs = read_memory(source, name)
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise TableError(f"{name}: two columns are called {', '.join(map(repr, twice))}; give each its own name.")
    lengths = {key: len(column) for key, column in pairs}
    if len(set(lengths.values())) > 1:
        raise TableError(f"{name}: columns differ in length: {', '.join(f'{k} {n}' for k, n in lengths.items())}.")
    if not any(lengths.values()):
        raise TableError(f"{name} holds no rows.")
    return Table(dict(pairs), folder=place, source=name, lines=lines, notes=notes, warnings=warnings)
