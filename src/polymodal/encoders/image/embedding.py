"""Embedding image encoder: a linear layer on each patch, for early fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, PositiveInt

from polymodal.layers.encoder import EncoderModule
from polymodal.layers.patches import Patches
from polymodal.modalities.image import Image
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class EmbeddingConfig:
    """Settings of `Embedding`.

    Attributes:
        width: of the tokens, even.
        patch: side of a square, in pixels.
        dropout: probability, on the tokens.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: Annotated[int, Field(ge=2, multiple_of=2)] = 128
    patch: PositiveInt = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


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
