"""More learning: what a step learns from, and how far it may lead away from what was known."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from toys import Arrays, make_model, make_plan

from polymodal.errors import NonFiniteLossError
from polymodal.training.loop import learn_more
from polymodal.training.objective import Objective

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)), RNG.normal(size=12)


def rows(start=0, stop=12, *, sizes=(4,), weight=None):
    return Arrays({"x": X[start:stop]}, Y[start:stop], sizes=sizes, weight=weight, first_row=start)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters() if parameter.requires_grad])


def learned(new, old=(), *, anchor=0.0, epochs=1, **plan):
    model = make_model()
    with torch.no_grad():
        model.head.readout.linear.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
    history = learn_more(Objective(model), new, list(old), plan=make_plan(epochs=epochs, **plan), anchor=anchor)
    return model, history


def start():
    return torch.tensor([1.0, -2.0, 0.5, 0.0])


def gradient(w, index):
    """Of the mean squared error of linear regression: 2 X'(Xw - y) / n, in float64."""
    design = np.hstack([X[index], np.ones((len(index), 1))])
    return 2 * design.T @ (design @ w - Y[index]) / len(index)


def test_a_step_learns_from_new_and_old_rows_as_one_batch():
    model, history = learned(rows(0, 4), [rows(4, 12, sizes=(8,))], lr=0.05)
    expected = start().double().numpy() - 0.05 * gradient(start().double().numpy(), np.arange(12))
    np.testing.assert_allclose(weights(model), expected, rtol=1e-5)
    assert len(history.epochs) == 1
    design = np.hstack([X, np.ones((12, 1))])
    assert history.epochs[0].loss == pytest.approx(np.mean((design @ start().double().numpy() - Y) ** 2), rel=1e-5)
    assert not model.training


@pytest.mark.parametrize("anchor", [0.25, 1.0])
def test_after_each_step_the_weights_go_their_share_of_the_way_back(anchor):
    model, _ = learned(rows(sizes=(6,)), anchor=anchor, lr=0.05, epochs=2)
    w = w0 = start().double().numpy()
    for _ in range(2):
        for part in (np.arange(6), np.arange(6, 12)):
            w = w - 0.05 * gradient(w, part)
            w = w - anchor * (w - w0)
    np.testing.assert_allclose(weights(model), w, rtol=1e-5)
    assert anchor < 1 or torch.equal(weights(model), start())


def test_the_way_back_is_as_long_as_the_learning_rate_is_high():
    from polymodal.config.train import ScheduleConfig

    model, history = learned(rows(sizes=(6,)), anchor=0.5, lr=0.05, schedule=ScheduleConfig(name="linear", warmup=0))
    w = w0 = start().double().numpy()
    factors = []
    for step, part in enumerate((np.arange(6), np.arange(6, 12))):
        factors.append(1 - step / 2)
        w = w - 0.05 * factors[-1] * gradient(w, part)
        w = w - 0.5 * factors[-1] * (w - w0)
    assert history.epochs[0].lr == pytest.approx(0.05 * factors[-1])
    np.testing.assert_allclose(weights(model), w, rtol=1e-5)


@pytest.mark.parametrize("sizes", [[(1,)], [(2,)], [(5,), (1,)], [(8,)]])
def test_every_old_row_comes_once_an_epoch_and_no_step_gets_all_of_them(monkeypatch, sizes):
    from polymodal.training.step import Stepper

    seen = []
    update = Stepper.update

    def watched(self, batches):
        seen.append([batch.rows.tolist() for batch in batches])
        return update(self, batches)

    monkeypatch.setattr(Stepper, "update", watched)
    halves = (
        [rows(4, 12, sizes=sizes[0])] if len(sizes) == 1 else [rows(4, 9, sizes=sizes[0]), rows(9, 12, sizes=sizes[1])]
    )
    learned(rows(0, 4, sizes=(1,)), halves, epochs=1)
    assert [batches[0] for batches in seen] == [[0], [1], [2], [3]]
    old = [row for batches in seen for batch in batches[1:] for row in batch]
    assert sorted(old) == list(range(4, 12))
    count = sum(map(len, halves))
    assert max(len(batches) - 1 for batches in seen) <= -(-count // 4)


def test_frozen_weights_stay_and_encoders_that_are_frozen_make_no_noise():
    model = make_model(dropout=0.9, frozen=True)
    before = deepcopy(model.encoders["x"].state_dict())
    learn_more(Objective(model), rows(), [], plan=make_plan(), anchor=0.1)
    assert before.keys() == model.encoders["x"].state_dict().keys()
    w = -0.1 * gradient(np.zeros(4), np.arange(4))
    for part in (np.arange(4, 8), np.arange(8, 12)):
        w *= 0.9
        w = w - 0.1 * gradient(w, part)
    np.testing.assert_allclose(weights(model), 0.9 * w, rtol=1e-5)


def test_callbacks_hear_of_every_epoch_and_of_the_end():
    class Ear:
        def __init__(self):
            self.heard = []

        def on_epoch(self, record):
            self.heard.append(record.epoch)

        def on_end(self, history):
            self.heard.append("end")

    learn_more(Objective(make_model()), rows(), [], plan=make_plan(epochs=2), anchor=0.0, callbacks=[ear := Ear()])
    assert ear.heard == [1, 2, "end"]


def test_a_loss_that_is_not_finite_stops_before_the_update():
    bad = Arrays({"x": np.full((2, 3), 1e30)}, np.zeros(2), first_row=7)
    model = make_model()
    with torch.no_grad():
        model.head.readout.linear.weight.fill_(1e30)
    with pytest.raises(NonFiniteLossError, match="rows 7, 8"):
        learn_more(Objective(model), bad, [], plan=make_plan(), anchor=0.0)
    assert torch.equal(model.head.readout.linear.weight, torch.full((1, 3), 1e30))
