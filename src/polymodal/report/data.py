"""The table: what each column is, rows of each kind to look at."""

from __future__ import annotations

from collections import Counter

import numpy as np

from polymodal.report.drawing import evenly
from polymodal.report.formatting import number
from polymodal.report.subject import ReportedRun, Section
from polymodal.types import Classes, Labels, Numbers, Texts

_MOST_COLUMNS = 100
_SHOWN_ROWS = 12
_FEW_ROWS = 6  # of a target without classes


def data(subject: ReportedRun) -> Section:
    """Where every row went, and a line for each column."""
    schema, table, counts = subject.run.bundle.schema, subject.run.table, subject.results.rows
    encoders = {name: entry.encoder for entry in schema.inputs for name in entry.columns}
    unreadable = Counter(reject.column for reject in subject.run.rejects)
    counted = (
        (counts.train, "learned from"), (counts.validation, "validation"), (counts.test, "test"),
        (counts.unlabelled, "without a target"), (counts.unreadable_target, "with an unreadable target"),
        (counts.dropped, "dropped for unreadable cells"),
        (counts.cleaned, "dropped by clean"),
    )  # fmt: skip
    columns = [
        (
            (column.name, column.modality or "left out", encoders.get(column.name, "–"), column.reason),
            sum(cell is None for cell in table.cells(column.name)) / table.num_rows,
            unreadable[column.name],
        )
        for column in schema.columns[:_MOST_COLUMNS]
    ]
    context = {
        "num_rows": table.num_rows,
        "counts": [(count, name) for count, name in counted if count],
        "unknown_class": counts.unknown_class,
        "columns": columns,
        "num_columns": len(schema.columns),
    }
    return Section("data", "Data", context)


def examples(subject: ReportedRun) -> Section | None:
    """A few rows of each class, or from the smallest number to the largest."""
    if not subject.outcomes or isinstance(subject.outcomes[0], Texts):  # these are shown beside what was written
        return None
    chosen = _chosen(subject)
    previews = subject.previewer.rows([row for row, _ in chosen])
    cards = [(subject.where(row), target, preview) for (row, target), preview in zip(chosen, previews, strict=True)]
    return Section("examples", "Example rows", {"cards": cards, "left_out": subject.previewer.left_out})


def _chosen(subject: ReportedRun) -> list[tuple[int, str]]:
    """Measured rows that show the target's kinds, with what it is there."""
    outcome = subject.outcomes[0]
    if isinstance(outcome, Numbers):
        order = np.argsort(outcome.target, kind="stable")
        return [(int(outcome.rows[n]), number(float(outcome.target[n]))) for n in order[evenly(len(order), _FEW_ROWS)]]
    if isinstance(outcome, Labels):
        places = evenly(len(outcome.rows), _FEW_ROWS)
        named = [", ".join(outcome.labels[k] for k in np.flatnonzero(outcome.target[n])) for n in places]
        return [(int(outcome.rows[n]), names or "no label") for n, names in zip(places, named, strict=True)]
    assert isinstance(outcome, Classes)
    present = np.unique(outcome.target)[:_SHOWN_ROWS]
    each = 2 if 2 * len(present) <= _SHOWN_ROWS else 1
    chosen = [n for k in present for n in np.flatnonzero(outcome.target == k)[:each]]
    return [(int(outcome.rows[n]), outcome.labels[outcome.target[n]]) for n in chosen]
