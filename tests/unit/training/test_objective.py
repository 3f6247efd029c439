"""The loss of a network against one written out by hand, in float64 NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from toys import Arrays, Flat, Through, assemble, make_head, with_heads

from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model, Tower
from polymodal.training.objective import Objective, keep_some
from polymodal.types import Batch, Cells, Scores, Tokens

COLUMNS = {"x": ("x",), "z": ("z",)}
X, Z = np.array([1.0, -1.0, np.nan, 0.4]), np.array([0.3, np.nan, 2.0, -0.7])
Y = np.array([1.0, -2.0, 0.5, 0.1])
FUSED, ALONE = (0.8, -0.6), {"x": 1.5, "z": 0.2}


class Slope(Through):
    """One number times a weight that learns."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), value))


def make_model() -> Model:
    return assemble({"x": Slope(1.1), "z": Slope(0.9)}, COLUMNS, Flat(2), make_head(2, FUSED))


def make_ensemble() -> Ensemble:
    return with_heads(make_model(), {name: make_head(1, [weight]) for name, weight in ALONE.items()})


def make_batch(x: np.ndarray = X, z: np.ndarray = Z, y: np.ndarray = Y) -> Batch:
    return next(iter(Arrays({"x": x[:, None], "z": z[:, None]}, y).epoch(1)))


