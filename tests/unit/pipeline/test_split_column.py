"""A column that says train and test is used as the split, or left out with the reason; it is never learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polymodal.comparison.settings import subject
from polymodal.config.run_config import make
from polymodal.errors import DataError
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


@pytest.mark.parametrize(
    "words",
    [
        ("train", "test"),
        ("TRAIN", "Test"),
        (" Training", "testing "),
        ("Learn", "Holdout"),
        ("trn", "TST"),
        ("tr", "te"),
        ("train_set", "Hold-out"),
        ("train", "eval"),
        ("Train set", "test set"),
    ],
)
def test_it_is_used_after_saying_so(words):
    problem, told = resolved(table(words))
    assert problem.config.split.column == "part"
    assert problem.split.test.tolist() == list(range(0, ROWS, 4))
    assert "is used as the split" in told["part",]


def test_words_that_are_read_are_named():
    _, told = resolved(table(("Learn", "Holdout")))
    assert "'Learn' as train" in told["part",] and "'Holdout' as test" in told["part",]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("is_test", (0, 1)),
        ("isTest", (False, True)),
        ("IS_TRAIN", ("1", "0")),
        ("is train", ("True", "False")),
        ("train_mask", (True, False)),
        ("holdout", ("no", "yes")),
        ("test_set", (0.0, 1.0)),
    ],
)
def test_true_and_false_are_read_by_the_name_of_the_column(name, words):
    cells = table(words)
    cells[name] = cells.pop("part")
    problem = resolve(cells, make({"target": "label"}), folder=Path("unused"))
    assert problem.config.split.column == name
    assert problem.split.test.tolist() == list(range(0, ROWS, 4))
    (alert,) = [alert for alert in problem.alerts if alert.kind == "split_column"]
    assert f"{words[1]!s} as test" in alert.text.replace("'", "")
    assert name not in [column.name for column in problem.schema.features()]


@pytest.mark.parametrize(
    "name", ["test_result", "trained", "test", "train", "is_valid", "is_dev", "latest", "testosterone"]
)
def test_a_feature_of_true_and_false_stays_one(name):
    cells = table((0, 1))
    cells[name] = cells.pop("part")
    problem = resolve(cells, make({"target": "label", "inputs": {"keep": "all"}}), folder=Path("unused"))
    assert not [alert for alert in problem.alerts if alert.kind == "split_column"]
    assert name in [column.name for column in problem.schema.features()]


def test_true_and_false_of_any_such_name_divide_the_rows_if_the_user_says_so():
    cells = table((0, 1))
    cells["test"] = cells.pop("part")
    problem = resolve(cells, make({"target": "label", "split": {"column": "test"}}), folder=Path("unused"))
    assert problem.split.test.tolist() == list(range(0, ROWS, 4))


@pytest.mark.parametrize(("words", "way"), [((0, 1), "is_test"), (("3", "4"), "--group part"), (("x", "y"), "holdout")])
def test_a_named_column_of_other_words_says_what_would_do(words, way):
    with pytest.raises(DataError, match=way):
        resolve(table(words), make({"target": "label", "split": {"column": "part"}}), folder=Path("unused"))


def test_eval_is_test_beside_dev_and_validation_beside_test():
    cells = table(("train", "eval"))
    cells["part"][1] = "dev"
    problem, _ = resolved(cells)
    assert problem.split.validation.tolist() == [1]
    cells["part"] = ["test" if word == "eval" else word for word in cells["part"]]
    cells["part"][1] = "eval"
    problem, _ = resolved(cells)
    assert problem.split.validation.tolist() == [1]


def test_short_words_of_a_column_about_something_else_are_a_category():
    cells = table(("tr", "te"))
    cells["language"] = cells.pop("part")
    problem = resolve(cells, make({"target": "label", "inputs": {"keep": "all"}}), folder=Path("unused"))
    assert problem.alerts == ()
    assert "language" in [column.name for column in problem.schema.features()]


def test_of_columns_that_say_the_same_the_first_is_used():
    problem, told = resolved(table(("train", "test"), is_train=[int(k % 4 > 0) for k in range(ROWS)]))
    assert problem.config.split.column == "part"
    assert "says the same" in told["is_train",]
    assert "is_train" not in [column.name for column in problem.schema.features()]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", ["fold", "kfold", "CV_Fold"])
def test_numbers_of_folds_are_left_out_with_the_command(first, name):
    problem, told = resolved(table(("a", "b"), **{name: [first + k % 5 for k in range(ROWS)]}), drop=["part"])
    assert problem.config.split.column is None
    assert name not in [column.name for column in problem.schema.features()]
    assert f"--group {name} --folds 5" in told[name,]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("fold_change", [k % 5 for k in range(ROWS)]),
        ("fold", [k % 5 / 2 for k in range(ROWS)]),
        ("fold", list(range(2, 62))),
    ],
)
def test_other_numbers_are_no_folds(name, cells):
    problem = resolve({**table(("a", "b")), name: cells}, make({"target": "label"}), folder=Path("unused"))
    assert not [alert for alert in problem.alerts if alert.kind == "split_column"]


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


def test_texts_without_test_rows_are_no_classes():
    cells = table(("train", "test"))
    cells["label"] = [f"a text of row {k}" for k in range(ROWS)]
    findings = inspect(cells, config=make({"target": "label"})).findings
    assert not any("no test row" in finding.what for finding in findings)


def test_a_column_that_is_left_out_and_tells_the_target_is_noted():
    cells = table(("train", "test"))
    cells["id"] = [f"{label}__{k:03d}" for k, label in enumerate(cells["label"])]
    problem, _ = resolved(cells, split={"column": "part"})
    assert any(note.startswith("id alone predicts label in 100.0 % of rows") for note in problem.warnings)
    assert not any("id" in alert.columns for alert in problem.alerts)


def with_gaps(word, *, labelled):
    """Every fifth row says no side; it has a target or not."""
    cells = table(("train", "test"))
    gaps = range(1, ROWS, 5)
    cells["part"] = [word if k in gaps else side for k, side in enumerate(cells["part"])]
    cells["label"] = [None if k in gaps and not labelled else label for k, label in enumerate(cells["label"])]
    return cells, len(gaps)


@pytest.mark.parametrize("word", [None, "", "unlabeled"])
def test_rows_without_side_and_target_are_left_out_after_saying_so(word):
    cells, count = with_gaps(word, labelled=False)
    problem, told = resolved(cells)
    assert problem.config.split.column == "part"
    assert "is used as the split" in told["part",] and f"{count} rows" in told["part",]
    sides = np.concatenate([problem.split.train, problem.split.validation, problem.split.test])
    assert len(sides) == ROWS - count


@pytest.mark.parametrize("word", [None, "unlabeled", "unused"])
def test_rows_with_a_target_and_without_a_side_leave_it_out_with_the_row(word):
    problem, told = resolved(with_gaps(word, labelled=True)[0])
    assert problem.config.split.column is None
    assert "row 1" in told["part",] and "--split part" in told["part",]


def test_true_and_false_with_gaps_divide_the_rows_that_have_a_target():
    cells, _ = with_gaps(None, labelled=False)
    cells["is_test"] = [None if side is None else int(side == "test") for side in cells.pop("part")]
    problem = resolve(cells, make({"target": "label"}), folder=Path("unused"))
    assert problem.config.split.column == "is_test"


def test_a_split_that_the_user_names_may_have_gaps_where_there_is_no_target():
    problem, _ = resolved(with_gaps(None, labelled=False)[0], split={"column": "part"})
    assert len(problem.split.test) > 0
    with pytest.raises(DataError, match="part"):
        resolve(
            with_gaps(None, labelled=True)[0], make({"target": "label", "split": {"column": "part"}}),
            folder=Path("unused"),
        )  # fmt: skip


def test_public_and_private_test_rows_are_left_out_under_a_name_about_splits():
    cells = table(("Public", "Private"))
    problem, told = resolved(cells)
    assert problem.config.split.column is None
    assert "part" in told["part",]
    cells["school"] = cells.pop("part")
    problem = resolve(cells, make({"target": "label", "inputs": {"keep": "all"}}), folder=Path("unused"))
    assert "school" in [column.name for column in problem.schema.features()]
