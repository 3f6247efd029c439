"""What a decoder attends to: tokens at its own width, and one that stands for nothing."""

from __future__ import annotations

from torch import nn

from polymodal.layers.pooling import zero_masked
from polymodal.layers.token_inputs import learned_vectors, with_first
from polymodal.types import Tokens


class WithNothing(nn.Module):
    """[n, W LayerNorm(x_1), ..., W LayerNorm(x_T)]: tokens "B T D" -> "B T+1 E", n learned.

    A decoder turns to n where no token helps, and in rows without any n is all that there is: a softmax over nothing
    is undefined.

    Args:
        width_in: D of the tokens.
        width: E.
    """

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width_in)
        self.linear = nn.Linear(width_in, width)
        self.nothing = learned_vectors(1, width)

    def forward(self, tokens: Tokens) -> Tokens:
        """Real at every row's first place, zeros where masked."""
        values = self.linear(self.norm(zero_masked(tokens.values, tokens.mask)))
        row = with_first(self.nothing[0], Tokens(values, tokens.mask), always=True)
        return Tokens(zero_masked(row.values, row.mask), row.mask)
