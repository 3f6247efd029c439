"""Columns that look like dates or durations, and are read as something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from polymodal.codecs.date_lookalikes import dated_form, day_before_month
from polymodal.data.audit.finding import Finding
from polymodal.data.audit.subject import AuditedTable

_LOOKED_AT = 4_000  # cells
_FEWEST = 10
_MOST = 0.95  # of the cells
_WORDS = 24  # months in full and for short
_ADVICE = "Write them as 2024-03-01, to be read as dates."
_DURATIONS = "Write them as numbers of one unit, such as seconds."


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each such column that nobody said how to read."""
    for column in subject.columns:
        said = subject.config.columns.get(column.name)
        if said is not None and said.modality.name is not None:
            continue
        cells = [cell for cell in subject.cells(column.name) if cell is not None] if _may_be(column.kind) else []
        cells = cells[:: 1 + len(cells) // _LOOKED_AT]
        if column.kind == "datetime":
            if shown := next((cell for cell in cells if day_before_month(cell)), None):
                what = f"dates such as {shown!r} have the day before the month, others may be misread."
                yield subject.finding("date_order", "warning", what, _ADVICE, columns=(column.name,))
        elif (form := _form(cells)) is not None:
            what = f"cells such as {str(cells[0]).strip()!r} look like "
            if form == "a duration":
                what += f"durations, but are read as {_read_as(column.kind)}."
                yield subject.finding("date_order", "note", what, _DURATIONS, columns=(column.name,))
            else:
                what += f"dates ({form}), but are read as {_read_as(column.kind)}."
                yield subject.finding("date_order", "warning", what, _ADVICE, columns=(column.name,))


def _may_be(kind: str) -> bool:
    return kind in ("text", "category", "identifier", "number", "datetime")


def _read_as(kind: str) -> str:
    return {"identifier": "keys, and left out", "number": "numbers", "category": "categories"}.get(kind, kind)


def _form(cells: list[object]) -> str | None:
    """What nearly all cells look like."""
    if len(cells) < _FEWEST:
        return None
    if set(map(type, cells)) == {float}:
        return None
    found = Counter(map(dated_form, cells))
    form, count = found.most_common(1)[0]
    if form is None or count < _MOST * len(cells):
        return None
    if form == "a month in words":
        words = {"".join(filter(str.isalpha, str(cell).split()[1])) for cell in cells if len(str(cell).split()) > 1}
        return form if 2 <= len(words) <= _WORDS else None
    return form
