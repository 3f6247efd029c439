"""Cross-attention in blocks: tokens of one input gather what another one holds."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from polymodal.layers.attention import MultiHeadAttention
from polymodal.layers.stochastic_depth import StochasticDepth, rising
from polymodal.layers.transformer import feed_forward


class CrossBlock(nn.Module):
    """Attention to a memory, then a feed-forward network on each token, both with a residual connection around them.

    Z' = Z + Attention(LayerNorm(Z), LayerNorm(memory)), then Z'' = Z' + FeedForward(LayerNorm(Z')): the crossmodal
    block of Tsai et al. (2019, arXiv 1906.00295, equation 4).

    Args:
        width: D of the tokens and of the memory; a multiple of `num_heads`.
        num_heads: of the attention.
        hidden: width inside of the feed-forward network.
        dropout: probability, of attention weights, inside of the feed-forward network and before each addition.
        drop_path: probability with which a row goes without the one or the other while training (stochastic depth).

    Raises:
        ValueError: the width is no multiple of the number of heads.
    """

    def __init__(
        self, width: int, *, num_heads: int, hidden: int, dropout: float = 0.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.memory_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, num_heads=num_heads, dropout=dropout)
        self.feed_forward = feed_forward(width, hidden=hidden, activation_name="gelu", dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.drop_path = StochasticDepth(drop_path)

    def forward(
        self, values: Float[Tensor, "B Q D"], memory: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B Q D"]:
        """Masked steps of the memory may hold anything that is finite."""
        gathered = self.attention(self.attention_norm(values), self.memory_norm(memory), mask)
        values = values + self.drop_path(self.dropout(gathered))
        result: Tensor = values + self.drop_path(self.feed_forward(values))
        return result


class CrossTransformer(nn.Module):
    """A stack of `CrossBlock`, all of which attend to the same memory, with LayerNorm at its end.

    Args:
        width: D of the tokens and of the memory; a multiple of `num_heads`.
        num_layers: blocks.
        num_heads: see `CrossBlock`.
        hidden: see `CrossBlock`.
        dropout: see `CrossBlock`.
        drop_path: of the last block; it rises to that in equal steps.

    Raises:
        ValueError: the width is no multiple of the number of heads.
    """

    def __init__(
        self, width: int, *, num_layers: int, num_heads: int, hidden: int, dropout: float = 0.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            CrossBlock(width, num_heads=num_heads, hidden=hidden, dropout=dropout, drop_path=probability)
            for probability in rising(drop_path, num_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, values: Float[Tensor, "B Q D"], memory: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B Q D"]:
        """What becomes of the tokens; masked steps of the memory may hold anything that is finite."""
        for block in self.blocks:
            values = block(values, memory, mask)
        result: Tensor = self.norm(values)
        return result
