"""Transformer decoder: each token sees those before it, and attends to the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import PositiveInt
from torch import Tensor, nn

from polymodal.layers.activation import activation
from polymodal.layers.memory import WithNothing
from polymodal.layers.positions import SinusoidalPositions
from polymodal.layers.stochastic_depth import StochasticDepth, rising
from polymodal.layers.transformer import BlockSettings, MultiHeadAttention, require_heads
from polymodal.types import Tokens

_DEVIATION = 0.05  # of embeddings at first; small, so that what training adds counts, also for rare pieces


@dataclass(frozen=True)
class TransformerConfig(BlockSettings):
    """Settings of `Transformer`, besides those of its blocks."""

    width: PositiveInt = 128
    layers: PositiveInt = 2


@dataclass(frozen=True)
class TransformerState:
    """What was said so far, as keys and values of every block, and the memory as keys and values of every block.

    Attributes:
        past: by block, keys and values "B M L W".
        memory: by block, keys and values "B M T W".
        mask: "B T", real steps of the memory.
    """

    past: tuple[tuple[Tensor, Tensor], ...]
    memory: tuple[tuple[Tensor, Tensor], ...]
    mask: Bool[Tensor, "B T"]

    @property
    def length(self) -> int:
        """Number of tokens that were said."""
        return int(self.past[0][0].shape[2]) if self.past else 0

    def rows(self, index: Int[Tensor, " M"]) -> TransformerState:
        return TransformerState(_rows(self.past, index), _rows(self.memory, index), self.mask[index])

    def reordered(self, index: Int[Tensor, " B"]) -> TransformerState:
        return TransformerState(_rows(self.past, index), self.memory, self.mask)


class Transformer(nn.Module):
    """p(y_t | y_<t, memory): the decoder of Vaswani et al. (2017, arXiv 1706.03762), with the norm first.

    Embeddings of the tokens are the output weights, too (Press and Wolf 2017).

    Args:
        config: settings.
        memory_width: D of the memory.
        vocabulary_size: V.
    """

    Config: ClassVar[type] = TransformerConfig

    def __init__(self, config: TransformerConfig, *, memory_width: int, vocabulary_size: int) -> None:
        super().__init__()
        require_heads("Decoder 'transformer'", width=config.width, heads=config.heads)
        self.memory = WithNothing(memory_width, config.width)
        self.embedding = nn.Embedding(vocabulary_size, config.width)
        nn.init.normal_(self.embedding.weight, std=_DEVIATION)
        self.positions = SinusoidalPositions(config.width, deviation=_DEVIATION)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks: Sequence[_Block] = nn.ModuleList(  # type: ignore[assignment] # torch knows Module
            _Block(config, drop_path) for drop_path in rising(config.drop_path, config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, tokens: Tokens, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        """Logits of the token after each of these, of which the first is the begin."""
        memory = self.memory(tokens)
        values = self._embedded(ids)
        for block in self.blocks:
            values, _ = block(values, None, block.cross.keys_and_values(memory.values), memory.mask)
        return self._logits(values)

    def start(self, tokens: Tokens) -> TransformerState:
        """The state in which nothing was said."""
        memory = self.memory(tokens)
        return TransformerState(
            (), tuple(block.cross.keys_and_values(memory.values) for block in self.blocks), memory.mask
        )

    def step(self, state: TransformerState, ids: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B V"], TransformerState]:
        """Logits of the token after this one, and the state in which it was said."""
        values = self.positions(self.embedding(ids.unsqueeze(1)), state.length)
        past = []
        for place, block in enumerate(self.blocks):
            before = state.past[place] if state.past else None
            values, after = block(values, before, state.memory[place], state.mask)
            past.append(after)
        return self._logits(values)[:, 0], TransformerState(tuple(past), state.memory, state.mask)

    def cross_attention(self, tokens: Tokens, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L U"]:
        """Mean over blocks and heads of the weights of the attention to the memory."""
        memory = self.memory(tokens)
        values, found = self._embedded(ids), []
        for block in self.blocks:
            pairs = block.cross.keys_and_values(memory.values)
            found.append(block.weights(values, pairs[0], memory.mask))
            values, _ = block(values, None, pairs, memory.mask)
        return torch.stack(found).mean(dim=0).mean(dim=1)

    def _embedded(self, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        embedded: Tensor = self.dropout(self.positions(self.embedding(ids)))
        return embedded

    def _logits(self, values: Float[Tensor, "B L D"]) -> Float[Tensor, "B L V"]:
        return nn.functional.linear(self.norm(values), self.embedding.weight, self.bias)


class _Block(nn.Module):
    """Attention to the tokens before, attention to the memory, then a feed-forward network on each token."""

    def __init__(self, config: TransformerConfig, drop_path: float) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.own_norm, self.cross_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.own = MultiHeadAttention(width, num_heads=config.heads, dropout=dropout)
        self.cross = MultiHeadAttention(width, num_heads=config.heads, dropout=dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, config.hidden),
            activation("gelu"),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, width),
            nn.Dropout(dropout),
        )
        self.dropout = nn.Dropout(dropout)
        self.drop_path = StochasticDepth(drop_path)

    def forward(
        self,
        values: Float[Tensor, "B L D"],
        past: tuple[Tensor, Tensor] | None,
        memory: tuple[Tensor, Tensor],
        mask: Bool[Tensor, "B T"],
    ) -> tuple[Float[Tensor, "B L D"], tuple[Tensor, Tensor]]:
        """The values, and keys and values of all tokens so far."""
        values, pairs = self._own(values, past)
        found = self.cross.attend(self.cross_norm(values), *memory, mask[:, None, None, :])
        values = values + self.drop_path(self.dropout(found))
        result: Tensor = values + self.drop_path(self.feed_forward(values))
        return result, pairs

    def weights(
        self, values: Float[Tensor, "B L D"], keys: Float[Tensor, "B M T W"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B M L T"]:
        """By head, how much each of these tokens attends to each step of the memory."""
        values, _ = self._own(values, None)
        return self.cross.weights(self.cross_norm(values), keys, mask[:, None, None, :])

    def _own(
        self, values: Float[Tensor, "B L D"], past: tuple[Tensor, Tensor] | None
    ) -> tuple[Float[Tensor, "B L D"], tuple[Tensor, Tensor]]:
        """The values after the attention to the tokens before, and keys and values of all tokens so far."""
        normed = self.own_norm(values)
        keys, gathered = self.own.keys_and_values(normed)
        if past is not None:
            keys, gathered = torch.cat([past[0], keys], dim=2), torch.cat([past[1], gathered], dim=2)
        steps, new = keys.shape[2], values.shape[1]
        seen = torch.ones(new, steps, dtype=torch.bool, device=values.device).tril(steps - new)
        attended = self.own.attend(normed, keys, gathered, seen[None, None] if new > 1 else None)
        return values + self.drop_path(self.dropout(attended)), (keys, gathered)


def _rows(pairs: tuple[tuple[Tensor, Tensor], ...], index: Int[Tensor, " M"]) -> tuple[tuple[Tensor, Tensor], ...]:
    return tuple((keys[index], values[index]) for keys, values in pairs)