def fused(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Predictions; an absent input counts as zero in the fusion of these tests, and so does a row without any."""
    return FUSED[0] * 1.1 * np.nan_to_num(x) + FUSED[1] * 0.9 * np.nan_to_num(z)


def alone() -> dict[str, np.ndarray]:
    """What each input predicts by itself: zero, the prior, where it is absent."""
    return {"x": ALONE["x"] * 1.1 * np.nan_to_num(X), "z": ALONE["z"] * 0.9 * np.nan_to_num(Z)}


# --- which inputs a row keeps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 1.0])
def test_one_present_input_always_stays_and_an_absent_one_never_does(probability):
    present = torch.rand(4, 2_000) < 0.4
    kept = keep_some(present, probability)
    assert not (kept & ~present).any()
    assert torch.equal(kept.any(dim=0), present.any(dim=0))


@pytest.mark.parametrize("num_inputs", [2, 3, 5])
@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 1.0])
def test_an_input_is_masked_with_the_probability_unless_it_is_the_last(num_inputs, probability):
    torch.manual_seed(0)
    masked = ~keep_some(torch.ones(num_inputs, 40_000, dtype=torch.bool), probability)
    expected = probability - probability**num_inputs / num_inputs  # were all to go, any one of them stays
    torch.testing.assert_close(masked.float().mean(dim=1), torch.full((num_inputs,), expected), atol=0.01, rtol=0)


def test_an_absent_input_does_not_count_as_the_one_that_stays():
    torch.manual_seed(0)
    present = torch.tensor([[True], [True], [False]]).expand(3, 40_000)
    masked = (~keep_some(present, 0.5)).float().mean(dim=1)
    torch.testing.assert_close(masked, torch.tensor([0.375, 0.375, 1.0]), atol=0.01, rtol=0)


# --- the loss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_unimodal_losses_enter_with_their_weight(weight):
    losses = Objective(make_ensemble(), auxiliary_loss=weight)(make_batch())
    own = [(prediction - Y) ** 2 for prediction in alone().values()]
    expected = (fused(X, Z) - Y) ** 2 + weight * (own[0] + own[1]) / 2
    np.testing.assert_allclose(losses.values.detach(), expected, rtol=1e-5)
    np.testing.assert_allclose(losses.prediction.values[:, 0].detach(), fused(X, Z), rtol=1e-5)


@pytest.mark.parametrize("learned", [False, True])
def test_the_gradient_of_every_weight_is_that_of_the_formula(learned):
    objective = Objective(make_ensemble(), auxiliary_loss=2.0, learned_blend=learned)
    objective(make_batch()).values.sum().backward()
    x, z, y = (torch.tensor(np.nan_to_num(values)) for values in (X, Z, Y))
    here = torch.tensor(np.stack([~np.isnan(X), ~np.isnan(Z)])).double()
    slopes, top, own, spread = (
        torch.tensor(values, dtype=torch.float64, requires_grad=True)
        for values in ([1.1, 0.9], FUSED, list(ALONE.values()), [0.0, 0.0])
    )
    inside = torch.stack([slopes[0] * x, slopes[1] * z])
    mine = (own.unsqueeze(1) * inside - y) ** 2
    if learned:
        mine = torch.where(here > 0, torch.exp(-spread.unsqueeze(1)) * mine + spread.unsqueeze(1) / 2, mine)
    (((top @ inside - y) ** 2).sum() + 2.0 * mine.mean(dim=0).sum()).backward()
    network = objective.network
    found = {
        "slopes": torch.cat([network.encoders[name].scale.grad for name in "xz"]),
        "top": network.head.readout.linear.weight.grad[0],
        "own": torch.cat([network.heads[name].readout.linear.weight.grad[0] for name in "xz"]),
    }
    expected = {"slopes": slopes.grad, "top": top.grad, "own": own.grad}
    if learned:
        found["spread"], expected["spread"] = objective.blend.log_variance.grad, spread.grad
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name].double(), gradient, rtol=1e-5, atol=1e-6, msg=name)


def test_learned_weights_blend_the_unimodal_losses():
    objective = Objective(make_ensemble(), auxiliary_loss=2.0, learned_blend=True)
    assert objective.blend.log_variance.tolist() == [0.0, 0.0]
    with torch.no_grad():
        objective.blend.log_variance.copy_(torch.tensor([0.7, -0.2]))
    losses = objective(make_batch())
    own = {name: (prediction - Y) ** 2 for name, prediction in alone().items()}
    for name, numbers, log_variance in (("x", X, 0.7), ("z", Z, -0.2)):
        own[name] = np.where(np.isnan(numbers), own[name], np.exp(-log_variance) * own[name] + log_variance / 2)
    expected = (fused(X, Z) - Y) ** 2 + 2 * (own["x"] + own["z"]) / 2
    np.testing.assert_allclose(losses.values.detach(), expected, rtol=1e-5)


def test_weights_of_losses_are_learned_only_where_they_are_asked_for():
    for network, learned in ((make_ensemble(), False), (make_model(), True)):
        objective = Objective(network, auxiliary_loss=1.0, learned_blend=learned)
        assert set(objective.parameters()) == set(network.parameters())
    network = make_ensemble()
    objective = Objective(network, auxiliary_loss=1.0, learned_blend=True)
    (more,) = set(objective.parameters()) - set(network.parameters())
    assert more.shape == (2,)


@pytest.mark.parametrize("z", [[np.nan, np.nan], [1.0, np.nan]])
def test_an_input_that_nobody_has_leaves_predictions_finite_and_touches_every_parameter(z):
    objective = Objective(make_ensemble(), auxiliary_loss=1.0, modality_dropout=0.5)
    losses = objective(make_batch(np.array([np.nan, np.nan]), np.array(z), Y[:2]))
    losses.values.sum().backward()
    assert torch.isfinite(losses.prediction.values).all()
    assert torch.equal(losses.prediction.values[1], objective.network.head.prior)
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    assert objective.network.encoders["x"].calls == 0


def test_inputs_are_masked_from_the_fusion_while_training_and_from_nothing_else():
    objective = Objective(make_ensemble(), auxiliary_loss=1.0, modality_dropout=1.0)
    numbers = np.linspace(-1, 1, 64)
    nobody = np.full(64, np.nan)
    batch = make_batch(numbers, numbers, np.zeros(64))
    torch.manual_seed(0)
    losses = objective(batch)
    found = losses.prediction.values[:, 0].detach().numpy()
    is_only = [np.isclose(found, fused(*pair)) for pair in ((numbers, nobody), (nobody, numbers))]
    assert (is_only[0] ^ is_only[1]).all()
    assert 10 < is_only[0].sum() < 54
    own = [(ALONE["x"] * 1.1 * numbers) ** 2, (ALONE["z"] * 0.9 * numbers) ** 2]
    np.testing.assert_allclose(losses.values.detach(), found**2 + (own[0] + own[1]) / 2, rtol=1e-5)
    prediction = objective.network(batch).values[:, 0].detach()
    np.testing.assert_allclose(prediction, fused(numbers, numbers), rtol=1e-5, atol=1e-6)


class Sides(nn.Module):
    """A head that tells which sides a row has."""

    in_batch = False

    def forward(self, tokens: Mapping[str, Tokens], target: Cells | None = None, progress: float = 1.0) -> Scores:
        present = torch.stack([of_side.present for of_side in tokens.values()], dim=1)
        values = torch.cat([of_side.values[:, 0] for of_side in tokens.values()], dim=1)
        return Scores(values, present.all(dim=1))

    def loss(self, output: Scores, target: Cells | None) -> Tensor:
        return output.values.sum(dim=1)

    def predict(self, tokens: Mapping[str, Tokens]) -> Scores:
        return self(tokens)


def test_each_side_of_a_model_keeps_an_input():
    names = {"left": "ab", "right": "cd"}
    towers = {
        side: Tower({name: Through() for name in inputs}, {name: (name,) for name in inputs}, Flat(2))
        for side, inputs in names.items()
    }
    objective = Objective(Model(towers, Sides()), modality_dropout=1.0)
    ones = np.ones((400, 1))
    torch.manual_seed(0)
    prediction = objective(next(iter(Arrays(dict.fromkeys("abcd", ones)).epoch(1)))).prediction
    assert prediction.present.all()
    kept = prediction.values.detach()  # a, b, c, d
    assert torch.equal(kept[:, :2].sum(dim=1), torch.ones(400)) and torch.equal(kept[:, 2:].sum(dim=1), torch.ones(400))
    assert all(0.4 < share < 0.6 for share in kept.mean(dim=0).tolist())
    assert 0.4 < (kept[:, 0] == kept[:, 2]).float().mean() < 0.6  # the sides draw for themselves


# --- what else comes of a batch --------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"modality_dropout": 0.5}, {"learned_blend": True}])
@pytest.mark.parametrize("network", [make_model, make_ensemble])
def test_a_loss_is_that_of_the_outputs(network, settings):
    objective = Objective(network(), auxiliary_loss=0.7, **settings)
    batch = make_batch()
    torch.manual_seed(1)
    whole = objective(batch, progress=0.5, measure_inputs=True)
    torch.manual_seed(1)
    outputs = objective.outputs(batch, progress=0.5, measure_inputs=True)
    halves = objective.loss(outputs, batch.target)
    assert torch.equal(whole.values, halves.values)
    assert torch.equal(whole.prediction.values, halves.prediction.values)
    assert whole.confidence.keys() == halves.confidence.keys() == {"x", "z"}
    for name, model_input in whole.confidence.items():
        torch.testing.assert_close(model_input, halves.confidence[name], equal_nan=True, atol=0, rtol=0)
    leaves = tree_leaves(outputs)
    assert leaves and all(isinstance(leaf, Tensor) and len(leaf) == len(batch) for leaf in leaves)


def test_the_confidence_of_each_input_is_measured_where_it_is_present():
    confidence = Objective(make_ensemble(), auxiliary_loss=1.0)(make_batch()).confidence
    for name, numbers in (("x", X), ("z", Z)):
        expected = np.where(np.isnan(numbers), np.nan, np.exp(-((alone()[name] - Y) ** 2)))
        np.testing.assert_allclose(confidence[name], expected, rtol=1e-5)
        assert not confidence[name].requires_grad


def test_without_unimodal_heads_the_fusion_is_asked_only_where_that_is_wanted():
    objective = Objective(make_model())
    assert objective(make_batch()).confidence == {}
    losses = objective(make_batch(), measure_inputs=True)
    nobody = np.full(4, np.nan)
    for name, numbers, pair in (("x", X, (X, nobody)), ("z", Z, (nobody, Z))):
        expected = np.where(np.isnan(numbers), np.nan, np.exp(-((fused(*pair) - Y) ** 2)))
        np.testing.assert_allclose(losses.confidence[name], expected, rtol=1e-5)
    np.testing.assert_allclose(losses.values.detach(), (fused(X, Z) - Y) ** 2, rtol=1e-5)


def test_frozen_encoders_stay_in_eval_mode():
    frozen, learning = Through(frozen=True, dropout=0.5), Through(dropout=0.5)
    model = assemble({"x": frozen, "z": learning}, COLUMNS, Flat(2), make_head(2))
    objective = Objective(model)
    objective.train()
    assert (frozen.training, frozen.dropout.training, learning.training, model.head.training) == (
        False, False, True, True,
    )  # fmt: skip
    objective.eval()
    assert not any(module.training for module in objective.modules())
