"""The audit: every check over one table, the gravest findings first. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from polymodal import registry
from polymodal.config.run_config import RunConfig
from polymodal.data.audit import (
    changes,
    classes,
    date_order,
    drift,
    duplicates,
    layout,
    mojibake,
    outliers,
    sentinels,
    summary_rows,
    target_leakage,
    unread_dates,
    unread_media,
    unreadable,
    writing,
)
from polymodal.data.audit.finding import ORDER, Finding
from polymodal.data.audit.profile import AuditProfile, read_profile
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.columns.infer import suggest_settings
from polymodal.data.columns.profile import Profiler, column_profiler
from polymodal.data.split.split import Split
from polymodal.data.tables.table import Table
from polymodal.metrics.alerts import Alert
from polymodal.schema import Column

CHECKS: tuple[Callable[[AuditedTable], Iterable[Finding]], ...] = (
    target_leakage.check,
    duplicates.check,
    duplicates.check_near,
    unread_media.check,
    unreadable.check,
    classes.check,
    drift.check,
    outliers.check,
    sentinels.check,
    layout.check,
    changes.check,
    date_order.check,
    unread_dates.check,
    writing.check,
    mojibake.check,
    summary_rows.check,
)

MOST_ROWS = 100_000
MOST_READ = 20_000  # cells of a column of words or numbers that are read
MOST_DECODED = 4_000  # cells of a column of media that are decoded; also: that are compared with one another


def read_columns(
    table: Table, columns: Sequence[Column], config: RunConfig, *, media: bool = True, profile: Profiler | None = None
) -> AuditedTable:
    """Reads what the checks look at.

    Of a longer table than 100,000 rows that is a sample; cells of 20,000 rows are read, those of 4,000 decoded and
    compared.

    Args:
        table: the rows.
        columns: what every column is.
        config: target, split and limits, where they are known.
        media: decode media, to find unreadable, outlying and near duplicate ones.
        profile: of a caller that has looked at the columns of the table already; None: taken here.
    """
    rows = _draw(table.num_rows, MOST_ROWS)
    sample = table if len(rows) == table.num_rows else table.take(rows)
    look = profile if profile is not None and sample is table else column_profiler(sample, config.limits)
    profiles = {
        column.name: found
        for column in columns
        if column.modality is not None and (found := _profile(sample, column, config, look, media=media)) is not None
    }
    return AuditedTable(sample, rows, tuple(columns), config, profiles)


def audit(table: Table, subject: AuditedTable) -> tuple[Finding, ...]:
    """What is wrong, or may be, with a table that `read_columns` has read; the last says of what only a part."""
    findings = [finding for check in CHECKS for finding in check(subject)]
    findings = [left for finding in findings if (left := _not_again(finding, findings)) is not None]
    return (*sorted(findings, key=lambda finding: ORDER.index(finding.severity)), *_said(table, subject))


def check_run(
    table: Table, columns: Sequence[Column], config: RunConfig, split: Split
) -> tuple[tuple[Alert, ...], tuple[str, ...]]:
    """What would make the figures of a run wrong, as far as it is found without reading media; and notes.

    The first are columns that tell the target by themselves, test rows that come again among those that are learned
    from, columns of media that are nowhere, columns near to numbers, numbers whose thousands are in doubt, and rows
    that sum others up; the notes are on columns that tell the target and are left out, on classes without test rows,
    and on values for missing cells.
    """
    rows = _draw(table.num_rows, MOST_ROWS)
    sample = table if len(rows) == table.num_rows else table.take(rows)
    subject = AuditedTable(sample, rows, tuple(columns), config, {}, given_sides=split.sides(table.num_rows)[rows])
    copies = [finding for finding in duplicates.check(subject) if finding.severity == "error"]
    told, notes = target_leakage.alerts(subject)
    without = [str(finding) for check in (classes.without_test, sentinels.check) for finding in check(subject)]
    summaries = list(summary_rows.check(subject))
    alerts = (
        *told,
        *(Alert(kind="duplicates", text=str(finding)) for finding in copies),
        *unread_media.alerts(subject),
        *(Alert(kind="writing", columns=one.columns, text=str(one)) for one in writing.check_run(subject)),
        *(
            Alert(kind="summary_rows", columns=one.columns, text=str(one))
            for one in summaries
            if one.severity == "warning"
        ),
    )
    return alerts, (*notes, *without, *(str(one) for one in summaries if one.severity == "note"))


def _not_again(finding: Finding, findings: Sequence[Finding]) -> Finding | None:
    """A finding about columns that are left out, less those of which a note on leakage says so."""
    if finding.check != "layout" or finding.advice != layout.LEFT_OUT:
        return finding
    told = {one.columns[0] for one in findings if one.check == "target_leakage"}
    columns = tuple(name for name in finding.columns if name not in told)
    return replace(finding, columns=columns) if columns else None


def _draw(count: int, most: int) -> np.ndarray:
    """That many of the rows, ascending, the same for the same count."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def _profile(table: Table, column: Column, config: RunConfig, look: Profiler, *, media: bool) -> AuditProfile | None:
    decoded = registry.load("modalities", column.modality or "").media
    if decoded and not media:
        return None
    rows = _draw(table.num_rows, MOST_DECODED if decoded else MOST_READ)
    suggested = suggest_settings(table, [column], config.limits, look)[column.name]  # read as training would
    column = column.model_copy(update={"settings": {**suggested, **column.settings}})
    return read_profile(table, column, rows, config.limits, compare=MOST_DECODED)


def _said(table: Table, subject: AuditedTable) -> list[Finding]:
    """What was not looked at."""
    parts = []
    if subject.table.num_rows < table.num_rows:
        parts.append(f"{subject.table.num_rows:,} of {table.num_rows:,} rows were looked at")
    parts += [
        f"{name}: {profiles.tried:,} cells were read"
        for name, profiles in subject.profiles.items()
        if profiles.tried < subject.table.num_rows
    ]
    if not parts:
        return []
    return [Finding("audit", "note", f"{'; '.join(parts)}.", "The sample is the same each time.")]
