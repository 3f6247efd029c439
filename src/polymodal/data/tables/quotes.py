"""Finds quotes that are not as CSV has them: never closed, escaped by a backslash, or followed by text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from polymodal.data.tables.dialect import Source

_END = "end of file"
LINE_END = re.compile(r"\r\n|\r|\n")


def unclosed_quote(source: Source) -> tuple[int, str] | None:
    """Where a quote opens that never closes, and what is wrong: Arrow takes the rest of the file as one cell."""
    if source.fault is None:
        return None
    line = 1
    last: Sequence[str] = [_END]
    for line, last in source.records(_END):  # noqa: B007 - the last one counts
        pass
    if last == [_END]:
        return None
    line += sum(map(num_breaks, last[:-1]))  # the quote opens the record's last cell
    return line, f"{source.file.path}, line {line}: a quote ({source.dialect.quote}) opens here and never closes."


def text_after_quote(source: Source) -> str | None:
    """What to say where text follows the quote that closes a cell: the cell loses its first two quotes."""
    if source.fault is None:
        return None
    quote, delimiter = map(re.escape, (source.dialect.quote, source.dialect.delimiter))
    with source.file.open() as lines:
        line = next(islice(lines, source.fault - 1, None), "")
    has_text = re.search(rf"[^{delimiter}]{quote}[ \t]*[^{delimiter}{quote}\s]", line)
    if not has_text and re.search(rf"{quote}[ \t]+({delimiter}|\s*$)", line):  # blanks alone do no harm
        return None
    return (
        f"line {source.fault}: text stands behind the quote that closes a cell, and is read without that quote. If "
        f"quotes there are content, double them ({source.dialect.quote * 2}), or set table.quote=none where no quotes "
        "stand around cells"
    )


def escaped_quote(source: Source) -> str | None:
    """What to say where backslashes seem to stand before quotes that are content: the quote would end the cell."""
    quote, delimiter = map(re.escape, (source.dialect.quote, source.dialect.delimiter))
    if not quote or source.dialect.escape:
        return None
    content = re.compile(rf"[^\\]\\{quote}[^{delimiter}{quote}\r\n]")
    with source.file.open() as lines:
        for number, line in enumerate(lines, 1):
            if "\\" in line and content.search(line):
                return (
                    f"line {number}: a backslash stands before a quote. If it is to make the quote content, the cells "
                    "are read wrong: set table.escape=backslash"
                )
    return None


def num_breaks(cell: str) -> int:
    """How many lines end inside a cell."""
    return len(LINE_END.findall(cell))
