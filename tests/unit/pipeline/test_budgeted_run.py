"""Runs within a budget, by a clock that only updates of the weights move: one second each."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from polymodal import Classifier
from polymodal.config.duration import seconds_of
from polymodal.config.run_config import make
from polymodal.metrics.history import EpochRecord
from polymodal.pipeline import trainer
from polymodal.pipeline.run import Run, train
from polymodal.training.step import Stepper

ROWS = 24
RNG = np.random.default_rng(0)
LABELS = ["a", "b"] * (ROWS // 2)
TABLE = {
    "size": [float(label == "a") + 0.05 * RNG.normal() for label in LABELS],
    "word": [f"{'red' if label == 'a' else 'blue'} {row}" for row, label in enumerate(LABELS)],
    "label": LABELS,
    "side": ["train"] * 12 + ["validation"] * 6 + ["test"] * 6,
}
SMALL = {
    "target": "label",
    "split": {"column": "side"},
    "columns": {"word": {"modality": "text"}},
    "inputs": {"keep": "all"},
    "encoders": {"table": {"width": 4}, "text": {"width": 4}},
    "fusion": {"name": "concat", "width": 4},
}
EPOCHS = 20
LEARNING = {"epochs": EPOCHS, "early_stopping": {"patience": EPOCHS}, "optimizer": {"lr": 0.01}}


class Clock:
    """Updates take `update` seconds, and from a number of them on `later`."""

    def __init__(self) -> None:
        self.now, self.updates, self.slow_from = 0.0, 0, 10**9
        self.update, self.later = 1.0, 3.0

    def __call__(self) -> float:
        return self.now

    def tick(self) -> None:
        self.updates += 1
        self.now += self.later if self.updates > self.slow_from else self.update


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock, update = Clock(), Stepper.update

    def slow(self, batches):
        clock.tick()
        return update(self, batches)

    monkeypatch.setattr(Stepper, "update", slow)
    return clock


def run(clock: Clock, *, learning: dict | None = None, make_callbacks=None, **config) -> Run:
    settings = SMALL | {"train": LEARNING | (learning or {})} | config
    return train(TABLE, make(settings), clock=clock, baselines=False, make_callbacks=make_callbacks)


def said(found: Run) -> str:
    return " ".join(note for note in found.notes if "udget" in note or "time for" in note)


def weights_of(found: Run) -> dict[str, torch.Tensor]:
    return found.bundle.model.state_dict()


def test_epochs_are_planned_from_measured_speed(clock):
    found = run(clock, budget=14)  # 11.9 for learning, 1 to measure speed; three quarters of the rest are for epochs
    assert [record.seconds for record in found.history.epochs] == [1.0] * 8
    assert found.refit is None
    assert clock.now == 9.0
    assert "Budget of 14 s: 8 of 20 epochs, no final training. With about" in said(found)
    assert found.bundle.metrics.warnings == found.notes


def test_what_is_planned_learns_as_if_it_had_been_asked_for(clock):
    planned = run(clock, budget=14)
    asked = run(clock, learning={"epochs": 8, "final": "best"})
    assert planned.history.epochs[-1].lr == asked.history.epochs[-1].lr
    for name, value in weights_of(asked).items():
        assert torch.equal(value, weights_of(planned)[name]), name


def test_a_budget_with_room_for_everything_changes_nothing(clock):
    roomy, free = run(clock, budget="10m"), run(clock)
    assert roomy.refit is not None and said(roomy).startswith("Budget of 10 min: all of it ran, in 32 s.")
    assert said(free) == ""
    for name, value in weights_of(free).items():
        assert torch.equal(value, weights_of(roomy)[name]), name


def test_with_the_time_that_it_names_all_of_it_runs(clock):
    words = re.search(r"With about (.+) all of it", said(run(clock, budget=14)))
    assert words is not None
    clock.now = 0.0
    again = run(clock, budget=seconds_of(words[1]))
    assert again.refit is not None and len(again.history.epochs) == EPOCHS and "all of it ran" in said(again)


def test_epochs_that_become_slower_end_in_time(clock):
    clock.slow_from = 4  # of which one only measures
    found = run(clock, budget=14)
    assert len(found.history.epochs) == 3 + 2  # no other would end by 1 + 0.9 * 10.9
    assert clock.now == 1 + 3 + 2 * 3
    assert "5 of 20 epochs (8 were planned), no final training" in said(found)


def test_a_final_training_that_does_not_end_in_time_is_not_used(clock):
    clock.later, clock.slow_from = 100.0, 2 + EPOCHS + 3
    found = run(clock, budget=60)
    best = run(Clock(), learning={"final": "best"})
    assert found.refit is None and len(found.history.epochs) == EPOCHS
    assert any("The final training did not end within the budget." in note for note in found.notes)
    assert "Budget of 1 min: no final training." in said(found)
    for name, value in weights_of(best).items():
        assert torch.equal(value, weights_of(found)[name]), name


def test_one_epoch_that_takes_longer_is_done_and_said(clock):
    found = run(clock, budget=1)
    assert len(found.history.epochs) == 1 and found.refit is None
    assert "Budget of 1 s: 1 of 20 epochs" in said(found)
    assert "The run took 2 s, 1 s more than its budget. One epoch alone took 1 s." in said(found)


def test_tokens_of_frozen_encoders_may_take_all_of_it(clock, monkeypatch):
    encode = trainer.encode_frozen

    def slow(*args, **options):
        clock.now += 50.0
        return encode(*args, **options)

    monkeypatch.setattr(trainer, "encode_frozen", slow)
    mlp = {"name": "fuse_then_train", "predictor": "mlp"}
    found = run(clock, budget=55, stage=mlp, encoders={}, fusion="concat")
    assert len(found.history.epochs) == 1 and found.refit is None
    assert "Budget of 55 s: 1 of 20 epochs" in said(found)
    why = "Computing the tokens of frozen encoders alone took 50 s."
    assert f"The time for learning was over before the training began. {why}" in said(found)


def test_inputs_that_learn_by_themselves_share_the_time(clock):
    found = run(clock, budget=14, stage="late", fusion="average")
    assert {name: len(history.epochs) for name, history in found.branches.items()} == {"table": 4, "word": 4}
    assert found.refit is None and clock.now == 10.0
    assert "table: 4 of 20 epochs, word: 4 of 20 epochs, no final training" in said(found)


def test_networks_of_a_deep_ensemble_share_the_time(clock):
    found = run(clock, budget=40, stage={"name": "deep_ensemble", "seeds": 3})
    epochs = {name: len(history.epochs) for name, history in found.branches.items()}
    assert set(epochs) == {"network 1", "network 2", "network 3"}
    assert min(epochs.values()) >= 4 and max(epochs.values()) <= 1.5 * min(epochs.values()) and clock.now <= 40


def test_folds_of_late_fusion_are_left_out_without_time(clock):
    found = run(clock, budget=14, stage="late", fusion="weighted")
    assert "no out-of-fold predictions" in said(found) and clock.now == 10.0


class Interrupting:
    """Ctrl-C in the fifth epoch."""

    def on_epoch(self, record: EpochRecord) -> None:
        if record.epoch == 5:
            raise KeyboardInterrupt

    def on_end(self, history) -> None: ...


def test_an_interrupted_run_does_not_speak_of_its_budget(clock):
    found = run(clock, budget=14, make_callbacks=lambda *_: [Interrupting()])
    assert found.history.interrupted and len(found.history.epochs) == 5
    assert found.refit is None and said(found) == ""


def test_callbacks_hear_of_the_planned_epochs(clock):
    heard = list[tuple[str, int]]()

    def make_callbacks(phase: str, epochs: int, metric: str) -> list:
        heard.append((phase, epochs))
        return []

    run(clock, budget=14, make_callbacks=make_callbacks)
    assert heard == [("train", 8)]


def test_baselines_are_left_out_when_the_time_is_over(clock):
    settings = make(SMALL | {"train": LEARNING, "budget": 1})
    found = train(TABLE, settings, clock=clock)
    assert not found.bundle.metrics.baselines.shown and "no baselines" in said(found)
    roomy = train(TABLE, make(SMALL | {"train": {"epochs": 1}, "budget": 100}), clock=clock)
    assert roomy.bundle.metrics.baselines.shown


def test_the_figures_name_only_members_that_were_fitted(clock):
    roomy, short = (run(clock, budget=seconds).bundle.metrics.ensemble for seconds in (200, 1))
    assert set(roomy) - set(short) == {"linear:table", "linear:word", "gradient_boosting"}
    for weights in (roomy, short):
        assert sum(weights.values()) == pytest.approx(1.0)


def test_estimators_take_a_budget():
    model = Classifier(budget="1h", epochs=2, config={"split": {"column": "side"}}).fit(TABLE, y="label")
    assert model.bundle_.config.budget == "1h" and model.get_params()["budget"] == "1h"
    assert any(note.startswith("Budget of 1 h: all of it ran") for note in model.bundle_.metrics.warnings)
    assert model.set_params(budget=None).budget is None
