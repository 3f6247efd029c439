"""Targets of dates, which no task predicts, and what to give instead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from polymodal.data.tables.column_data import shown

_INSTEAD = (
    "No task predicts dates: give numbers, such as the days since the first one (in pandas: (y - y.min()).dt.days), or "
    "classes, such as the name of the month."
)


def why_dates_are_no_target(values: Sequence[object], column: str) -> str | None:
    """What to say of a target whose values are all dates or times, not as text; None of any other.

    Args:
        values: those that are there.
        column: of the target, for the message.
    """
    if not values or not all(isinstance(value, date) for value in values):
        return None
    return f"The target column {column!r} holds dates, such as {shown(values[0])}. {_INSTEAD}"
