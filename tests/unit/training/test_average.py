"""The average of weights against its closed form in float64."""

import numpy as np
import pytest
import torch
from test_loop import Interrupted, X, Y, assert_equal, state, train_rows, validation_rows
from torch import nn
from toys import Scripted, coefficients_of, make_model, make_plan

from polymodal.training.loop import fit
from polymodal.training.objective import Objective
from polymodal.training.weights import WeightAverage


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_it_is_the_weighted_mean_of_the_weights_after_every_update(decay):
    torch.manual_seed(0)
    layer = nn.Linear(3, 2).double()
    average = WeightAverage(layer, decay)
    seen = []
    for _ in range(6):
        with torch.no_grad():
            layer.weight.normal_()
        average.update()
        seen.append(layer.weight.detach().numpy().copy())
        parts = (1 - decay) * decay ** np.arange(len(seen))[::-1]  # Kingma & Ba 2015, equation 1 and section 3
        expected = np.tensordot(parts, np.array(seen), axes=1) / (1 - decay ** len(seen))
        np.testing.assert_allclose(average.average[0].numpy(), expected, rtol=1e-12)


def test_frozen_parameters_and_buffers_stay_as_they_are():
    layers = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    layers[0].weight.requires_grad_(False)
    average = WeightAverage(layers, 0.5)
    assert [tuple(p.shape) for p in average.average] == [(2,)] * 3
    layers[1].running_mean.fill_(7.0)
    average.update()
    average.put_in()
    assert layers[1].running_mean.tolist() == [7.0, 7.0]


def test_the_model_has_its_own_weights_again_after_a_look_at_the_average_even_if_it_fails():
    model = make_model()
    average = WeightAverage(model, 0.9)
    nn.init.ones_(model.head.readout.linear.weight)
    with pytest.raises(RuntimeError), average.in_place():
        assert model.head.readout.linear.weight.eq(0).all()
        raise RuntimeError
    assert model.head.readout.linear.weight.eq(1).all()


def test_training_ends_with_the_average_of_what_plain_training_goes_through():
    model = make_model()
    fit(Objective(model), train_rows(), None, plan=make_plan(epochs=2, ema=0.8))
    design, theta, seen = np.column_stack([X[:24], np.ones(24)]), np.zeros(4), []
    for rows in [slice(0, 8), slice(8, 16), slice(16, 24)] * 2:
        theta = theta - 0.1 * 2 * design[rows].T @ (design[rows] @ theta - Y[:24][rows]) / 8
        seen.append(theta)
    parts = 0.2 * 0.8 ** np.arange(6)[::-1]
    np.testing.assert_allclose(coefficients_of(model), parts @ np.array(seen) / (1 - 0.8**6), atol=1e-6)


def test_validation_and_the_best_weights_are_those_of_the_average():
    model, until_best = make_model(), make_model()
    task = Scripted([1, 3, 2])
    plan = make_plan(task=task, epochs=3, metric="score", ema=0.9)
    history = fit(Objective(model), train_rows(), validation_rows(), plan=plan)
    fit(Objective(until_best), train_rows(), None, plan=make_plan(epochs=2, ema=0.9))
    assert history.best_epoch == 2
    assert_equal(state(model), state(until_best))
    theta = coefficients_of(until_best)
    np.testing.assert_allclose(task.predicted[1], X[24:] @ theta[:3] + theta[3], atol=1e-5)


def test_ctrl_c_ends_with_the_average():
    model, one_epoch = make_model(), make_model()
    plan = make_plan(task=Scripted([2, 1]), epochs=9, metric="score", ema=0.9)
    rows = Interrupted({"x": X[:24]}, Y[:24], sizes=(8,))
    history = fit(Objective(model), rows, validation_rows(), plan=plan)
    fit(Objective(one_epoch), train_rows(), None, plan=make_plan(epochs=1, ema=0.9))
    assert (history.interrupted, history.best_epoch) == (True, 1)
    assert_equal(state(model), state(one_epoch))


def test_averaging_changes_nothing_of_what_is_learned():
    first, second = (
        fit(Objective(make_model()), train_rows(), None, plan=make_plan(epochs=3, ema=ema)) for ema in (None, 0.9)
    )
    assert [record.loss for record in first.epochs] == [record.loss for record in second.epochs]
