"""What audio encoders read: one of four features of a recording, standardised, with bands and stretches hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from polymodal.config.node import settings, short_for
from polymodal.errors import ConfigError
from polymodal.layers.fbank import Fbank
from polymodal.layers.normalisation import standardise_rows
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.spectral import LogSpectrogram, Mfcc

_BAND_SHARE, _TIME_SHARE = 0.15, 0.1  # the most that one mask hides


@settings
class Features:
    """Settings of `AudioFeatures`, shared by all audio encoders that compute them.

    Attributes:
        name: `log_mel`, log power in mel bands; `stft`, log power of every frequency; `fbank`, log filter bank energies
            as Kaldi defines them; `mfcc`, mel-frequency cepstral coefficients. `features: mfcc` says the same.
        num_mels: mel bands; `stft` has none.
        num_coefficients: of `mfcc`; at most `num_mels`.
        window_seconds: of a frame.
        hop_seconds: from one frame to the next.
        band_masks: frequency bands hidden from a clip in training (SpecAugment); none by default, for it
            hides the colour of a voice.
        time_masks: stretches of time hidden from a clip in training.
        frequency_warp: in training, all frequencies of a clip are raised or lowered by up to this share, as those of
            another voice are (vocal tract length perturbation). `mfcc` are left as they are.
    """

    name: Literal["log_mel", "stft", "fbank", "mfcc"] = "log_mel"
    num_mels: PositiveInt = 40
    num_coefficients: PositiveInt = 20
    window_seconds: PositiveFloat = 0.025
    hop_seconds: PositiveFloat = 0.010
    band_masks: NonNegativeInt = 0
    time_masks: NonNegativeInt = 0
    frequency_warp: Annotated[float, Field(ge=0, lt=1)] = 0.1


LOG_MEL = Features()
"""What an encoder reads unless told otherwise."""

FeaturesField = Annotated[Features, short_for("name")]
"""A setting of an encoder: `{name: fbank, num_mels: 80}`, or just `fbank`."""


def stack_frames(
    frames: Float[Tensor, "N T F"], lengths: Int[Tensor, " N"], *, count: int
) -> tuple[Float[Tensor, "N U G"], Int[Tensor, " N"]]:
    """So many frames side by side as one step, and how many steps each row has: its last is filled with zeros.

    Args:
        frames: zeros after a row's end.
        lengths: frames of each row.
        count: frames in a step; G = count * F.
    """
    filled = functional.pad(frames, (0, 0, 0, -frames.shape[1] % count))
    stacked = filled.reshape(frames.shape[0], -1, count * frames.shape[2])
    return stacked, torch.div(lengths + count - 1, count, rounding_mode="floor")


def frames_within(features: Features, seconds: float, *, at_least: int = 1) -> tuple[Features, int]:
    """How many frames cover at most so many seconds, with a shorter hop if these would be too few.

    Args:
        features: the settings that are asked for.
        seconds: above zero.
        at_least: frames that are needed.

    Returns:
        The same features, of that hop, and the number of frames.
    """
    hop = min(features.hop_seconds, seconds / at_least)
    return replace(features, hop_seconds=hop), int(seconds / hop + 1e-6)  # a hop of 0.01 fits three times into 0.03


class SpecAugment(nn.Module):
    """Sets random frequency bands and random stretches of time to zero, each row for itself; only in training.

    SpecAugment: Park et al. 2019, arXiv 1904.08779.

    Expects standardised spectrograms, in which zero is the mean. Draws from torch's global generator.

    Args:
        band_masks: how many bands are hidden, each of up to 15 % of all frequencies.
        time_masks: how many stretches are hidden, each of up to 10 % of the row's own length.
    """

    def __init__(self, *, band_masks: int, time_masks: int) -> None:
        super().__init__()
        self.band_masks = band_masks
        self.time_masks = time_masks

    def forward(self, values: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T F"]:
        if not self.training:
            return values
        num_rows, num_steps, num_bands = values.shape
        hidden = torch.zeros_like(values, dtype=torch.bool)
        for _ in range(self.band_masks):
            bands = _stretch(torch.full((num_rows,), num_bands, device=values.device), num_bands, _BAND_SHARE)
            hidden |= bands.unsqueeze(1)
        for _ in range(self.time_masks):
            hidden |= _stretch(lengths, num_steps, _TIME_SHARE).unsqueeze(2)
        return values.masked_fill(hidden, 0.0)


class FrequencyWarp(nn.Module):
    """Moves the bands of a spectrogram to other frequencies, each row by a factor of its own; only in training.

    Vocal tract length perturbation (Jaitly & Hinton 2013), linear up to the last band: a band gets what lies at its own
    frequency times the factor, interpolated between its neighbours. Draws from torch's global generator.

    Args:
        frequencies: of the bands, ascending, in Hz; none, or a single one: nothing is moved.
        share: the factor is e to the power of a uniform number between minus and plus this.
    """

    frequencies: Tensor

    def __init__(self, frequencies: Sequence[float], share: float) -> None:
        super().__init__()
        self.share = share if len(frequencies) > 1 else 0.0
        self.register_buffer("frequencies", torch.tensor(frequencies, dtype=torch.float32), persistent=False)

    def forward(self, values: Float[Tensor, "B T F"]) -> Float[Tensor, "B T F"]:
        num_rows, _, num_bands = values.shape
        if not self.training or not self.share:
            return values
        known = self.frequencies
        factor = torch.exp(self.share * (2 * torch.rand(num_rows, 1, device=values.device) - 1))
        wanted = (known * factor).clamp(known[0], known[-1])
        above = torch.searchsorted(known, wanted).clamp(min=1)
        part = (wanted - known[above - 1]) / (known[above] - known[above - 1])
        weights = known.new_zeros(num_rows, num_bands, num_bands)
        weights.scatter_(1, (above - 1).unsqueeze(1), (1 - part).unsqueeze(1))
        weights.scatter_(1, above.unsqueeze(1), part.unsqueeze(1))
        return values @ weights.to(values.dtype)


def _stretch(lengths: Int[Tensor, " B"], num_steps: int, share: float) -> Bool[Tensor, "B T"]:
    """One stretch within each row's length, of up to that share of it, anywhere with equal chance."""
    width = torch.rand(len(lengths), device=lengths.device) * share * lengths
    start = torch.rand(len(lengths), device=lengths.device) * (lengths - width)
    steps = torch.arange(num_steps, device=lengths.device)
    return (steps >= start.round().unsqueeze(1)) & (steps < (start + width).round().unsqueeze(1))


