"""The table: what each column is, rows of each kind to look at, what could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from polymodal.abilities import Classes, Labels, Numbers
from polymodal.codecs.previews import escaped, words
from polymodal.report import markup
from polymodal.report.mistakes import where
from polymodal.report.subject import ReportedRun

_MOST_COLUMNS = 100
_SHOWN_ROWS = 12
_SHOWN_REJECTS = 50


def data(subject: ReportedRun) -> str:
    """Where every row went, and a line for each column."""
    return _rows(subject) + _columns(subject)


def examples(subject: ReportedRun) -> str:
    """A few rows of each class, or from the smallest number to the largest."""
    if not subject.outcomes:
        return ""
    chosen = _chosen(subject)
    bodies = subject.previewer.rows([row for row, _ in chosen])
    return markup.cards(
        (f"{title} <small>· {where(subject, row)}</small>", body)
        for (row, title), body in zip(chosen, bodies, strict=True)
    )


def rejects(subject: ReportedRun) -> str:
    """What could not be read, and what was read but not as it stands; nothing where there is neither."""
    run = subject.run
    remarks = f"<h3>Read, but not as it stands</h3>{markup.listing(run.remarks)}" if run.remarks else ""
    if not run.rejects:
        return remarks
    policy = run.bundle.config.bad_cells
    became = "their rows were dropped" if policy == "drop" else "they count as missing"
    count = len(run.rejects)
    verb = f"{count:,} cell{'s' * (count != 1)} could not be read: {became}. All are in rejects.jsonl."
    rows = [
        (escaped(reject.file), str(reject.row), escaped(reject.column), escaped(reject.reason))
        for reject in run.rejects[:_SHOWN_REJECTS]
    ]
    table = markup.table(("file", "row", "column", "reason"), rows)
    more = markup.paragraph(f"{count - len(rows):,} more are in the file.") if count > len(rows) else ""
    return markup.paragraph(verb) + table + more + remarks


def _rows(subject: ReportedRun) -> str:
    counts = subject.results.rows
    counted = (
        (counts.train, "learned from"), (counts.validation, "validation"), (counts.test, "test"),
        (counts.unlabelled, "without a target"), (counts.dropped, "dropped for unreadable cells"),
        (counts.cleaned, "dropped by clean"),
    )  # fmt: skip
    parts = " + ".join(f"{count:,} {name}" for count, name in counted if count)
    text = f"{subject.run.table.num_rows:,} rows: {parts}."
    if counts.unknown_class:
        text += f" {counts.unknown_class:,} of them were not measured: no training row has their class."
    return markup.paragraph(text)


def _columns(subject: ReportedRun) -> str:
    schema = subject.run.bundle.schema
    encoders = {name: entry.encoder for entry in schema.inputs for name in entry.columns}
    rejected = Counter(reject.column for reject in subject.run.rejects)
    rows = []
    for column in schema.columns[:_MOST_COLUMNS]:
        missing = sum(cell is None for cell in subject.run.table.cells(column.name))
        rows.append(
            [
                escaped(column.name),
                escaped(column.modality or "left out"),
                escaped(encoders.get(column.name, "–")),
                escaped(column.reason),
                markup.share(missing / subject.run.table.num_rows) if missing else "–",
                f"{rejected[column.name]:,}" if rejected[column.name] else "–",
            ]
        )
    left = len(schema.columns) - len(rows)
    note = markup.paragraph(f"{left:,} more columns are not shown.") if left > 0 else ""
    return markup.table(("column", "read as", "encoder", "why", "missing", "unreadable"), rows, numbers=2) + note


def _chosen(subject: ReportedRun) -> list[tuple[int, str]]:
    """Measured rows that show the target's kinds, with what it is there."""
    outcome = subject.outcomes[0]
    if isinstance(outcome, Numbers):
        order = np.argsort(outcome.target, kind="stable")
        places = np.unique(np.linspace(0, len(order) - 1, 6).round().astype(int))
        return [(int(outcome.rows[n]), markup.amount(outcome.target[n])) for n in order[places]]
    if isinstance(outcome, Labels):
        places = np.unique(np.linspace(0, len(outcome.rows) - 1, 6).round().astype(int))
        return [(int(outcome.rows[n]), _listed(outcome, int(n))) for n in places]
    assert isinstance(outcome, Classes)
    present = np.unique(outcome.target)[:_SHOWN_ROWS]
    each = 2 if 2 * len(present) <= _SHOWN_ROWS else 1
    chosen: Sequence[int] = [int(n) for k in present for n in np.flatnonzero(outcome.target == k)[:each]]
    return [(int(outcome.rows[n]), words(outcome.labels[outcome.target[n]])) for n in chosen]


def _listed(outcome: Labels, n: int) -> str:
    names = [outcome.labels[k] for k in np.flatnonzero(outcome.target[n])]
    return words(", ".join(names) or "no label")
