"""Convolutional audio encoder on a spectrogram, log-mel unless told otherwise; keeps time."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from polymodal.config.node import settings
from polymodal.layers.activation import ActivationName, activation
from polymodal.layers.audio_features import LOG_MEL, AudioFeatures, FeaturesField, frames_within
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.normalisation import MaskedGroupNorm, standardise_rows
from polymodal.layers.pooling import lengths_to_mask, masked_mean, zero_masked
from polymodal.modalities.audio import Audio
from polymodal.types import Cells, Tokens

_SPECTRUM_DROPOUT = 0.5


@settings
class CnnConfig:
    """Settings of `Cnn`.

    Attributes:
        width: of the tokens.
        features: what is computed from a recording.
        channels: of the first block; doubled by every further one.
        blocks: convolution, which halves time and frequency by its stride, GroupNorm and activation; the first kernel
            is five wide, the others three.
        normalise_bands: each band of a clip has mean zero and deviation one over time (cepstral mean and variance
            normalisation), so that the word is the same whoever says it; the mean spectrum is a vector beside, of which
            half is dropped in training. False: the spectrogram is read as it is.
        activation: `relu`, `gelu`, `tanh` or `sigmoid`.
        dropout: probability, before the last layer; 0: none at all.
    """

    width: PositiveInt = 128
    features: FeaturesField = LOG_MEL
    channels: PositiveInt = 16
    blocks: PositiveInt = 4
    normalise_bands: bool = True
    activation: ActivationName = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Cnn(EncoderModule[CnnConfig]):
    """Waveforms Float "N S" -> a token for each 2 ** blocks frames.

    Steps after a clip's end are zero in front of every convolution, as its own padding would be: how far a batch is
    padded never shows.
    """

    Config: ClassVar[type] = CnnConfig
    keeps_time = True

    def __init__(self, config: CnnConfig, modality: Audio) -> None:
        super().__init__(config)
        self.width = config.width
        self.features = AudioFeatures(config.features, modality.sample_rate)
        self.token_span = self.features.hop_seconds * 2**config.blocks
        channels = [config.channels * 2**depth for depth in range(config.blocks)]
        self.blocks = nn.ModuleList(
            _Block(before, after, config.activation) for before, after in zip([1, *channels], channels, strict=False)
        )
        self.blocks.to(memory_format=torch.channels_last)  # on a CPU a tenth faster to train, up to twice to predict
        bands_left = -(-self.features.num_bands // 2**config.blocks)
        self.project = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(channels[-1] * bands_left, config.width))
        self.spectrum = None
        if config.normalise_bands:
            whole = nn.Linear(self.features.num_bands, config.width)
            nn.init.zeros_(whole.weight)  # a token is of its own time, until something else is learned
            self.spectrum = nn.Sequential(nn.Dropout(_SPECTRUM_DROPOUT if config.dropout else 0.0), whole)

    @classmethod
    def spanning(cls, config: CnnConfig, seconds: float) -> CnnConfig:
        """Fewer blocks, and below the length of two hops a shorter hop."""
        features, num_frames = frames_within(config.features, seconds, at_least=2)
        return replace(config, features=features, blocks=min(config.blocks, num_frames.bit_length() - 1))

    def forward(self, cells: Cells) -> Tokens:
        frames, lengths = self.features(cells.values, cells.lengths)
        mask = lengths_to_mask(lengths, frames.shape[1])
        spectrum = masked_mean(frames, mask)
        if self.spectrum is not None:
            frames = standardise_rows(frames, mask, per_feature=True)
        maps = frames.unsqueeze(1).contiguous(memory_format=torch.channels_last)  # N, C = 1, T, F
        for block in self.blocks:
            maps, lengths = block(maps, lengths)
        mask = lengths_to_mask(lengths, maps.shape[2])
        values = self.project(maps.transpose(1, 2).flatten(2))  # N, T, C * F
        if self.spectrum is not None:
            values = values + self.spectrum(spectrum).unsqueeze(1)
        return Tokens(zero_masked(values, mask), mask)


class _Block(nn.Module):
    """Convolution of stride 2, masked GroupNorm, activation; zeros after the end of a row.

    Pooling after convolutions of stride 1 takes twice the time of a training, and is no more accurate.
    """

    def __init__(self, before: int, after: int, activation_name: ActivationName) -> None:
        super().__init__()
        kernel = 5 if before == 1 else 3
        self.convolution = nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2, bias=False)
        self.norm = MaskedGroupNorm(after)
        self.activation = activation(activation_name)

    def forward(
        self, maps: Float[Tensor, "N C T F"], lengths: Int[Tensor, " N"]
    ) -> tuple[Float[Tensor, "N D U G"], Int[Tensor, " N"]]:
        halved = torch.div(lengths + 1, 2, rounding_mode="floor")
        maps = self.convolution(maps)
        mask = lengths_to_mask(halved, maps.shape[2])
        padded = None if not torch.compiler.is_exporting() and bool(mask.all()) else mask
        maps = self.activation(self.norm(maps, padded))
        return maps if padded is None else maps * padded[:, None, :, None], halved
