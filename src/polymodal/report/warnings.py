"""The warnings of a run, which stand at the top of the page: leaks, and what was read but not as it stands."""

from __future__ import annotations

from collections import Counter

from polymodal.report.formatting import number
from polymodal.report.subject import ReportedRun, Section

_SHOWN = 6  # at once; the rest unfolds
_SHOWN_REJECTS = 50
_MOST_COLUMNS = 5


def warnings(subject: ReportedRun) -> Section | None:
    """What the reader must know before the figures; nothing where there is nothing."""
    found = warnings_of(subject)
    if not found:
        return None
    context = {"shown": found[:_SHOWN], "folded": found[_SHOWN:], "rejected": bool(subject.run.rejects)}
    return Section("warnings", "Warnings", context)


def warnings_of(subject: ReportedRun) -> tuple[str, ...]:
    """The sentences: what speaks against the figures first; the last counts the cells that could not be read."""
    told = (*(alert.text for alert in subject.results.alerts), *subject.run.notes)
    rejects = subject.run.rejects
    if not rejects:
        return told
    by_column = Counter(reject.column for reject in rejects).most_common()
    columns = ", ".join(f"{name} {number(count)}" for name, count in by_column[:_MOST_COLUMNS])
    more = f" and {number(len(by_column) - _MOST_COLUMNS)} more columns" if len(by_column) > _MOST_COLUMNS else ""
    cells = "1 cell" if len(rejects) == 1 else f"{number(len(rejects))} cells"
    return (*told, f"{cells} could not be read: {columns}{more}.")


def rejects(subject: ReportedRun) -> Section | None:
    """The cells that could not be read; nothing where there are none."""
    run = subject.run
    if not run.rejects:
        return None
    context = {
        "rejects": run.rejects[:_SHOWN_REJECTS],
        "num_rejects": len(run.rejects),
        "num_of_target": sum(reject.column in run.bundle.config.targets for reject in run.rejects),
        "bad_cells": run.bundle.config.bad_cells,
    }
    return Section("rejects", "Unreadable cells", context)
