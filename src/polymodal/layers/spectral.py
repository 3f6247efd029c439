"""Spectrograms in torch: framing, STFT, mel filters, log-mel, MFCC; batched, exportable, differentiable.

Framing: frame t is centred on the samples [t * hop, (t + 1) * hop), so a row has as many frames as hops that hold a
sample, ceil(length / hop), and the shortest clip has one. Outside of a row there are zeros: its frames depend on its
own samples alone, however far a batch is padded.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from polymodal.layers.pooling import lengths_to_mask, zero_masked

MelScale = Literal["htk", "slaney"]

POWER_FLOOR = 1e-6
"""Power below which the logarithm stays flat: some 100 dB under a sine at full scale in a 25 ms window, and above the
rounding noise of 16-bit samples, so that digital silence and a quiet room look alike."""


def power_spectrum(
    samples: Float[Tensor, "B S"], lengths: Int[Tensor, " B"], *, window: Float[Tensor, " W"], hop: int, fft_size: int
) -> Float[Tensor, "B T F"]:
    """Squared magnitude of the short-time Fourier transform.

    Args:
        samples: waveforms, padded at the right with anything.
        lengths: samples of each row.
        window: weights of a frame's samples.
        hop: samples from one frame to the next.
        fft_size: at least W; frames are filled with zeros up to it. F = fft_size // 2 + 1.
    """
    real = torch.where(lengths_to_mask(lengths, samples.shape[1]), samples, samples.new_zeros(()))
    width = len(window)
    before = max(width - hop, 0) // 2
    frames = functional.pad(real, (before, width - 1 - before)).unfold(1, width, hop)
    spectrum = torch.view_as_real(torch.fft.rfft(frames * window, n=fft_size))
    squares = spectrum.square()
    return squares[..., 0] + squares[..., 1]  # a sum over an axis of two takes five times as long


def mel_filters(
    num_mels: int,
    *,
    fft_size: int,
    sample_rate: int,
    high: float | None = None,
    scale: MelScale = "htk",
) -> np.ndarray:
    """Triangular filters from power spectrum to mel bands, from 0 Hz on; float64 [fft_size // 2 + 1, num_mels].

    `htk`: mel = 2595 log10(1 + f / 700) (O'Shaughnessy 1987; HTK book, equation 5.13), peaks of height one.
    `slaney`: linear below 1 kHz, logarithmic above, filters of equal area (Slaney 1998, Auditory Toolbox).

    Args:
        num_mels: number of bands.
        fft_size: of the spectrum.
        sample_rate: in Hz.
        high: upper edge of the last band, Hz; None: half the sample rate.
        scale: which mel scale.
    """
    edges = mel_edges(num_mels, high or sample_rate / 2, scale=scale)
    filters = triangles(np.arange(fft_size // 2 + 1) * sample_rate / fft_size, edges)
    if scale == "slaney":
        filters *= 2.0 / (edges[2:] - edges[:-2])
    return filters


def mel_edges(num_mels: int, high: float, *, scale: MelScale = "htk") -> np.ndarray:
    """Where mel bands from 0 Hz to `high` begin, peak and end, in Hz: [num_mels + 2], band i at i, i + 1 and i + 2."""
    return _to_hertz(np.linspace(0.0, _to_mel(high, scale), num_mels + 2), scale)


def triangles(bins: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Filters of height one, [bins, edges - 2]: each rises from an edge to the next and falls to the one after."""
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    filters: np.ndarray = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def cosine_transform(num_mels: int, num_coefficients: int) -> np.ndarray:
    """Orthonormal DCT-II, float64 [num_mels, num_coefficients] (Ahmed, Natarajan & Rao 1974)."""
    angles = np.pi / num_mels * np.outer(np.arange(num_mels) + 0.5, np.arange(num_coefficients))
    basis: np.ndarray = np.cos(angles) * np.sqrt(2.0 / num_mels)
    basis[:, 0] /= np.sqrt(2.0)
    return basis


class LogSpectrogram(nn.Module):
    """Waveforms -> natural logarithm of the power of the short-time Fourier transform.

    Args:
        sample_rate: in Hz.
        num_mels: mel bands, from 0 Hz to half the sample rate; None: every frequency by itself.
        window_seconds: of a frame.
        hop_seconds: from one frame to the next.

    Attributes:
        window, hop: samples. The transform is the next power of two of the window.
        num_bands: F of the result.
        frequencies: of each band, in Hz: where it peaks.
    """

    hann: Tensor
    filters: Tensor | None

    def __init__(
        self,
        sample_rate: int,
        *,
        num_mels: int | None = None,
        window_seconds: float = 0.025,
        hop_seconds: float = 0.010,
    ) -> None:
        super().__init__()
        self.window = max(round(window_seconds * sample_rate), 1)
        self.hop = max(round(hop_seconds * sample_rate), 1)
        self.fft_size = 1 << (self.window - 1).bit_length()
        self.num_bands = num_mels or self.fft_size // 2 + 1
        filters, frequencies = None, np.arange(self.num_bands) * sample_rate / self.fft_size
        if num_mels is not None:
            frequencies = mel_edges(num_mels, sample_rate / 2)[1:-1]
            mels = mel_filters(num_mels, fft_size=self.fft_size, sample_rate=sample_rate)
            filters = torch.from_numpy(mels).float()
        self.frequencies = tuple(frequencies.tolist())
        self.register_buffer("hann", torch.hann_window(self.window), persistent=False)  # both follow from the settings
        self.register_buffer("filters", filters, persistent=False)

    def frame_lengths(self, lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Number of frames of rows with so many samples."""
        return torch.div(lengths + self.hop - 1, self.hop, rounding_mode="floor")

    def forward(self, samples: Float[Tensor, "B S"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T F"]:
        """Frames after a row's own last one are zeros."""
        power = power_spectrum(samples, lengths, window=self.hann, hop=self.hop, fft_size=self.fft_size)
        bands = power if self.filters is None else power @ self.filters
        logarithm = bands.clamp(min=POWER_FLOOR).log()
        return zero_masked(logarithm, lengths_to_mask(self.frame_lengths(lengths), logarithm.shape[1]))


class Mfcc(nn.Module):
    """Waveforms -> mel-frequency cepstral coefficients (Davis & Mermelstein 1980): cosine transform of a log-mel.

    Equal to `torchaudio.transforms.MFCC(log_mels=True)`, but for the power's floor and where the frames lie.

    Args:
        sample_rate: in Hz.
        num_coefficients: the first ones, of the loudness and the coarse shape of a spectrum; at most `num_mels`.
        num_mels, window_seconds, hop_seconds: see `LogSpectrogram`.

    Attributes:
        hop: samples.
        num_bands: F of the result: the coefficients.
    """

    basis: Tensor

    def __init__(
        self,
        sample_rate: int,
        *,
        num_coefficients: int = 13,
        num_mels: int = 40,
        window_seconds: float = 0.025,
        hop_seconds: float = 0.010,
    ) -> None:
        super().__init__()
        self.log_mel = LogSpectrogram(
            sample_rate, num_mels=num_mels, window_seconds=window_seconds, hop_seconds=hop_seconds
        )
        self.hop = self.log_mel.hop
        self.num_bands = num_coefficients
        basis = cosine_transform(num_mels, num_coefficients)
        self.register_buffer("basis", torch.from_numpy(basis).float(), persistent=False)

    def frame_lengths(self, lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Number of frames of rows with so many samples."""
        return self.log_mel.frame_lengths(lengths)

    def forward(self, samples: Float[Tensor, "B S"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T F"]:
        """Frames after a row's own last one are zeros."""
        coefficients: Tensor = self.log_mel(samples, lengths) @ self.basis
        return coefficients


def _to_mel(hertz: float, scale: MelScale) -> float:
    if scale == "htk":
        return 2595.0 * float(np.log10(1.0 + hertz / 700.0))
    if hertz < 1000.0:
        return hertz * 3.0 / 200.0
    return 15.0 + 27.0 * float(np.log(hertz / 1000.0) / np.log(6.4))


def _to_hertz(mel: np.ndarray, scale: MelScale) -> np.ndarray:
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    logarithmic = 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, logarithmic)
