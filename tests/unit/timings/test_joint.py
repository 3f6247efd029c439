"""Inputs that learn together: how much what they say by themselves counts in the end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from timing_tables import run

from polymodal.fusions.concat import Concat, ConcatConfig
from polymodal.layers.auxiliary import AuxiliaryHeads
from polymodal.model import Model
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.timing import Learned
from polymodal.timings._joint import learn_jointly
from polymodal.training.history import History
from polymodal.types import Tokens

ROWS = np.arange(40)


def head(width):
    return Regress(RegressConfig(), width=width, statistics={"column": "y", "mean": [0.0], "std": [1.0]})


def make_model(vote=0.5):
    torch.manual_seed(0)
    fusion = Concat(ConcatConfig(width=4), widths={"a": 3, "b": 3})
    auxiliary = AuxiliaryHeads({name: head(3) for name in "ab"}, vote=vote)
    return Model({}, {}, fusion, head(fusion.width), auxiliary=auxiliary).eval()


class Played:
    """A trainer whose model has nothing to learn; the target is what its fusion and its inputs say, mixed."""

    device = torch.device("cpu")
    weight = None
    estimators: ClassVar[dict[str, Any]] = {}

    def __init__(self, true_share, said=None, vote=0.5):
        torch.manual_seed(1)
        self.model = make_model(vote)
        self.seen = {name: Tokens.vector(torch.randn(len(ROWS), 3)) for name in "ab"}
        settings = SimpleNamespace(auxiliary_vote=said, early_stopping=SimpleNamespace(metric="rmse"))
        self.config = SimpleNamespace(train=settings, seed=0)
        with torch.inference_mode():
            fused = self.model.head(self.model.fusion(self.seen)).scores
            own = sum(of_input(self.seen[name]).scores for name, of_input in self.model.auxiliary.heads.items()) / 2
        self.target = ((1 - true_share) * fused + true_share * own)[:, 0].numpy()

    def build(self):
        return self.model

    def fit(self, model, rows, validation, *, phase, epochs=None):
        return History()

    def present(self, columns, rows):
        return np.ones(len(rows), dtype=bool)

    def tokens(self, model, rows):
        return {name: Tokens(of_input.values[rows], of_input.mask[rows]) for name, of_input in self.seen.items()}


@pytest.mark.parametrize(("true_share", "found"), [(0.0, 0.0), (0.25, 0.5), (0.5, 0.5), (0.75, 0.5)])
def test_inputs_vote_unless_validation_rows_say_that_this_does_harm(true_share, found):
    assert learn_jointly(Played(true_share), ROWS, ROWS[10:], None).model.auxiliary.vote == found


def test_few_rows_do_not_say_so():
    assert learn_jointly(Played(0.0), ROWS, ROWS[:29], None).model.auxiliary.vote == 0.5


def test_without_validation_rows_it_is_half():
    assert learn_jointly(Played(0.0), ROWS, ROWS[:0], None).model.auxiliary.vote == 0.5


def test_what_the_user_says_stays():
    assert learn_jointly(Played(0.75, said=0.25, vote=0.25), ROWS, ROWS, None).model.auxiliary.vote == 0.25


def test_a_model_without_votes_gets_none():
    assert learn_jointly(Played(0.75, vote=0.0), ROWS, ROWS, None).model.auxiliary.vote == 0


def test_the_last_training_takes_the_share_that_was_found():
    before = Learned(make_model(vote=0.75), {"train": History()})
    assert learn_jointly(Played(0.0), ROWS, ROWS[:0], before).model.auxiliary.vote == 0.75


def test_the_last_training_takes_the_temperature_that_was_found():
    before = Learned(make_model(), {"train": History()})
    before.model.temperature.value.fill_(0.7)
    assert learn_jointly(Played(0.0), ROWS, ROWS[:0], before).model.temperature.value == pytest.approx(0.7)


def test_a_run_says_the_share_and_the_temperature(monkeypatch):
    monkeypatch.setattr("polymodal.timings._joint._FEWEST_ROWS", 2)
    found = run(train={"epochs": 1, "auxiliary_vote": 0.25}).bundle
    assert found.metrics["auxiliary_vote"] == 0.25
    assert "Of every prediction 0.25 is what the inputs say by themselves" in found.card
    assert found.metrics["temperature"] == found.model.temperature.value != 1
    assert f"divided by the temperature {found.metrics['temperature']:.2f}" in found.card
    assert "Of every prediction" not in run(train={"epochs": 1, "auxiliary_vote": 0.0}).bundle.card
