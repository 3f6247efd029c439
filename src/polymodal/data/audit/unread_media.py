"""Columns of media that are left out because none of their files can be read."""

from __future__ import annotations

from collections.abc import Iterator

from polymodal.data.audit.finding import Finding
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.columns.unread_media import UNREAD


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each such column."""
    for column in subject.columns:
        if column.kind == UNREAD:
            what = f"{column.reason.removeprefix('left out: ')}."
            yield subject.finding("unread_media", "warning", what, "Until then it is left out.", columns=(column.name,))
