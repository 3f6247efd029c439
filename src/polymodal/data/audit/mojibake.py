"""Texts that were written as UTF-8 and read as another encoding: `MÃ¼nchen` for `München`."""

from __future__ import annotations

from collections.abc import Iterator

from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.tables.column_data import shown

_ENCODINGS = ("cp1252", "latin-1")


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column of texts with such cells."""
    for column in subject.columns:
        if not subject.has_words(column.name):
            continue
        cells = enumerate(subject.cells(column.name))
        found = {row: meant for row, cell in cells if isinstance(cell, str) and (meant := _meant(cell)) is not None}
        if found:
            first = next(iter(found))
            what = (
                f"{number(len(found), 'cell')} such as {shown(subject.cells(column.name)[first])} look like UTF-8 that "
                f"was read as another encoding: {shown(found[first])}."
            )
            advice = "Write the table anew from its source as UTF-8, or repair these cells."
            yield subject.finding("writing", "warning", what, advice, columns=(column.name,), rows=[*found])


def _meant(cell: str) -> str | None:
    """The text that a cell was before; None where it can be no such text, as nearly every one."""
    if cell.isascii():
        return None
    for encoding in _ENCODINGS:
        try:
            return cell.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return None
