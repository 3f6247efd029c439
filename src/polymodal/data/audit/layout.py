"""Columns that say nothing: constant ones, identifiers, nearly empty ones, and columns that hold the same cells."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from polymodal.data.audit.finding import Finding
from polymodal.data.audit.subject import AuditedTable

LEFT_OUT = "Left out of the model, unless columns.NAME.modality says what it is."
_NEARLY_EMPTY = 0.95
_LEFT_OUT = {"constant": "the same in every row", "identifier": "identifies the rows", "unknown": "of no known kind"}


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding on the columns of each kind that is left out, then one for each odd column."""
    for kind, meaning in _LEFT_OUT.items():
        if out := tuple(column.name for column in subject.columns if column.kind == kind and column.modality is None):
            yield Finding("layout", "note", f"{meaning}.", LEFT_OUT, out)
    seen: dict[tuple[Hashable, ...], str] = {}
    for column in subject.columns:
        if column.modality is None:
            continue
        keys = tuple(subject.keys(column.name))
        read = subject.profiles.get(column.name)
        missing = keys.count(None) / len(keys) if read is None else read.missing / read.tried
        if missing >= _NEARLY_EMPTY:
            advice = "It can say something about few rows only; consider to drop it."
            yield Finding("layout", "note", f"{missing:.1%} of the cells are missing.", advice, (column.name,))
        if (first := seen.setdefault(keys, column.name)) != column.name:
            what, advice = "hold the same cells in every row.", "One of them is enough."
            yield Finding("layout", "note", what, advice, (first, column.name))
