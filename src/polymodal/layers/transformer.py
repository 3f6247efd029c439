"""Transformers over padded rows: a row's result does not depend on how far its batch is padded.

Tokens of an input attend to each other (`TransformerStack`), or gather what another one holds (`CrossTransformer`).
"""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from polymodal.config.node import settings
from polymodal.errors import ConfigError
from polymodal.layers.activation import ActivationName, activation
from polymodal.layers.pooling import zero_masked
from polymodal.layers.stochastic_depth import StochasticDepth, rising


class MultiHeadAttention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762, section 3.2).

    Self-attention where queries and memory are the same tokens, cross-attention where they are not.

    Args:
        width: of queries, memory and result; a multiple of `num_heads`.
        num_heads: parts of the width that attend each for itself.
        dropout: probability with which an attention weight is dropped in training.

    Raises:
        ValueError: the width is no multiple of the number of heads.
    """

    def __init__(self, width: int, *, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"width must be a multiple of the number of heads; got {width} and {num_heads}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        # No bias: it would add the same to every score of a query, which the softmax takes away again.
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self, queries: Float[Tensor, "B Q D"], memory: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B Q D"]:
        """What each query gathers from the real steps of its row; from a row without any, zeros before `out`.

        Args:
            queries: one result each.
            memory: keys and values are made from it; masked steps may hold anything that is finite.
            mask: real steps of the memory.
        """
        keys, values = self.keys_and_values(memory)
        present = mask.any(dim=1)
        # A softmax over nothing is NaN in some kernels: such rows attend to all, and what they find is dropped.
        allowed = (mask | ~present.unsqueeze(1))[:, None, None, :]
        gathered = torch.where(
            present[:, None, None, None], self.gather(queries, keys, values, allowed), queries.new_zeros(())
        )
        result: Tensor = self.out(gathered.transpose(1, 2).flatten(2))
        return result

    def attend(
        self,
        queries: Float[Tensor, "B Q D"],
        keys: Float[Tensor, "B M T W"],
        values: Float[Tensor, "B M T W"],
        allowed: Bool[Tensor, "#B 1 #Q T"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """What each query gathers from keys and values that were made before; each may see at least one step."""
        result: Tensor = self.out(self.gather(queries, keys, values, allowed).transpose(1, 2).flatten(2))
        return result

    def keys_and_values(
        self, memory: Float[Tensor, "B T D"]
    ) -> tuple[Float[Tensor, "B M T W"], Float[Tensor, "B M T W"]]:
        """By head: what queries are compared with, and what they gather."""
        return self._heads(self.key(memory)), self._heads(self.value(memory))

    def gather(
        self,
        queries: Float[Tensor, "B Q D"],
        keys: Float[Tensor, "B M T W"],
        values: Float[Tensor, "B M T W"],
        allowed: Bool[Tensor, "#B 1 #Q T"] | None,
    ) -> Float[Tensor, "B M Q W"]:
        """What each head gathers, before `out`."""
        return functional.scaled_dot_product_attention(
            self._heads(self.query(queries)),
            keys,
            values,
            attn_mask=allowed,
            dropout_p=self.dropout if self.training else 0.0,
        )

    def weights(
        self,
        queries: Float[Tensor, "B Q D"],
        keys: Float[Tensor, "B M T W"],
        allowed: Bool[Tensor, "#B 1 #Q T"] | None = None,
    ) -> Float[Tensor, "B M Q T"]:
        """By head, how much each step of the memory counts in what a query gathers: softmax(q k / sqrt(W))."""
        queries = self._heads(self.query(queries))
        scores = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        result: Tensor = scores.softmax(dim=3)
        return result

    def _heads(self, values: Float[Tensor, "B T D"]) -> Float[Tensor, "B M T W"]:
        """Each head's share of the width, one of M heads: the layout that torch's attention takes."""
        return values.view(*values.shape[:2], self.num_heads, -1).transpose(1, 2)


@settings
class BlockSettings:
    """What encoders and fusions let the user choose of their blocks; some `activation`, too.

    Attributes:
        width: of the tokens; a multiple of `heads`.
        layers: transformer blocks on top of each other.
        heads: of the attention in each block.
        hidden: width inside of a block's feed-forward network.
        dropout: probability, of attention weights, in the feed-forward networks and before each residual connection.
        drop_path: probability with which a row goes without each half of the last block while training; it rises to
            that in equal steps, block by block (stochastic depth).
    """

    width: PositiveInt = 128
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    hidden: PositiveInt = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0


def require_heads(who: str, *, width: int, heads: int) -> None:
    """Refuses a width that cannot be shared out among the heads.

    Raises:
        ConfigError: the width is no multiple of the number of heads.
    """
    if width % heads:
        raise ConfigError(f"{who}: width must be a multiple of heads; got {width}, {heads}.")


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward network on each token, both with a residual connection around them.

    LayerNorm comes first in each of the two (Xiong et al. 2020, arXiv 2002.04745, figure 1b): such networks train from
    the first step on, where those that normalise last need a long warm-up.

    The tokens attend to each other, or with `cross` to a memory: Z' = Z + Attention(LayerNorm(Z), LayerNorm(memory)),
    then Z'' = Z' + FeedForward(LayerNorm(Z')): the crossmodal block of Tsai et al. (2019, arXiv 1906.00295, eq. 4).

    Args:
        settings: D of the tokens, and of the memory, is their width; `layers` and `drop_path` are of the whole stack.
        activation_name: inside of the feed-forward network.
        drop_path: probability with which a row goes without the one or the other while training (stochastic depth).
        cross: attend to a memory.

    Raises:
        ValueError: the width is no multiple of the number of heads.
    """

    def __init__(
        self,
        settings: BlockSettings,
        *,
        activation_name: ActivationName = "gelu",
        drop_path: float,
        cross: bool = False,
    ) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.attention_norm = nn.LayerNorm(width)
        self.memory_norm = nn.LayerNorm(width) if cross else None
        self.attention = MultiHeadAttention(width, num_heads=settings.heads, dropout=dropout)
        self.feed_forward = nn.Sequential(  # Vaswani et al. 2017, section 3.3
            nn.LayerNorm(width),
            nn.Linear(width, settings.hidden),
            activation(activation_name),
            nn.Dropout(dropout),
            nn.Linear(settings.hidden, width),
            nn.Dropout(dropout),
        )
        self.dropout = nn.Dropout(dropout)
        self.drop_path = StochasticDepth(drop_path)

    def forward(
        self, values: Float[Tensor, "B Q D"], mask: Bool[Tensor, "B T"], memory: Float[Tensor, "B T D"] | None = None
    ) -> Float[Tensor, "B Q D"]:
        """The mask is that of the memory where there is one; what it masks may be anything that is finite."""
        normed = self.attention_norm(values)
        read = normed if self.memory_norm is None else self.memory_norm(memory)
        values = values + self.drop_path(self.dropout(self.attention(normed, read, mask)))
        result: Tensor = values + self.drop_path(self.feed_forward(values))
        return result


