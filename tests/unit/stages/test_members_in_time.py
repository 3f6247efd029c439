"""Members of an ensemble within a budget: linear models first, trees where they are fast enough."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from played import Played, classify, encoded

from polymodal.models.budget import Budget
from polymodal.models.ensemble import Ensemble
from polymodal.stages._predictors import PredictorConfig
from polymodal.types import Tokens

NUM = 3_000
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(NUM, 2)), RNG.normal(size=(NUM, 2))
LABELS = np.where(A[:, 0] + B[:, 0] > 0, "p", "q").tolist()
TREES, LINEAR = 0.01, 0.001  # seconds a row, on the clock of these tests


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """Fitting takes time by the number of rows, and is noted in `fitted`."""
    clock, fit = Clock(), PredictorConfig.fit
    clock.fitted = []

    def slow(self, machine, data):
        trees = self.name == "gradient_boosting"
        clock.now += len(data.wanted) * (TREES if trees else LINEAR)
        clock.fitted.append((self.name, len(data.wanted)))
        few = data.rows(np.arange(60))  # so that the test is fast
        fit(self, machine, few)

    monkeypatch.setattr(PredictorConfig, "fit", slow)
    return clock


def make_fitter(budget: Budget) -> Played:
    tokens = {name: Tokens.vector(torch.zeros(NUM, 2)) for name in "ab"}
    run = {"stage": "intermediate", "fusion": "concat", "train": {"auxiliary_loss": 0.0}}
    run["train"]["ensemble"] = ("linear", "gradient_boosting")
    task = classify(LABELS)
    return Played(task, tokens, encoded(task, LABELS), settings=run, handcrafted={"a": A, "b": B}, budget=budget)


def members_of(network) -> dict[str, bool]:
    assert isinstance(network, Ensemble) and network.features is not None
    return dict(zip(network.features.names, network.features.fitted.tolist(), strict=True))


def learned(fitter: Played, clock: Clock):
    return fitter.stage.learn(fitter, np.arange(2_000), np.arange(2_000, NUM))


def test_with_enough_time_all_members_are_fitted(clock):
    budget = Budget(1e6, clock=clock)
    assert all(members_of(learned(make_fitter(budget), clock).network).values())
    assert budget.members == pytest.approx(2 * (2.0 + 0.2) + 20.0 + 2.0)  # a tenth of the rows tells how long it takes
    assert budget.left_out == {}


def test_trees_that_would_be_too_slow_are_left_out(clock):
    budget = Budget(12.0, clock=clock)  # 3.8 seconds are left when a tenth of the rows took the trees 2
    found = learned(make_fitter(budget), clock)
    assert members_of(found.network) == {"linear:a": True, "linear:b": True, "gradient_boosting": False}
    assert ("gradient_boosting", 2_000) not in clock.fitted and ("gradient_boosting", 200) in clock.fitted
    assert budget.left_out == {"gradient_boosting": pytest.approx(2.0 * 10**0.5)}
    assert "no gradient_boosting" in budget.sentences()[0]
    weights = dict(zip(found.network.names, found.network.weights.tolist(), strict=True))
    assert sum(weights[name] for name in ("linear:a", "linear:b")) > 0.5


def test_what_was_left_out_stays_so_in_the_final_training(clock):
    budget = Budget(12.0, clock=clock)
    fitter = make_fitter(budget)
    first = learned(fitter, clock)
    clock.now, clock.fitted = 0.0, []  # as if there were time again
    again = fitter.stage.learn(fitter, np.arange(NUM), np.arange(0), before=first)
    assert members_of(again.network) == members_of(first.network)
    assert [name for name, _ in clock.fitted] == ["logistic", "logistic"]


def test_without_time_nothing_is_fitted_and_the_network_predicts(clock):
    budget = Budget(1.0, clock=clock)
    clock.now = 5.0
    network = learned(make_fitter(budget), clock).network
    assert not any(members_of(network).values()) and clock.fitted == []
    with torch.inference_mode():
        tokens = make_fitter(budget).tokens(network, np.arange(3))
        assert torch.isfinite(network.combine(tokens).values).all()


@pytest.mark.parametrize("num_validation", [0, 20])
def test_few_validation_rows_and_no_other_member_leave_the_network(clock, monkeypatch, num_validation):
    monkeypatch.setattr("polymodal.stages._feature_members.seconds_to_fit", lambda *_: 1e9)
    fitter = make_fitter(Budget(1e3, clock=clock))
    found = fitter.stage.learn(fitter, np.arange(200), np.arange(200, 200 + num_validation)).network
    assert not any(members_of(found).values())
    assert torch.isfinite(found.weights).all() and torch.isfinite(found.calibrator.value)
    assert found.weights.sum() == pytest.approx(1.0)


def test_folds_are_left_out_where_they_do_not_fit(clock):
    budget = Budget(55.0, clock=clock)  # all members take 26.4; four times as long is not left
    fitter = make_fitter(budget)
    network = fitter.stage.learn(fitter, np.arange(2_000), np.arange(2_000, 2_020)).network  # few validation rows
    assert all(members_of(network).values())
    assert len(clock.fitted) == 6
    assert "no out-of-fold predictions" in budget.sentences()[0]


def test_without_a_budget_no_time_is_measured(clock):
    assert all(members_of(learned(make_fitter(Budget()), clock).network).values())
    assert [number for _, number in clock.fitted] == [2_000] * 3
