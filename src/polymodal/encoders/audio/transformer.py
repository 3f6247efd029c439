"""Transformer for audio: convolutions shorten a spectrogram, self-attention follows; keeps time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import PositiveInt
from torch import Tensor, nn

from polymodal.layers.activation import ActivationName, activation
from polymodal.layers.audio_features import LOG_MEL, AudioFeatures, FeaturesField, frames_within
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.positions import SinusoidalPositions
from polymodal.layers.transformer import BlockSettings, require_heads
from polymodal.layers.transformer import TransformerStack as Blocks
from polymodal.modalities.audio import Audio
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class TransformerConfig(BlockSettings):
    """Settings of `Transformer`, besides those of its blocks.

    Attributes:
        features: what is computed from a recording.
        channels: of the convolutions.
        downsampling_stages: convolutions, each of which halves time and frequency.
        activation: inside of the feed-forward networks: `relu`, `gelu`, `tanh` or `sigmoid`.
    """

    features: FeaturesField = LOG_MEL
    channels: PositiveInt = 16
    downsampling_stages: PositiveInt = 3
    activation: ActivationName = "gelu"


class Transformer(EncoderModule[TransformerConfig]):
    """Waveforms Float "N S" -> a token for each 2 ** downsampling_stages frames.

    As in the Speech-Transformer (Dong, Xu & Xu 2018): strided convolutions, sinusoidal positions, an encoder. Attention
    costs the square of the number of tokens, so that thirty seconds should not give more than some hundreds.
    """

    Config: ClassVar[type] = TransformerConfig
    keeps_time = True

    def __init__(self, config: TransformerConfig, modality: Audio) -> None:
        super().__init__(config)
        require_heads("Audio encoder 'transformer'", width=config.width, heads=config.heads)
        self.width = config.width
        self.features = AudioFeatures(config.features, modality.sample_rate)
        self.token_span = self.features.hop_seconds * 2**config.downsampling_stages
        self.downsampling_stages = nn.ModuleList(
            _Halving(1 if depth == 0 else config.channels, config.channels, config.activation)
            for depth in range(config.downsampling_stages)
        )
        bands_left = -(-self.features.num_bands // 2**config.downsampling_stages)
        # The norm makes tokens as large as the positions that are added to them.
        self.project = nn.Sequential(nn.Linear(config.channels * bands_left, config.width), nn.LayerNorm(config.width))
        self.positions = SinusoidalPositions(config.width, deviation=1.0)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = Blocks(config, activation_name=config.activation)

    @classmethod
    def spanning(cls, config: TransformerConfig, seconds: float) -> TransformerConfig:
        """Fewer downsampling_stages, and below the length of two hops a shorter hop."""
        features, num_frames = frames_within(config.features, seconds, at_least=2)
        return replace(
            config, features=features, downsampling_stages=min(config.downsampling_stages, num_frames.bit_length() - 1)
        )

    def forward(self, cells: Cells) -> Tokens:
        frames, lengths = self.features(cells.values, cells.lengths)
        maps = frames.unsqueeze(1)  # N, C = 1, T, F
        for downsample in self.downsampling_stages:
            maps, lengths = downsample(maps, lengths)
        tokens = self.positions(self.project(maps.transpose(1, 2).flatten(2)))  # N, T, C * F
        mask = lengths_to_mask(lengths, tokens.shape[1])
        return Tokens(self.blocks(self.dropout(tokens), mask), mask)


class _Halving(nn.Module):
    """Strided convolution and activation; zeros after the end of a row, as its own padding would be."""

    def __init__(self, before: int, after: int, activation_name: ActivationName) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1)
        self.activation = activation(activation_name)

    def forward(
        self, maps: Float[Tensor, "N C T F"], lengths: Int[Tensor, " N"]
    ) -> tuple[Float[Tensor, "N D U G"], Int[Tensor, " N"]]:
        halved = torch.div(lengths + 1, 2, rounding_mode="floor")
        maps = self.activation(self.convolution(maps))
        mask = lengths_to_mask(halved, maps.shape[2])
        return torch.where(mask[:, None, :, None], maps, maps.new_zeros(())), halved
