"""Columns that look like dates and are not read as such are named; others are left in peace."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from polymodal.config.run_config import make
from polymodal.data.audit.inspection import inspect_table

ROWS = 60
DAYS = [date(1998, 1, 1) + timedelta(23 * row) for row in range(ROWS)]
RUSSIAN = ["января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября",
           "декабря"]  # fmt: skip
POLISH = ["stycznia", "lutego", "marca", "kwietnia", "maja", "czerwca", "lipca", "sierpnia", "września", "października",
          "listopada", "grudnia"]  # fmt: skip
ENGLISH = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def found(cells):
    result = inspect_table({"it": cells, "x": np.linspace(0, 1, len(cells)).tolist()}, config=make({}))
    return result.columns[0].column, [one for one in result.findings if one.check == "date_order"]


UNREAD = {
    "year, day, month": [f"{day:%Y-%d-%m}" for day in DAYS],
    "with slashes": [f"{day:%Y/%d/%m}" for day in DAYS],
    "eight digits": [f"{day:%d%m%Y}" for day in DAYS],
    "eight digits as numbers": [int(f"{day:%d%m%Y}") for day in DAYS],
    "month and year": [f"{ENGLISH[day.month - 1]}-{day:%y}" for day in DAYS],
    "Russian": [f"{day.day} {RUSSIAN[day.month - 1]} {day.year}" for day in DAYS],
    "Polish": [f"{day.day} {POLISH[day.month - 1]} {day.year}" for day in DAYS],
}


@pytest.mark.parametrize("case", UNREAD)
def test_dates_that_are_not_read_are_named(case):
    column, (finding,) = found(UNREAD[case])
    assert column.kind != "datetime"
    assert (finding.columns, finding.severity) == (("it",), "warning")
    assert "dates" in finding.what and "2024-03-01" in finding.advice


def test_durations_are_a_note():
    _, (finding,) = found([f"{row % 9 + 1}:{row * 7 % 60:02}:{row * 13 % 60:02}" for row in range(ROWS)])
    assert finding.severity == "note"
    assert "durations" in finding.what


def test_a_month_before_its_year_is_read():
    column, findings = found([f"{day:%m/%Y}" for day in DAYS])
    assert (column.kind, findings) == ("datetime", [])


HEALTHY = {
    "ISO": [f"{day:%Y-%m-%d}" for day in DAYS],
    "days first": [f"{day:%d.%m.%Y}" for day in DAYS],
    "keys": [f"{10_000_000 + 7_919 * row}" for row in range(ROWS)],
    "numbers": [10_000_000 + 791_903 * row for row in range(ROWS)],
    "products": [f"{row % 9 + 1} apples 2{row:03}" for row in range(ROWS)],
    "names": [f"{row % 28 + 1} {chr(97 + row % 26) * 3}{chr(97 + row // 26) * 2} 2000" for row in range(ROWS)],
    "codes": [f"abc-{row:02}" for row in range(ROWS)],
    "odds": [f"{row % 9 + 1}:{row % 7}" for row in range(ROWS)],
    "scores": [f"{row % 9 + 1}:{row % 7 + 10}" for row in range(ROWS)],
}


@pytest.mark.parametrize("case", HEALTHY)
def test_others_are_left_in_peace(case):
    assert found(HEALTHY[case])[1] == []
