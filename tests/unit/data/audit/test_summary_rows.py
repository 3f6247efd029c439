"""Rows of sums and notes below a table are named by row; words such as `Total` among ordinary values are not."""

from __future__ import annotations

import numpy as np
import pytest

from polymodal.config.run_config import make
from polymodal.data.audit.inspection import inspect_table

ROWS = 40
RNG = np.random.default_rng(0)
SALES = {
    "id": [f"s{row}" for row in range(ROWS)],
    "region": RNG.choice(["North", "South"], ROWS).tolist(),
    "count": RNG.integers(1, 20, ROWS).tolist(),
    "amount": RNG.normal(50, 10, ROWS).round(2).tolist(),
    "label": RNG.choice(["a", "b"], ROWS).tolist(),
}
NUMBERS = ("count", "amount")


def with_row(table, place=ROWS, **cells):
    return {name: [*column[:place], cells.get(name), *column[place:]] for name, column in table.items()}


def sums(start=0, stop=ROWS):
    return {name: round(sum(SALES[name][start:stop]), 2) for name in NUMBERS}


def with_subtotals(**cells):
    table = SALES
    for stop in (30, 20, 10):
        table = with_row(table, stop, **cells, **sums(stop - 10, stop))
    return table


def found(table, **config):
    findings = inspect_table(table, config=make(config), media=False).findings
    return [finding for finding in findings if finding.check == "summary_rows"]


def rows_of(table, **config):
    return {row for finding in found(table, **config) for row in finding.rows}


MEANS = {name: round(float(np.mean(SALES[name])), 3) for name in NUMBERS}
NAMED = {
    "empty id": (with_row(SALES, **sums()), {40}),
    "total": (with_row(SALES, id="Total", **sums()), {40}),
    "total with count": (with_row(SALES, id="TOTAL (40)", **sums()), {40}),
    "sum in the cell": (with_row(SALES, id="Sum: 1,234.50"), {40}),
    "total, then source": (with_row(with_row(SALES, id="Total", **sums()), 41, id="Source: the office"), {40, 41}),
    "total, then any note": (with_row(with_row(SALES, id="Total", **sums()), 41, region="as of May"), {40, 41}),
    "source alone": (with_row(SALES, id="Source: the office"), {40}),
    "first row": (with_row(SALES, 0, id="Total", **sums()), {0}),
    "first row, no word": (with_row(SALES, 0, **sums()), {0}),
    "subtotals": (with_subtotals(region="Subtotal"), {10, 21, 32}),
    "subtotals of names": (with_subtotals(id="North Total"), {10, 21, 32}),
    "subtotals, no word": (with_subtotals(), {10, 21, 32}),
    "filled": (with_row(SALES, id="Total", region="North", label="a", **sums()), {40}),
    "German": (with_row(SALES, id="Summe", **sums()), {40}),
    "French": (with_row(SALES, region="Somme", **sums()), {40}),
    "Italian": (with_row(SALES, id="Totale:", **sums()), {40}),
    "means": (with_row(SALES, id="Average", region="North", label="a", **MEANS), {40}),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMED)
def test_rows_of_sums_and_notes_are_named(case):
    table, rows = NAMED[case]
    assert rows_of(table) == rows
    assert all("Delete" in finding.advice for finding in found(table))


def written(table, form):
    return {**table, "amount": [None if cell is None else form(cell) for cell in table["amount"]]}


ONLY = {"region": SALES["region"], "label": SALES["label"], "amount": SALES["amount"]}
LONE = with_row(ONLY, amount=sums()["amount"])


@pytest.mark.parametrize(
    "table",
    [
        LONE,
        with_row(ONLY, amount=float(round(sums()["amount"]))),
        written(LONE, lambda cell: f"{cell:.2f} EUR"),
        written(LONE, lambda cell: f"{cell:.2f}".replace(".", ",")),
    ],
)
def test_a_sum_that_stands_alone_in_the_column_of_the_target_is_named(table):
    (finding,) = found(table, target="amount")
    assert (finding.severity, finding.rows) == ("warning", (ROWS,))


def with_statistics(*names):
    table = SALES
    for place, name in enumerate(names):
        table = with_row(table, ROWS + place, id=name, count=40.5 + place, amount=50.1 + place)
    return table


@pytest.mark.parametrize(
    "names",
    [("Count", "Mean", "Std", "Max"), ("count", "mean", "std", "min", "25%", "50%", "75%", "max"), ("Min", "Max")],
)
def test_statistics_below_the_table_are_named(names):
    (finding,) = found(with_statistics(*names), target="amount")
    assert finding.count == len(names)
    assert min(finding.rows) == ROWS


def words(*choice):
    return RNG.choice(choice, ROWS).tolist()


HEALTHY = {
    "no such row": SALES,
    "a category": {**SALES, "region": words("Total", "Partial", "None at all")},
    "a grade": {**SALES, "region": words("poor", "average", "good")},
    "a rare category": {**SALES, "region": [*SALES["region"][:20], "Total", *SALES["region"][21:]]},
    "a category in the last row": {**SALES, "region": [*SALES["region"][:-1], "Total"]},
    "products": {**SALES, "id": [f"Colgate Total {row}" if row % 2 else f"total care {row}" for row in range(ROWS)]},
    "company in the first row": {**SALES, "id": ["Total", *SALES["id"][1:]]},
    "gaps": {**SALES, "region": [None if row % 7 == 0 else "North" for row in range(ROWS)]},
    "gaps among small numbers": {"name": [None if row % 3 == 2 else "x" for row in range(ROWS)],
                                 "n": RNG.integers(0, 3, ROWS).tolist(), "z": SALES["amount"]},
    "empty last row": with_row(SALES),
    "indicators": {"u": [0] * 39 + [1], "v": [1] + [0] * 39, "z": SALES["amount"]},
    "one name": {**SALES, "id": [*SALES["id"][:-1], "Max"]},
    "statistics as values": {**SALES, "region": ["min", "max"] * (ROWS // 2)},
    "a lone amount": with_row({name: SALES[name] for name in ("region", "label", "amount")}, amount=51.5),
    "a lone amount in words": with_row({"region": SALES["region"], "label": SALES["label"],
                                        "amount": [f"{cell} EUR" for cell in SALES["amount"]]}, amount="51.5 EUR"),
    "notes": {**SALES, "note": [f"note {row}" for row in range(ROWS)]},
}  # fmt: skip


@pytest.mark.parametrize("case", HEALTHY)
def test_ordinary_rows_are_not_named(case):
    assert rows_of(HEALTHY[case]) == set()


def test_a_row_that_is_left_out_for_its_target_is_a_note():
    (finding,) = found(with_row(SALES, id="Total", **sums()), target="label")
    assert finding.severity == "note"
    (finding,) = found(with_row(SALES, id="Total", label="a", **sums()), target="label")
    assert finding.severity == "warning"


@pytest.mark.parametrize("name", ["Total", None])
def test_a_row_of_sums_makes_no_leak(name):
    table = {key: RNG.normal(5, 1, ROWS).round(2).tolist() for key in ("x", "w", "y")}
    total = {key: round(sum(column), 2) for key, column in table.items()}
    table = with_row({"id": SALES["id"], **table}, id=name, **total)
    findings = inspect_table(table, config=make({"target": "y"})).findings
    assert {finding.check for finding in findings} >= {"summary_rows"}
    assert "target_leakage" not in {finding.check for finding in findings}
