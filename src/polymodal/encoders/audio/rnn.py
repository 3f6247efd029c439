"""Recurrent audio encoder: an RNN, LSTM or GRU over the frames of a spectrogram; keeps time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import PositiveInt
from torch import nn

from polymodal.errors import ConfigError
from polymodal.layers.audio_features import LOG_MEL, AudioFeatures, FeaturesField, frames_within, stack_frames
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.recurrent import Recurrent, RecurrentSettings
from polymodal.modalities.audio import Audio
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class RnnConfig(RecurrentSettings):
    """Settings of `Rnn`, besides those of its layers.

    Attributes:
        features: what is computed from a recording.
        stack: so many frames, side by side, make one step: fewer steps are faster to read and easier to remember.
    """

    features: FeaturesField = LOG_MEL
    stack: PositiveInt = 4
    layers: PositiveInt = 2


class Rnn(EncoderModule[RnnConfig]):
    """Waveforms Float "N S" -> a token for each `stack` frames (low frame rate: Sak et al. 2015, arXiv 1507.06947)."""

    Config: ClassVar[type] = RnnConfig
    keeps_time = True

    def __init__(self, config: RnnConfig, modality: Audio) -> None:
        super().__init__(config)
        if config.bidirectional and config.width % 2:
            raise ConfigError(f"Audio encoder 'rnn': width must be even when bidirectional; got {config.width}.")
        self.width = config.width
        self.features = AudioFeatures(config.features, modality.sample_rate)
        self.token_span = self.features.hop_seconds * config.stack
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = Recurrent(self.features.num_bands * config.stack, config)

    @classmethod
    def spanning(cls, config: RnnConfig, seconds: float) -> RnnConfig:
        """A smaller stack, and below the length of a hop a shorter hop."""
        features, num_frames = frames_within(config.features, seconds)
        return replace(config, features=features, stack=min(config.stack, num_frames))

    def forward(self, cells: Cells) -> Tokens:
        steps, lengths = stack_frames(*self.features(cells.values, cells.lengths), count=self.config.stack)
        states = self.recurrent(self.dropout(steps), lengths)
        return Tokens(states, lengths_to_mask(lengths, states.shape[1]))
