"""The weights of the best epoch: which they are, and what is kept of them."""

import pytest
import torch
from torch import nn

from polymodal.training.weights import BestWeights


def make_layers() -> nn.Sequential:
    """Weights that learn, weights that are frozen, and buffers."""
    layers = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    layers[0].weight.requires_grad_(False)
    return layers


def fill(layers: nn.Module, value: float) -> None:
    with torch.no_grad():
        for tensor in (*layers.parameters(), *layers.buffers()):
            tensor.fill_(value)


def test_what_learns_and_buffers_come_back_and_frozen_weights_are_never_copied():
    layers = make_layers()
    best = BestWeights(layers, greater_is_better=True)
    fill(layers, 1.0)
    best.see(1, 0.5)
    fill(layers, 2.0)
    best.restore()
    back = [layers[0].bias, layers[1].weight, layers[1].bias, layers[1].running_mean, layers[1].num_batches_tracked]
    assert all((tensor == 1).all() for tensor in back)
    assert (layers[0].weight == 2).all()
    kept = best.state_dict()["weights"].values()
    assert sum(tensor.numel() for tensor in kept) == sum(tensor.numel() for tensor in back) + 2  # running_var


@pytest.mark.parametrize(
    ("greater", "values", "epoch"), [(True, [1, 3, 2, 3, 0], 4), (False, [5, 4, 4, 2, 3], 4), (False, [1, 2], 1)]
)
def test_of_equal_epochs_the_later_is_the_best(greater, values, epoch):
    layers = make_layers()
    best = BestWeights(layers, greater_is_better=greater)
    for number, value in enumerate(values, start=1):
        fill(layers, float(number))
        best.see(number, float(value))
    best.restore()
    assert best.epoch == epoch
    assert (layers[0].bias == epoch).all()


def test_without_any_epoch_weights_stay():
    layers = make_layers()
    fill(layers, 3.0)
    best = BestWeights(layers, greater_is_better=True)
    best.restore()
    assert best.epoch == 0
    assert (layers[0].bias == 3).all()


def test_another_goes_on_from_its_state():
    layers, others = make_layers(), make_layers()
    best = BestWeights(layers, greater_is_better=False)
    fill(layers, 1.0)
    best.see(1, 0.5)
    again = BestWeights(others, greater_is_better=False)
    again.load_state_dict(best.state_dict())
    fill(others, 2.0)
    again.see(2, 0.6)  # worse
    again.restore()
    assert again.epoch == 1
    assert (others[0].bias == 1).all()
