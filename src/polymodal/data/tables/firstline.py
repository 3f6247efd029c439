"""Finds a first line that names no columns: one of data, or one above the names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise

import pyarrow as pa

from polymodal.data.tables.dialect import Source
from polymodal.data.tables.remedies import num_cells_inside, without_outer_quotes

_LOOKED_AT = 1_000  # rows; of tables with many columns fewer
_FEWEST_ROWS, _MOST_CELLS = 20, 100_000
_FAR = 50  # lines from the beginning: no header stands so low
_FEWEST = 5  # rows by which a column is known
_NUMBER = re.compile(r"\s*[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\s*")
_WHOLE = re.compile(r"\s*[-+]?[0-9]+\s*")
_SENTENCE = 3  # words, on average
_SHOWN = 24  # characters
_FEWEST_AXIS = 3  # numbers that follow each other as wavelengths and years do, which are names


def quoted_rows(source: Source, name: str, column: pa.ChunkedArray, delimiters: Iterable[str]) -> str | None:
    """What is wrong where each line is one quoted cell, in which a whole row stands; None where that is not so.

    Args:
        source: a file of one column.
        name: of the column.
        column: its cells as text, null where they are empty.
        delimiters: one of which may divide the cells.
    """
    quote = source.dialect.quote
    with source.file.open() as lines:
        first = next(islice(lines, source.dialect.skip, None), "").lstrip()
    if not quote or not first.startswith(quote):
        return None
    cells = _some(column, _LOOKED_AT)
    for mark in delimiters:
        numbers = {num_cells_inside(cell, mark, quote) for cell in (name, *cells)}
        if len(numbers) == 1 and (number := numbers.pop()) > 1:
            return (
                f"{source.file.path}: each line is one quoted cell, in which the {number} cells of a row stand. "
                f"{without_outer_quotes(quote)}"
            )
    return None


def doubtful_header(source: Source, cells: Sequence[str], columns: Sequence[pa.ChunkedArray]) -> str | None:
    """What to say where the first line seems to be a row, or to stand above the names; None where it names columns.

    Args:
        source: the file.
        cells: of its first line.
        columns: those below it, as text, null where they are empty.
    """
    return _above_names(source, cells) or _is_a_row(cells, columns)


def _is_a_row(cells: Sequence[str], columns: Sequence[pa.ChunkedArray]) -> str | None:
    """By all columns of numbers, of few words and of sentences: their names are such, too."""
    numbers, alike = list[str](), list[str]()
    rows = max(_FEWEST_ROWS, min(_LOOKED_AT, _MOST_CELLS // len(columns)))
    for name, below in zip(cells, columns, strict=True):
        column = _some(below, rows)
        if len(column) < _FEWEST:
            continue
        if _are_numbers(column):
            numbers.append(name)
            is_like = _NUMBER.fullmatch(name) is not None
            tells = is_like and not _WHOLE.fullmatch(name)  # a year, or the number of a pixel, names a column
        elif 4 * len(different := set(column)) <= len(column):
            is_like, often = name in different, len(column) / len(different)
            tells = is_like and 2 * column.count(name) >= often  # else the names come again, where files were joined
        elif sum(len(cell.split()) for cell in column) >= _SENTENCE * len(column):
            is_like, tells = len(name.split()) > 1, len(name.split()) >= _SENTENCE
        else:
            continue
        if not is_like:
            return None
        if tells:
            alike.append(name)
    if len(alike) < 2 or (len(alike) == len(numbers) and _are_an_axis(numbers)):
        return None
    return (
        f"the first line seems to be a row, not the names of the columns: {alike[0][:_SHOWN]!r} and "
        f"{alike[1][:_SHOWN]!r} are like the cells below them. Put a line with the names above it"
    )


def _are_an_axis(names: Sequence[str]) -> bool:
    """Whether numbers only rise or only fall."""
    numbers = [float(name) for name in names]
    steps = [later - earlier for earlier, later in pairwise(numbers)]
    return len(numbers) >= _FEWEST_AXIS and (all(step > 0 for step in steps) or all(step < 0 for step in steps))


def _above_names(source: Source, cells: Sequence[str]) -> str | None:
    """A title, filled up with delimiters as spreadsheets do: a line soon below it names all columns."""
    named = sum(bool(cell.strip()) for cell in cells)
    if named == len(cells) or 2 * named > len(cells):
        return None
    records = islice(source.records(), 1, _FAR)
    line, found = next(((line, row) for line, row in records if sum(map(bool, row)) > named), (0, ()))
    names = [cell.strip() for cell in found]
    if line > _FAR or len(names) != len(cells) or not all(names) or len(set(names)) < len(names):
        return None
    if any(map(_NUMBER.fullmatch, names)):
        return None
    return (
        f"the first line names {named} of {len(cells)} columns, and is not like a header. If the names are on line "
        f"{line}, set table.skip_lines={line - 1}"
    )


def _some(column: pa.ChunkedArray, rows: int) -> list[str]:
    return [cell for cell in column[:rows].to_pylist() if cell is not None]


def _are_numbers(column: Sequence[str]) -> bool:
    return sum(bool(_NUMBER.fullmatch(cell)) for cell in column) >= 0.9 * len(column)
