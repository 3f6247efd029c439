"""The presets `fast`, `default` and `best`: how much is trained, where the user says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from polymodal.config.run_config import make
from polymodal.data.tables.table import read_table
from polymodal.pipeline.choices import choose
from polymodal.pipeline.defaults import MEMBERS, complete_train

ROWS = 60
RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=ROWS)
TABLE = {
    "size": SIZE.tolist(),
    "words": [f"{'red' if size > 0 else 'blue'} thing {row}" for row, size in enumerate(SIZE)],
    "label": ["a" if size > 0 else "b" for size in SIZE],
}
PAIRS = {"task": {"name": "match", "sides": {"numbers": ["size"], "words": ["words"]}}, "drop": ["label"]}


def chosen(**settings):
    target = {} if "task" in settings else {"target": "label"}
    return choose(read_table(TABLE), make({**target, **settings})).config


@pytest.mark.parametrize(("num_rows", "epochs"), [(100, 10), (1_000, 4), (10_000, 3), (10**6, 2)])
def test_fast_trains_a_quarter_of_the_epochs_and_no_trees(num_rows, epochs):
    train = complete_train(make({}).train, num_rows=num_rows, monitor="log_loss", effort="fast")
    assert (train.epochs, train.final) == (epochs, "best")
    assert train.ensemble.members == ("unimodal", "linear")
    alone = complete_train(make({"train": {"auxiliary_loss": 0.0}}).train, num_rows=9, monitor="rmse", effort="fast")
    assert alone.ensemble.members == ("linear",)


def test_what_the_user_says_goes_before_fast():
    said = {"epochs": 1, "final": "refit", "ensemble": ["gradient_boosting"]}
    config = chosen(preset="fast", train=said)
    assert (config.train.epochs, config.train.final) == (1, "refit")
    assert config.train.ensemble.members == ("gradient_boosting",)
    assert config.stage.name == "intermediate"


def test_default_is_what_happens_when_nothing_is_said():
    without, named = chosen(), chosen(preset=["default", "scratch"])
    assert without == named.model_copy(update={"preset": "scratch"})
    assert (without.train.epochs, without.train.final, without.train.ensemble.members) == (40, "refit", MEMBERS)
    assert without.stage.name == "intermediate"


def test_best_is_a_deep_ensemble_where_the_user_names_no_stage():
    config, usual = chosen(preset="best"), chosen()
    assert (config.stage.name, config.stage.settings) == ("deep_ensemble", {"seeds": 3})
    assert config.train.epochs == 2 * usual.train.epochs == 80
    assert (config.train.final, config.train.ensemble) == (usual.train.final, usual.train.ensemble)
    assert chosen(preset="best", stage={"seeds": 2}).stage.settings == {"seeds": 2}


@pytest.mark.parametrize("settings", [{"stage": "late", "fusion": "average"}, {"stage": "intermediate"}, PAIRS])
def test_best_keeps_a_stage_that_is_named_and_the_usual_one_where_predictions_are_no_scores(settings):
    config, usual = chosen(preset="best", **settings), chosen(**settings)
    assert config.stage == usual.stage
    assert config.train.epochs == 2 * usual.train.epochs == 80


def test_a_run_written_out_repeats_whatever_the_preset():
    for preset in ("fast", "best"):
        first = chosen(preset=preset)
        again = choose(read_table(TABLE), make(first.model_dump(mode="json"))).config
        assert (again.train, again.stage) == (first.train, first.stage)