class AudioFeatures(nn.Module):
    """Waveforms -> frames of the chosen feature, zero after a row's end.

    A clip's frames are standardised, so that loudness does not matter: the spectral features as a whole, which keeps
    the shape of the spectrum; of `mfcc`, whose first coefficients are far larger, each by itself (as cepstral mean and
    variance normalisation does).

    Args:
        config: which feature.
        sample_rate: of the waveforms, in Hz.

    Attributes:
        num_bands: F of the result.
        hop_seconds: from one frame to the next, as far as whole samples allow.

    Raises:
        ConfigError: more coefficients than mel bands.
    """

    def __init__(self, config: Features, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.extract = _extractor(config, sample_rate)
        self.num_bands = self.extract.num_bands
        self.hop_seconds = self.extract.hop / sample_rate
        self.warp = FrequencyWarp(getattr(self.extract, "frequencies", ()), config.frequency_warp)
        self.augment = SpecAugment(band_masks=config.band_masks, time_masks=config.time_masks)

    def forward(
        self, samples: Float[Tensor, "N S"], lengths: Int[Tensor, " N"]
    ) -> tuple[Float[Tensor, "N T F"], Int[Tensor, " N"]]:
        """Frames, and how many each row has."""
        num_frames = self.extract.frame_lengths(lengths)
        frames = self.extract(samples, lengths)
        mask = lengths_to_mask(num_frames, frames.shape[1])
        frames = standardise_rows(frames, mask, per_feature=self.config.name == "mfcc")
        return self.augment(self.warp(frames), num_frames), num_frames


def _extractor(config: Features, sample_rate: int) -> LogSpectrogram | Fbank | Mfcc:
    """What computes the feature."""
    window, hop = config.window_seconds, config.hop_seconds
    if config.name == "mfcc":
        if config.num_coefficients > config.num_mels:
            raise ConfigError(
                f"features.num_coefficients is {config.num_coefficients}, but there are only {config.num_mels} mel "
                "bands to make them from; lower it, or raise features.num_mels."
            )
        return Mfcc(
            sample_rate,
            num_coefficients=config.num_coefficients,
            num_mels=config.num_mels,
            window_seconds=window,
            hop_seconds=hop,
        )
    if config.name == "fbank":
        return Fbank(sample_rate, num_mels=config.num_mels, window_seconds=window, hop_seconds=hop)
    num_mels = None if config.name == "stft" else config.num_mels
    return LogSpectrogram(sample_rate, num_mels=num_mels, window_seconds=window, hop_seconds=hop)
