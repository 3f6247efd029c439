"""Cells that cannot be read: counted by reason, with the files of the first ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.cells.reading import Reject

_FILES = 2  # that a finding names


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column and reason."""
    for name, profiles in subject.profiles.items():
        by_reason: defaultdict[str, list[Reject]] = defaultdict(list)
        for reject in profiles.rejects:
            by_reason[reject.reason].append(reject)
        for reason, rejects in by_reason.items():
            files = ", ".join(reject.file for reject in rejects[:_FILES] if reject.file != subject.table.source)
            named = f" ({files})." if files else "."
            what = f"{number(len(rejects), 'cell')} of {profiles.tried:,} cannot be read: {reason}{named}"
            advice = "Repair them; else they count as missing (see bad_cells)."
            rows = [reject.row for reject in rejects]
            yield subject.finding("unreadable", "warning", what, advice, columns=(name,), rows=rows)
