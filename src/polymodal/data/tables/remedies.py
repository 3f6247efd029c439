"""Finds the setting of `table` by which every row of a text file has as many cells as its header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from polymodal.config.table import DELIMITERS
from polymodal.data.tables.dialect import ODD_DELIMITERS, QUOTES, Dialect, Source, name_of_delimiter
from polymodal.data.tables.quotes import num_breaks

_FAR = 50  # lines from the beginning: no header stands so low
_CURLY = re.compile("[\u201c\u201e\u00ab][^\u201d\u201c\u00bb]*[,;\t|]")


def remedy(source: Source, line: int) -> str | None:
    """Sentences that say by which setting, or change, the whole file can be read; None where no single one does it.

    Args:
        source: a file that cannot be read as it is said to be written.
        line: where reading it went wrong.
    """
    with source.file.open() as lines:
        if _CURLY.search(next(islice(lines, line - 1, None), "")):
            return 'Curly quotes are content: write straight ones (") around a cell that holds the delimiter.'
    if (advice := _outer_quotes(source, line)) is not None:
        return advice
    for dialect, cause, setting in _others(source):
        if cells := num_cells(replace(source, dialect=dialect)):
            return f"{cause}, set table.{setting}: then all rows have {cells} cells."
    skip = line - 1
    if not source.dialect.skip < skip <= _FAR:
        return None
    names = len(next(iter(source.records()))[1])
    cells = num_cells(replace(source, dialect=replace(source.dialect, skip=skip)))
    moved = f"If the header is on line {line}, set table.skip_lines={skip}: then all rows have {cells} cells."
    if cells == names + 1 and names > 1:  # as R writes tables
        return f"If the header lacks a name, such as that of the first column, add it. {moved}"
    return moved if cells > names else None


def _outer_quotes(source: Source, line: int) -> str | None:
    """What to do where a line is one quoted cell, in which a whole row stands."""
    records = source.records()
    width = len(next(records)[1])
    found = next((row for at, row in records if at == line), [])
    quote = source.dialect.quote
    if len(found) != 1 or not quote or num_cells_inside(found[0], source.dialect.delimiter, quote) != width:
        return None
    return without_outer_quotes(quote)


def num_cells_inside(cell: str, delimiter: str, quote: str) -> int:
    """How many cells stand inside of one; 0 where it holds lines."""
    return 0 if num_breaks(cell) else Dialect(delimiter, quote).num_cells([cell])


def without_outer_quotes(quote: str) -> str:
    """How to take away the quotes around each whole row of a file."""
    command = f"sed 's/^{quote}//; s/{quote}\\r\\{{0,1\\}}$//; s/{quote * 2}/{quote}/g' OLD.csv > NEW.csv"
    return f"Rows stand in quotes as a whole; take these away: {command}"


def _others(source: Source) -> Iterator[tuple[Dialect, str, str]]:
    """Other ways in which the file may be written, the most telling first, with their settings."""
    dialect = source.dialect
    if dialect.quote and not dialect.escape:
        escaped = replace(dialect, escape="\\")
        yield escaped, "If a backslash makes the character behind it content", "escape=backslash"
    for name in ("double", "single"):
        mark = QUOTES[name]
        if dialect.quote != mark and _opens_cells(source, mark):
            yield replace(dialect, quote=mark), f"If cells stand between {mark} and {mark}", f"quote={name}"
    for mark in (*DELIMITERS.values(), *ODD_DELIMITERS):
        if mark != dialect.delimiter:
            setting = f"delimiter={name_of_delimiter(mark)}"
            yield replace(dialect, delimiter=mark), f"If {mark!r} stands between cells", setting
    if dialect.quote:
        yield replace(dialect, quote="", blanks=False), "If quotes are content", "quote=none"


def _opens_cells(source: Source, mark: str) -> bool:
    opens = re.compile(rf"(?:^|{re.escape(source.dialect.delimiter)}){re.escape(mark)}")
    with source.file.open() as lines:
        return any(opens.search(line) for line in lines)


def num_cells(source: Source) -> int:
    """How many cells all records have, header and rows; 0 where they differ, have one, or where quotes are at fault."""
    number = records = 0
    for _, record in source.records():
        records += 1
        number = number or len(record)
        if len(record) != number or number == 1:
            return 0
    return number if records > 1 and source.fault is None else 0
