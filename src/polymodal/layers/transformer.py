"""Transformers over padded rows: a row's result does not depend on how far its batch is padded.

Tokens of an input attend to each other (`TransformerStack`), or gather what another one holds (`CrossTransformer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor, nn

from polymodal.errors import ConfigError
from polymodal.layers.activation import ActivationName, activation
from polymodal.layers.attention import MultiHeadAttention
from polymodal.layers.pooling import zero_masked
from polymodal.layers.stochastic_depth import StochasticDepth, rising


def feed_forward(width: int, *, hidden: int, activation_name: ActivationName, dropout: float) -> nn.Sequential:
    """The network on each token of a block, its norm first (Vaswani et al. 2017, section 3.3)."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, hidden),
        activation(activation_name),
        nn.Dropout(dropout),
        nn.Linear(hidden, width),
        nn.Dropout(dropout),
    )


@runtime_checkable
@dataclass(frozen=True, match_args=False)  # read-only, as settings are
class BlockSettings(Protocol):
    """What an encoder or a fusion lets the user choose of its blocks; perhaps `activation`, too."""

    width: int
    layers: int
    heads: int
    hidden: int
    dropout: float
    drop_path: float


def require_heads(who: str, *, width: int, heads: int) -> None:
    """Refuses a width that cannot be shared out among the heads.

    Raises:
        ConfigError: the width is no multiple of the number of heads.
    """
    if width % heads:
        raise ConfigError(f"{who}: width must be a multiple of heads; got {width}, {heads}.")


class TransformerBlock(nn.Module):
    """Self-attention, then a feed-forward network on each token, both with a residual connection around them.

    LayerNorm comes first in each of the two (Xiong et al. 2020, arXiv 2002.04745, figure 1b): such networks train from
    the first step on, where those that normalise last need a long warm-up.

    Args:
        width: D of the tokens; a multiple of `num_heads`.
        num_heads: of the attention.
        hidden: width inside of the feed-forward network.
        activation_name: inside of the feed-forward network.
        dropout: probability, of attention weights, inside of the feed-forward network and before each addition.
        drop_path: probability with which a row goes without the one or the other while training (stochastic depth).

    Raises:
        ValueError: the width is no multiple of the number of heads.
    """

    def __init__(
        self,
        width: int,
        *,
        num_heads: int,
        hidden: int,
        activation_name: ActivationName = "gelu",
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, num_heads=num_heads, dropout=dropout)
        self.feed_forward = feed_forward(width, hidden=hidden, activation_name=activation_name, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, values: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Masked steps may hold anything that is finite."""
        normed = self.attention_norm(values)
        values = values + self.drop_path(self.dropout(self.attention(normed, normed, mask)))
        result: Tensor = values + self.drop_path(self.feed_forward(values))
        return result


class TransformerStack(nn.Module):
    """A stack of `TransformerBlock`, with LayerNorm at its end.

    Args:
        width: D of the tokens; a multiple of `num_heads`.
        num_layers: blocks.
        num_heads, hidden, activation_name, dropout: of each, see `TransformerBlock`.
        drop_path: of the last block; it rises to that in equal steps.

    Raises:
        ValueError: the width is no multiple of the number of heads.
    """

    def __init__(
        self,
        width: int,
        *,
        num_layers: int,
        num_heads: int,
        hidden: int,
        activation_name: ActivationName = "gelu",
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                num_heads=num_heads,
                hidden=hidden,
                activation_name=activation_name,
                dropout=dropout,
                drop_path=probability,
            )
            for probability in rising(drop_path, num_layers)
        )
        self.norm = nn.LayerNorm(width)

    @classmethod
    def of(cls, settings: BlockSettings) -> TransformerStack:
        """The stack that the settings of an encoder or a fusion ask for."""
        return cls(
            settings.width,
            num_layers=settings.layers,
            num_heads=settings.heads,
            hidden=settings.hidden,
            activation_name=getattr(settings, "activation", "gelu"),
            dropout=settings.dropout,
            drop_path=settings.drop_path,
        )

    def forward(self, values: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Masked steps may hold anything, and come out as zeros."""
        values = zero_masked(values, mask)
        for block in self.blocks:
            values = block(values, mask)
        return zero_masked(self.norm(values), mask)


class CrossBlock(nn.Module):
    """Attention to a memory, then a feed-forward network on each token, both with a residual connection around them.

    Z' = Z + Attention(LayerNorm(Z), LayerNorm(memory)), then Z'' = Z' + FeedForward(LayerNorm(Z')): the crossmodal
    block of Tsai et al. (2019, arXiv 1906.00295, equation 4).

    The arguments are those of `TransformerBlock`, with GELU for the activation; D is the memory's width, too.

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

    The arguments are those of `TransformerStack`, with GELU for the activation; D is the memory's width, too.

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
