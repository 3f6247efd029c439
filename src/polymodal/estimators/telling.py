"""What the estimators warn of: the command line prints the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polymodal.config.run_config import RunConfig
    from polymodal.data.cells.prepare import Reject
    from polymodal.data.tables.table import Table
    from polymodal.evaluation.evaluate import Truth
    from polymodal.pipeline.run import Run
    from polymodal.schema import Column

_BY_CONTENT = ("constant", "identifier", "unknown", "unread")  # kinds of columns that no modality reads
_SHOWN_COLUMNS = 10


def of_fit(run: Run) -> tuple[str, ...]:
    """What a user should hear of the data and the training of a run, in sentences."""
    sentences = [
        *(alert.text for alert in run.bundle.metrics.alerts if alert.kind != "unread_media"),  # among those left out
        *_left_out(run),
        *of_rejects(run.rejects, run.table, run.bundle.config),
        *_rows_left_out(run),
        *run.notes,
    ]
    return tuple(dict.fromkeys(sentences))


def of_rejects(rejects: Sequence[Reject], table: Table, config: RunConfig) -> tuple[str, ...]:
    """What a user should hear of cells that could not be learned from."""
    from polymodal.data.cells.rejected import rejected  # it loads PyTorch

    became = "rows left out" if config.bad_cells == "drop" else "counted as missing"
    return rejected(rejects, source=table.source, became=became, targets=config.targets)


def of_truth(truth: Truth, *, new_are_wrong: bool = False) -> tuple[str, ...]:
    """What a user should hear of rows that are not measured, or, with `new_are_wrong`, count as wrong for their class.

    Classes that training did not have are meant.
    """
    counts = truth.counts
    new = f"{counts['unknown_class']} of a class that training did not have" if counts["unknown_class"] else ""
    why = {
        "without a target": counts["unlabelled"],
        "with an unreadable target": counts.get("unreadable_target", 0),
    }
    parts = [f"{count} {what}" for what, count in why.items() if count]
    measured = counts["measured"]
    if new_are_wrong:
        measured += counts["unknown_class"]
        wrong = [f"Rows that count as wrong: {new}; `evaluate` leaves them out."] if new else []
    else:
        parts, wrong = [*parts, *filter(None, [new])], []
    left = [f"Rows that are not measured: {', '.join(parts)}; measured: {measured}."] if parts else []
    return (*left, *wrong)


def _left_out(run: Run) -> Iterator[str]:
    """Names the columns that were left out by their content, though nobody asked for it, and why.

    Of inputs that say nothing, or the same as another, a note of the run tells.
    """
    config = run.bundle.config
    asked = {*config.targets, *config.drop, config.weight, config.split.column, config.split.by}
    gone = [one for one in run.bundle.schema.columns if one.modality is None and one.name not in asked]
    columns = [one for one in gone if one.kind in _BY_CONTENT]
    if not columns:
        return
    named = "; ".join(f"{one.name} ({one.reason.removeprefix('left out: ')})" for one in columns[:_SHOWN_COLUMNS])
    more = f"; and {len(columns) - _SHOWN_COLUMNS} more, see bundle_.schema" if len(columns) > _SHOWN_COLUMNS else ""
    yield f"Columns left out of the model: {named}{more}. {_advice(columns[0])}"


def _advice(column: Column) -> str:
    if column.kind in ("unknown", "unread"):
        return "If cells name files, pm.read_table(..., folder=...) says where they are."
    return f"To use one all the same: columns={{{column.name!r}: {{'modality': ...}}}}."


def _rows_left_out(run: Run) -> Iterator[str]:
    rows = run.bundle.metrics.rows
    why = {
        "without a target": rows.unlabelled,
        "with an unreadable target": rows.unreadable_target,
        "dropped for unreadable cells": rows.dropped,
        "dropped by clean": rows.cleaned,
    }
    if parts := [f"{count} {what}" for what, count in why.items() if count]:
        yield f"Rows that are not learned from: {', '.join(parts)}; learned from: {rows.train + rows.validation}."
