"""Cells that are read, but not as they stand: counted by what reading changes."""

from __future__ import annotations

from collections.abc import Iterator

from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.subject import AuditedTable

_SHOWN = 5  # changes of a column


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column and change, the most frequent ones."""
    for name, profile in subject.profiles.items():
        for change, count in profile.notes.most_common(_SHOWN):
            what = f"{number(count, 'cell')} {change}."
            yield subject.finding("changes", "note", what, "Training and prediction do the same.", columns=(name,))
