"""How the cells of a text file are divided: delimiter, quotes, escapes, lines before the header."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain, islice
from typing import Any

from polymodal.config.table import DELIMITERS, TableConfig
from polymodal.data.tables.textfile import TextFile
from polymodal.errors import TableError

QUOTES = {"double": '"', "single": "'", "none": ""}
_ESCAPES = {"none": "", "backslash": "\\"}
_DELIMITERS = tuple(DELIMITERS.values())  # of CSV files; a comma is taken unless it cannot be
ODD_DELIMITERS = ("^", "~")  # that are taken where none of the others can be
_LONGEST_CELL = 2**31 - 1  # characters: the most that the csv module can be told on every system
_SAMPLE_RECORDS = 100
_SAMPLE_CHARACTERS = 1 << 20
_SEPARATOR_LINE = re.compile(r'"?sep\s*=\s*(?P<mark>.)"?\s*', re.IGNORECASE)  # Excel's


@dataclass(frozen=True)
class Dialect:
    """How cells are divided.

    Attributes:
        skip: lines before the header.
        blanks: a quote may stand behind blanks: `1, "a, b"`.
        notes: what was found out of it that the user may want to know, in sentences.
    """

    delimiter: str
    quote: str
    escape: str = ""
    skip: int = 0
    blanks: bool = False
    notes: tuple[str, ...] = ()

    def records(self, lines: Iterable[str]) -> Iterator[tuple[int, Sequence[str]]]:
        """The records of some lines, the header first, with the line on which each starts."""
        reader = self._reader(lines)
        start = 1 + self.skip
        limit = csv.field_size_limit(_LONGEST_CELL)  # as Arrow reads them: beyond its own it would know no later line
        try:
            for record in reader:
                if record:  # a blank line is no record
                    yield start, record
                start = reader.line_num + 1 + self.skip
        finally:
            csv.field_size_limit(limit)

    def fault(self, lines: Iterable[str]) -> int | None:
        """The first line on which text follows the closing quote of a cell; the last where a quote never closes."""
        reader = self._reader(lines, strict=True)
        limit = csv.field_size_limit(_LONGEST_CELL)
        try:
            for _ in reader:
                pass
        except csv.Error:
            return self.skip + int(reader.line_num)
        finally:
            csv.field_size_limit(limit)
        return None

    def _reader(self, lines: Iterable[str], *, strict: bool = False) -> Any:  # csv names no public class
        return csv.reader(
            islice(lines, self.skip, None),
            delimiter=self.delimiter,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape or None,
            skipinitialspace=self.blanks,
            strict=strict,
        )

    def num_cells(self, lines: Sequence[str]) -> int:
        """How many cells every record has; 0 where they differ."""
        numbers = {len(record) for _, record in islice(self.records(lines), _SAMPLE_RECORDS)}
        return numbers.pop() if len(numbers) == 1 else 0


@dataclass(frozen=True)
class Source:
    """A file, and how its cells are divided."""

    file: TextFile
    dialect: Dialect

    def records(self, *more: str) -> Iterator[tuple[int, Sequence[str]]]:
        """The records, and those of more lines put after them, with the line on which each starts."""
        with self.file.open() as file:
            yield from self.dialect.records(chain(file, more))

    @cached_property
    def fault(self) -> int | None:
        """The line on which quotes are at fault, as `Dialect.fault` finds it."""
        if not self.quoted:
            return None
        with self.file.open() as file:
            return self.dialect.fault(file)

    @cached_property
    def quoted(self) -> bool:
        """Whether there is a quote; where not, every line is one record."""
        return bool(self.dialect.quote) and self.holds(self.dialect.quote)

    def holds(self, mark: str) -> bool:
        """Whether a character stands anywhere in the file."""
        with self.file.open() as file:
            return any(mark in block for block in iter(partial(file.read, 1 << 20), ""))


def dialect_of(file: TextFile, text: TableConfig, delimiter: str | None) -> Dialect:
    """How the cells of a file are divided, by what is said of it and by its first lines.

    Args:
        file: its text.
        text: what is said.
        delimiter: where `text` names none; None: found out.

    Raises:
        TableError: the first line names a delimiter by which the rest is not divided.
    """
    lines = _first_lines(file)
    quote, skip, notes = QUOTES[text.quote], text.skip_lines, []
    separator = _SEPARATOR_LINE.fullmatch(lines[0]) if skip == 0 and lines else None
    if separator is not None:
        delimiter, skip = separator["mark"], 1
        notes.append(_of_separator(delimiter, text.delimiter))
    dialect = Dialect(text.delimiter or delimiter or ",", quote, _ESCAPES[text.escape], skip)
    if separator is not None and text.delimiter is None:
        _check_separator(file, lines, dialect)
    if text.delimiter is None and delimiter is None:
        dialect = replace(dialect, delimiter=_delimiter(lines, dialect))
    if skip == 0 and (comments := _comments(lines, dialect)):
        dialect = replace(dialect, skip=comments)
        if text.delimiter is None and delimiter is None:
            dialect = replace(dialect, delimiter=_delimiter(lines, dialect))
        notes.append(
            f"{comments} {'line' if comments == 1 else 'lines'} before the header begin with # and are no rows"
        )
    if text.delimiter is None and delimiter is None and dialect.delimiter in ODD_DELIMITERS:
        notes.append(f"{dialect.delimiter!r} stands between cells")
    if quote and _has_blanks(lines, dialect):
        dialect = replace(dialect, blanks=True)
        notes.append("blanks before a quote are no content: the quote opens the cell")
    if file.end_mark:
        notes.append("the Ctrl-Z at its end is no content")
    return replace(dialect, notes=tuple(notes))


def _of_separator(named: str, said: str | None) -> str:
    if said in (None, named):
        return f"line 1 says that {named!r} stands between cells, as Excel writes it"
    return f"line 1 says that {named!r} stands between cells, but table.delimiter takes precedence"


def _check_separator(file: TextFile, lines: Sequence[str], dialect: Dialect) -> None:
    """Refuses a file in which the line `sep=,` names a mark that does not divide the records, while another does."""
    named = dialect.delimiter
    if dialect.num_cells(lines) > 1:
        return
    other = _delimiter(lines, dialect)
    if other == named or (cells := replace(dialect, delimiter=other).num_cells(lines)) < 2:
        return
    raise TableError(
        f"{file.path}, line 1: it says that {named!r} stands between cells, but the rows seem to use {other!r}, which "
        f"divides them into {cells} cells each. Set table.delimiter={name_of_delimiter(other)}; or "
        f"table.delimiter={name_of_delimiter(named)} if line 1 is right."
    )


def name_of_delimiter(mark: str) -> str:
    """How `table.delimiter` names a character.

    >>> name_of_delimiter(";"), name_of_delimiter("~")
    ('semicolon', "'~'")
    """
    return next((name for name, character in DELIMITERS.items() if character == mark), repr(mark))


def _first_lines(file: TextFile) -> list[str]:
    sample: list[str] = []
    size = 0
    with file.open() as lines:
        for line in lines:
            size += len(line)
            if size > _SAMPLE_CHARACTERS and sample:
                break
            sample.append(line)
    return sample


def _delimiter(lines: Sequence[str], dialect: Dialect) -> str:
    """What divides the first records, the header among them, into equally many cells; a comma in doubt."""
    for marks in ((",",), _DELIMITERS, ODD_DELIMITERS):
        found = {mark: replace(dialect, delimiter=mark).num_cells(lines) for mark in marks}
        most = max(found, key=lambda mark: found[mark])
        if found[most] > 1:
            return most
    return ","


def _comments(lines: Sequence[str], dialect: Dialect) -> int:
    """How many first lines are remarks: they begin with #, and are not divided as all that follows is."""
    count = next((place for place, line in enumerate(lines) if not line.startswith("#")), 0)
    if not count:
        return 0
    for mark in dict.fromkeys((dialect.delimiter, *_DELIMITERS)):
        after = replace(dialect, delimiter=mark)
        if after.num_cells(lines) > 1:  # the line with # is the header
            return 0
        with_last = replace(after, skip=count - 1).num_cells(lines)
        if replace(after, skip=count).num_cells(lines) > 1:
            return count - 1 if with_last > 1 else count  # `#id,name` names the columns
    return 0


def _has_blanks(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether cells open with a quote behind blanks, which would else be content and divide no cell."""
    opens = re.compile(rf"{re.escape(dialect.delimiter)}[ \t]+{re.escape(dialect.quote)}")
    some = lines[dialect.skip : dialect.skip + _SAMPLE_RECORDS]
    if dialect.delimiter in " \t" or not any(opens.search(line) for line in some):
        return False
    quoted = re.compile(rf"\s+{re.escape(dialect.quote)}.*", re.DOTALL)
    cells = [cell for _, record in islice(dialect.records(some), _SAMPLE_RECORDS) for cell in record]
    skipped = replace(dialect, blanks=True).num_cells(some)
    return any(quoted.fullmatch(cell) for cell in cells) and skipped > 0
