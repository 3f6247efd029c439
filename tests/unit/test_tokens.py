"""Tokens of several batches as one."""

import torch

from polymodal.types import Tokens


def test_joined_tokens_are_padded_to_the_longest_and_padding_is_masked():
    short = Tokens(torch.ones(2, 1, 3), torch.tensor([[True], [False]]))
    long = Tokens(torch.full((1, 2, 3), 2.0), torch.tensor([[True, True]]))
    joined = Tokens.joined([short, long])
    assert joined.values[:, :, 0].tolist() == [[1, 0], [1, 0], [2, 2]]
    assert joined.mask.tolist() == [[True, False], [False, False], [True, True]]