class TransformerStack(nn.Module):
    """A stack of `TransformerBlock`, with LayerNorm at its end.

    Args:
        settings: of the blocks; D is their width.
        activation_name: inside of the feed-forward networks.
    """

    def __init__(self, settings: BlockSettings, *, activation_name: ActivationName = "gelu") -> None:
        super().__init__()
        self.blocks = _blocks(settings, activation_name=activation_name, cross=False)
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, values: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Masked steps may hold anything, and come out as zeros."""
        values = zero_masked(values, mask)
        for block in self.blocks:
            values = block(values, mask)
        return zero_masked(self.norm(values), mask)


class CrossTransformer(nn.Module):
    """A stack of `TransformerBlock`, all of which attend to the same memory, with LayerNorm at its end.

    Args:
        settings: of the blocks; D is their width.
    """

    def __init__(self, settings: BlockSettings) -> None:
        super().__init__()
        self.blocks = _blocks(settings, activation_name="gelu", cross=True)
        self.norm = nn.LayerNorm(settings.width)

    def forward(
        self, values: Float[Tensor, "B Q D"], memory: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B Q D"]:
        """What becomes of the tokens; masked steps of the memory may hold anything that is finite."""
        for block in self.blocks:
            values = block(values, mask, memory)
        result: Tensor = self.norm(values)
        return result


def _blocks(settings: BlockSettings, *, activation_name: ActivationName, cross: bool) -> nn.ModuleList:
    return nn.ModuleList(
        TransformerBlock(settings, activation_name=activation_name, drop_path=drop_path, cross=cross)
        for drop_path in rising(settings.drop_path, settings.layers)
    )
