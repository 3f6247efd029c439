"""A column that says train and test is used as the split, or left out with the reason; it is never learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polymodal.comparison.settings import subject
from polymodal.config.run_config import make
from polymodal.pipeline.inspection import inspect
from polymodal.pipeline.problem import resolve

ROWS = 60


def table(words, **columns):
    rng = np.random.default_rng(0)
    sides = [words[0 if k % 4 else 1] for k in range(ROWS)]
    size, label = rng.normal(size=ROWS).tolist(), ["ab"[k // 4 % 2] for k in range(ROWS)]
    return {"size": size, "part": sides, "label": label, **columns}


def resolved(cells, **config):
    problem = resolve(cells, make({"target": "label", **config}), folder=Path("unused"))
    assert "part" not in [column.name for column in problem.schema.features()]
    return problem, {alert.columns: alert.text for alert in problem.alerts if alert.kind == "split_column"}


@pytest.mark.parametrize("words", [("train", "test"), ("TRAIN", "Test"), (" Training", "testing ")])
def test_it_is_used_after_saying_so(words):
    problem, told = resolved(table(words))
    assert problem.config.split.column == "part"
    assert problem.split.test.tolist() == list(range(0, ROWS, 4))
    assert "is used as the split" in told["part",]


@pytest.mark.parametrize(
    ("split", "command"),
    [({"method": "random"}, "--split part"), ({"test": 0.5}, "--split part"), ({"column": "part"}, None)],
)
def test_what_the_user_says_of_the_split_goes_first(split, command):
    problem, told = resolved(table(("train", "test")), split=split)
    assert problem.config.split.column == split.get("column")
    assert list(told) == ([] if command is None else [("part",)])
    assert command is None or command in told["part",]


def test_without_test_rows_it_is_left_out_with_the_reason():
    problem, told = resolved(table(("train", "val")))
    assert problem.config.split.column is None
    assert "no row with a target says test" in told["part",]


def test_a_broken_cell_is_named():
    cells = table(("train", "test"))
    cells["part"][7] = "tset"
    _, told = resolved(cells)
    assert "row 7" in told["part",]


def test_of_two_columns_none_is_guessed():
    problem, told = resolved(table(("train", "test"), fold=["train"] * 50 + ["test"] * 10))
    assert problem.config.split.column is None
    assert set(told) == {("part",), ("fold",)}


def test_a_column_that_the_user_wants_to_learn_from_stays():
    config = make({"target": "label", "columns": {"part": {"modality": "category"}}})
    problem = resolve(table(("train", "test")), config, folder=Path("unused"))
    assert "part" in [column.name for column in problem.schema.features()]


def test_other_words_are_a_category():
    problem = resolve(table(("train", "bus")), make({"target": "label"}), folder=Path("unused"))
    assert problem.alerts == ()
    assert "part" in [column.name for column in problem.schema.features()]


def test_inspect_says_what_a_training_would_do():
    found = inspect(table(("train", "test")), config=make({"target": "label"}))
    assert {column.column.name: column.column.kind for column in found.columns}["part"] == "split"
    assert [finding.columns for finding in found.findings if finding.check == "split_column"] == [("part",)]


def test_folds_leave_its_test_rows_alone():
    about = subject(table(("train", "test")), None, {"target": "label"}, folds=3, repeats=1, purpose="compare")
    assert about.folds[0].table.num_rows == ROWS - ROWS // 4
    assert any("is used as the split" in note for note in about.notes)


def test_classes_without_test_rows_are_named():
    cells = table(("train", "test"))
    cells["label"] = ["c" if k in (1, 2, 3) else label for k, label in enumerate(cells["label"])]
    problem, _ = resolved(cells)
    assert any("1 class has no test row: 'c'" in note for note in problem.warnings)
    findings = inspect(cells, config=make({"target": "label"})).findings
    assert any("no test row: 'c'" in finding.what for finding in findings)


def test_a_column_that_is_left_out_and_tells_the_target_is_noted():
    cells = table(("train", "test"))
    cells["id"] = [f"{label}__{k:03d}" for k, label in enumerate(cells["label"])]
    problem, _ = resolved(cells, split={"column": "part"})
    assert any(note.startswith("id alone predicts label in 100.0 % of rows") for note in problem.warnings)
    assert not any("id" in alert.columns for alert in problem.alerts)
