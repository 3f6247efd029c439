"""Cleaning: off by default; on, it does what it says, to the rows it may touch, and writes all of it down."""

from __future__ import annotations

import json

import numpy as np
import pytest

from polymodal.config.run_config import make
from polymodal.data.cells.prepare import write_records
from polymodal.data.tables.table import read_table
from polymodal.errors import ConfigError, DataError
from polymodal.inference.predictor import predict
from polymodal.pipeline.run import train

SIDES = ["train"] * 14 + ["validation"] * 5 + ["test"] * 5
ROWS = len(SIDES)
SMALL = {
    "target": "label",
    "split": {"column": "side"},
    "encoders": {"table": {"width": 4}},
    "fusion": {"name": "concat", "width": 4},
    "train": {"epochs": 1},
}


def table():
    rng = np.random.default_rng(0)
    return {
        "size": rng.normal(10, 1, ROWS).round(3).tolist(),
        "colour": ["red", "green", "red", "blue"] * (ROWS // 4),
        "label": ["a", "b"] * (ROWS // 2),
        "side": SIDES,
    }


def run(rows, clean, **config):
    return train(rows, make({**SMALL, "columns": {"colour": {"modality": "category"}}, "clean": clean, **config}))


def statistics(done, name):
    return done.bundle.schema.column(name).statistics


def test_nothing_is_changed_unless_asked():
    rows = table()
    rows["size"][3], rows["size"][4], rows["colour"][5] = None, 1e6, None
    done = run(rows, {})
    assert done.cleaned == ()
    assert done.split.train.tolist() == list(range(14))
    assert "fill" not in statistics(done, "size")
    assert "low" not in statistics(done, "size")


@pytest.mark.parametrize("policy", ["mean", "median", "mode"])
def test_numbers_are_filled_from_the_training_rows(policy):
    rows = table()
    rows["size"][:14] = [1.0, 1.0, 1.0, 2.0, 3.0, 4.0, None, 9.0, 5.0, 6.0, 7.0, 8.0, 2.0, 3.0]
    rows["size"][20] = None
    present = np.array([x for x in rows["size"][:14] if x is not None])
    fill = {"mean": present.mean(), "median": np.median(present), "mode": 1.0}[policy]
    done = run(rows, {"missing": policy})
    assert statistics(done, "size")["fill"] == pytest.approx(fill)
    filled = [(a.row, a.column, a.action, a.old) for a in done.cleaned if a.column == "size"]
    assert filled == [(6, "size", "fill", None), (20, "size", "fill", None)]
    assert f"size: 2 cells filled with {fill:.6g}" in done.notes


def test_categories_are_filled_by_mode_and_stay_missing_under_mean():
    rows = table()
    rows["colour"][5] = rows["colour"][21] = None
    done = run(rows, {"missing": "mode"})
    assert [(a.row, a.new) for a in done.cleaned] == [(5, "red"), (21, "red")]
    assert run(rows, {"missing": "mean"}).cleaned == ()


@pytest.mark.parametrize(("value", "column", "other"), [(3, "size", "colour"), ("none", "colour", "size")])
def test_a_constant_fills_the_columns_of_its_kind(value, column, other):
    rows = table()
    rows["size"][2] = rows["colour"][2] = None
    done = run(rows, {"missing": "constant", "value": value})
    assert [(a.row, a.column, a.new) for a in done.cleaned] == [(2, column, value)]
    assert "fill" not in statistics(done, other)


def test_a_columns_own_policy_goes_first():
    rows = table()
    rows["size"][2] = rows["colour"][2] = None
    done = run(rows, {"missing": "mode"}, columns={"size": {"modality": {"name": "number", "missing": "leave"}},
                                                   "colour": {"modality": "category"}})  # fmt: skip
    assert [a.column for a in done.cleaned] == ["colour"]


def test_clipping_is_by_the_training_rows_and_the_same_at_predict():
    rows = table()
    rows["size"][3], rows["size"][20] = 1e6, -1e6
    done = run(rows, {"outliers": "clip"})
    first, third = np.percentile(rows["size"][:14], [25, 75])
    high, low = third + 3 * (third - first), first - 3 * (third - first)
    assert [(a.row, a.old, pytest.approx(a.new)) for a in done.cleaned] == [(3, 1e6, high), (20, -1e6, low)]
    told = []
    new = {"size": [1e9, high, None], "colour": ["red", "red", "red"]}
    scores = predict(done.bundle, new, on_message=told.append).prediction.values
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert told == [f"size: 1 cell clipped to {high:.6g}"]


def test_filling_is_the_same_at_predict():
    rows = table()
    rows["size"][3] = None
    done = run(rows, {"missing": "median"})
    fill = statistics(done, "size")["fill"]
    scores = predict(done.bundle, {"size": [None, fill], "colour": ["red", "red"]}).prediction.values
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_a_clean_run_repeats_from_its_own_configuration():
    rows = table()
    rows["size"][3], rows["size"][7] = None, 1e5
    done = run(rows, {"missing": "mean", "outliers": "clip"})
    again = train(rows, done.bundle.config)
    assert statistics(again, "size") == statistics(done, "size")
    assert again.bundle.schema.column("size").settings == done.bundle.schema.column("size").settings
    assert again.cleaned == done.cleaned


def same(rows, one, other):
    for name in ("size", "colour", "label"):
        rows[name][one] = rows[name][other]


def test_duplicates_are_dropped_from_training_alone():
    rows = table()
    same(rows, 5, 2)  # twice in train
    same(rows, 6, 15)  # in train and validation
    same(rows, 7, 20)  # in train and test
    same(rows, 17, 22)  # in validation and test
    same(rows, 23, 21)  # twice in test
    done = run(rows, {"duplicates": "drop"})
    assert sorted(a.row for a in done.cleaned) == [5, 6, 7, 17]
    assert done.split.test.tolist() == list(range(19, 24))
    assert done.split.train.tolist() == [0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13]
    assert next(a.reason for a in done.cleaned if a.row == 7) == "equal to row 20 of test"
    assert done.bundle.metrics.rows.cleaned == 4


def test_another_target_makes_another_row():
    rows = table()
    same(rows, 5, 2)
    rows["label"][5] = "a" if rows["label"][2] == "b" else "b"
    assert run(rows, {"duplicates": "drop"}).cleaned == ()


def test_rows_with_missing_cells_are_dropped_from_training_alone():
    rows = table()
    for row in (3, 16, 20):
        rows["size"][row] = None
    done = run(rows, {"missing": "drop"})
    assert [(a.row, a.column, a.action) for a in done.cleaned] == [(3, "size", "drop")]
    assert 3 not in done.split.train


def test_rows_with_outliers_are_dropped_from_training_alone():
    rows = table()
    rows["size"][3] = rows["size"][20] = 1e6
    done = run(rows, {"outliers": "drop"})
    assert [(a.row, a.column, a.old) for a in done.cleaned] == [(3, "size", 1e6)]
    assert 20 in done.split.test


def test_no_training_row_left_is_an_error():
    rows = table()
    rows["size"][:14] = [None] * 14
    with pytest.raises(DataError, match=r"no training row.*missing cell.*clean\.missing"):
        run(rows, {"missing": "drop"})


@pytest.mark.parametrize(
    ("clean", "words"),
    [({"missing": "constant"}, "go together"), ({"value": 3}, "go together"), ({"missing": "avg"}, "clean.missing"),
     ({"outlier": "clip"}, "Did you mean 'outliers'")],
)  # fmt: skip
def test_what_cannot_be_done_is_said(clean, words):
    with pytest.raises(ConfigError, match=words):
        make({"clean": clean})


def test_a_leak_that_stays_is_told_by_the_run():
    rows = table()
    same(rows, 7, 20)
    assert any("1 test row equal" in note for note in run(rows, {}).bundle.metrics.warnings)
    assert not any("test row" in note for note in run(rows, {"duplicates": "drop"}).bundle.metrics.warnings)


def test_actions_are_lines_of_json(tmp_path):
    rows = table()
    rows["size"][3] = None
    write_records(run(rows, {"missing": "mean"}).cleaned, tmp_path / "clean.jsonl")
    (line,) = (tmp_path / "clean.jsonl").read_text().splitlines()
    read = json.loads(line)
    assert read | {"new": 0} == {"row": 3, "column": "size", "action": "fill", "old": None, "new": 0,
                                 "reason": "the cell is missing"}  # fmt: skip


def test_the_table_itself_stays_as_it_is():
    rows = table()
    rows["size"][3] = None
    source = read_table(rows)
    run(source, {"missing": "mean", "duplicates": "drop", "outliers": "clip"})
    assert source.values("size")[3] is None
