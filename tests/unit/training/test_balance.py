"""OGM-GE against the paper's equations, written out for two inputs in float64 NumPy."""

import numpy as np
import pytest
import torch
from torch import nn
from toys import Arrays, Flat, Through, assemble, make_head, make_plan, make_stepper, with_heads

from polymodal.config.train import BalanceConfig
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model
from polymodal.training.balance import Balance, coefficients, contributions
from polymodal.training.loop import fit
from polymodal.training.objective import Objective
from polymodal.training.step import StepOutput, Stepper, confidence_in

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(8, 1)), RNG.normal(size=(8, 1))
Y = 2 * X[:, 0] + 0.1 * Z[:, 0]


class Slope(Through):
    """One number times a weight that learns."""

    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), value))


def two_inputs(*, heads: bool = True) -> Model | Ensemble:
    """x tells most of the target, z next to nothing."""
    columns = {"x": ("x",), "z": ("z",)}
    model = assemble({"x": Slope(), "z": Slope()}, columns, Flat(2), make_head(2, [0.5, 0.5]))
    return with_heads(model, {"x": make_head(1, [1.5]), "z": make_head(1, [0.2])}) if heads else model


def training(network: Model | Ensemble) -> Objective:
    return Objective(network, auxiliary_loss=1.0 if isinstance(network, Ensemble) else 0.0)


def batches(sizes=(8,), weight=None) -> list:
    return list(Arrays({"x": X, "z": Z}, Y, sizes=sizes, weight=weight).epoch(1))


def stepper(network: Model | Ensemble, **balance) -> Stepper:
    settings = {"name": "ogm_ge", "noise": False, **balance}
    made = make_stepper(training(network), lr=0.1, balance=settings, steps_per_epoch=1, epochs=10)
    made.begin(1)
    return made


def gradients(heads: bool) -> np.ndarray:
    """Of the two slopes, plain."""
    fused = 2 * (0.5 * X[:, 0] + 0.5 * Z[:, 0] - Y) * 0.5
    of_x, of_z = (fused * X[:, 0]).mean(), (fused * Z[:, 0]).mean()
    if heads:
        of_x += (2 * (1.5 * X[:, 0] - Y) * 1.5 * X[:, 0]).mean() / 2
        of_z += (2 * (0.2 * Z[:, 0] - Y) * 0.2 * Z[:, 0]).mean() / 2
    return np.array([of_x, of_z])


def papers_factor(strong: np.ndarray, weak: np.ndarray, alpha: float) -> float:
    """Of the stronger of two inputs, by arXiv 2203.15332: the ratio of the sums of their scores over the batch."""
    ratio = strong.sum() / weak.sum()
    assert ratio > 1
    return 1 - np.tanh(alpha * ratio)


@pytest.mark.parametrize("alpha", [0.1, 0.8])
@pytest.mark.parametrize("sizes", [(8,), (5, 3)])
def test_the_stronger_encoder_moves_by_the_papers_factor_and_the_other_as_ever(alpha, sizes):
    model = two_inputs()
    stepper(model, alpha=alpha).update(batches(sizes))
    strong, weak = np.exp(-((1.5 * X[:, 0] - Y) ** 2)), np.exp(-((0.2 * Z[:, 0] - Y) ** 2))
    factors = np.array([papers_factor(strong, weak, alpha), 1.0])
    moved = [model.encoders[name].scale.item() for name in "xz"]
    np.testing.assert_allclose(moved, 1 - 0.1 * factors * gradients(heads=True), rtol=1e-5)


def test_without_own_heads_the_fusion_is_asked_with_the_other_input_hidden():
    model = two_inputs(heads=False)
    stepper(model, alpha=0.3).update(batches())
    strong, weak = np.exp(-((0.5 * X[:, 0] - Y) ** 2)), np.exp(-((0.5 * Z[:, 0] - Y) ** 2))
    factors = np.array([papers_factor(strong, weak, 0.3), 1.0])
    moved = [model.encoders[name].scale.item() for name in "xz"]
    np.testing.assert_allclose(moved, 1 - 0.1 * factors * gradients(heads=False), rtol=1e-5)


def test_fusion_and_heads_move_as_ever():
    balanced, plain = two_inputs(), two_inputs()
    stepper(balanced, alpha=0.8).update(batches())
    stepper(plain, start=2).update(batches())
    for name, parameter in balanced.named_parameters():
        same = torch.equal(parameter, plain.get_parameter(name))
        assert same == (parameter is not balanced.encoders["x"].scale), name


def test_it_acts_from_its_first_epoch_to_its_last():
    for made, acting in (
        (stepper(two_inputs(), start=2, end=3), [2, 3]),
        (stepper(two_inputs(), start=4), [4, 5, 99]),
    ):
        found = []
        for epoch in (1, 2, 3, 4, 5, 99):
            made.begin(epoch)
            found += [epoch] if made.balances else []
        assert found == acting


