"""Reads CSV and TSV so that nothing is lost: codes keep their zeros, long numbers their digits, errors their line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from polymodal.errors import TableError

_BLOCK = 1 << 26  # bytes; also the longest record that can be read
_NULL_WORDS = ("", "NaN", "nan", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "<NA>")
_BOOLEAN = r"^(true|false|True|False|TRUE|FALSE)$"
_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
_FLOAT = r"^(-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|Inf|infinity|Infinity))$"
_TOO_LONG_FOR_FLOAT = r"^-?[0-9]{16,}$"
_LONGEST_CELL = 2**31 - 1  # characters: the most that the csv module can be told on every system
_END = "end of file"


def read_delimited(path: Path, delimiter: str) -> tuple[list[tuple[str, pa.ChunkedArray]], Callable[[], list[int]]]:
    """The columns of a CSV or TSV file (UTF-8, with or without BOM), and a function that gives the line of each row.

    A column becomes numbers or booleans only where every cell is one as written: `007`, `+5` and integers that a float
    would round keep their column a column of strings. Dates stay strings. Blanks and words such as `NA` count as
    missing only beside numbers or booleans. Names are cut of blanks; a column without one is called `column_N` by its
    position.

    Raises:
        TableError: empty, ragged, not UTF-8, an unclosed quote; with the line.
    """
    line, names = _header(path, delimiter)
    read = pa_csv.ReadOptions(
        column_names=names,
        skip_rows=line - 1,  # blank lines, which Arrow would take for the header
        skip_rows_after_names=1,
        use_threads=False,
        block_size=min(path.stat().st_size, _BLOCK),
    )
    parse = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
    )
    try:
        table = pa_csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    except pa.ArrowInvalid as error:
        raise TableError(_diagnose(path, delimiter, names) or f"{path} cannot be read: {error}") from error
    if (unclosed := _unclosed_quote(path, delimiter)) is not None:
        raise TableError(unclosed)
    columns = [(name, _typed(column)) for name, column in zip(names, table.columns, strict=True)]
    return columns, cache(partial(record_lines, path, delimiter))


def record_lines(path: Path, delimiter: str) -> list[int]:
    """The line on which each data record of a file starts (1 is the first line; the header is not counted)."""
    return [line for line, _ in _records(path, delimiter)][1:]


def _records(path: Path, delimiter: str, *more: str) -> Iterator[tuple[int, Sequence[str]]]:
    """The records of a file, and of more lines put after it, with the line on which each starts."""
    with _long_cells(), path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(chain(file, more), delimiter=delimiter)
        start = 1
        for record in reader:
            if record:  # a blank line is no record
                yield start, record
            start = reader.line_num + 1


@contextmanager
def _long_cells() -> Iterator[None]:
    """The csv module reads cells as long as Arrow does: beyond its own limit it would know no later line."""
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _header(path: Path, delimiter: str) -> tuple[int, list[str]]:
    first = next(_records(path, delimiter), None)
    if first is None:
        raise TableError(f"{path} is empty; expected a line of column names and at least one row.")
    return first[0], [name.strip() or f"column_{number}" for number, name in enumerate(first[1], 1)]


def _diagnose(path: Path, delimiter: str, names: list[str]) -> str | None:
    """What is wrong with a file that Arrow refused, and on which line."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                raw.decode()
            except UnicodeDecodeError as error:
                return f"{path}, line {number}: byte {error.start + 1} is not UTF-8. Save the file as UTF-8."
    if (unclosed := _unclosed_quote(path, delimiter)) is not None:
        return unclosed
    records = 0
    for line, record in _records(path, delimiter):
        records += 1
        if len(record) != len(names):
            return (
                f"{path}, line {line}: {len(record)} cells, but the header names {len(names)} columns. "
                "A cell that holds the delimiter needs quotes."
            )
    return f"{path} holds no rows." if records == 1 else None


def _unclosed_quote(path: Path, delimiter: str) -> str | None:
    """What is wrong where a quote never closes: Arrow takes the rest of the file as one cell."""
    with path.open("rb") as file:
        if not any(b'"' in block for block in iter(partial(file.read, 1 << 20), b"")):
            return None
    line, last = 1, cast(Sequence[str], [_END])
    for line, last in _records(path, delimiter, _END):  # noqa: B007 - the last one counts
        pass
    return None if last == [_END] else f'{path}, line {line}: a quote (") opens here and never closes.'


def _typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings -> int64, float64 or bool where every cell is one; else the strings as they are."""
    words = pc.utf8_trim_whitespace(column)
    is_null = pc.is_in(words, value_set=pa.array(_NULL_WORDS))
    words = pc.if_else(is_null, pa.scalar(None, pa.string()), words)
    if words.null_count == len(words):
        return column
    if _all(words, _BOOLEAN):
        return pc.equal(pc.utf8_lower(words), "true")
    if _all(words, _INTEGER):
        return words.cast(pa.int64())
    if _all(words, _FLOAT) and not pc.any(pc.match_substring_regex(words, _TOO_LONG_FOR_FLOAT)).as_py():
        return words.cast(pa.float64())
    return column


def _all(words: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(words, pattern)).as_py())
