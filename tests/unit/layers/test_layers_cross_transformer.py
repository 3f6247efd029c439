import torch
from torch import nn

from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.transformer import BlockSettings, CrossTransformer, TransformerBlock

MASK = lengths_to_mask(torch.tensor([5, 1, 3]), 5)


def test_attends_as_torchs_own_attention_does():
    torch.manual_seed(0)
    block = TransformerBlock(BlockSettings(width=8, heads=2, hidden=12, dropout=0.0), drop_path=0.0, cross=True)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    twin = nn.MultiheadAttention(8, 2, batch_first=True)
    parts = (block.attention.query, block.attention.key, block.attention.value)
    twin.in_proj_weight.data = torch.cat([part.weight.data for part in parts])
    twin.in_proj_bias.data = torch.cat([parts[0].bias.data, torch.randn(8), parts[2].bias.data])
    twin.out_proj.load_state_dict(block.attention.out.state_dict())
    values, memory = torch.randn(3, 2, 8), torch.randn(3, 5, 8)
    kept = block.memory_norm(memory)
    gathered, _ = twin(block.attention_norm(values), kept, kept, key_padding_mask=~MASK)
    expected = values + gathered
    expected = expected + block.feed_forward(expected)
    torch.testing.assert_close(block(values, MASK, memory), expected, rtol=1e-4, atol=1e-5)


def test_what_is_masked_in_the_memory_has_no_influence():
    layer = CrossTransformer(BlockSettings(width=8, layers=2, heads=2, hidden=12, dropout=0.0))
    values, memory = torch.randn(3, 2, 8), torch.randn(3, 5, 8)
    result = layer(values, memory, MASK)
    assert torch.equal(layer(values, memory.masked_fill(~MASK.unsqueeze(2), 1e4), MASK), result)
    torch.testing.assert_close(layer(values[2:], memory[2:, :3], MASK[2:, :3]), result[2:], rtol=1e-5, atol=1e-6)


def test_every_layer_looks_at_the_memory_and_the_end_is_normed():
    layer = CrossTransformer(BlockSettings(width=8, layers=3, heads=2, hidden=12, dropout=0.0))
    layer(torch.randn(3, 2, 8), torch.randn(3, 5, 8), MASK).square().sum().backward()
    assert all(block.attention.value.weight.grad.any() for block in layer.blocks)
    result = layer(torch.randn(3, 2, 8), torch.randn(3, 5, 8), MASK)
    torch.testing.assert_close(result.mean(dim=2), torch.zeros(3, 2), atol=1e-5, rtol=0)