def test_the_factor_of_three_inputs_is_that_of_each_against_the_mean_of_the_others():
    factors = coefficients({"a": 0.9, "b": 0.3, "c": 0.1}, alpha=0.5)
    assert factors == pytest.approx({"a": 1 - np.tanh(0.5 * 0.9 / 0.2), "b": 1.0, "c": 1.0})


@pytest.mark.parametrize(
    ("confidences", "factors"),
    [
        ({}, {}),
        ({"a": 0.4}, {"a": 1.0}),
        ({"a": 0.4, "b": 0.0}, {"a": 0.0, "b": 1.0}),
        ({"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 1.0}),
    ],
    ids=["nobody", "alone", "against nothing", "nothing against nothing"],
)
def test_factors_at_the_edges_are_finite(confidences, factors):
    assert coefficients(confidences, alpha=0.3) == factors


def test_noise_is_as_large_as_the_deviation_of_each_gradient_and_has_no_mean():
    wide = nn.Linear(400, 100)
    model = two_inputs()
    balance = Balance(model, BalanceConfig(name="ogm_ge", alpha=0.3))
    balance.parameters = {"x": [wide.weight], "z": [wide.bias]}
    torch.manual_seed(0)
    wide.weight.grad = torch.randn(100, 400) * 3 + 5
    wide.bias.grad = torch.ones(100)  # no deviation, no noise
    before = wide.weight.grad.clone()
    balance.modulate({"x": 0.8, "z": 0.4})
    noise = wide.weight.grad - (1 - np.tanh(0.3 * 2)) * before
    assert float(noise.mean()) == pytest.approx(0, abs=0.1)
    assert float(noise.std()) == pytest.approx(float(before.std()), rel=0.02)
    assert torch.equal(wide.bias.grad, torch.ones(100))


def test_what_is_frozen_or_shared_by_inputs_is_left_alone():
    shared, frozen = Slope(), Through(frozen=True)
    columns = {"x": ("x",), "y": ("x",), "z": ("z",)}
    model = assemble({"x": shared, "y": shared, "z": frozen}, columns, Flat(3), make_head(3))
    assert Balance(model, BalanceConfig(name="ogm_ge")).parameters == {"x": [], "y": [], "z": []}


def test_confidence_counts_rows_that_have_the_input_by_their_weight():
    own = {
        "x": torch.tensor([0.9, 0.3, np.nan]),
        "z": torch.tensor([np.nan] * 3),
        "w": torch.tensor([1.0, np.nan, np.nan]),
    }
    weights, outputs = torch.tensor([0.0, 2.0, 1.0]), []
    for part in (slice(2), slice(2, 3)):
        own_part = {name: rows[part] for name, rows in own.items()}
        outputs.append(StepOutput(weights[part], weights[part], torch.arange(3)[part], None, None, own_part))
    assert confidence_in(outputs) == {"x": pytest.approx(0.3)}


def test_contributions_sum_to_one_and_say_nothing_of_a_single_input():
    assert sum(contributions({"a": 0.1, "b": 0.2, "c": 0.4}).values()) == pytest.approx(1, abs=1e-5)
    assert contributions({"a": 0.7}) == contributions({}) == contributions({"a": 0.0, "b": 0.0}) == {}


def test_the_log_has_each_inputs_share_of_the_confidence():
    history = fit(training(two_inputs()), Arrays({"x": X, "z": Z}, Y), None, plan=make_plan(lr=1e-9))
    confidences = np.exp(-((1.5 * X[:, 0] - Y) ** 2)).mean(), np.exp(-((0.2 * Z[:, 0] - Y) ** 2)).mean()
    assert history.epochs[0].contribution == pytest.approx(
        {"x": confidences[0] / sum(confidences), "z": confidences[1] / sum(confidences)}, abs=1e-5
    )


def test_a_weak_input_gets_a_larger_share_where_the_strong_one_waits():
    def last_share(**balance) -> float:
        plan = make_plan(epochs=8, lr=0.02, balance={"name": "ogm_ge", "noise": False, **balance})
        columns = {"x": ("x",), "z": ("z",)}
        model = assemble({"x": Slope(0.2), "z": Slope(0.2)}, columns, Flat(2), make_head(2, [1.0, 1.0]))
        for parameter in model.head.parameters():
            parameter.requires_grad_(False)
        return (
            fit(training(model), Arrays({"x": X, "z": Z}, X[:, 0] + Z[:, 0] * 0.5), None, plan=plan)
            .epochs[-1]
            .contribution["z"]
        )

    assert last_share(alpha=0.8) > last_share(alpha=1e-9)
