"""Reads CSV and TSV so that nothing is lost: codes keep their zeros, long numbers their digits, errors their line."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from polymodal.config.table import TableConfig
from polymodal.data.tables.textfile import TextFile
from polymodal.errors import TableError

_BLOCK = 1 << 26  # bytes; also the longest record that can be read
_GROWTH = 3  # bytes of UTF-8, at most, for one of another encoding
_NULL_WORDS = ("", "NaN", "nan", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "<NA>")
_BOOLEAN = r"^(true|false|True|False|TRUE|FALSE)$"
_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
_FLOAT = r"^(-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|Inf|infinity|Infinity))$"
_TOO_LONG_FOR_FLOAT = r"^-?[0-9]{16,}$"
_WITH_COMMA = r"^(-?[0-9]*),([0-9]+([eE][+-]?[0-9]+)?)$"
_LONGEST_CELL = 2**31 - 1  # characters: the most that the csv module can be told on every system
_END = "end of file"
_DELIMITERS = (",", ";", "\t", "|")  # of CSV files; a comma is taken unless it cannot be
_QUOTES = {"double": '"', "single": "'", "none": ""}
_SAMPLE_RECORDS = 100
_SAMPLE_CHARACTERS = 1 << 20
_LINE_END = re.compile(r"\r\n|\r|\n")


def read_delimited(
    file: TextFile, text: TableConfig, delimiter: str | None
) -> tuple[list[tuple[str, pa.ChunkedArray]], Callable[[], list[int]]]:
    """The columns of a CSV or TSV file, and a function that gives the line of each row.

    A column becomes numbers or booleans only where every cell is one as written: `007`, `+5` and integers that a float
    would round keep their column a column of strings. Dates stay strings. Blanks and words such as `NA` count as
    missing only beside numbers or booleans. Names are cut of blanks; a column without one is called `column_N` by its
    position.

    Args:
        file: its text.
        text: how it is written.
        delimiter: where `text` names none; None: found out from the first records.

    Raises:
        TableError: empty, ragged, not in its encoding, an unclosed quote; with the line.
    """
    quote = _QUOTES[text.quote]
    source = _Source(file, text.delimiter or delimiter or _delimiter(file, quote), quote)
    line, names = _header(source)
    read = pa_csv.ReadOptions(
        column_names=names,
        skip_rows=line - 1,  # blank lines, which Arrow would take for the header
        skip_rows_after_names=1,
        use_threads=False,
        block_size=max(1, min(_GROWTH * file.size, _BLOCK)),
        encoding="utf8" if file.encoding in ("utf_8", "utf_8_sig") else file.encoding,
    )
    parse = pa_csv.ParseOptions(
        delimiter=source.delimiter, quote_char=source.quote or False, newlines_in_values=bool(source.quote)
    )
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
    )
    try:
        with file.open_bytes() as stream:
            table = pa_csv.read_csv(stream, read_options=read, parse_options=parse, convert_options=convert)
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise TableError(_diagnose(source, names) or f"{file.path} cannot be read: {error}") from error
    if (unclosed := _unclosed_quote(source)) is not None:
        raise TableError(unclosed)
    columns = [(name, typed(column, decimal=text.decimal)) for name, column in zip(names, table.columns, strict=True)]
    return columns, cache(lambda: [line for line, _ in source.records()][1:])  # less the header


@dataclass(frozen=True)
class _Source:
    """A file, and how its cells are divided."""

    file: TextFile
    delimiter: str
    quote: str

    def records(self, *more: str) -> Iterator[tuple[int, Sequence[str]]]:
        """The records, and those of more lines put after them, with the line on which each starts."""
        with self.file.open() as file:
            yield from _records(chain(file, more), self.delimiter, self.quote)


def _records(lines: Iterable[str], delimiter: str, quote: str) -> Iterator[tuple[int, Sequence[str]]]:
    reader = csv.reader(
        lines, delimiter=delimiter, quotechar=quote or None, quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    )
    start = 1
    limit = csv.field_size_limit(_LONGEST_CELL)  # as Arrow reads them: beyond its own it would know no later line
    try:
        for record in reader:
            if record:  # a blank line is no record
                yield start, record
            start = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)


def _delimiter(file: TextFile, quote: str) -> str:
    """What divides the first records, the header among them, into equally many cells; a comma in doubt."""
    sample: list[str] = []
    size = 0
    with file.open() as lines:
        for line in lines:
            size += len(line)
            if size > _SAMPLE_CHARACTERS and sample:
                break
            sample.append(line)
    found = {mark: _num_cells(sample, mark, quote) for mark in _DELIMITERS}
    if found[","] > 1:
        return ","
    most = max(found, key=lambda mark: found[mark])
    return most if found[most] > 1 else ","


def _num_cells(lines: Sequence[str], delimiter: str, quote: str) -> int:
    """How many cells every record has; 0 where they differ."""
    numbers = {len(record) for _, record in islice(_records(lines, delimiter, quote), _SAMPLE_RECORDS)}
    return numbers.pop() if len(numbers) == 1 else 0


def _header(source: _Source) -> tuple[int, list[str]]:
    first = next(source.records(), None)
    if first is None:
        raise TableError(f"{source.file.path} is empty; expected a line of column names and at least one row.")
    line, cells = first
    if (reason := source.file.reason("".join(cells), line)) is not None:
        raise TableError(source.file.undecodable() or reason)
    return line, [name.strip() or f"column_{number}" for number, name in enumerate(cells, 1)]


def _diagnose(source: _Source, names: list[str]) -> str | None:
    """What is wrong with a file that Arrow refused, and on which line."""
    path = source.file.path
    found = source.file.undecodable() or _unclosed_quote(source)
    if found is not None:
        return found
    records = 0
    for line, record in source.records():
        records += 1
        if len(record) != len(names):
            breaks = sum(map(_num_breaks, record))
            until = f" to {line + breaks}" if breaks else ""
            cells = "1 cell" if len(record) == 1 else f"{len(record)} cells"
            return (
                f"{path}, line {line}{until}: {cells}, but the header names {len(names)} columns"
                f" (delimiter {source.delimiter!r}). A cell that holds the delimiter needs quotes."
            )
    return f"{path} holds no rows." if records == 1 else None


def _unclosed_quote(source: _Source) -> str | None:
    """What is wrong where a quote never closes: Arrow takes the rest of the file as one cell."""
    if not source.quote:
        return None
    with source.file.open() as text:
        if not any(source.quote in block for block in iter(partial(text.read, 1 << 20), "")):
            return None
    line = 1
    last: Sequence[str] = [_END]
    for line, last in source.records(_END):  # noqa: B007 - the last one counts
        pass
    if last == [_END]:
        return None
    line += sum(map(_num_breaks, last[:-1]))  # the quote opens the record's last cell
    return f"{source.file.path}, line {line}: a quote ({source.quote}) opens here and never closes."


def _num_breaks(cell: str) -> int:
    return len(_LINE_END.findall(cell))


def typed(column: pa.ChunkedArray, *, decimal: str = "point") -> pa.ChunkedArray:
    """Strings -> int64, float64 or bool where every cell is one; else the strings as they are."""
    words = pc.utf8_trim_whitespace(column)
    is_null = pc.is_in(words, value_set=_null_words())
    words = pc.if_else(is_null, pa.nulls(len(words), pa.string()), words)
    if words.null_count == len(words):
        return column
    if _all(words, _BOOLEAN):
        return pc.match_substring_regex(pc.utf8_lower(words), "^true$")
    if _all(words, _INTEGER):
        return words.cast(pa.int64())
    if decimal == "comma":
        if pc.any(pc.match_substring(words, ".")).as_py():  # a point may stand for thousands there
            return column
        words = pc.replace_substring_regex(words, _WITH_COMMA, r"\1.\2")
    if _all(words, _FLOAT) and not pc.any(pc.match_substring_regex(words, _TOO_LONG_FOR_FLOAT)).as_py():
        return words.cast(pa.float64())
    return column


@cache
def _null_words() -> pa.Array:
    """As Arrow holds them; pa.array and pa.scalar would import pandas, which takes longer than to read a table."""
    words = [word.encode() for word in _NULL_WORDS]
    ends = np.cumsum([0, *map(len, words)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(words), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(words))])


def _all(words: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(words, pattern)).as_py())
