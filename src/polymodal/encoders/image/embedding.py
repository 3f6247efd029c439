"""Embedding image encoder: a linear layer on each patch, for early fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import PositiveInt

from polymodal.layers.encoder import EncoderModule
from polymodal.layers.patches import PatchEmbeddingConfig, Patches
from polymodal.modalities.image import Image
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class EmbeddingConfig(PatchEmbeddingConfig):
    """Settings of `Embedding`: those of other patch embeddings, with smaller squares."""

    patch: PositiveInt = 8


class Embedding(EncoderModule[EmbeddingConfig]):
    """Pictures UInt8 "N 3 H W" -> a token for each square; squares do not see each other."""

    Config: ClassVar[type] = EmbeddingConfig

    def __init__(self, config: EmbeddingConfig, modality: Image) -> None:
        super().__init__(config)
        self.width = config.width
        self.token_span = float(config.patch)
        self.patches = Patches(config.patch, config.width, dropout=config.dropout)

    def forward(self, cells: Cells) -> Tokens:
        values = self.patches(cells.values)
        return Tokens(values, cells.present.unsqueeze(1).expand(-1, values.shape[1]))
