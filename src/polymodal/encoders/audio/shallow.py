"""Recordings nearly raw: a linear layer on each stretch of a spectrogram, for a joint encoder to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
from pydantic import ConfigDict, Field, PositiveInt
from torch import nn
from torch.nn import functional as F

from polymodal.layers.audio_features import LOG_MEL, AudioFeatures, FeaturesField, frames_within
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.positions import SinusoidalPositions
from polymodal.modalities.audio import Audio
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class ShallowConfig:
    """Settings of `Shallow`.

    Attributes:
        width: of the tokens.
        features: what is computed from a recording.
        frames: so many frames of it make a token.
        dropout: probability, on the tokens.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: PositiveInt = 128
    features: FeaturesField = LOG_MEL
    frames: PositiveInt = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Shallow(nn.Module):
    """Waveforms Float "N S" -> a token for each stretch of frames; stretches do not see each other."""

    Config: ClassVar[type] = ShallowConfig
    keeps_time = True
    frozen = False

    def __init__(self, config: ShallowConfig, modality: Audio) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        self.features = AudioFeatures(config.features, modality.sample_rate)
        self.token_span: float | None = self.features.hop_seconds * config.frames
        # The norm makes tokens as large as the positions that are added to them.
        self.project = nn.Sequential(
            nn.Linear(config.frames * self.features.num_bands, config.width), nn.LayerNorm(config.width)
        )
        self.places = SinusoidalPositions(config.width, deviation=1.0)
        self.dropout = nn.Dropout(config.dropout)

    @classmethod
    def needs(cls, config: ShallowConfig) -> dict[str, Any]:
        """Takes any sample rate."""
        return {}

    @classmethod
    def spanning(cls, config: ShallowConfig, seconds: float) -> ShallowConfig:
        """Fewer frames to a token, and below the length of a hop a shorter hop."""
        features, num_frames = frames_within(config.features, seconds)
        return replace(config, features=features, frames=min(config.frames, num_frames))

    @property
    def portable(self) -> dict[str, Any]:
        return asdict(self.config)

    def forward(self, cells: Cells) -> Tokens:
        frames, lengths = self.features(cells.values, cells.lengths)  # zeros after a row's end
        size = self.config.frames
        whole = F.pad(frames, (0, 0, 0, -frames.shape[1] % size))
        values = self.project(whole.reshape(len(whole), -1, size * whole.shape[2]))
        mask = lengths_to_mask(torch.div(lengths + size - 1, size, rounding_mode="floor"), values.shape[1])
        return Tokens(self.dropout(self.places(values)), mask)
