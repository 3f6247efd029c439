"""Unreadable cells, outliers, classes, drift, odd columns; and what the audit as a whole says and leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from polymodal.config.run_config import make
from polymodal.data.audit import audit as module
from polymodal.data.audit.inspection import inspect_table

RNG = np.random.default_rng(0)


def audited(table, media=True, **config):
    return inspect_table(table, config=make(config), media=media).findings


def of(findings, check):
    return [f for f in findings if f.check == check]


def test_unreadable_cells_are_counted_by_column(tmp_path):
    (tmp_path / "photo.csv").write_text("photo\n" + "\n".join(f"{k}.png" for k in range(40)))
    from PIL import Image

    for k in range(40):
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / f"{k}.png")
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "9.png").unlink()
    (found,) = of(audited(tmp_path / "photo.csv"), "unreadable")
    assert (found.rows, found.count, found.severity) == ((3, 9), 2, "warning")
    assert "3.png" in found.what
    assert "9.png" in found.what
    assert of(audited(tmp_path / "photo.csv", media=False), "unreadable") == []


def test_of_many_unreadable_cells_some_are_shown():
    cells = [f"{row}.5" for row in range(600)] + ["lots"] * 3 + [f"word{row}" for row in range(40)]
    (found,) = of(audited({"a": cells}, columns={"a": {"modality": "number"}}), "unreadable")
    assert (found.count, found.columns) == (43, ("a",))
    assert "'lots'" in found.what
    assert "word0" in found.what
    assert "word9" not in found.what
    assert found.what.count("not a number") == 1 and "reasons" not in found.what
    assert len(found.what) < 300


def test_outliers_are_named_farthest_first():
    values = RNG.normal(10, 1, 100)
    values[[7, 30]] = 500, -60
    (found,) = of(audited({"size": values.tolist()}), "outliers")
    assert (found.rows, found.columns, found.severity) == ((7, 30), ("size",), "note")


@pytest.mark.parametrize("values", [RNG.normal(0, 1, 300), RNG.lognormal(0, 1.2, 300), RNG.integers(0, 2, 300) * 1.5])
def test_ordinary_numbers_have_no_outliers(values):
    assert of(audited({"size": values.tolist()}), "outliers") == []


SOME = RNG.normal(50, 8, 100).round(1)
DAYS = [f"2019-{1 + k % 12:02}-{1 + k % 28:02}" for k in range(100)]


def with_every(step, value, cells):
    return [value if k % step == 0 else cell for k, cell in enumerate(cells)]


@pytest.mark.parametrize("step", [5, 10, 20])
@pytest.mark.parametrize(
    ("value", "cells"),
    [
        (-999, SOME.tolist()),
        (99999, SOME.tolist()),
        (-1, RNG.integers(18, 90, 100).tolist()),
        ("9999-12-31", DAYS),
        ("1900-01-01", DAYS),
    ],
)
def test_a_value_for_missing_cells_is_named_whatever_its_share(step, value, cells):
    (found,) = of(audited({"it": with_every(step, value, cells)}), "outliers")
    assert (found.columns, found.count, found.severity) == (("it",), 100 // step, "warning")
    assert str(value) in found.what and "missing" in found.what


def test_a_target_of_numbers_with_a_value_for_missing_cells_is_named():
    table = {"size": RNG.normal(size=100).tolist(), "price": with_every(10, -999, SOME.tolist())}
    (found,) = [one for one in of(audited(table, target="price"), "outliers") if one.columns == ("price",)]
    assert found.count == 10 and "-999" in found.what


@pytest.mark.parametrize(
    "cells",
    [
        with_every(4, 99.0, RNG.integers(20, 120, 100).tolist()),
        with_every(4, 999.0, RNG.lognormal(5, 1.2, 100).tolist()),
        with_every(4, 0.0, SOME.tolist()),
        with_every(4, -1, RNG.integers(1, 20, 100).tolist()),  # floors
        with_every(4, -1.0, RNG.normal(30, 20, 100).round(1).tolist()),
        with_every(2, "1900-01-01", [f"{1890 + k % 20}-01-01" for k in range(100)]),
    ],
)
def test_a_value_among_the_others_is_none_for_missing_cells(cells):
    assert not [one for one in of(audited({"it": cells}), "outliers") if "missing" in one.what]


def test_what_is_said_of_a_year_that_few_dates_have_is_true():
    column = inspect_table({"it": with_every(10, "9999-12-31", DAYS)}, config=make({})).columns[0].column
    assert column.kind == "datetime"
    assert "unreadable" not in column.reason and "9999-12-31" in column.reason


def test_class_of_one_row():
    table = {"size": RNG.normal(size=31).tolist(), "label": ["a", "b"] * 15 + ["only"]}
    (found,) = of(audited(table, target="label"), "classes")
    assert (found.severity, found.rows) == ("warning", (30,))
    assert "'only'" in found.what


def test_one_class():
    (found,) = of(audited({"size": RNG.normal(size=9).tolist(), "label": ["a"] * 9}, target="label"), "classes")
    assert found.severity == "error"


def test_missing_targets_are_counted():
    table = {"size": RNG.normal(size=20).tolist(), "label": ["a", "b"] * 9 + [None, ""]}
    (found,) = of(audited(table, target="label"), "classes")
    assert (found.count, found.rows) == (2, (18, 19))


def test_classes_out_of_balance_and_on_one_side():
    table = {"size": RNG.normal(size=99).tolist(), "label": ["a"] * 90 + ["b"] * 5 + ["c"] * 4,
             "side": ["train"] * 92 + ["test"] * 7}  # fmt: skip
    found = of(audited(table, target="label", split={"column": "side"}), "classes")
    balance, untested, side = sorted(found, key=lambda finding: finding.severity + finding.what)
    assert "no test row: 'a'" in untested.what
    assert "out of balance: 90 rows of 'a', 4 of 'c'" in balance.what + side.what
    assert "no training row: 'c'" in balance.what + side.what


def drifting(**columns):
    table = {**columns, "side": ["train"] * 200 + ["test"] * 100}
    return of(audited(table, split={"column": "side"}), "drift")


def test_drift_of_numbers_and_words():
    moved = np.concatenate([RNG.normal(0, 1, 200), RNG.normal(1, 1, 100)]).tolist()
    words = [str(x) for x in (*RNG.choice(["u", "v"], 200, p=[0.8, 0.2]), *RNG.choice(["u", "v"], 100, p=[0.2, 0.8]))]
    found = drifting(size=moved, word=words, still=RNG.normal(size=300).tolist())
    assert [(f.columns, f.severity) for f in found] == [(("size",), "warning"), (("word",), "warning")]


def test_a_column_that_the_split_follows():
    found = drifting(who=[f"p{k // 10}" for k in range(300)], size=RNG.normal(size=300).tolist())
    assert any("follow this column" in f.what for f in found)


def test_the_same_distribution_is_no_drift():
    words = [str(x) for x in RNG.choice(["u", "v", "w"], 300)]
    assert drifting(size=RNG.lognormal(0, 2, 300).tolist(), word=words) == []


def test_columns_that_say_nothing_and_columns_that_repeat():
    size = RNG.normal(size=40).tolist()
    table = {"id": [f"img_{k}" for k in range(40)], "one": ["same"] * 40, "size": size, "again": size,
             "rare": [None] * 39 + [0.5]}  # fmt: skip
    found = {f.columns: f.what for f in of(audited(table), "layout")}
    assert set(found) == {("id",), ("one",), ("size", "again"), ("rare",)}


def test_a_long_table_is_sampled_and_says_so(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 50)
    monkeypatch.setattr(module, "MOST_READ", 30)
    values = RNG.normal(size=100)
    values[::2] = np.nan
    (found,) = of(audited({"size": values.tolist()}), "audit")
    assert "50 of 100 rows" in found.what
    assert "size: 30 cells" in found.what


def test_row_numbers_of_a_sample_are_those_of_the_table(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 90)
    values = RNG.normal(size=100)
    values[60] = 1e6
    (found,) = of(audited({"size": values.tolist()}), "outliers")
    assert found.rows == (60,)


def test_the_gravest_come_first_and_print():
    table = {"size": RNG.normal(size=60).tolist(), "leak": ["a!", "b!"] * 30, "label": ["a", "b"] * 30,
             "one": [1] * 60}  # fmt: skip
    found = inspect_table(table, config=make({"target": "label"}))
    kinds = [f.severity for f in found.findings]
    assert kinds == sorted(kinds, key=["error", "warning", "note"].index)
    assert "Findings: 1 error" in str(found)
    assert found.to_dict()["findings"][0]["columns"] == ["leak"]


def test_a_sound_table_has_no_findings():
    table = {"size": RNG.normal(size=60).tolist(), "label": ["a", "b"] * 30}
    found = inspect_table(table, config=make({"target": "label"}))
    assert found.findings == ()
    assert str(found).endswith("Findings: none")


def test_arrays_bytes_and_lists_are_no_words():
    waves = [np.zeros(3_000) for _ in range(60)]
    for place, wave in enumerate(waves):
        wave[1_500] = place  # str() of them is the same
    table = {"one": waves, "two": waves[::-1], "three": [[1, "a"], [2]] * 30, "four": [b"RIFF", b"RIFF"] * 30,
             "label": ["a", "b"] * 30, "side": (["train"] * 2 + ["test"]) * 20}  # fmt: skip
    found = audited(table, target="label", split={"column": "side"}, media=False)
    assert of(found, "target_leakage") == []
    assert not any(set(f.columns) == {"one", "two"} for f in found)
