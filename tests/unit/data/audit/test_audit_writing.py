"""What the audit suggests for numbers that people write: a setting that fits the notation."""

from __future__ import annotations

import re

import pytest

from polymodal.config.run_config import make
from polymodal.data.audit.inspection import inspect_table

ROWS = range(1, 41)


def findings(cells, check, **settings):
    config = make({"columns": {"a": {"modality": {"name": "number", **settings}}}} if settings else {})
    found = inspect_table({"a": cells, "b": [row * 0.37 for row in ROWS]}, config=config).findings
    return [f for f in found if f.columns == ("a",) and f.check == check]


@pytest.mark.parametrize(
    ("form", "setting"),
    [("{0} kg", "unit"), ("{0}.5 °C", "unit"), ("{0} 500 000", "thousands"), ("{0}'500'000", "thousands"),
     ("{0}k", "unit"), ("{0}'0\"", "unit"), ("{0}h 00m", "unit"), ("{0},36", "decimal"), ("$5,{0:03},000", "unit")],
)  # fmt: skip
def test_the_setting_that_is_about_the_notation_is_named(form, setting):
    (found,) = findings([form.format(row) for row in ROWS], "writing")
    assert f"columns.a.modality.{setting}" in found.advice
    if setting != "decimal":
        assert "modality.decimal" not in found.advice


def test_parentheses_are_named():
    (found,) = findings([f"({row})" if row % 2 else f"{row}" for row in ROWS], "writing")
    assert "columns.a.modality.parentheses" in found.advice


def test_where_another_notation_reads_the_same_cells_it_is_suggested_and_works():
    cells = [f"{row},250" for row in ROWS]
    (found,) = findings(cells, "writing")
    typed = dict(re.findall(r"--set columns\.a\.modality\.(\w+)=(\w+)", found.advice))
    assert typed["decimal"] == "comma"
    assert findings(cells, "unreadable", **typed) == []


def test_the_table_counts_cells_as_the_findings_do():
    cells = [("bad", "NA", None, "  ")[row % 4] if row < 8 else f"{row}.25" for row in ROWS]
    target = [("n.d.", "", "NA")[row % 3] if row < 7 else f"{row}.5" for row in ROWS]
    found = inspect_table({"a": cells, "b": [row * 0.37 for row in ROWS], "y": target}, config=make({"target": "y"}))
    column, other, predicted = found.columns
    assert (column.missing, column.unreadable) == (pytest.approx(6 / 40), pytest.approx(1 / 40))
    assert (other.missing, other.unreadable) == (0, 0)
    assert (predicted.missing, predicted.unreadable) == (pytest.approx(4 / 40), pytest.approx(2 / 40))
    counts = {one.columns: one.count for one in found.findings if one.check in ("unreadable", "writing")}
    assert counts == {("a",): 1, ("y",): 2}
    assert [one.count for one in found.findings if one.check == "classes"] == [4]
    assert "unreadable" in str(found).splitlines()[2]
    assert found.to_dict()["columns"][0]["unreadable"] == pytest.approx(1 / 40)
    healthy = inspect_table({"a": [1.5, 2.5] * 20, "b": [row * 0.37 for row in ROWS]})
    assert "unreadable" not in str(healthy)
