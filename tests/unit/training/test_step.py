"""The update, against gradient descent in float64 NumPy."""

import numpy as np
import pytest
import torch
from torch import nn
from toys import Arrays, coefficients_of, make_model, make_stepper

from polymodal.config.train import ScheduleConfig
from polymodal.errors import NonFiniteLossError

RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=(8, 3)), RNG.normal(size=8), RNG.uniform(0.2, 3.0, size=8)


def gradient(theta: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Of sum(w (x theta + b - y)^2) / sum(w), for the three slopes and then the intercept."""
    design = np.column_stack([X, np.ones(8)])
    return 2 * design.T @ (weight * (design @ theta - Y)) / weight.sum()


class Steep(nn.Module):
    """A loss that is finite at zero, where its slope is infinite."""

    def forward(self, scores, target):
        return scores.values[:, 0].abs().sqrt()


def batches(**options) -> list:
    return list(Arrays({"x": X}, Y, **options).epoch(1))


@pytest.mark.parametrize("sizes", [(8,), (5, 3), (1, 6, 1)])
@pytest.mark.parametrize("weight", [None, W], ids=["unweighted", "weighted"])
def test_accumulated_batches_are_one_big_batch(sizes, weight):
    model = make_model()
    stepper = make_stepper(model)
    theta = np.zeros(4)
    for _ in range(3):
        stepper.update(batches(sizes=sizes, weight=weight))
        theta -= 0.1 * gradient(theta, np.ones(8) if weight is None else weight)
    np.testing.assert_allclose(coefficients_of(model), theta, atol=1e-6)


@pytest.mark.parametrize("clip_norm", [0.25, 1e6])
def test_the_gradient_is_clipped_to_its_norm(clip_norm):
    model = make_model()
    make_stepper(model, clip_norm=clip_norm).update(batches())
    slope = gradient(np.zeros(4), np.ones(8))
    expected = -0.1 * slope * min(1.0, clip_norm / np.linalg.norm(slope))
    np.testing.assert_allclose(coefficients_of(model), expected, atol=1e-5)


def test_the_rate_follows_the_schedule():
    stepper = make_stepper(make_model(), steps_per_epoch=4, schedule=ScheduleConfig(name="linear", warmup=0.0))
    rates = []
    for _ in range(4):
        stepper.update(batches())
        rates.append(stepper.lr)
        assert all(group["lr"] == stepper.lr for group in stepper.optimizer.param_groups)
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.025])


def test_rows_that_all_weigh_nothing_change_nothing():
    model = make_model()
    make_stepper(model).update(batches(weight=np.zeros(8)))
    np.testing.assert_array_equal(coefficients_of(model), np.zeros(4))


def test_outputs_are_what_the_model_gave_before_the_update():
    first, second = make_stepper(make_model()).update(batches(sizes=(5, 3), weight=W))
    np.testing.assert_allclose(torch.cat([first.losses, second.losses]), Y**2, rtol=1e-6)
    np.testing.assert_allclose(torch.cat([first.weights, second.weights]), W, rtol=1e-6)
    targets = torch.cat([first.target.values, second.target.values])
    np.testing.assert_allclose(targets[:, 0], Y, rtol=1e-6)
    assert torch.cat([first.prediction.values, second.prediction.values]).tolist() == [[0.0]] * 8
    assert not first.prediction.values.requires_grad and not first.losses.requires_grad


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_loss_stops_before_the_update_and_names_the_rows(bad):
    model = make_model()
    stepper = make_stepper(model)
    stepper.update(batches())
    before = coefficients_of(model)
    target = Y.copy()
    target[[2, 6]] = bad
    spoilt = Arrays({"x": X}, target, sizes=(5, 3), first_row=100)
    with pytest.raises(NonFiniteLossError, match=r"for row 102 of the table .*before the update"):
        stepper.update(list(spoilt.epoch(1)))
    with pytest.raises(NonFiniteLossError, match=r"for rows 102, 106 of the table"):
        stepper.update(list(Arrays({"x": X}, target, first_row=100).epoch(1)))
    np.testing.assert_array_equal(coefficients_of(model), before)


def test_non_finite_gradient_of_a_finite_loss_stops_before_the_update():
    model = make_model(criterion=Steep())
    with pytest.raises(NonFiniteLossError, match=r"gradient is NaN or infinite .* from rows 0, 1, 2, 3, 4, 5, 6, 7 of"):
        make_stepper(model, clip_norm=1.0).update(batches(sizes=(5, 3)))
    np.testing.assert_array_equal(coefficients_of(model), np.zeros(4))


def test_an_error_about_many_rows_stays_readable():
    many = Arrays({"x": np.zeros((50, 3))}, np.full(50, np.nan))
    with pytest.raises(NonFiniteLossError, match=r"rows 0, 1, .*, 19 and 30 more of the table"):
        make_stepper(make_model()).update(list(many.epoch(1)))


def test_an_overflow_of_float16_skips_the_update_and_lowers_the_scale():
    model = make_model()
    stepper = make_stepper(model, precision="float16")
    scale = stepper.scaler.get_scale()
    spread = list(Arrays({"x": X}, 1000 * Y).epoch(1))  # 2 * 1000 * 65536 / 8 is beyond float16
    stepper.update(spread)
    np.testing.assert_array_equal(coefficients_of(model), np.zeros(4))
    assert stepper.scaler.get_scale() == scale / 2
    for _ in range(12):
        stepper.update(spread)
    assert np.abs(coefficients_of(model)).min() > 0


def test_float16_too_stops_where_no_scale_helps():
    model = make_model(criterion=Steep())
    stepper = make_stepper(model, precision="float16")
    with pytest.raises(NonFiniteLossError, match="gradient"):
        for _ in range(20):
            stepper.update(batches())
    np.testing.assert_array_equal(coefficients_of(model), np.zeros(4))


def test_what_learns_at_a_share_of_the_rate_does_so_in_every_step():
    whole, tenth = make_model(), make_model()
    tenth.head.lr_scale = 0.1
    for model in (whole, tenth):
        make_stepper(model).update(batches())
    np.testing.assert_allclose(coefficients_of(tenth), 0.1 * coefficients_of(whole), atol=1e-6)
    assert coefficients_of(whole).any()
