"""What pretrained networks for sound hear: the waveform, Whisper's log-mel spectrogram, or AST's filter banks.

A reader turns waveforms into what its kind of network was trained on, runs the network, and says which of the states
are real. A row never depends on how far a batch is padded: statistics of a recording are those of its own samples.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from polymodal.errors import ConfigError
from polymodal.layers.fbank import Fbank
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.spectral import mel_filters
from polymodal.pretrained.checkpoints import Checkpoint, Settings

States = tuple[Float[Tensor, "N P D"], Float[Tensor, "N T D"], Bool[Tensor, "N T"]]
"""States of class tokens, states in the order of time, and which of these are real."""

_VARIANCE_FLOOR = 1e-7  # as transformers' Wav2Vec2FeatureExtractor
_POWER_FLOOR, _RANGE = 1e-10, 8.0  # as Whisper's `log_mel_spectrogram`: at most 80 dB below the loudest


def reader_for(checkpoint: Checkpoint) -> Waves | WhisperMel | AstBanks:
    """The reader that suits a checkpoint's network.

    Raises:
        ConfigError: the preprocessing lacks a number.
    """
    if checkpoint.model_type == "whisper":
        return WhisperMel(checkpoint)
    if checkpoint.model_type == "audio-spectrogram-transformer":
        return AstBanks(checkpoint)
    return Waves(checkpoint)


class Waves(nn.Module):
    """wav2vec 2.0, HuBERT and their like: convolutions read the waveform itself.

    Args:
        checkpoint: its `do_normalize` says whether a recording is brought to mean 0 and deviation 1.
    """

    num_first = 0
    window_seconds: float | None = None
    part: str | None = None

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        config = checkpoint.config()
        self.sample_rate = _count(checkpoint, "sampling_rate", None)
        self.normalises = bool(checkpoint.preprocessing.get("do_normalize", True))
        self.kernels = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self.grouped = config.feat_extract_norm == "group"
        self.token_seconds = math.prod(config.conv_stride) / self.sample_rate
        self.shortest = 1  # samples that give one token
        for kernel, stride in reversed(self.kernels):
            self.shortest = (self.shortest - 1) * stride + kernel

    def prepare(self, network: Any) -> None:
        """Makes the first norm, which is over time, one over the real steps only."""
        network.feature_extractor._requires_grad = False  # of the samples, for a kind of checkpointing not used here
        if self.grouped:
            first = network.feature_extractor.conv_layers[0]
            norm = RowNorm(first.layer_norm.num_groups, first.layer_norm.num_channels, eps=first.layer_norm.eps)
            norm.load_state_dict(first.layer_norm.state_dict())
            first.layer_norm = norm

    def forward(self, network: Any, samples: Float[Tensor, "N S"], lengths: Int[Tensor, " N"]) -> States:
        mask = lengths_to_mask(lengths, samples.shape[1])
        waves = torch.where(mask, samples, samples.new_zeros(()))
        if self.normalises:
            waves = _standardised(samples, mask, _VARIANCE_FLOOR)
        waves = functional.pad(waves, (0, max(self.shortest - waves.shape[1], 0)))
        heard = lengths.clamp(min=self.shortest)  # a shorter recording ends in silence
        if self.grouped:
            kernel, stride = self.kernels[0]
            norm: RowNorm = network.feature_extractor.conv_layers[0].layer_norm
            norm.lengths = torch.div(heard - kernel, stride, rounding_mode="floor") + 1
        attended = lengths_to_mask(heard, waves.shape[1])
        found: Tensor = network(waves, attention_mask=attended.long()).last_hidden_state
        steps = heard
        for kernel, stride in self.kernels:
            steps = torch.div(steps - kernel, stride, rounding_mode="floor") + 1
        return found[:, :0], found, lengths_to_mask(steps, found.shape[1])


class RowNorm(nn.GroupNorm):
    """GroupNorm of one channel a group over the real steps of each row, which `lengths` counts."""

    lengths: Tensor

    def forward(self, maps: Float[Tensor, "N C T"]) -> Float[Tensor, "N C T"]:
        mask = lengths_to_mask(self.lengths, maps.shape[2]).unsqueeze(1)
        return _standardised(maps, mask, self.eps) * self.weight[:, None] + self.bias[:, None]


class WhisperMel(nn.Module):
    """Whisper's encoder: a log-mel spectrogram of a window of fixed length, silent behind a recording's end.

    Radford et al. 2022 (arXiv 2212.04356), section 2.2. The network hears the silence too, but only the tokens of the
    recording itself count.

    Args:
        checkpoint: says `sampling_rate`, `n_fft` and `hop_length`; two frames make a position.
    """

    num_first = 0
    part: str | None = "encoder"
    filters: Tensor

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        config = checkpoint.config()
        self.sample_rate = _count(checkpoint, "sampling_rate", None)
        self.fft_size = _count(checkpoint, "n_fft", 400.0)
        self.hop = _count(checkpoint, "hop_length", 160.0)
        self.num_frames = 2 * int(config.max_source_positions)
        self.token_seconds = 2 * self.hop / self.sample_rate
        self.window_seconds: float | None = self.num_frames * self.hop / self.sample_rate
        filters = mel_filters(
            int(config.num_mel_bins), fft_size=self.fft_size, sample_rate=self.sample_rate, high=8_000.0, scale="slaney"
        )
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)

    def forward(self, network: Any, samples: Float[Tensor, "N S"], lengths: Int[Tensor, " N"]) -> States:
        found: Tensor = network(self.features(samples, lengths)).last_hidden_state
        steps = torch.div(lengths + 2 * self.hop - 1, 2 * self.hop, rounding_mode="floor")
        return found[:, :0], found, lengths_to_mask(steps.clamp(max=found.shape[1]), found.shape[1])

    def features(self, samples: Float[Tensor, "N S"], lengths: Int[Tensor, " N"]) -> Float[Tensor, "N M T"]:
        """The spectrogram of the whole window."""
        real = torch.where(lengths_to_mask(lengths, samples.shape[1]), samples, samples.new_zeros(()))
        real = functional.pad(real, (0, self.num_frames * self.hop - real.shape[1]))  # negative: cut
        window = torch.hann_window(self.fft_size, dtype=real.dtype, device=real.device)
        spectrum = torch.stft(real, self.fft_size, self.hop, window=window, return_complex=True)[..., :-1]
        power = torch.view_as_real(spectrum).square().sum(dim=-1)
        logarithm = (self.filters.T @ power).clamp(min=_POWER_FLOOR).log10()
        loudest = logarithm.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(logarithm, loudest - _RANGE) + 4.0) / 4.0


class AstBanks(nn.Module):
    """AST: Kaldi's filter banks of a window of fixed length, whose patches of time and frequency a transformer reads.

    Gong et al. 2021 (arXiv 2104.01778), section 2.1. A token is the mean of the patches of one time.

    Args:
        checkpoint: says `sampling_rate`, and `mean` and `std` of all filter banks of AudioSet.
    """

    num_first = 2
    part: str | None = None

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        config = checkpoint.config()
        self.sample_rate = _count(checkpoint, "sampling_rate", None)
        self.banks = Fbank(self.sample_rate, num_mels=int(config.num_mel_bins), hann_power=1.0)
        self.num_frames, self.stride = int(config.max_length), int(config.time_stride)
        self.num_bands = (int(config.num_mel_bins) - config.patch_size) // config.frequency_stride + 1
        self.mean, self.deviation = 0.0, 0.5
        if checkpoint.preprocessing.get("do_normalize", True):
            self.mean = _number(checkpoint, "mean", -4.2677393)
            self.deviation = _number(checkpoint, "std", 4.5689974)
        self.hop = self.banks.hop
        hop_seconds = self.hop / self.sample_rate
        self.token_seconds = self.stride * hop_seconds
        self.window_seconds: float | None = self.num_frames * hop_seconds

    def forward(self, network: Any, samples: Float[Tensor, "N S"], lengths: Int[Tensor, " N"]) -> States:
        found: Tensor = network(self.features(samples, lengths)).last_hidden_state
        patches = found[:, self.num_first :].reshape(found.shape[0], self.num_bands, -1, found.shape[2]).mean(dim=1)
        frames = self.banks.frame_lengths(lengths)
        steps = torch.div(frames + self.stride - 1, self.stride, rounding_mode="floor").clamp(max=patches.shape[1])
        return found[:, : self.num_first], patches, lengths_to_mask(steps, patches.shape[1])

    def features(self, samples: Float[Tensor, "N S"], lengths: Int[Tensor, " N"]) -> Float[Tensor, "N T M"]:
        """The filter banks of the whole window."""
        found: Tensor = self.banks(samples, lengths)
        found = functional.pad(found, (0, 0, 0, self.num_frames - found.shape[1]))  # negative: cut
        return (found - self.mean) / (2 * self.deviation)


def shortened(checkpoint: Checkpoint, seconds: float) -> Checkpoint:
    """The checkpoint of a network of fixed window, made to hear only the first seconds of it.

    Raises:
        ConfigError: a network without a window, a longer one than it has, or one too short for a token.
    """
    reader, who = reader_for(checkpoint), checkpoint.family.who
    window = reader.window_seconds
    if isinstance(reader, Waves) or window is None:
        raise ConfigError(f"{who}: this checkpoint reads recordings of any length; set the column's max_seconds.")
    if seconds > window + 1e-6:
        raise ConfigError(f"{who}: seconds is {seconds:g}; this checkpoint reads up to {window:g} seconds.")
    hops = seconds * reader.sample_rate / reader.hop - 1e-6
    length: Settings = (
        {"max_source_positions": math.ceil(hops / 2)}
        if isinstance(reader, WhisperMel)
        else {"max_length": max(math.ceil(hops), int(checkpoint.config().patch_size))}
    )
    return replace(checkpoint, architecture={**checkpoint.architecture, **length})


def cut_positions(name: str, tensor: Tensor, *, config: Any) -> Tensor:
    """A weight; the position embeddings of a whole window are cut to that of the network's settings."""
    if config.model_type == "whisper" and name.endswith("embed_positions.weight"):
        return tensor[: config.max_source_positions]
    if name.endswith("position_embeddings") and config.model_type == "audio-spectrogram-transformer":
        num_bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        num_steps = (config.max_length - config.patch_size) // config.time_stride + 1
        grid = tensor[:, AstBanks.num_first :].reshape(1, num_bands, -1, tensor.shape[2])[:, :, :num_steps]
        return torch.cat([tensor[:, : AstBanks.num_first], grid.flatten(1, 2)], dim=1)
    return tensor


def _standardised(values: Float[Tensor, "N ... T"], mask: Bool[Tensor, "N ... T"], eps: float) -> Tensor:
    """Every row less its mean over real steps, divided by its deviation; zero elsewhere."""
    count, zero = mask.sum(dim=-1, keepdim=True).clamp(min=1), values.new_zeros(())
    centred = torch.where(mask, values - torch.where(mask, values, zero).sum(dim=-1, keepdim=True) / count, zero)
    return centred * torch.rsqrt(centred.square().sum(dim=-1, keepdim=True) / count + eps)


def _number(checkpoint: Checkpoint, key: str, otherwise: float | None) -> float:
    value = checkpoint.preprocessing.get(key, otherwise)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{checkpoint.family.who}: preprocessor_config.json gives no number for {key!r}.")
    return float(value)


def _count(checkpoint: Checkpoint, key: str, otherwise: float | None) -> int:
    value = _number(checkpoint, key, otherwise)
    if value < 1 or value != int(value):
        raise ConfigError(f"{checkpoint.family.who}: preprocessor_config.json: {key!r} is {value:g}.")
    return int(value)
