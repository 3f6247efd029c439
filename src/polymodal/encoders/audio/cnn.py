"""Convolutional audio encoder on a log-mel spectrogram; keeps time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from polymodal.layers.activation import ActivationName, activation
from polymodal.layers.normalisation import MaskedGroupNorm, standardise_rows
from polymodal.layers.pooling import lengths_to_mask, zero_masked
from polymodal.layers.spec_augment import SpecAugment
from polymodal.layers.spectral import LogMel
from polymodal.modalities.audio import Audio
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class CnnConfig:
    """Settings of `Cnn`.

    Attributes:
        width: of the tokens.
        num_mels: mel bands.
        window_seconds: of a spectrogram's frame.
        hop_seconds: from one frame to the next.
        channels: of the first block; doubled by every further one.
        blocks: convolution, GroupNorm, activation, and a halving of time and frequency: in the first block by the
            convolution's stride, which costs a quarter, then by pooling.
        activation: `relu`, `gelu`, `tanh` or `sigmoid`.
        dropout: probability, before the last layer.
        band_masks: frequency bands hidden from a clip in training (SpecAugment); none by default, for it
            hides the colour of a voice.
        time_masks: stretches of time hidden from a clip in training.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: PositiveInt = 128
    num_mels: PositiveInt = 64
    window_seconds: PositiveFloat = 0.025
    hop_seconds: PositiveFloat = 0.010
    channels: PositiveInt = 16
    blocks: PositiveInt = 3
    activation: ActivationName = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    band_masks: NonNegativeInt = 0
    time_masks: NonNegativeInt = 0


class Cnn(nn.Module):
    """Waveforms Float "N S" -> a token for each 2 ** blocks frames.

    Each clip's spectrogram is standardised as a whole, so that loudness does not matter. Steps after a clip's end are
    zero in front of every convolution, as its own padding would be: how far a batch is padded never shows.
    """

    Config: ClassVar[type] = CnnConfig
    frozen = False

    def __init__(self, config: CnnConfig, modality: Audio) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        self.log_mel = LogMel(
            modality.sample_rate,
            num_mels=config.num_mels,
            window_seconds=config.window_seconds,
            hop_seconds=config.hop_seconds,
        )
        self.token_span: float | None = self.log_mel.hop / modality.sample_rate * 2**config.blocks
        self.augment = SpecAugment(band_masks=config.band_masks, time_masks=config.time_masks)
        channels = [config.channels * 2**depth for depth in range(config.blocks)]
        self.blocks = nn.ModuleList(
            _Block(before, after, activation_name=config.activation, strided=before == 1)
            for before, after in zip([1, *channels], channels, strict=False)
        )
        bands_left = -(-config.num_mels // 2**config.blocks)
        self.project = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(channels[-1] * bands_left, config.width))

    @classmethod
    def needs(cls, config: CnnConfig) -> dict[str, Any]:  # noqa: ARG003
        """Takes any sample rate."""
        return {}

    @property
    def portable(self) -> dict[str, Any]:
        return asdict(self.config)

    def forward(self, cells: Cells) -> Tokens:
        lengths = self.log_mel.frame_lengths(cells.lengths)
        spectrum = self.log_mel(cells.values, cells.lengths)
        spectrum = standardise_rows(spectrum, lengths_to_mask(lengths, spectrum.shape[1]))
        maps = self.augment(spectrum, lengths).unsqueeze(1)  # N, C = 1, T, F
        for block in self.blocks:
            maps, lengths = block(maps, lengths)
        mask = lengths_to_mask(lengths, maps.shape[2])
        values = self.project(maps.transpose(1, 2).flatten(2))  # N, T, C * F
        return Tokens(zero_masked(values, mask), mask)


class _Block(nn.Module):
    """Convolution, masked GroupNorm, activation, half of time and frequency; zeros after the end of a row."""

    def __init__(self, before: int, after: int, *, activation_name: ActivationName, strided: bool) -> None:
        super().__init__()
        kernel, self.strided = (5, True) if strided else (3, False)
        self.convolution = nn.Conv2d(
            before, after, kernel_size=kernel, stride=2 if strided else 1, padding=kernel // 2, bias=False
        )
        self.norm = MaskedGroupNorm(after)
        self.activation = activation(activation_name)

    def forward(
        self, maps: Float[Tensor, "N C T F"], lengths: Int[Tensor, " N"]
    ) -> tuple[Float[Tensor, "N D U G"], Int[Tensor, " N"]]:
        halved = torch.div(lengths + 1, 2, rounding_mode="floor")
        maps = self.convolution(maps)
        mask = lengths_to_mask(halved if self.strided else lengths, maps.shape[2])
        maps = self.activation(self.norm(maps, mask)) * mask[:, None, :, None]
        if self.strided:
            return maps, halved
        # An odd step or band at the edge is paired with zeros, as it is where longer rows make the batch longer.
        even = functional.pad(maps, (0, maps.shape[3] % 2, 0, maps.shape[2] % 2))
        return functional.max_pool2d(even, 2), halved
