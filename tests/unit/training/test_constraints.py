"""Norms and penalties against float64 NumPy."""

import numpy as np
import pytest
import torch
from test_step import batches, gradient
from torch import nn
from toys import coefficients_of, make_model, make_stepper

from polymodal.training.constraints import incoming, limit_norms, matrices, orthogonality


@pytest.mark.parametrize(
    "layer", [nn.Linear(5, 4), nn.Conv2d(3, 4, 2), nn.Conv2d(4, 4, 3, groups=2), nn.Conv1d(2, 6, 3)]
)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_each_units_weights_are_brought_within_the_norm(layer, memory):
    torch.manual_seed(0)
    weight = layer.weight
    with torch.no_grad():
        weight.normal_()
        weight[0] = 0.0
        weight[1] *= 0.01
        if weight.ndim == 4:
            weight.data = weight.contiguous(memory_format=memory)
    before = weight.detach().double().numpy().copy()
    limit_norms(matrices(layer), 0.5)
    norms = np.sqrt((before.reshape(len(before), -1) ** 2).sum(axis=1))
    expected = before * np.minimum(1, 0.5 / np.maximum(norms, 1e-30)).reshape(-1, *(1,) * (before.ndim - 1))
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-6)
    assert torch.equal(weight[1], torch.tensor(before[1], dtype=torch.float32))  # small ones are not touched at all


def test_embeddings_norms_frozen_and_shared_weights():
    tied = nn.Linear(3, 3)
    frozen = nn.Linear(3, 3).requires_grad_(False)
    lstm = nn.LSTM(3, 2)
    model = nn.ModuleList([nn.Embedding(9, 3), nn.LayerNorm([2, 3]), frozen, lstm, tied, nn.Linear(3, 3)])
    model[-1].weight = tied.weight
    assert [id(weight) for weight in matrices(model)] == [id(tied.weight)]
    assert {id(weight) for weight in incoming(model)} == {
        id(w) for w in (tied.weight, lstm.weight_ih_l0, lstm.weight_hh_l0)
    }


def test_every_update_ends_within_the_norm():
    model = make_model()
    stepper = make_stepper(model, max_norm=0.1)
    theta = np.zeros(4)
    for _ in range(3):
        stepper.update(batches())
        theta -= 0.1 * gradient(theta, np.ones(8))
        theta[:3] *= min(1, 0.1 / np.linalg.norm(theta[:3]))
        np.testing.assert_allclose(coefficients_of(model), theta, atol=1e-6)
    assert np.linalg.norm(theta[:3]) == pytest.approx(0.1)


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (3, 3)])
def test_the_penalty_is_the_distance_of_the_smaller_gram_matrix_from_one(shape):
    torch.manual_seed(0)
    layer = nn.Linear(shape[1], shape[0]).double()
    weight = layer.weight.detach().numpy()
    small = weight if shape[0] <= shape[1] else weight.T
    expected = 0.0
    for a, row in enumerate(small):
        for b, other in enumerate(small):
            expected += (row @ other - (a == b)) ** 2
    assert orthogonality(matrices(layer)).item() == pytest.approx(expected, rel=1e-6)


def test_orthonormal_rows_cost_nothing_and_kernels_are_rows():
    kernels = nn.Conv2d(2, 3, 2)
    nn.init.orthogonal_(kernels.weight)
    assert orthogonality(matrices(kernels)).item() == pytest.approx(0, abs=1e-10)
    assert orthogonality([]).item() == 0


@pytest.mark.parametrize("sizes", [(8,), (5, 3)])
def test_the_penalty_enters_an_update_once_with_its_weight(sizes):
    model = make_model()
    stepper = make_stepper(model, orthogonality=0.3)
    theta = np.array([1.0, -0.5, 0.25, 0.1])
    with torch.no_grad():
        model.head.readout.linear.weight.copy_(torch.tensor(theta[:3]))
        model.head.readout.linear.bias.copy_(torch.tensor(theta[3:]))
    stepper.update(batches(sizes=sizes))
    pull = np.append(4 * (theta[:3] @ theta[:3] - 1) * theta[:3], 0)  # of (w w^T - 1)^2
    np.testing.assert_allclose(
        coefficients_of(model), theta - 0.1 * (gradient(theta, np.ones(8)) + 0.3 * pull), rtol=1e-5
    )


def test_with_float16_the_penalty_is_scaled_as_the_loss_is():
    full, half = make_model(), make_model()
    for model, precision in ((full, "float32"), (half, "float16")):
        nn.init.constant_(model.head.readout.linear.weight, 0.5)
        stepper = make_stepper(model, orthogonality=0.3, precision=precision)
        stepper.scaler = torch.amp.GradScaler("cpu", init_scale=8.0, enabled=precision == "float16")
        stepper.update(batches())
    np.testing.assert_allclose(coefficients_of(full), coefficients_of(half), rtol=1e-2, atol=1e-3)
