"""Small convolutional image encoder, made for a few thousand small pictures and no accelerator."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import nn

from polymodal.config.node import settings
from polymodal.layers.activation import ActivationName, activation
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.normalisation import PixelNorm, group_norm
from polymodal.layers.positions import LearnedPositions
from polymodal.modalities.image import Image
from polymodal.types import Cells, Tokens

_LARGE = 64  # pixels a side


@settings
class CnnConfig:
    """Settings of `Cnn`.

    Attributes:
        width: of the result.
        channels: of the first block; doubled by every further one.
        blocks: convolution, which halves height and width by its stride, GroupNorm and activation; the first kernel
            is five wide, the others three.
        pool: max pooling after the first block, by this factor; None: 2 for pictures of 64 pixels a side or more,
            else 1.
        grid: the last feature map is averaged to so many cells a side, which are then told apart; 1 averages all
            places into one, which loses where things are.
        spatial_tokens: a token for each of these cells, row by row, instead of one for the whole picture: for fusions
            that attend to tokens.
        activation: `relu`, `gelu`, `tanh` or `sigmoid`.
        dropout: probability, before the last layer.
    """

    width: PositiveInt = 128
    channels: PositiveInt = 32
    blocks: PositiveInt = 3
    pool: PositiveInt | None = None
    grid: PositiveInt = 4
    spatial_tokens: bool = False
    activation: ActivationName = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3


class Cnn(EncoderModule[CnnConfig]):
    """Pictures UInt8 "N 3 H W" -> one token, or one for each cell of the grid, which knows its place."""

    Config: ClassVar[type] = CnnConfig

    def __init__(self, config: CnnConfig, modality: Image) -> None:
        super().__init__(config)
        self.width = config.width
        self.token_span = modality.size / config.grid if config.spatial_tokens else None
        channels = [config.channels * 2**depth for depth in range(config.blocks)]
        pool = config.pool or (2 if modality.size >= _LARGE else 1)
        self.features = nn.Sequential(
            PixelNorm(),
            _block(3, channels[0], config.activation, kernel_size=5),
            *([nn.MaxPool2d(pool, ceil_mode=True)] if pool > 1 else []),
            *(_block(before, after, config.activation) for before, after in pairwise(channels)),
            nn.AdaptiveAvgPool2d(config.grid),
            nn.Flatten(2 if config.spatial_tokens else 1),
        )
        self.features.to(memory_format=torch.channels_last)  # 1.5 times as fast on a CPU
        num_places = config.grid**2
        self.project = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(channels[-1] * (1 if config.spatial_tokens else num_places), config.width),
        )
        self.places = LearnedPositions(config.width, max_steps=num_places) if config.spatial_tokens else None

    def forward(self, cells: Cells) -> Tokens:
        pixels = cells.values.contiguous(memory_format=torch.channels_last)
        features = self.features(pixels)  # N, C * G * G; with space N, C, G * G
        if self.places is None:
            return Tokens.vector(self.project(features), cells.present)
        values = self.places(self.project(features.transpose(1, 2)))
        return Tokens(values, cells.present.unsqueeze(1).expand(-1, values.shape[1]))


def _block(before: int, after: int, activation_name: ActivationName, *, kernel_size: int = 3) -> nn.Module:
    return nn.Sequential(  # GroupNorm brings its own bias
        nn.Conv2d(before, after, kernel_size, stride=2, padding=kernel_size // 2, bias=False),
        group_norm(after),
        activation(activation_name),
    )
