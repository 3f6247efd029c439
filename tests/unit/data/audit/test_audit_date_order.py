"""Dates whose parts can be the day or the month: what tells their order, and what the audit says where nothing does."""

from __future__ import annotations

import ast
import shlex
from datetime import date, timedelta

import pytest

from polymodal.config.run_config import make, override
from polymodal.data.audit.inspection import inspect_table

DAYS = [date(2004, 1, 1) + timedelta(days=6 * row) for row in range(60)]
EQUAL = [f"{month:02}/{month:02}/2004" for month in range(1, 13)]
BOTH = [f"{month:02}/{day:02}/2004" for month in range(1, 13) for day in (1, 5, 9)]


def inspected(cells, **settings):
    columns = {"columns": {"a": {"modality": settings}}} if settings else {}
    found = inspect_table({"a": cells, "b": [row * 0.37 for row in range(len(cells))]}, config=make(columns))
    (column,) = [column for column in found.columns if column.column.name == "a"]
    return column, [f for f in found.findings if f.check in ("date_order", "unreadable")]


@pytest.mark.parametrize("form", ["%m/%d/%Y", "%m/%d/%Y 10:30", "%m/%d/%y", "%m-%d-%Y"])
def test_a_day_that_equals_its_month_tells_nothing(form):
    cells = [day.strftime(form) for day in [date(2004, month, month) for month in range(1, 13)] + DAYS]
    column, findings = inspected(cells)
    assert (column.column.modality, findings) == ("datetime", [])
    assert "the month first" in column.column.reason


def test_dates_of_both_orders_are_dates():
    cells = [f"{day:02}/02/2004" if day % 2 else f"02/{day:02}/2004" for day in range(13, 29)] * 2
    column, findings = inspected(cells)
    assert (column.column.modality, findings) == ("datetime", [])


def test_where_both_orders_occur_no_order_is_advised():
    cells = [*(f"{day:02}/02/2004" for day in range(13, 29)), *(f"02/{day:02}/2004" for day in range(13, 29)), *BOTH]
    column, (finding,) = inspected(cells)
    assert column.column.modality == "datetime"
    assert "order=" not in finding.advice
    assert "set order" not in column.column.reason
    assert "2024-03-01" in finding.advice


@pytest.mark.parametrize("cells", [EQUAL + BOTH, BOTH])
def test_where_no_cell_tells_the_order_a_finding_names_it(cells):
    column, (finding,) = inspected(cells)
    assert column.column.modality == "datetime"
    assert (finding.severity, finding.count) == ("warning", sum(cell[:2] != cell[3:5] for cell in cells))
    assert "columns.a.modality.order=" in finding.advice
    assert "month_first" in finding.advice
    assert "year_first" not in finding.advice
    assert inspected(cells, name="datetime", order="month_first")[1] == []


@pytest.mark.parametrize("form", ["%y-%m-%d", "%y/%m/%d"])
@pytest.mark.parametrize("year", [2004, 2010, 2013])
def test_a_year_of_two_digits_that_may_come_first_is_named(form, year):
    cells = [day.replace(year=year).strftime(form) for day in DAYS]
    findings = inspected(cells)[1]
    assert any("columns.a.modality.order=year_first" in finding.advice for finding in findings)
    assert not any("order=" in finding.advice for finding in inspected(cells, order="year_first", name="datetime")[1])


def test_the_day_first_with_years_of_two_digits_is_ordinary():
    cells = [f"{day:%d/%m/}{4 + row % 20:02}" for row, day in enumerate(DAYS)]
    assert not any("order=" in finding.advice for finding in inspected(cells)[1])


def test_what_to_set_can_be_copied_into_a_shell_and_into_python():
    table = {"my day": BOTH, "size": [row * 0.37 for row in range(len(BOTH))]}
    (advice,) = (f.advice for f in inspect_table(table).findings if f.check == "unreadable")
    words = shlex.split(advice.partition("Say what comes first: ")[2].partition(", or")[0])
    assert words == ["--set", "columns.my day.modality.order=day_first"]
    columns = ast.literal_eval(advice.partition("in Python columns=")[2].partition(". ")[0])
    config = override(make({"columns": columns}), words[1:])
    assert config.columns["my day"].modality.settings == {"order": "day_first"}
    assert not any(f.check == "unreadable" for f in inspect_table(table, config=config).findings)
