"""Small 3D convolutional video encoder: every kernel covers three consecutive frames; keeps time."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from polymodal.config.node import settings
from polymodal.layers.activation import ActivationName, activation
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.normalisation import PixelNorm, group_norm
from polymodal.layers.pooling import lengths_to_mask, masked_max, masked_mean, zero_masked
from polymodal.modalities.video import Video
from polymodal.types import Cells, Tokens


@settings
class Conv3dConfig:
    """Settings of `Conv3d`.

    Attributes:
        width: of a frame's token.
        channels: of the first block; doubled by every further one.
        blocks: 3D convolution, GroupNorm, activation, and a halving of height and width: in the first block by the
            convolution's stride, then by pooling.
        grid: a frame's last feature map is averaged to so many cells a side, which are then told apart.
        keeps_time: a token for each frame, instead of one with the mean and the largest of each feature over time.
        activation: `relu`, `gelu`, `tanh` or `sigmoid`.
        dropout: probability, before the last layer.
    """

    width: PositiveInt = 128
    channels: PositiveInt = 16
    blocks: PositiveInt = 3
    grid: PositiveInt = 4
    keeps_time: bool = False
    activation: ActivationName = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3


class Conv3d(EncoderModule[Conv3dConfig]):
    """Clips UInt8 "N T 3 H W" -> a token of the width for each frame, or one of twice the width.

    After a clip's end there are zeros in front of every convolution, as its own padding would be, and each frame is
    normalised by itself: how far a batch is padded never shows.
    """

    Config: ClassVar[type] = Conv3dConfig

    def __init__(self, config: Conv3dConfig, modality: Video) -> None:
        super().__init__(config)
        self.width = config.width if config.keeps_time else 2 * config.width
        self.keeps_time = config.keeps_time
        self.token_span = modality.frame_seconds if config.keeps_time else None
        self.pixels = PixelNorm()
        channels = [config.channels * 2**depth for depth in range(config.blocks)]
        self.blocks = nn.ModuleList(
            _Block(before, after, activation_name=config.activation, strided=depth == 0)
            for depth, (before, after) in enumerate(zip([3, *channels], channels, strict=False))
        )
        self.project = nn.Sequential(
            nn.AdaptiveAvgPool2d(config.grid),
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(channels[-1] * config.grid**2, config.width),
        )

    @classmethod
    def spanning(cls, config: Conv3dConfig, seconds: float) -> Conv3dConfig:
        """A token for each frame; how long these last, the column decides."""
        return replace(config, keeps_time=True)

    def forward(self, cells: Cells) -> Tokens:
        mask = lengths_to_mask(cells.lengths, cells.values.shape[1])
        maps = self.pixels(cells.values.flatten(0, 1)).view(cells.values.shape)
        for block in self.blocks:
            maps = block(maps, mask)
        values = zero_masked(self.project(maps.flatten(0, 1)).view(*mask.shape, -1), mask)
        if self.config.keeps_time:
            return Tokens(values, mask)
        pooled = torch.cat([masked_mean(values, mask), masked_max(values, mask)], dim=1)
        return Tokens.vector(pooled, cells.present)


class _Block(nn.Module):
    """Convolution over time and space, GroupNorm of each frame, activation, half of height and width."""

    def __init__(self, before: int, after: int, *, activation_name: ActivationName, strided: bool) -> None:
        super().__init__()
        kernel, stride, self.strided = (5, 2, True) if strided else (3, 1, False)
        self.convolution = nn.Conv3d(
            before,
            after,
            kernel_size=(3, kernel, kernel),
            stride=(1, stride, stride),
            padding=(1, kernel // 2, kernel // 2),
            bias=False,  # GroupNorm brings its own
        )
        self.norm = group_norm(after)
        self.activation = activation(activation_name)

    def forward(self, maps: Float[Tensor, "N T C H W"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, "N T E G K"]:
        real = torch.where(mask[:, :, None, None, None], maps, maps.new_zeros(()))
        found = self.convolution(real.transpose(1, 2)).transpose(1, 2)
        frames = self.activation(self.norm(found.flatten(0, 1)))
        if not self.strided:
            frames = functional.max_pool2d(frames, 2, ceil_mode=True)
        result: Tensor = frames.view(*mask.shape, *frames.shape[1:])
        return result
