"""Finds rows that became part of a cell, since a quote opens in it that was not meant to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polymodal.data.tables.dialect import Source
from polymodal.data.tables.quotes import LINE_END, num_breaks
from polymodal.data.tables.remedies import num_cells

_LOOKED_AT = 1_000  # rows that tell what the cells of a column look like; also: cells that may hold rows
_NEARLY_ALL = 0.9
_FEWEST = 5  # rows that tell what a column holds
_FEWEST_LINES = 3  # between the first and the last of a cell, where less tells rows from prose
_NUMBER = re.compile(r"\s*[-+]?[0-9]*[.,]?[0-9]+([eE][-+]?[0-9]+)?\s*")

_Look = Callable[[str], bool]  # whether a cell looks like those of its column
_Row = list[str]


@dataclass(frozen=True)
class _Cell:
    """A cell of several lines.

    Attributes:
        row: by its number.
        before: cells of the row.
        after: cells of the row.
    """

    row: int
    before: _Row
    lines: list[str]
    after: _Row

    def rows(self, delimiter: str) -> list[_Row]:
        """What the lines would be if the quote did not open a cell."""
        found = [line.split(delimiter) for line in self.lines]
        return [[*self.before, *found[0]], *found[1:-1], [*found[-1], *self.after]]

    def unseen(self, number: int, rows: int) -> range:
        """Columns of one of these rows that stand in the cell, not beside it."""
        place = len(self.before)
        return range(place + 1 if number == 0 else 0, place if number == rows - 1 else place + 1 + len(self.after))


def swallowed_rows(source: Source, columns: Sequence[pa.ChunkedArray], lines: Callable[[], list[int]]) -> str | None:
    """What to say where cells hold what looks like whole rows of the table; None where none does.

    Args:
        source: the file.
        columns: its cells as text, null where they are empty.
        lines: gives the line of each row.
    """
    width = len(columns)
    if not source.quoted or width < 2:
        return None
    cells = list(_cells(source.dialect.delimiter, columns))
    if not cells:
        return None
    looks = _looks(columns, without={cell.row for cell in cells}, cells=cells, delimiter=source.dialect.delimiter)
    found = [cell for cell in cells if _holds_rows(cell.rows(source.dialect.delimiter), cell, width, looks)]
    if not found or (len(found) >= _FEWEST and 2 * len(found) > len(columns[0])):  # so many are meant so
        return None
    first = found[0]
    start = lines()[first.row] + sum(map(num_breaks, first.before))
    end = start + len(first.lines) - 1
    rows = sum(len(cell.lines) - 1 for cell in found)
    what = f"lines {start} to {end} became one cell, though they look like {len(first.lines)} rows"
    if len(found) > 1:
        what += f"; {len(found):,} cells are so, and hold {rows:,} further rows"
    return f"{what}: a quote ({source.dialect.quote}) opens on line {start} that was not meant to. {_remedy(source)}"


def _remedy(source: Source) -> str:
    repair = f"double it where it is content ({source.dialect.quote * 2}), or close it"
    if num_cells(replace(source, dialect=replace(source.dialect, quote="", blanks=False))):
        return f"If no quotes stand around cells, set table.quote=none; else {repair}"
    return repair[0].upper() + repair[1:]


def _cells(delimiter: str, columns: Sequence[pa.ChunkedArray]) -> Iterator[_Cell]:
    """Cells in which so many delimiters stand as rows of their number of lines would have."""
    width = len(columns)
    for place, column in enumerate(columns):
        if not pc.any(pc.match_substring_regex(column, r"[\r\n]")).as_py():
            continue
        breaks = pc.fill_null(pc.count_substring_regex(column, r"\r\n|\r|\n"), 0).to_numpy()
        delimiters = pc.fill_null(pc.count_substring(column, delimiter), 0).to_numpy()
        expected = breaks * (width - 1)
        near = (breaks > 0) & (np.abs(delimiters - expected) <= (1 - _NEARLY_ALL) * expected)
        for row in np.flatnonzero(near)[:_LOOKED_AT].tolist():
            others = [other[row].as_py() or "" for other in columns]
            yield _Cell(row, others[:place], LINE_END.split(others[place]), others[place + 1 :])


def _looks(
    columns: Sequence[pa.ChunkedArray], *, without: set[int], cells: Sequence[_Cell], delimiter: str
) -> dict[int, _Look]:
    """By column, what tells its cells from prose: numbers, or few words; as the other rows have them."""
    rows = [row for row in range(min(len(columns[0]), _LOOKED_AT + len(without))) if row not in without]
    samples = [[str(column[row]) for row in rows if column[row].is_valid] for column in columns]
    if len(rows) < _FEWEST:  # nearly all of the file stands in cells
        made = [row for cell in cells for row in cell.rows(delimiter) if len(row) == len(columns)]
        samples = [[row[place] for row in made] for place in range(len(columns))]
    return {place: look for place, sample in enumerate(samples) if (look := _look(sample)) is not None}


def _look(sample: list[str]) -> _Look | None:
    if len(sample) < _FEWEST:
        return None
    if sum(bool(_NUMBER.fullmatch(cell)) for cell in sample) >= _NEARLY_ALL * len(sample):
        blank = any(cell[:1].isspace() for cell in sample)
        return lambda cell: _NUMBER.fullmatch(cell) is not None and (blank or not cell[:1].isspace())
    words = set(sample)
    return words.__contains__ if 4 * len(words) <= len(sample) else None


def _holds_rows(rows: list[_Row], cell: _Cell, width: int, looks: dict[int, _Look]) -> bool:
    whole = [(number, row) for number, row in enumerate(rows) if len(row) == width]
    if len(whole) < _NEARLY_ALL * len(rows):
        return False
    told = [
        look(row[place])
        for number, row in whole
        for place in cell.unseen(number, len(rows))
        if (look := looks.get(place)) is not None and row[place]
    ]
    many = len(rows) - 2 >= _FEWEST_LINES
    if 2 * sum(row[-1][:1].isspace() for _, row in whole[1:]) > len(whole[1:]):  # a comma in prose
        return False
    if not told:
        return many and width > 2
    return sum(told) >= _NEARLY_ALL * len(told) and len(told) >= 2 and (many or width > 2)
