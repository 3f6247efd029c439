import pytest
import torch
from torch import nn

from polymodal.layers.activation import activation
from polymodal.layers.mlp import MultiLayerPerceptron


@pytest.mark.parametrize(
    ("name", "function"),
    [("relu", torch.relu), ("gelu", nn.functional.gelu), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid)],
)
def test_blocks_are_linear_layer_norm_activation(name, function):
    mlp = MultiLayerPerceptron(4, [6, 3], activation_name=name)
    expected = values = torch.randn(5, 4)
    for linear, norm, *_ in mlp.blocks:
        expected = function(nn.functional.layer_norm(expected @ linear.weight.T + linear.bias, norm.normalized_shape))
    torch.testing.assert_close(mlp(values), expected)
    assert mlp.width == 3
    torch.testing.assert_close(activation(name)(values), function(values))


def test_no_widths_pass_values_through():
    mlp = MultiLayerPerceptron(4, [])
    values = torch.randn(5, 4)
    assert mlp.width == 4
    assert torch.equal(mlp(values), values)
