import pytest
import torch

from polymodal.layers.stochastic_depth import StochasticDepth, rising
from polymodal.layers.transformer import BlockSettings, TransformerBlock, TransformerStack

MASK = torch.ones(4, 5, dtype=torch.bool)
BLOCK = BlockSettings(width=8, heads=2, hidden=8, dropout=0.0)


def test_a_row_has_the_whole_branch_or_none_of_it_and_the_mean_stays():
    torch.manual_seed(0)
    branch = torch.ones(20_000, 2, 3)
    left = StochasticDepth(0.25)(branch)
    assert left.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(left.flatten(1).amin(dim=1), left.flatten(1).amax(dim=1))
    assert left.mean().item() == pytest.approx(1.0, abs=0.02)


def test_nothing_happens_in_eval_mode_or_at_zero_and_nothing_is_drawn_then():
    branch = torch.randn(3, 2)
    state = torch.get_rng_state()
    assert StochasticDepth(0.9).eval()(branch) is branch
    assert StochasticDepth(0.0)(branch) is branch
    assert torch.equal(torch.get_rng_state(), state)


def test_a_branch_that_is_left_out_gets_no_gradient_and_spreads_no_nan():
    branch = torch.full((50, 1), torch.inf, requires_grad=True)
    torch.manual_seed(0)
    left = StochasticDepth(0.5)(branch)
    left.sum().backward()
    assert set(branch.grad.flatten().tolist()) == {0.0, 2.0}
    assert not left.isnan().any()


def test_the_last_block_has_the_whole_probability_and_the_ones_before_in_equal_steps():
    assert rising(0.3, 3) == pytest.approx([0.1, 0.2, 0.3])
    assert rising(0.7, 1) == [0.7]
    stack = TransformerStack(BlockSettings(width=8, layers=2, heads=2, hidden=8, dropout=0.0, drop_path=0.4))
    assert [block.drop_path.probability for block in stack.blocks] == [0.2, 0.4]


def test_a_block_without_its_branches_hands_its_tokens_through():
    torch.manual_seed(0)
    block = TransformerBlock(BLOCK, drop_path=0.999999)
    values = torch.randn(4, 5, 8)
    assert torch.equal(block(values, MASK), values)
    assert not torch.equal(block.eval()(values, MASK), values)


def test_the_mean_of_a_block_over_many_draws_is_the_block():
    torch.manual_seed(0)
    block = TransformerBlock(BLOCK, drop_path=0.5)
    block.feed_forward.requires_grad_(False)
    torch.nn.init.zeros_(block.feed_forward[-2].weight)  # one branch alone is linear in what is drawn
    torch.nn.init.zeros_(block.feed_forward[-2].bias)
    values = torch.randn(1, 5, 8)
    drawn = block(values.expand(20_000, 5, 8), MASK[:1].expand(20_000, 5)).mean(dim=0)
    torch.testing.assert_close(drawn, block.eval()(values, MASK[:1])[0], atol=0.03, rtol=0)
