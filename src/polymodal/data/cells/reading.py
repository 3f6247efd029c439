"""Reads the cells of one column: media in a few threads and each distinct content once, the rest one by one."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from polymodal import registry
from polymodal.abilities import ReadsNumbers
from polymodal.codecs import sniffing as formats
from polymodal.config.run_config import LimitsConfig, Part, part_settings
from polymodal.data.cells.features import Featured
from polymodal.data.cells.media import OpenedCell, files_of, lists_media, open_cell
from polymodal.data.cells.store import FORMAT, CacheEntry, Contents, ContentsWriter, Found, ReadContent, Store
from polymodal.data.tables import column_data
from polymodal.data.tables.column_data import as_text
from polymodal.data.tables.table import Table
from polymodal.errors import DataError, MissingCellError, UnreadableCellError
from polymodal.protocols import Modality
from polymodal.schema import Column

_THREADS = min(4, os.cpu_count() or 1)
_AHEAD = 4 * _THREADS  # cells in work at a time: what bounds memory

_Item: TypeAlias = tuple[int, object]  # row and cell
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class Reject:
    """A cell that cannot be read.

    Attributes:
        file: the file that the cell names; the table where the cell itself is the content.
        row: in the table, from 0.
        sha256: of the content; None where none could be had.
    """

    file: str
    row: int
    column: str
    reason: str
    sha256: str | None


@dataclass(frozen=True)
class ReadColumn:
    """What came of reading one column.

    Attributes:
        rejects: in the order of rows.
        notes: how many cells, of those that were read, each note is on.
    """

    store: Store
    rejects: list[Reject]
    notes: Counter[str]


def modality_of(column: Column) -> Modality:
    """The modality that reads a column: with the column's settings, and fitted if the column has statistics.

    Where the column enters the model as handcrafted features, the modality gives these.

    Raises:
        ConfigError: no such modality, or a setting that it does not have.
    """
    assert column.modality is not None, f"column {column.name!r} is left out"
    modality: type[Modality] = registry.load("modalities", column.modality)
    fitted = modality(_settings(column), column.statistics or None)
    return fitted if column.features is None else cast(Modality, Featured(fitted, column.features))


@dataclass(frozen=True)
class ColumnReader:
    """Reads one column of a table.

    Attributes:
        limits: what a cell may cost, checked before it is read.
        with_notes: counts what is to be said of cells that were read, for which the modality looks at each once more.
    """

    table: Table
    column: Column
    modality: Modality
    limits: LimitsConfig
    with_notes: bool = True

    def read(self, cache: Path | None) -> ReadColumn:
        """Reads every cell, or its copy in the cache: media are kept there where there is one."""
        if not self.modality.media:
            return self._read_plain()
        if cache is not None:
            return self._read_cached(cache)
        writer, found = ContentsWriter(), Found()
        opened = list(self._decode(self._items(), writer, found))
        return self._assemble(opened, writer.contents(), found)

    def _items(self) -> Iterator[_Item]:
        return ((row, cell) for row, cell in enumerate(self.table.cells(self.column.name)) if cell is not None)

    def _read_plain(self) -> ReadColumn:
        return self._read_numbers() or self._read_cells()

    def _read_numbers(self) -> ReadColumn | None:
        """The same at once, where the table holds nothing but numbers that can be read so."""
        column = self.table.arrow(self.column.name)
        if column is None or not column_data.is_numeric(column.type) or not isinstance(self.modality, ReadsNumbers):
            return None
        numbers = column_data.floats(column)
        read = self.modality.read_numbers(numbers)
        return None if read is None else ReadColumn(Store.of_matrix(read, ~np.isnan(numbers)), [], Counter())

    def _read_cells(self) -> ReadColumn:
        writer, rejects, notes = ContentsWriter(), [], Counter[str]()
        index = np.full(self.table.num_rows, -1, dtype=np.int64)
        for row, cell in self._items():
            try:
                index[row] = writer.add(self.modality.read(cell))
                if note := self._note(cell):
                    notes[note] += 1
            except MissingCellError as error:
                notes[str(error)] += 1
            except UnreadableCellError as error:
                sha256 = hashlib.sha256(as_text(cell).encode("utf-8", "surrogatepass")).hexdigest()
                rejects.append(Reject(self.table.source, row, self.column.name, str(error), sha256))
        return ReadColumn(Store(writer.contents(), index), rejects, notes)

    def _read_cached(self, cache: Path) -> ReadColumn:
        """Hashes every cell; decodes only if these contents were not decoded with these settings before.

        An entry is named by what it depends on: the contents in order, the modality, its settings, the format.
        """
        opened = [cell for cell, _ in _in_order(self._open, self._items())]
        parts = [FORMAT, self.column.modality, asdict(_settings(self.column)), [cell.sha256 for cell in opened]]
        entry = CacheEntry(cache, hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest())
        contents, found = entry.read() or entry.write(lambda writer: self._decode_again(opened, writer))
        return self._assemble(opened, contents, found)

    def _decode_again(self, opened: list[_Opened], writer: ContentsWriter) -> Found:
        """Decodes the first cell of each content."""
        first = {cell.sha256: cell.row for cell in reversed(opened) if cell.sha256 is not None}
        expected = {row: sha256 for sha256, row in first.items()}
        found = Found()
        for cell in self._decode((item for item in self._items() if item[0] in expected), writer, found):
            if cell.sha256 != expected[cell.row]:
                where = self.table.where(cell.row)
                raise DataError(
                    f"{where}, column {self.column.name!r}: {cell.file()} changed while it was read. Run again."
                )
        return found

    def _decode(self, items: Iterable[_Item], writer: ContentsWriter, found: Found) -> Iterator[_Opened]:
        """Opens cells and adds each content that was not found before to the writer."""

        def work(item: _Item) -> tuple[_Opened, np.ndarray | ReadContent | None, str | None]:
            cell, opened = self._open(item)
            if opened is None or opened.sha256 in found:
                return cell, None, None
            try:
                return cell, self.modality.read(opened.content), self._note(opened.content)
            except UnreadableCellError as error:
                return cell, ReadContent(str(error), member=error.member), None

        for cell, read, note in _in_order(work, items):
            # threads may have read equal cells at the same time: the first one counts
            if read is not None and cell.sha256 is not None and cell.sha256 not in found:
                found[cell.sha256] = read if isinstance(read, ReadContent) else ReadContent(writer.add(read), note)
            yield cell

    def _open(self, item: _Item) -> tuple[_Opened, OpenedCell | None]:
        row, cell = item
        several = lists_media(self.modality)
        files = tuple(file or self.table.source for file in files_of(cell if several else (cell,), self.table.folder))
        try:
            opened = open_cell(cell, self.table.folder, self.limits, several=several)
        except UnreadableCellError as error:
            return _Opened(row, files, None, ReadContent(str(error), member=error.member)), None
        notes = list(opened.notes) if self.with_notes else []
        if self.with_notes and isinstance(opened.content, bytes) and opened.file:
            notes += filter(None, [formats.misnamed(opened.file, opened.content)])
        return _Opened(row, files, opened.sha256, None, tuple(notes)), opened

    def _note(self, content: object) -> str | None:
        return self.modality.note(content) if self.with_notes else None

    def _assemble(self, opened: list[_Opened], contents: Contents, found: Found) -> ReadColumn:
        index = np.full(self.table.num_rows, -1, dtype=np.int64)
        rejects, notes = [], Counter[str]()
        for cell in opened:
            finding = cell.fault or found[cell.sha256 or ""]
            if isinstance(finding.outcome, int):
                index[cell.row] = finding.outcome
                notes.update(filter(None, [*cell.notes, finding.note]))
            else:
                file = cell.file(finding.member)
                rejects.append(Reject(file, cell.row, self.column.name, finding.outcome, cell.sha256))
        return ReadColumn(Store(contents, index), rejects, notes)


@dataclass(frozen=True)
class _Opened:
    """What is kept of a media cell after its content went by; without a hash there is a fault.

    Attributes:
        files: that it names, one for each medium; the table for one that the table holds itself.
    """

    row: int
    files: tuple[str, ...]
    sha256: str | None
    fault: ReadContent | None
    notes: tuple[str, ...] = ()

    def file(self, member: int | None = None) -> str:
        """The file of one medium; that of the cell where it is not said of which."""
        return self.files[member] if member is not None else ";".join(dict.fromkeys(self.files))


def _settings(column: Column) -> Any:
    return part_settings("modalities", Part.model_validate({**column.settings, "name": column.modality}))


def _in_order(work: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """The results of some threads in the order of the items, with few items in work at a time."""
    items = iter(items)
    few = list(islice(items, 2))
    if len(few) < 2:  # one row to predict: a thread would take longer than the work
        yield from map(work, few)
        return
    items = chain(few, items)
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="polymodal-prepare")
    pending: deque[Future[_Out]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) == _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
