"""Reads CSV and TSV so that nothing is lost: codes keep their zeros, long numbers their digits, errors their line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BufferedIOBase, BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from polymodal.codecs.numerals import NULL_WORDS
from polymodal.config.table import DELIMITERS, TableConfig
from polymodal.data.tables.decimal_marks import doubtful_points
from polymodal.data.tables.dialect import Dialect, Source, dialect_of
from polymodal.data.tables.excel import MARKS, without_marks
from polymodal.data.tables.firstline import doubtful_header, quoted_rows
from polymodal.data.tables.quotes import escaped_quote, num_breaks, text_after_quote, unclosed_quote
from polymodal.data.tables.remedies import remedy
from polymodal.data.tables.swallowed import swallowed_rows
from polymodal.data.tables.textfile import TextFile
from polymodal.errors import TableError

_BLOCK = 1 << 26  # bytes; also the longest record that can be read
_GROWTH = 3  # bytes of UTF-8, at most, for one of another encoding
_NULL_WORDS = ("", *NULL_WORDS)
_BOOLEAN = r"^(true|false|True|False|TRUE|FALSE)$"
_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
_FLOAT = r"^(-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|Inf|infinity|Infinity))$"
_PERHAPS_THOUSANDS = r"^-?([0-9]{1,3}|[1-9][0-9]{0,2}\.[0-9]{3})$"
_FEWEST_MARKED = 3  # cells with a point that tell how it is meant
_WHOLE_OR_CODE = r"^[0-9]+([eE][0-9]{1,3})?$"
_CODE = r"^[0-9]{2,}[eE][0-9]"  # programs write one digit before an exponent that has no sign
_TOO_LONG_FOR_FLOAT = r"^-?[0-9]{16,}$"
_WITH_COMMA = r"^(-?[0-9]*),([0-9]+([eE][+-]?[0-9]+)?)$"


def read_delimited(file: TextFile, text: TableConfig, delimiter: str | None) -> DelimitedTable:
    """The columns of a CSV or TSV file, with the line of each row.

    A column becomes numbers or booleans only where every cell is one as written: `007`, `+5` and integers that a float
    would round keep their column a column of strings. Dates stay strings, and so do columns that `text` calls verbatim.
    Blanks and words such as `NA` count as missing only beside numbers or booleans. Names are cut of blanks; a column
    without one is called `column_N` by its position.

    Args:
        file: its text.
        text: how it is written.
        delimiter: where `text` names none; None: found out from the first records.

    Raises:
        TableError: empty, ragged, not in its encoding, an unclosed quote; with the line.
    """
    source = Source(file, dialect_of(file, text, delimiter))
    line, cells = _header(source)
    names = [name.strip() or f"column_{number}" for number, name in enumerate(cells, 1)]
    table = _with_blanks(source, names) if source.dialect.blanks else _with_arrow(source, line, names)
    if (unclosed := unclosed_quote(source)) is not None:
        raise TableError(_with_remedy(source, *unclosed))
    marks = DELIMITERS.values() if text.delimiter is None and delimiter is None else (source.dialect.delimiter,)
    if len(names) == 1 and (reason := quoted_rows(source, names[0], table[0], marks)) is not None:
        raise TableError(f"{reason}.")
    lines = cache(lambda: [line for line, _ in source.records()][1:])  # less the header
    warnings = (doubtful_header(source, cells, table), swallowed_rows(source, table, lines))
    columns, notes = [], source.dialect.notes
    marked = any(map(source.holds, MARKS))  # a look at the file costs less than one at each of many columns
    for name, column in zip(names, table, strict=True):
        plain, note = without_marks(column) if marked else (column, None)
        notes = notes if note is None else (*notes, f"{name}: {note}")
        columns.append((name, plain if name in text.verbatim else typed(plain, decimal=text.decimal)))
    if (found := escaped_quote(source) or text_after_quote(source)) is not None:
        notes = (*notes, found)
    points = None if text.decimal == "comma" else doubtful_points(names, table, [column for _, column in columns])
    return DelimitedTable(columns, lines, notes, tuple(filter(None, (*warnings, points))))


@dataclass(frozen=True)
class DelimitedTable:
    """What a text file holds.

    Attributes:
        columns: names and cells, of which two may have one name.
        lines: gives the line of each row.
        notes: what was found out of how it is written, in sentences.
        warnings: what seems to be wrong with it, in sentences.
    """

    columns: list[tuple[str, pa.ChunkedArray]]
    lines: Callable[[], list[int]]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def _with_arrow(source: Source, line: int, names: list[str]) -> list[pa.ChunkedArray]:
    """The cells as text, null where they are empty.

    Raises:
        TableError: ragged, empty, not in its encoding; with the line.
    """
    file, dialect = source.file, source.dialect
    read = pa_csv.ReadOptions(
        column_names=names,
        skip_rows=line - 1,  # blank lines, which Arrow would take for the header
        skip_rows_after_names=1,
        use_threads=False,
        block_size=max(1, min(_GROWTH * file.size, _BLOCK)),
        encoding="utf8" if file.encoding in ("utf_8", "utf_8_sig") else file.encoding,
    )
    parse = pa_csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        escape_char=dialect.escape or False,
        newlines_in_values=bool(dialect.quote),
    )
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=["", "\\N"], strings_can_be_null=True
    )
    try:
        with file.open_bytes() as stream:
            found: list[pa.ChunkedArray] = pa_csv.read_csv(
                _with_nulls(stream, dialect), read_options=read, parse_options=parse, convert_options=convert
            ).columns
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise TableError(_diagnose(source, names) or f"{file.path} cannot be read: {error}") from error
    return found


def _with_nulls(stream: BufferedIOBase, dialect: Dialect) -> BufferedIOBase:
    r"""The same bytes; where a backslash escapes, cells of `\N` are empty, as databases write what is missing."""
    if dialect.escape != "\\":
        return stream
    mark = re.escape(dialect.delimiter.encode())
    return BytesIO(re.sub(rb"(^|%b)\\N(?=%b|\r?$)" % (mark, mark), rb"\1", stream.read(), flags=re.MULTILINE))


def _with_blanks(source: Source, names: list[str]) -> list[pa.ChunkedArray]:
    """The same of a file in which quotes stand behind blanks, which Arrow does not know.

    Raises:
        TableError: as `_with_arrow`.
    """
    records = [record for _, record in source.records()][1:]
    if not records or any(len(record) != len(names) for record in records) or source.file.undecodable():
        raise TableError(_diagnose(source, names) or f"{source.file.path} holds no rows.")
    columns = zip(*records, strict=True)
    return [pa.chunked_array([pa.array([cell or None for cell in cells], pa.string())]) for cells in columns]


def _header(source: Source) -> tuple[int, Sequence[str]]:
    first = next(source.records(), None)
    if first is None:
        raise TableError(f"{source.file.path} is empty; expected a line of column names and at least one row.")
    line, cells = first
    if (reason := source.file.reason("".join(cells), line)) is not None:
        raise TableError(source.file.undecodable() or reason)
    return line, cells


def _diagnose(source: Source, names: list[str]) -> str | None:
    """What is wrong with a file that Arrow refused, and on which line."""
    path = source.file.path
    if (found := source.file.undecodable()) is not None:
        return found
    if (unclosed := unclosed_quote(source)) is not None:
        return _with_remedy(source, *unclosed)
    records = 0
    for line, record in source.records():
        records += 1
        if len(record) != len(names):
            breaks = sum(map(num_breaks, record))
            until = f" to {line + breaks}" if breaks else ""
            cells = "1 cell" if len(record) == 1 else f"{len(record)} cells"
            return _with_remedy(
                source,
                line,
                f"{path}, line {line}{until}: {cells}, but the header names {len(names)} columns"
                f" (delimiter {source.dialect.delimiter!r}).",
            )
    return f"{path} holds no rows." if records == 1 else None


def _with_remedy(source: Source, line: int, what: str) -> str:
    """An error with the setting that would read the file; else with what is mostly done about it."""
    if (advice := remedy(source, line)) is not None:
        return f"{what} {advice}"
    quote = source.dialect.quote
    advice = "A cell that holds the delimiter needs quotes."
    if quote:
        advice += f" Close every quote, and double those that are content ({quote * 2})."
    found = escaped_quote(source)
    return f"{what} {advice}" + ("" if found is None else f" {found[0].upper()}{found[1:]}.")


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
    codes = _all(words, _WHOLE_OR_CODE) and _any(words, _CODE)  # keys such as 573E6
    if codes or _perhaps_thousands(words) or (decimal == "comma" and _any(words, r"\.")):  # floats no longer tell
        return column
    if decimal == "comma":
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


def _perhaps_thousands(words: pa.ChunkedArray) -> bool:
    """Whether the points of numbers may stand between thousands, as of `7.430` beside `558`."""
    if not _all(words, _PERHAPS_THOUSANDS):
        return False
    marked = pc.sum(pc.match_substring(words, ".")).as_py()
    return bool(_FEWEST_MARKED <= marked < len(words) - words.null_count and _any(words, r"\.[0-9]*0$"))


def _any(words: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(words, pattern)).as_py())


def _all(words: pa.ChunkedArray, pattern: str) -> bool:
    if (first := words[0].as_py()) is not None and not re.search(pattern, first):  # which costs less than all
        return False
    return bool(pc.all(pc.match_substring_regex(words, pattern)).as_py())
