import pytest
import torch
from torch import nn

from polymodal.layers.transformer import MultiHeadAttention

MASK = torch.tensor([[True, True, True, True], [True, False, False, False], [True, True, True, False]])


def torch_twin(layer: MultiHeadAttention, width: int) -> nn.MultiheadAttention:
    """torch's own module with the same weights."""
    twin = nn.MultiheadAttention(width, layer.num_heads, batch_first=True)
    weights = [layer.query.weight, layer.key.weight, layer.value.weight]
    twin.in_proj_weight.data = torch.cat([w.data for w in weights])
    twin.in_proj_bias.data = torch.cat([layer.query.bias.data, torch.randn(width), layer.value.bias.data])
    twin.out_proj.load_state_dict(layer.out.state_dict())
    return twin


@pytest.mark.parametrize("num_heads", [1, 4])
def test_equals_torch_whatever_the_bias_of_its_keys(num_heads):
    torch.manual_seed(0)
    layer = MultiHeadAttention(8, num_heads=num_heads)
    queries, memory = torch.randn(3, 6, 8), torch.randn(3, 4, 8)
    expected, _ = torch_twin(layer, 8)(queries, memory, memory, key_padding_mask=~MASK)
    torch.testing.assert_close(layer(queries, memory, MASK), expected, rtol=1e-5, atol=1e-6)


def test_what_is_masked_has_no_influence_and_gets_no_gradient():
    layer = MultiHeadAttention(8, num_heads=2)
    queries, memory = torch.randn(3, 6, 8), torch.randn(3, 4, 8, requires_grad=True)
    loud = torch.where(MASK.unsqueeze(2), memory, 1e3)
    assert torch.equal(layer(queries, loud, MASK), layer(queries, memory, MASK))
    layer(queries, memory, MASK).sum().backward()
    assert not memory.grad[~MASK].any()
    assert memory.grad[MASK].all()


def test_a_row_without_memory_is_finite_and_has_finite_gradients():
    layer = MultiHeadAttention(8, num_heads=2)
    memory = torch.randn(2, 4, 8, requires_grad=True)
    result = layer(torch.randn(2, 3, 8), memory, torch.tensor([[True] * 4, [False] * 4]))
    torch.testing.assert_close(result[1], layer.out.bias.expand(3, 8))
    result.sum().backward()
    assert torch.isfinite(memory.grad).all()
    assert not memory.grad[1].any()


def test_dropout_is_in_training_only():
    layer = MultiHeadAttention(8, num_heads=2, dropout=0.5)
    values = torch.randn(3, 4, 8)
    assert not torch.equal(layer(values, values, MASK), layer(values, values, MASK))
    layer.eval()
    assert torch.equal(layer(values, values, MASK), layer(values, values, MASK))


def test_refuses_a_width_that_does_not_divide():
    with pytest.raises(ValueError, match="multiple of the number of heads; got 8 and 3"):
        MultiHeadAttention(8, num_heads=3)
