"""Embedding vector encoder: one linear layer, for early fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, PositiveInt
from torch import nn

from polymodal.layers.encoder import EncoderModule
from polymodal.modalities.vector import Vector
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class EmbeddingConfig:
    """Settings of `Embedding`.

    Attributes:
        width: of the token.
        dropout: probability, on the tokens.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: PositiveInt = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Embedding(EncoderModule[EmbeddingConfig]):
    """Vectors Float "N D", standardised by their modality -> one token."""

    Config: ClassVar[type] = EmbeddingConfig

    def __init__(self, config: EmbeddingConfig, modality: Vector) -> None:
        super().__init__(config)
        self.width = config.width
        self.project = nn.Sequential(
            nn.Linear(modality.length, config.width), nn.LayerNorm(config.width), nn.Dropout(config.dropout)
        )

    def forward(self, cells: Cells) -> Tokens:
        return Tokens.vector(self.project(cells.values), cells.present)
