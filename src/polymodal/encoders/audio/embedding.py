"""Embedding audio encoder: a linear layer on each patch of a spectrogram, for early fusion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import PositiveInt
from torch import nn

from polymodal.layers.audio_features import LOG_MEL, AudioFeatures, FeaturesField, frames_within, stack_frames
from polymodal.layers.encoder import EmbeddingSettings, EncoderModule
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.positions import SinusoidalPositions
from polymodal.modalities.audio import Audio
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class EmbeddingConfig(EmbeddingSettings):
    """Settings of `Embedding`, besides those of any embedding.

    Attributes:
        features: what is computed from a recording.
        frames: so many frames of it make a token.
    """

    features: FeaturesField = LOG_MEL
    frames: PositiveInt = 8


class Embedding(EncoderModule[EmbeddingConfig]):
    """Waveforms Float "N S" -> a token for each stretch of frames; stretches do not see each other."""

    Config: ClassVar[type] = EmbeddingConfig
    keeps_time = True

    def __init__(self, config: EmbeddingConfig, modality: Audio) -> None:
        super().__init__(config)
        self.width = config.width
        self.features = AudioFeatures(config.features, modality.sample_rate)
        self.token_span = self.features.hop_seconds * config.frames
        # The norm makes tokens as large as the positions that are added to them.
        self.project = nn.Sequential(
            nn.Linear(config.frames * self.features.num_bands, config.width), nn.LayerNorm(config.width)
        )
        self.places = SinusoidalPositions(config.width, deviation=1.0)
        self.dropout = nn.Dropout(config.dropout)

    @classmethod
    def spanning(cls, config: EmbeddingConfig, seconds: float) -> EmbeddingConfig:
        """Fewer frames to a token, and below the length of a hop a shorter hop."""
        features, num_frames = frames_within(config.features, seconds)
        return replace(config, features=features, frames=min(config.frames, num_frames))

    def forward(self, cells: Cells) -> Tokens:
        stretches, lengths = stack_frames(*self.features(cells.values, cells.lengths), count=self.config.frames)
        values = self.places(self.project(stretches))
        return Tokens(self.dropout(values), lengths_to_mask(lengths, values.shape[1]))
