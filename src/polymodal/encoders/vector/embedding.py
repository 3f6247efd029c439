"""Embedding vector encoder: one linear layer, for early fusion."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from polymodal.layers.encoder import EmbeddingSettings, EncoderModule
from polymodal.modalities.vector import Vector
from polymodal.types import Cells, Tokens


class Embedding(EncoderModule[EmbeddingSettings]):
    """Vectors Float "N D", standardised by their modality -> one token."""

    Config: ClassVar[type] = EmbeddingSettings

    def __init__(self, config: EmbeddingSettings, modality: Vector) -> None:
        super().__init__(config)
        self.width = config.width
        self.project = nn.Sequential(
            nn.Linear(modality.length, config.width), nn.LayerNorm(config.width), nn.Dropout(config.dropout)
        )

    def forward(self, cells: Cells) -> Tokens:
        return Tokens.vector(self.project(cells.values), cells.present)
