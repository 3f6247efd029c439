import math

import pytest
import torch

from polymodal.training.objective import UncertaintyWeights

LOSSES = torch.tensor([[2.0, 4.0], [0.5, 0.1]])
PRESENT = torch.tensor([[True, True], [True, False]])


def test_it_begins_as_the_mean():
    torch.testing.assert_close(UncertaintyWeights(2)(LOSSES, PRESENT), LOSSES.mean(dim=0))


def test_it_is_kendalls_sum_and_a_row_without_the_input_keeps_its_loss():
    weights = UncertaintyWeights(2)
    with torch.no_grad():
        weights.log_variance.copy_(torch.tensor([math.log(4.0), -1.0]))
    first = (2 / 4 + math.log(2) + 0.5 * math.e - 0.5) / 2
    second = (4 / 4 + math.log(2) + 0.1) / 2
    assert weights(LOSSES, PRESENT).tolist() == pytest.approx([first, second])


def test_what_it_learns_is_half_of_one_over_the_loss():
    """The minimum of exp(-s) L + s / 2 is at exp(-s) = 1 / (2 L)."""
    weights = UncertaintyWeights(2)
    optimizer = torch.optim.Adam(weights.parameters(), lr=0.05)
    losses = torch.tensor([[3.0], [0.4]])
    for _ in range(500):
        optimizer.zero_grad()
        weights(losses, torch.ones(2, 1, dtype=torch.bool)).sum().backward()
        optimizer.step()
    assert torch.exp(-weights.log_variance).tolist() == pytest.approx([1 / 6, 1 / 0.8], rel=1e-3)


def test_weights_are_in_the_graph_though_nobody_has_the_input():
    weights = UncertaintyWeights(2)
    weights(LOSSES, torch.zeros(2, 2, dtype=torch.bool)).sum().backward()
    assert weights.log_variance.grad.tolist() == [0.0, 0.0]
