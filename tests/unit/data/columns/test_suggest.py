"""What the modalities are shown of a column before they suggest settings."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import Blob, Figure

from polymodal.config.run_config import LimitsConfig
from polymodal.data.columns.infer import suggest_settings
from polymodal.data.tables.table import read_table
from polymodal.schema import Column

LIMITS = LimitsConfig(bytes=50)


def column(name: str, modality: str | None) -> Column:
    return Column(name=name, kind="", modality=modality, reason="")


@pytest.fixture
def shown(fakes, monkeypatch):
    """What each fake was shown; it suggests the number of cells as its step."""
    seen = {}

    def suggest(cls, cells, limits):
        assert limits is LIMITS
        seen[cls.__name__] = list(cells)
        return {"step": len(cells)}

    monkeypatch.setattr(Blob, "suggest", classmethod(suggest))
    return seen


def test_media_are_opened_and_what_cannot_be_does_not_count(shown, tmp_path):
    (tmp_path / "a").write_bytes(b"BLOB1")
    (tmp_path / "large").write_bytes(b"BLOB" * 20)
    array = np.arange(3)
    table = read_table({"x": ["a", None, b"BLOB2", array, "absent", "large", "../.."]}, folder=tmp_path)
    assert suggest_settings(table, [column("x", "blob")], LIMITS) == {"x": {"step": 3}}
    opened = shown[Blob.__name__]
    assert opened[:2] == [b"BLOB1", b"BLOB2"]
    np.testing.assert_array_equal(opened[2], array)


def test_other_cells_come_as_they_are_and_columns_left_out_do_not_come(shown):
    table = read_table({"n": [1.5, None, 2.5], "left": ["a", "b", "c"]})
    assert suggest_settings(table, [column("n", "number"), column("left", None)], LIMITS) == {"n": {"step": 2}}
    assert shown == {Figure.__name__: [1.5, 2.5]}


@pytest.mark.parametrize("rows", [64, 65, 127, 128, 255])
def test_a_sample_is_never_larger(shown, rows):
    suggest_settings(read_table({"n": [float(row) for row in range(rows)]}), [column("n", "number")], LIMITS)
    assert 32 < len(shown[Figure.__name__]) <= 64


def test_a_sample_is_spread_over_the_column(shown):
    table = read_table({"n": [float(row) for row in range(5_000)]})
    suggest_settings(table, [column("n", "number")], LIMITS)
    cells = shown[Figure.__name__]
    assert len(cells) == 64
    assert cells[0] == 0
    assert cells[-1] > 4_900
    assert len(set(np.round(np.diff(cells), -1))) == 1
