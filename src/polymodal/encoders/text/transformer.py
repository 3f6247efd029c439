"""Small transformer for text, trained from scratch; keeps every word piece as a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from polymodal.layers.activation import ActivationName
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.positions import LearnedPositions, PositionsName, SinusoidalPositions
from polymodal.layers.transformer import BlockSettings, require_heads
from polymodal.layers.transformer import TransformerStack as Blocks
from polymodal.modalities.text import Text
from polymodal.types import Cells, Tokens

_DEVIATION = 0.05  # of embeddings at first; small, so that what training adds counts, also for rare pieces


@dataclass(frozen=True)
class TransformerConfig(BlockSettings):
    """Settings of `Transformer`, besides those of its blocks.

    Attributes:
        positions: how a token knows its place: `sinusoidal` or `learned`.
        activation: inside of the feed-forward networks: `relu`, `gelu`, `tanh` or `sigmoid`.
        dropout: probability, after the embedding, of attention weights, in the feed-forward networks and before each
            residual connection.
    """

    positions: PositionsName = "sinusoidal"
    activation: ActivationName = "gelu"


class Transformer(EncoderModule[TransformerConfig]):
    """Text "N T" of ids -> a token for each word piece (encoder of Vaswani et al. 2017, with the norm first)."""

    Config: ClassVar[type] = TransformerConfig

    def __init__(self, config: TransformerConfig, modality: Text) -> None:
        super().__init__(config)
        require_heads("Text encoder 'transformer'", width=config.width, heads=config.heads)
        self.width = config.width
        self.embedding = nn.Embedding(modality.vocabulary_size, config.width)
        nn.init.normal_(self.embedding.weight, std=_DEVIATION)
        self.positions = (
            LearnedPositions(config.width, max_steps=modality.max_tokens, deviation=_DEVIATION)
            if config.positions == "learned"
            else SinusoidalPositions(config.width, deviation=_DEVIATION)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = Blocks(config, activation_name=config.activation)

    def forward(self, cells: Cells) -> Tokens:
        mask = lengths_to_mask(cells.lengths, cells.values.shape[1])
        tokens = self.dropout(self.positions(self.embedding(cells.values)))
        return Tokens(self.blocks(tokens, mask), mask)
