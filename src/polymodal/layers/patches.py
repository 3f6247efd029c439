"""Squares of pictures as tokens that know their place: patch embedding (Dosovitskiy et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float, UInt8
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.layers.encoder import EmbeddingSettings, EncoderModule
from polymodal.layers.normalisation import PixelNorm
from polymodal.layers.pooling import lengths_to_mask, zero_masked
from polymodal.layers.positions import SinusoidalGrid, SinusoidalPositions
from polymodal.protocols import Modality
from polymodal.types import Cells, Tokens


class Patches(nn.Module):
    """Pictures UInt8 "N 3 H W" -> "N P D": one linear layer on each square, as ViT begins (Dosovitskiy et al. 2021).

    Args:
        patch: side of a square, in pixels; where it does not divide the picture, grey is added on the right and below.
        width: D of the tokens; a multiple of 2.
        dropout: probability, on the tokens.
    """

    def __init__(self, patch: int, width: int, *, dropout: float) -> None:
        super().__init__()
        self.patch = patch
        self.pixels = PixelNorm()
        self.convolution = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.norm = nn.LayerNorm(width)  # as large as the positions that are added
        self.places = SinusoidalGrid(width, deviation=1.0)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pictures: UInt8[Tensor, "N 3 H W"]) -> Float[Tensor, "N P D"]:
        height, width = pictures.shape[2:]
        padded = F.pad(self.pixels(pictures), (0, -width % self.patch, 0, -height % self.patch))  # zero is grey
        maps = self.convolution(padded)
        tokens = self.norm(maps.flatten(2).transpose(1, 2))
        result: Tensor = self.dropout(self.places(tokens, maps.shape[3]))
        return result


class PatchesOfEach(nn.Module):
    """Several pictures UInt8 "N T 3 H W" -> the squares of each, one picture after the other.

    Args:
        patches: of one picture.
        width: of its tokens.
        ordered: pictures are frames, and know their place in time.
    """

    def __init__(self, patches: Patches, width: int, *, ordered: bool) -> None:
        super().__init__()
        self.patches = patches
        self.times = SinusoidalPositions(width, deviation=1.0) if ordered else None

    def forward(self, cells: Cells) -> Tokens:
        rows, num_pictures = cells.values.shape[:2]
        tokens: Tensor = self.patches(cells.values.flatten(0, 1)).unflatten(0, (rows, num_pictures))  # N T P D
        if self.times is not None:
            tokens = tokens + self.times(torch.zeros_like(tokens[:1, :, 0])).unsqueeze(2)
        mask = lengths_to_mask(cells.lengths, num_pictures).repeat_interleave(tokens.shape[2], dim=1)
        return Tokens(zero_masked(tokens.flatten(1, 2), mask), mask)


@dataclass(frozen=True)
class PatchEmbeddingConfig(EmbeddingSettings):
    """Settings of `PatchEmbedding`, besides those of any embedding.

    Attributes:
        width: of the tokens, even.
        patch: side of a square, in pixels; small ones make many tokens.
    """

    width: Annotated[int, Field(ge=2, multiple_of=2)] = 128
    patch: PositiveInt = 16


class PatchEmbedding(EncoderModule[PatchEmbeddingConfig]):
    """Pictures UInt8 "N T 3 H W" -> "N (T * P) width": a token for each of P squares; squares do not see each other.

    `ordered` says that the pictures stand in an order: tokens then know which one they come from.
    """

    Config: ClassVar[type] = PatchEmbeddingConfig
    ordered: ClassVar[bool]

    def __init__(self, config: PatchEmbeddingConfig, modality: Modality) -> None:
        super().__init__(config)
        self.width = config.width
        patches = Patches(config.patch, config.width, dropout=config.dropout)
        self.each = PatchesOfEach(patches, config.width, ordered=self.ordered)

    def forward(self, cells: Cells) -> Tokens:
        tokens: Tokens = self.each(cells)
        return tokens
