"""Takes away the marks by which spreadsheets keep a cell from being changed: `="007"`, and `'` before a number."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

MARKS = ("=", "'")  # a table without these characters has no marks
_FORMULA = r'^\s*="([^"]*)"\s*$'
_MARKED = r"^'([-+]?[0-9][0-9.,]*)$"
_NUMBER = r"^'?[-+]?[0-9][0-9.,]*$"
_READ = "read without these marks. That is what a spreadsheet shows of them"


def without_marks(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str | None]:
    """The cells of a column of text without marks, and what to say of it.

    `="..."`, a formula that gives a text, becomes the text. `'` goes from before numbers where all cells are numbers.
    """
    if pc.any(pc.starts_with(pc.utf8_ltrim_whitespace(column), '="')).as_py():
        count = pc.sum(pc.match_substring_regex(column, _FORMULA)).as_py()
        if count:
            return pc.replace_substring_regex(column, _FORMULA, r"\1"), f'{_cells(count)} written ="..." {_READ}'
    if pc.any(pc.starts_with(column, "'")).as_py() and pc.all(pc.match_substring_regex(column, _NUMBER)).as_py():
        count = pc.sum(pc.match_substring_regex(column, _MARKED)).as_py()
        return pc.replace_substring_regex(column, _MARKED, r"\1"), f"{_cells(count)} with a ' before the number {_READ}"
    return column, None


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count:,} cells"
