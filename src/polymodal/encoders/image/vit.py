"""Small vision transformer for images, trained from scratch: self-attention over patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from polymodal.errors import ConfigError
from polymodal.layers.activation import ActivationName
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.normalisation import PixelNorm
from polymodal.layers.positions import LearnedPositions, PositionsName, SinusoidalGrid
from polymodal.layers.transformer import BlockSettings
from polymodal.layers.transformer import TransformerStack as Blocks
from polymodal.modalities.image import Image
from polymodal.types import Cells, Tokens

_SIDE = 8  # squares in a row, unless told otherwise


@dataclass(frozen=True)
class VitConfig(BlockSettings):
    """Settings of `Vit`, besides those of its blocks.

    Attributes:
        patch: side of the squares that a picture is cut into, in pixels; null: an eighth of the picture's side, for 64
            squares. Smaller ones learn faster, but attention costs the square of their number.
        width: of the tokens; a multiple of `heads`, and of 2.
        pool: `mean` of the squares, or `class`: a token of its own gathers what matters of them.
        spatial_tokens: a token for each square, row by row, instead of one for the picture.
        positions: how a square knows its place: `sinusoidal` takes pictures of any size, `learned` those of one.
        activation: inside of the feed-forward networks: `relu`, `gelu`, `tanh` or `sigmoid`.
        dropout: probability, after the positions, of attention weights, in the feed-forward networks and before each
            residual connection.
    """

    patch: PositiveInt | None = None
    layers: PositiveInt = 4
    pool: Literal["mean", "class"] = "mean"
    spatial_tokens: bool = False
    positions: PositionsName = "sinusoidal"
    activation: ActivationName = "gelu"


class Vit(EncoderModule[VitConfig]):
    """Pictures UInt8 "N 3 H W" -> one token, or one for each square.

    As in Dosovitskiy et al. 2021 (arXiv 2010.11929, equations 1 to 4), with the mean of the squares and fixed
    positions, which do better from scratch (Beyer et al. 2022, arXiv 2205.01580). Where the side of a picture is no
    multiple of `patch`, grey is added to the right and below.

    Raises:
        ConfigError: a width that the heads or the positions cannot divide.
    """

    Config: ClassVar[type] = VitConfig

    def __init__(self, config: VitConfig, modality: Image) -> None:
        super().__init__(config)
        if config.width % config.heads or config.width % 2:
            raise ConfigError(
                f"Image encoder 'vit': width must be a multiple of heads and of 2; got {config.width}, {config.heads}."
            )
        self.width = config.width
        self.patch = config.patch or -(-modality.size // _SIDE)
        self.token_span = float(self.patch) if config.spatial_tokens else None
        self.pixels = PixelNorm()
        # The norm makes tokens as large as the positions that are added to them.
        self.project = nn.Sequential(nn.Linear(3 * self.patch**2, config.width), nn.LayerNorm(config.width))
        side = -(-modality.size // self.patch)
        self.positions = (
            LearnedPositions(config.width, max_steps=side**2)
            if config.positions == "learned"
            else SinusoidalGrid(config.width, deviation=1.0)
        )
        gathers = config.pool == "class" and not config.spatial_tokens
        self.gather = nn.Parameter(0.02 * torch.randn(1, 1, config.width)) if gathers else None
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = Blocks(config, activation_name=config.activation)

    def forward(self, cells: Cells) -> Tokens:
        squares, num_columns = self._cut(self.pixels(cells.values))
        values = self.project(squares)
        if isinstance(self.positions, SinusoidalGrid):
            values = self.positions(values, num_columns)
        else:
            values = self.positions(values)
        if self.gather is not None:
            values = torch.cat([self.gather.expand(len(values), -1, -1), values], dim=1)
        mask = cells.present.unsqueeze(1).expand(-1, values.shape[1])
        values = self.blocks(self.dropout(values), mask)
        if self.config.spatial_tokens:
            return Tokens(values, mask)
        return Tokens.vector(values[:, 0] if self.gather is not None else values.mean(dim=1), cells.present)

    def _cut(self, pixels: Float[Tensor, "N 3 H W"]) -> tuple[Float[Tensor, "N T P"], int]:
        """The pixels of each square, row by row, and how many squares are in a row."""
        side = self.patch
        height, width = pixels.shape[2:]
        padded = functional.pad(pixels, (0, -width % side, 0, -height % side))  # zero is grey, see `PixelNorm`
        squares = functional.unfold(padded, side, stride=side).transpose(1, 2).contiguous()
        return squares, padded.shape[3] // side
