"""A setting that only one modality has says what the column is."""

from __future__ import annotations

import pytest

from polymodal.config.run_config import make
from polymodal.data.columns.infer import infer_columns
from polymodal.data.tables.table import read_table
from polymodal.errors import ColumnError

KEYS = [f"k-{row}x" for row in range(40)]


def column(cells, **settings):
    table = read_table({"a": cells, "b": [row * 0.37 for row in range(len(cells))]})
    return infer_columns(table, make({"columns": {"a": {"modality": settings}}}))[0]


@pytest.mark.parametrize(
    ("settings", "modality"), [({"order": "month_first"}, "datetime"), ({"decimal": "comma"}, "number")]
)
def test_a_setting_of_one_modality_makes_the_column_that(settings, modality):
    assert column(KEYS).modality is None
    found = column(KEYS, **settings)
    assert (found.kind, found.modality, found.settings) == (modality, modality, settings)
    assert next(iter(settings)) in found.reason


def test_what_the_cells_are_stays_where_it_has_the_setting():
    dates = [f"{1 + row % 28:02}.05.2004" for row in range(40)]
    assert "dates" in column(dates, order="day_first").reason


def test_a_setting_of_several_modalities_asks_for_the_name():
    with pytest.raises(ColumnError, match=r"columns\.a\.modality\.name"):
        column(KEYS, size=64)


def test_a_setting_of_none_is_no_setting():
    with pytest.raises(ColumnError, match="ordr"):
        column(KEYS, ordr="month_first")
