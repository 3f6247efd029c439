"""Values that stand for missing cells: `-999`, `99999`, `-1`, `9999-12-31`, repeated and far from all others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np

from polymodal.codecs import dates
from polymodal.codecs.outlier_bounds import is_beyond
from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.readings import NumericCells
from polymodal.data.audit.subject import AuditedTable

_FEWEST, _FEWEST_OTHERS = 2, 20  # cells
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.5
_EPOCH = date(1970, 1, 1).toordinal()
_NINES = [sign * float("9" * digits) for digits in range(2, 16) for sign in (1, -1)]
_BELOW, _FAR_BELOW = -1.0, 10.0  # -1 is one where all others are so much larger, such as ages of adults
_DATES = [
    float(day.toordinal() - _EPOCH)
    for day in (date(9999, 12, 31), date(9999, 1, 1), date(2999, 12, 31), date(1900, 1, 1), date(1, 1, 1))
]


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each such value of a column of numbers or dates, features and targets."""
    for name in _names(subject):
        if (reading := subject.reading(name)) is None:
            continue
        for value, rows in _sentinels(reading):
            shown = dates.date_of(int(value)).isoformat() if reading.kind == "date" else f"{value:g}"
            what = f"{number(len(rows), 'cell')} hold {shown}, far from all others: it probably stands for missing."
            left = ": their rows are then left out" if name in subject.config.targets else ""
            advice = f"If so, empty these cells{left}."
            yield subject.finding("outliers", "warning", what, advice, columns=(name,), rows=rows)


def sentinel_rows(subject: AuditedTable) -> dict[str, np.ndarray]:
    """By column, the rows that hold such a value; of columns that have some."""
    found = {}
    for name in _names(subject):
        reading = subject.reading(name)
        rows = [] if reading is None else [rows for _, rows in _sentinels(reading)]
        if rows:
            found[name] = np.concatenate(rows)
    return found


def _names(subject: AuditedTable) -> list[str]:
    """The columns that are read as numbers or dates, and the targets that are no classes."""
    inputs = [column.name for column in subject.columns if column.modality in ("number", "datetime")]
    task = subject.config.task.name
    targets = [name for name in subject.config.targets
               if task == "regress" or (task is None and subject.classes(name) is None)]  # fmt: skip
    there = set(subject.table.names)  # of a list, the time would grow with columns squared
    return [name for name in (*inputs, *targets) if name in there]


def _sentinels(reading: NumericCells) -> list[tuple[float, np.ndarray]]:
    """The values, and the rows that hold them."""
    values = reading.values
    there = ~np.isnan(values)
    found: list[tuple[float, np.ndarray]] = []
    candidates = _DATES if reading.kind == "date" else [*_NINES, _BELOW]
    if reading.kind == "number" and not ((np.abs(values) >= min(map(abs, _NINES))) | (values == _BELOW)).any():
        return found
    for value in candidates:
        rows = np.flatnonzero(values == value)
        if not max(_FEWEST, _LEAST_SHARE * there.sum()) <= len(rows) <= _MOST_SHARE * there.sum():
            continue
        others = values[there & ~np.isin(values, candidates)]
        if len(others) >= _FEWEST_OTHERS and _is_far(value, others, reading):
            found.append((value, rows))
    return found


def _is_far(value: float, others: np.ndarray, reading: NumericCells) -> bool:
    """Whether a value is far from all others."""
    if value == _BELOW and reading.kind == "number":
        return bool(others.min() - value >= _FAR_BELOW)
    return bool(is_beyond(np.array([value]), others, log=reading.kind == "number")[0])
