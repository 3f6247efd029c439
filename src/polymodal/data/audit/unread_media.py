"""Columns of media that are left out because none of their files can be read."""

from __future__ import annotations

from collections.abc import Iterator

from polymodal.data.audit.finding import Finding
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.columns.unread_media import UNREAD
from polymodal.metrics.alerts import Alert

_NAMED = 5


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each such column."""
    for column in subject.columns:
        if column.kind == UNREAD:
            what = f"{column.reason.removeprefix('left out: ')}."
            yield subject.finding("unread_media", "warning", what, "Until then it is left out.", columns=(column.name,))


def alerts(subject: AuditedTable) -> Iterator[Alert]:
    """One for all of them, with the reason of the first."""
    unread = [column for column in subject.columns if column.kind == UNREAD]
    if not unread:
        return
    names = tuple(column.name for column in unread)
    named = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    are, of = ("is", "") if len(unread) == 1 else ("are", f"{names[0]}: ")
    text = f"{named} {are} left out: {of}{unread[0].reason.removeprefix('left out: ')}."
    yield Alert(kind="unread_media", columns=names, text=text)
