"""Log filter bank energies as Kaldi computes them; batched, exportable, differentiable.

The reference is Kaldi's `feat/feature-fbank.cc` and `feat/feature-window.cc` with their default options and without
dither, which is what `torchaudio.compliance.kaldi.fbank(dither=0)` gives. They differ from a log-mel spectrogram in
almost every step: frames lie wholly inside of a clip, lose their mean and are pre-emphasised, the window is a power of
Hann's, the filters are triangles on the mel axis, and the lowest band starts at 20 Hz.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from polymodal.layers.pooling import lengths_to_mask, zero_masked
from polymodal.layers.spectral import triangles

PREEMPHASIS = 0.97
LOWEST = 20.0  # Hz
ENERGY_FLOOR = float(np.finfo(np.float32).eps)  # about the rounding noise of 16-bit samples in a 25 ms window


class Fbank(nn.Module):
    """Waveforms -> natural logarithm of the power in Kaldi's mel bands.

    A row has as many frames as lie wholly inside of it, and at least one: of a row shorter than a window, the rest of
    the window is zeros (Kaldi gives such a row no frame at all).

    Args:
        sample_rate: in Hz.
        num_mels: bands, from 20 Hz to half the sample rate.
        window_seconds: of a frame.
        hop_seconds: from one frame to the next.
        hann_power: power of Hann's window; 0.85 is Kaldi's default, 1 Hann's itself.

    Attributes:
        window, hop: samples, rounded down. The transform is the next power of two of the window.
        num_bands: M of the result.
        frequencies: of each band, in Hz: where it peaks.
    """

    filters: Tensor
    shape: Tensor

    def __init__(
        self,
        sample_rate: int,
        *,
        num_mels: int = 64,
        window_seconds: float = 0.025,
        hop_seconds: float = 0.010,
        hann_power: float = 0.85,
    ) -> None:
        super().__init__()
        self.window = _samples(window_seconds, sample_rate)
        self.hop = _samples(hop_seconds, sample_rate)
        self.num_bands = num_mels
        self.fft_size = 1 << (self.window - 1).bit_length()
        edges = np.linspace(_to_mel(LOWEST), _to_mel(sample_rate / 2), num_mels + 2)
        filters = triangles(_to_mel(np.arange(self.fft_size // 2 + 1) * sample_rate / self.fft_size), edges)
        self.frequencies = tuple((700.0 * np.expm1(edges[1:-1] / 1127.0)).tolist())
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / max(self.window - 1, 1))
        # Not persistent: both follow from the settings.
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)
        self.register_buffer("shape", torch.from_numpy(hann**hann_power).float(), persistent=False)

    def frame_lengths(self, lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Number of frames of rows with so many samples."""
        whole = torch.div(lengths - self.window, self.hop, rounding_mode="floor") + 1
        return torch.where(lengths > 0, whole.clamp(min=1), 0)

    def forward(self, samples: Float[Tensor, "B S"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T M"]:
        """Frames after a row's own last one are zeros."""
        real = torch.where(lengths_to_mask(lengths, samples.shape[1]), samples, samples.new_zeros(()))
        if samples.shape[1] < self.window:  # room for the one frame of rows that are shorter than a window
            real = functional.pad(real, (0, self.window - samples.shape[1]))
        frames = real.unfold(1, self.window, self.hop)
        frames = frames - frames.mean(dim=2, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        spectrum = torch.view_as_real(torch.fft.rfft((frames - PREEMPHASIS * before) * self.shape, n=self.fft_size))
        bands = (spectrum.square().sum(dim=-1) @ self.filters).clamp(min=ENERGY_FLOOR).log()
        return zero_masked(bands, lengths_to_mask(self.frame_lengths(lengths), bands.shape[1]))


def _samples(seconds: float, sample_rate: int) -> int:
    """Rounded down, as Kaldi does, but not because 0.009 * 48000 is a little less than 432 in binary."""
    return max(int(seconds * sample_rate + 1e-6), 1)


def _to_mel(hertz: np.ndarray | float) -> np.ndarray:
    """From `feat/mel-computations.h`; filters are triangles on this axis."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))
