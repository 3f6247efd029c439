"""Inputs that do not predict the target are left out of the model, and never silently."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

import polymodal as pm
from polymodal.config.run_config import make
from polymodal.errors import ConfigError
from polymodal.pipeline.problem import resolve

ROWS = 120
WORDS = ["river", "stone", "cloud", "ember", "thorn", "maple", "frost", "dune"]
SETTINGS = {
    "target": "label",
    "encoders": {"text": {"name": "bag", "width": 8}},
    "fusion": {"name": "concat", "width": 8},
    "train": {"epochs": 1, "final": "best"},
}


def texts(rng: np.random.Generator, first: np.ndarray | None = None) -> list[str]:
    """Four words a row; the first is said, or drawn as the others are."""
    drawn = rng.choice(WORDS, size=(ROWS, 4))
    if first is not None:
        drawn[:, 0] = first
    return [" ".join(words) for words in drawn]


def table() -> dict[str, list]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, ROWS)
    return {
        "useful": texts(rng, np.where(label > 0, "warm", "cold")),
        "noise": texts(rng),
        "more_noise": texts(rng),
        "label": ["yes" if one else "no" for one in label],
    }


def inputs_of(source: dict[str, list], **settings) -> tuple[list[str], str]:
    with tempfile.TemporaryDirectory() as folder:
        problem = resolve(source, make(SETTINGS | settings), folder=Path(folder))
    return [one.name for one in problem.schema.inputs], " ".join(problem.warnings)


def test_inputs_that_say_nothing_are_left_out_and_named():
    names, notes = inputs_of(table())
    assert names == ["useful"]
    assert "more_noise" in notes
    assert "inputs.keep" in notes


@pytest.mark.parametrize(
    ("keep", "expected"),
    [("all", ["more_noise", "noise", "useful"]), (["noise"], ["noise", "useful"])],
)
def test_the_user_may_keep_them(keep, expected):
    names, _ = inputs_of(table(), inputs={"keep": keep})
    assert sorted(names) == expected


def test_an_input_to_keep_that_there_is_not_is_named():
    with pytest.raises(ConfigError, match=r"inputs.keep.*'noize'.*noise"):
        inputs_of(table(), inputs={"keep": ["noize"]})


def test_an_input_that_a_setting_names_stays():
    names, _ = inputs_of(table(), fusion={"name": "average", "weights": {"noise": 2.0}})
    assert sorted(names) == ["noise", "useful"]


def test_where_nothing_says_anything_all_stay():
    names, notes = inputs_of({key: cells for key, cells in table().items() if key != "useful"})
    assert sorted(names) == ["more_noise", "noise"]
    assert "no input predicts" in notes
    assert "inputs.keep" not in notes


def test_of_few_rows_all_stay():
    names, _ = inputs_of({key: cells[:40] for key, cells in table().items()})
    assert sorted(names) == ["more_noise", "noise", "useful"]


def test_inputs_that_tell_together_stay():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2, size=(2, ROWS))
    source = {
        "first": [["left", "right"][one] for one in first],
        "second": [["up", "down"][one] for one in second],
        "noise": texts(rng),
        "label": [["a", "b"][one] for one in first ^ second],
    }
    names, _ = inputs_of(source, columns={name: {"modality": "text"} for name in ("first", "second")})
    assert sorted(names) == ["first", "second"]


def test_the_model_does_without_the_column_and_repeats(tmp_path):
    source = table()
    model = pm.Classifier(config={key: value for key, value in SETTINGS.items() if key != "target"})
    model.fit(source, y="label")
    few = {"useful": source["useful"]}
    assert len(model.predict(few)) == ROWS
    model.save(tmp_path / "bundle")
    assert (pm.load(tmp_path / "bundle").predict(few) == model.predict(few)).all()
    assert inputs_of(source, **model.bundle_.config.model_dump())[0] == ["useful"]


def test_a_number_to_predict_is_tested_too():
    rng = np.random.default_rng(2)
    values = rng.normal(size=ROWS)
    source = {
        "useful": texts(rng, np.where(values > 0, "warm", "cold")),
        "noise": texts(rng),
        "label": (values**3 * 100).tolist(),
    }
    assert inputs_of(source)[0] == ["useful"]


def twice(**more) -> dict[str, list]:
    source = table()
    return {"useful": source["useful"], "again": [*source["useful"]], "label": source["label"], **more}


def test_a_copy_of_an_input_is_left_out_and_named():
    names, notes = inputs_of(twice())
    assert names == ["useful"]  # the first of them in the table
    assert notes.startswith("again: left out") and "useful" in notes and "inputs.keep" in notes


@pytest.mark.parametrize(
    "settings",
    [
        {"inputs": {"keep": "all"}},
        {"inputs": {"keep": ["again"]}},
        {"columns": {"again": {"encoder": {"name": "bag", "width": 4}}}},
        {"columns": {"again": {"encoder": "rnn"}}},
    ],
)
def test_a_copy_stays_where_the_user_wants_it(settings):
    assert inputs_of(twice(), **settings)[0] == ["again", "useful"]


def test_what_differs_in_one_training_row_is_no_copy():
    source = twice()
    source["again"][3] = "another"
    assert inputs_of(source, split={"test": 0.0, "validation": 0.1})[0] == ["again", "useful"]


def test_the_results_say_of_what_it_is_a_copy_and_the_model_does_without_it():
    source = twice()
    model = pm.Classifier(config={key: value for key, value in SETTINGS.items() if key != "target"})
    model.fit(source, y="label")
    found = model.bundle_.metrics.input_tests["again"]
    assert (found.copy_of, found.useful) == ("useful", False)
    assert len(model.predict({"useful": source["useful"]})) == ROWS
