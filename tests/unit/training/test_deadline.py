"""Trainings that have to end in time: speed measured beforehand, a hard stop, and state that goes on after a pause."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import Arrays, Scripted, coefficients_of, make_model, make_plan

from polymodal.config.train import ScheduleConfig
from polymodal.training.loop import Loop, fit
from polymodal.training.objective import Objective
from polymodal.training.plan import Plan
from polymodal.training.speed import measure_speed
from polymodal.training.step import Stepper

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.3 + 0.1 * RNG.normal(size=32)
UPDATE, ROW = 2.0, 0.25
"""Seconds, on the clock of these tests."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowRows(Arrays):
    """Each row takes a while to be validated."""

    def __init__(self, clock: Clock, *args, **options) -> None:
        super().__init__(*args, **options)
        self.clock = clock

    def epoch(self, number):
        for batch in super().epoch(number):
            self.clock.now += ROW * len(batch)
            yield batch


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock, update = Clock(), Stepper.update

    def slow(self, batches):
        clock.now += UPDATE
        return update(self, batches)

    monkeypatch.setattr(Stepper, "update", slow)
    return clock


def rows(num_batches: int = 3) -> Arrays:
    return Arrays({"x": X[:24]}, Y[:24], sizes=(24 // num_batches,))


def validation_rows(clock: Clock) -> Arrays:
    return SlowRows(clock, {"x": X[24:]}, Y[24:], sizes=(5,), first_row=24)


def plan_for(clock: Clock, **options) -> Plan:
    deadline = options.pop("deadline", math.inf)
    schedule = ScheduleConfig(name="cosine", warmup=0.1)
    return replace(make_plan(schedule=schedule, **options), clock=clock, deadline=deadline)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("seconds", [0.0, 7.0, 1000.0])  # of one update only, of some, and of a whole epoch
def test_the_speed_of_an_epoch_is_measured(clock, seconds, accumulate):
    plan = plan_for(clock, accumulate=accumulate)
    found = measure_speed(Objective(make_model()), rows(6), validation_rows(clock), plan=plan, seconds=seconds)
    assert found.epoch == pytest.approx(6 // accumulate * UPDATE + 8 * ROW)
    assert found.row == pytest.approx(ROW)


def test_the_first_update_does_not_count(clock, monkeypatch):
    update, slow = Stepper.update, [100.0]

    def warming_up(self, batches):
        clock.now += slow.pop() if slow else 0.0
        return update(self, batches)

    monkeypatch.setattr(Stepper, "update", warming_up)
    found = measure_speed(Objective(make_model()), rows(6), None, plan=plan_for(clock), seconds=500.0)
    assert found.epoch == pytest.approx(6 * UPDATE) and found.row == 0.0


def test_measuring_leaves_no_trace(clock):
    plan = plan_for(clock, epochs=3, ema=0.9)
    plain, measured = (make_model(dropout=0.4) for _ in range(2))
    fit(Objective(plain), rows(), validation_rows(clock), plan=plan)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    objective = Objective(measured)
    measure_speed(objective, rows(), validation_rows(clock), plan=plan, seconds=1000.0)
    assert torch.equal(torch.rand(1), expected)
    assert measured.training and not coefficients_of(measured).any()
    fit(objective, rows(), validation_rows(clock), plan=plan)
    assert coefficients_of(plain).any()
    np.testing.assert_array_equal(coefficients_of(measured), coefficients_of(plain))


def test_no_epoch_starts_that_would_not_end_in_time(clock):
    plan = plan_for(clock, epochs=99, deadline=25.0)  # an epoch takes 6 seconds
    history = fit(Objective(make_model()), rows(), None, plan=plan)
    assert len(history.epochs) == 4 and clock.now == 24.0
    assert [record.seconds for record in history.epochs] == [6.0] * 4 and not history.interrupted


def test_the_first_epoch_is_always_done(clock):
    history = fit(Objective(make_model()), rows(), None, plan=plan_for(clock, epochs=99, deadline=-1.0))
    assert len(history.epochs) == 1


def test_it_ends_with_its_best_weights(clock):
    task = Scripted([0.1, 0.9, 0.3, 0.2])
    model, best = make_model(), make_model()
    plan = plan_for(clock, task=task, metric="score", epochs=99, deadline=34.0)  # 6 seconds, and 2 of validation
    history = fit(Objective(model), rows(), validation_rows(clock), plan=plan)
    assert (len(history.epochs), history.best_epoch) == (4, 2)
    two = Loop(Objective(best), rows(), None, plan=replace(plan, deadline=math.inf))
    with two.stepper:
        two.advance()
        two.advance()
    np.testing.assert_array_equal(coefficients_of(model), coefficients_of(best))


def test_a_training_that_is_cut_in_two_stops_where_the_whole_one_does(clock):
    plan = plan_for(clock, epochs=99, deadline=25.0)
    whole, first, second = (make_model(dropout=0.3) for _ in range(3))
    fit(Objective(whole), rows(), None, plan=plan)
    clock.now = 0.0
    before = Loop(Objective(first), rows(), None, plan=plan)
    before.advance()
    before.advance()
    after = Loop(Objective(second), rows(), None, plan=plan)
    after.load_state_dict(before.state_dict())
    history = after.run()
    assert len(history.epochs) == 4
    np.testing.assert_array_equal(coefficients_of(second), coefficients_of(whole))
