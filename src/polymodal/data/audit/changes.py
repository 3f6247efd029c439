"""Media that are read, but not as they stand: counted by what reading changes."""

from __future__ import annotations

from collections.abc import Iterator

from polymodal import registry
from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.subject import AuditedTable

_SHOWN = 5  # changes of a column


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column and change, the most frequent ones."""
    media = {one.name for one in subject.columns if one.modality and registry.load("modalities", one.modality).media}
    for name, profile in subject.profiles.items():
        if name not in media:  # how numbers and dates are written is told by `writing`
            continue
        for change, count in profile.notes.most_common(_SHOWN):
            what = f"{number(count, 'cell')} {change}."
            yield subject.finding("changes", "note", what, "Training and prediction do the same.", columns=(name,))
