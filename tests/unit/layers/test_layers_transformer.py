import pytest
import torch
from torch import nn

from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.transformer import BlockSettings, TransformerStack

MASK = lengths_to_mask(torch.tensor([6, 1, 4]), 6)


def torch_twin(layer: TransformerStack, width: int, hidden: int, activation: str) -> nn.TransformerEncoder:
    """torch's own encoder with the same weights; the keys' bias, which changes nothing, at random."""
    block = nn.TransformerEncoderLayer(width, 2, hidden, 0.0, activation, batch_first=True, norm_first=True)
    twin = nn.TransformerEncoder(block, len(layer.blocks), norm=nn.LayerNorm(width), enable_nested_tensor=False)
    for ours, theirs in zip(layer.blocks, twin.layers, strict=True):
        attention, (norm, first, _, _, second, _) = ours.attention, ours.feed_forward
        parts = (attention.query, attention.key, attention.value)
        theirs.self_attn.in_proj_weight.data = torch.cat([part.weight.data for part in parts])
        biases = [attention.query.bias.data, torch.randn(width), attention.value.bias.data]
        theirs.self_attn.in_proj_bias.data = torch.cat(biases)
        theirs.self_attn.out_proj.load_state_dict(attention.out.state_dict())
        theirs.norm1.load_state_dict(ours.attention_norm.state_dict())
        theirs.norm2.load_state_dict(norm.state_dict())
        theirs.linear1.load_state_dict(first.state_dict())
        theirs.linear2.load_state_dict(second.state_dict())
    twin.norm.load_state_dict(layer.norm.state_dict())
    return twin


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_equals_torchs_encoder_with_the_norm_first(activation):
    torch.manual_seed(0)
    layer = TransformerStack(
        BlockSettings(width=8, layers=2, heads=2, hidden=12, dropout=0.0), activation_name=activation
    )
    for parameter in layer.parameters():  # norms begin as ones and zeros, which would hide a mix-up
        nn.init.normal_(parameter, std=0.5)
    twin = torch_twin(layer, 8, 12, activation)
    values = torch.randn(3, 6, 8)
    expected = twin(values, src_key_padding_mask=~MASK)
    torch.testing.assert_close(layer(values, MASK)[MASK], expected[MASK], rtol=1e-4, atol=1e-5)


def test_padding_has_no_influence_and_comes_out_as_zeros():
    layer = TransformerStack(BlockSettings(width=8, layers=2, heads=2, hidden=12, dropout=0.0))
    values = torch.randn(3, 6, 8)
    result = layer(values, MASK)
    assert torch.equal(layer(values.masked_fill(~MASK.unsqueeze(2), torch.nan), MASK), result)
    assert not result[~MASK].any()
    torch.testing.assert_close(layer(values[2:, :4], MASK[2:, :4]), result[2:, :4], rtol=1e-5, atol=1e-6)


def test_a_row_without_any_token_is_zeros_and_keeps_gradients_finite():
    layer = TransformerStack(BlockSettings(width=8, layers=1, heads=2, hidden=12, dropout=0.0))
    result = layer(torch.randn(2, 3, 8), torch.tensor([[True, True, False], [False] * 3]))
    assert not result[1].any()
    result.square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())


def test_without_positions_the_order_of_tokens_does_not_matter():
    layer = TransformerStack(BlockSettings(width=8, layers=1, heads=2, hidden=12, dropout=0.0))
    values, everything = torch.randn(1, 5, 8), torch.ones(1, 5, dtype=torch.bool)
    turned = layer(values.flip(1), everything).flip(1)
    torch.testing.assert_close(turned, layer(values, everything), rtol=1e-5, atol=1e-6)
