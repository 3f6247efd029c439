"""Embedding text encoder: the embedding of each piece with its position, for early fusion."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from polymodal.layers.encoder import EmbeddingSettings, EncoderModule
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.positions import SinusoidalPositions
from polymodal.modalities.text import Text
from polymodal.types import Cells, Tokens

_DEVIATION = 0.05  # of embeddings at first, and of positions: what training adds then counts


class Embedding(EncoderModule[EmbeddingSettings]):
    """Text "N T" of ids -> a token for each piece; pieces do not see each other."""

    Config: ClassVar[type] = EmbeddingSettings

    def __init__(self, config: EmbeddingSettings, modality: Text) -> None:
        super().__init__(config)
        self.width = config.width
        self.embedding = nn.Embedding(modality.vocabulary_size, config.width)
        nn.init.normal_(self.embedding.weight, std=_DEVIATION)
        self.places = SinusoidalPositions(config.width, deviation=_DEVIATION)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, cells: Cells) -> Tokens:
        mask = lengths_to_mask(cells.lengths, cells.values.shape[1])
        return Tokens(self.dropout(self.places(self.embedding(cells.values))), mask)
