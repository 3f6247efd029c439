"""Small transformer for text, trained from scratch; keeps every word piece as a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, PositiveInt
from torch import nn

from polymodal.layers.activation import ActivationName
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.positions import PositionsName, positions
from polymodal.layers.transformer import TransformerStack as Blocks
from polymodal.layers.transformer import require_heads
from polymodal.modalities.text import Text
from polymodal.types import Cells, Tokens

_DEVIATION = 0.05  # of embeddings at first; small, so that what training adds counts, also for rare pieces


@dataclass(frozen=True)
class TransformerConfig:
    """Settings of `Transformer`.

    Attributes:
        width: of an embedding and of the tokens; a multiple of `heads`.
        layers: transformer blocks on top of each other.
        heads: of the attention in each block.
        hidden: width inside of a block's feed-forward network.
        positions: how a token knows its place: `sinusoidal` or `learned`.
        activation: inside of the feed-forward networks: `relu`, `gelu`, `tanh` or `sigmoid`.
        dropout: probability, after the embedding, of attention weights, in the feed-forward networks and before each
            residual connection.
        drop_path: probability with which a row goes without each half of the last block while training; it rises to
            that in equal steps, block by block (stochastic depth).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: PositiveInt = 128
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    hidden: PositiveInt = 256
    positions: PositionsName = "sinusoidal"
    activation: ActivationName = "gelu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Transformer(EncoderModule[TransformerConfig]):
    """Text "N T" of ids -> a token for each word piece (encoder of Vaswani et al. 2017, with the norm first)."""

    Config: ClassVar[type] = TransformerConfig

    def __init__(self, config: TransformerConfig, modality: Text) -> None:
        super().__init__(config)
        require_heads("Text encoder 'transformer'", width=config.width, heads=config.heads)
        self.width = config.width
        self.embedding = nn.Embedding(modality.vocabulary_size, config.width)
        nn.init.normal_(self.embedding.weight, std=_DEVIATION)
        self.positions = positions(config.positions, config.width, max_steps=modality.max_tokens, deviation=_DEVIATION)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = Blocks.of(config)

    def forward(self, cells: Cells) -> Tokens:
        mask = lengths_to_mask(cells.lengths, cells.values.shape[1])
        tokens = self.dropout(self.positions(self.embedding(cells.values)))
        return Tokens(self.blocks(tokens, mask), mask)
