"""The figures of a model keep their names in the file, and what is no figure of ours is refused by its path."""

from __future__ import annotations

import json

import pytest

from polymodal.bundles.files import refusing
from polymodal.errors import DamagedBundleError
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.results import Baselines, Results, RowCounts, UpdateResults, UpdateRows

SCORE = {"value": 0.5, "low": 0.25, "high": 0.75}
FILE = {
    "validation": {},
    "test": {"accuracy": SCORE},
    "subsets": {
        "metric": "accuracy",
        "subsets": [
            {"inputs": ["a", "b"], "metrics": {"accuracy": SCORE}, "change": None},
            {"inputs": ["a"], "metrics": {"accuracy": SCORE}, "change": SCORE},
        ],
        "masked": [{"rate": 0.5, "metrics": {"accuracy": SCORE}}],
    },
    "baselines": {"majority": {"accuracy": SCORE}, "linear": {}, "linear_by_input": {"a": {"accuracy": SCORE}}},
    "rows": {
        "train": 70, "validation": 10, "test": 20, "unknown_class": 2,
        "unlabelled": 1, "dropped": 3, "rejected_cells": 4, "cleaned": 5,
    },
    "input_tests": {
        "a": {"p_value": 0.001, "p_together": None, "useful": True, "copy_of": None},
        "b": {"p_value": 0.5, "p_together": 0.75, "useful": False, "copy_of": None},
        "c": {"p_value": 0.001, "p_together": None, "useful": False, "copy_of": "a"},
    },
    "ensemble": {"joint": 0.75, "linear:a": 0.25},
    "temperature": 1.25,
    "best_epoch": 7,
    "notes": ["a: 2 cells cut"],
    "updates": [{"metric": "accuracy", "rows": {"learned": 60, "replayed": 20}, "times": 2, "settings": {"lr": 0.1}}],
}  # fmt: skip


def test_a_file_is_read_and_written_as_it_was():
    found = Results.model_validate(json.loads(json.dumps(FILE)))
    assert json.loads(json.dumps(found.model_dump())) == FILE
    assert found.test["accuracy"] == Interval(**SCORE)
    assert found.subsets.subsets[1].change.low == 0.25
    assert found.baselines.reports == {"majority": {"accuracy": Interval(**SCORE)}, "linear": {}}
    assert found.baselines.linear_by_input == {"a": {"accuracy": Interval(**SCORE)}}
    assert found.input_tests["b"].p_together == 0.75
    assert found.ensemble == {"joint": 0.75, "linear:a": 0.25}
    assert found.warnings == ("a: 2 cells cut",)
    assert (found.side, found.measured) == ("test", found.test)


def test_an_older_file_without_tests_of_the_inputs_is_read():
    found = Results.model_validate({key: value for key, value in FILE.items() if key != "input_tests"})
    assert found.input_tests == {}
    assert "input_tests" not in found.model_dump()


def test_what_was_never_measured_is_left_out():
    assert Results().model_dump() == {}
    assert Results(test={}, subsets=None, baselines=Baselines()).model_dump() == {"test": {}, "baselines": {}}
    entry = UpdateResults(metric="r2", rows=UpdateRows(learned=3), settings={})
    assert entry.model_dump() == {"metric": "r2", "rows": {"learned": 3}, "settings": {}}
    assert Results(rows=RowCounts(train=1)).model_dump()["rows"]["test"] == 0


def test_a_task_may_bring_baselines_of_its_own():
    found = Results.model_validate({"baselines": {"chance": {"recall_at_10": SCORE}}})
    assert found.baselines.reports == {"chance": {"recall_at_10": Interval(**SCORE)}}
    assert found.model_dump()["baselines"] == {"chance": {"recall_at_10": SCORE}}


def test_without_test_rows_the_validation_rows_are_what_was_measured():
    found = Results(validation={"accuracy": Interval(**SCORE)})
    assert (found.side, found.measured) == ("validation", found.validation)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"tset": {}}, "tset"),
        ({"test": {"accuracy": SCORE | {"median": 0.5}}}, "test.accuracy.median"),
        ({"test": {"accuracy": {"value": 0.5, "low": 0.1}}}, "test.accuracy.high"),
        ({"test": {"accuracy": SCORE | {"value": "much"}}}, "test.accuracy.value"),
        ({"rows": {"trian": 5}}, "rows.trian"),
        ({"input_tests": {"a": {"p_value": 0.5, "useful": True}}}, "input_tests.a.p_together"),
        ({"baselines": {"majority": {"accuracy": 0.5}}}, "baselines.reports.majority.accuracy"),
        ({"baselines": {"linear_by_input": {"a": 3}}}, "baselines.linear_by_input.a"),
        ({"updates": [{"metric": "r2", "rows": {}, "settings": {}, "old": {"befor": {}}}]}, "updates.0.old.befor"),
    ],
)
def test_figures_that_are_none_are_refused_by_their_path(change, where):
    with pytest.raises(DamagedBundleError, match=rf"metrics\.json: {where}: "), refusing("metrics.json"):
        Results.model_validate(FILE | change)
