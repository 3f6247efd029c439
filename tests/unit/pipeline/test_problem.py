"""A problem answers every question once: nothing is looked at, encoded or built a second time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import polymodal.data.columns.profile as surveying
from polymodal.config.run_config import make
from polymodal.data.cells import reading
from polymodal.data.tables.table import read_table
from polymodal.inference.forward import predict_loader
from polymodal.inference.predictor import predict
from polymodal.pipeline.choices import choose
from polymodal.pipeline.problem import resolve
from polymodal.pipeline.run import train
from polymodal.tasks.classify import Classify

ROWS = 48
SMALL = {
    "target": "label",
    "encoders": {"table": {"width": 4}, "vector": {"width": 4}},
    "fusion": {"name": "concat", "width": 4},
    "train": {"epochs": 1, "batch_size": 16},
}


def cells():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, ROWS)
    return {
        "size": [None if row == 5 else float(k + rng.normal()) for row, k in enumerate(label)],
        "place": (label[:, None] + rng.normal(size=(ROWS, 2))).tolist(),
        "number": list(range(ROWS)),
        "label": [None if row == 7 else f"class {k}" for row, k in enumerate(label)],
    }


@pytest.fixture
def counted(monkeypatch):
    """How often columns are looked at, modalities of fitted columns built, and targets encoded."""
    counts = Counter()
    survey, build, encode = surveying.profile_column, reading._settings, Classify.encode

    def watched_survey(table, name, limits):
        counts["survey", name] += 1
        return survey(table, name, limits)

    def watched_encode(self, value):
        counts["encode"] += 1
        return encode(self, value)

    def watched_build(column):
        counts["modality", column.name] += bool(column.statistics)
        return build(column)

    monkeypatch.setattr(surveying, "profile_column", watched_survey)
    monkeypatch.setattr(Classify, "encode", watched_encode)
    monkeypatch.setattr(reading, "_settings", watched_build)
    return counts


def test_every_question_is_answered_once(counted, tmp_path):
    problem = resolve(cells(), make(SMALL), folder=tmp_path)
    assert counted == {
        ("survey", "size"): 1, ("survey", "place"): 1, ("survey", "number"): 1, "encode": ROWS,
        ("modality", "size"): 1, ("modality", "place"): 1,
    }  # fmt: skip
    assert problem.values.count(None) == 1 and not len(problem.dataset.prepared.dropped)
    assert set(problem.dataset.modalities) == {"size", "place"}


def test_a_run_builds_the_modalities_of_its_columns_once_however_often_it_builds_a_model(counted):
    run = train(cells(), make(SMALL))
    assert run.refit is not None
    assert {name: count for name, count in counted.items() if name[0] == "modality"} == {
        ("modality", "size"): 1, ("modality", "place"): 1,
    }  # fmt: skip
    assert counted["encode"] == ROWS


def test_the_target_is_encoded_anew_where_training_rows_were_dropped(counted, tmp_path):
    table = cells()
    table["size"] = ["many" if row in (2, 11, 20, 30, 41) else value for row, value in enumerate(table["size"])]
    config = {**SMALL, "bad_cells": "drop", "columns": {"size": {"modality": "number"}}}
    problem = resolve(table, make(config), folder=tmp_path)
    assert counted["encode"] == 2 * ROWS
    assert len(problem.dataset.prepared.dropped) == 5 and len(problem.rejects) == 5
    learned = [problem.values[row] for row in problem.split.train]
    counts = np.array([learned.count(name) for name in ("class 0", "class 1")])
    np.testing.assert_allclose(problem.schema.target.statistics["prior"], counts / counts.sum())


def test_choices_are_those_of_the_run():
    table = read_table(cells())
    choices, run = choose(table, make(SMALL)), train(cells(), make(SMALL))
    assert choices.inputs == run.bundle.schema.inputs
    assert choices.config.train == run.bundle.config.train and choices.config.task == run.bundle.config.task
    for side in ("train", "validation", "test"):
        assert np.array_equal(getattr(choices.split, side), getattr(run.split, side))
    assert [column.settings for column in choices.columns] == [column.settings for column in run.bundle.schema.columns]


def test_what_a_problem_writes_back_resolves_to_itself(tmp_path):
    first = resolve(cells(), make(SMALL), folder=tmp_path)
    again = resolve(cells(), first.config, folder=tmp_path)
    assert again.config == first.config
    assert again.schema.inputs == first.schema.inputs and again.schema.target == first.schema.target
    assert again.dataset.targets.arrays(np.arange(ROWS)) == first.dataset.targets.arrays(np.arange(ROWS))


@pytest.mark.parametrize(("full", "sides"), [(True, []), (False, ["test"])])
def test_test_rows_are_not_scored_again_where_inputs_are_hidden_on_them(monkeypatch, full, sides):
    seen = []

    def watched(network, loader, device):
        seen.append(loader.rows)
        return predict_loader(network, loader, device)

    monkeypatch.setattr("polymodal.pipeline.measure.predict_loader", watched)
    run = train(cells(), make(SMALL), baselines=full)
    assert len(seen) == len(sides)
    for rows, side in zip(seen, sides, strict=True):
        assert np.array_equal(rows, getattr(run.split, side))
    plain = predict(run.bundle, read_table(cells()).take(run.split.test)).prediction
    np.testing.assert_allclose(run.measured.prediction.values, plain.values, atol=1e-6)
