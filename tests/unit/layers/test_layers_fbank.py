"""Against a second implementation, float64 and frame by frame, written from Kaldi's description; and torchaudio's.

Both agree to 2e-3 in the logarithm: float32 rounding, where a band holds next to nothing. Most values agree to 1e-5.
"""

import math

import numpy as np
import pytest
import torch
import torchaudio

from polymodal.layers.fbank import LOWEST, Fbank

RATE = 8_000
TOLERANCE = {"rtol": 1e-4, "atol": 2e-3}


def reference(samples: np.ndarray, num_mels: int) -> np.ndarray:
    window, hop, size = RATE // 40, RATE // 100, 256

    def mel(f):
        return 1127 * math.log(1 + f / 700)

    step = (mel(RATE / 2) - mel(20)) / (num_mels + 1)
    frames = []
    for start in range(0, max(len(samples) - window, 0) + 1, hop):
        frame = np.zeros(window)
        frame[: len(samples) - start] = samples[start : start + window]
        frame -= frame.mean()
        for n in range(window - 1, 0, -1):
            frame[n] -= 0.97 * frame[n - 1]
        frame[0] -= 0.97 * frame[0]
        frame *= [(0.5 - 0.5 * math.cos(2 * math.pi * n / (window - 1))) ** 0.85 for n in range(window)]
        power = np.abs(np.fft.rfft(frame, size)) ** 2
        bands = []
        for band in range(num_mels):
            edges = [mel(20) + (band + side) * step for side in range(3)]
            weights = [np.interp(mel(k * RATE / size), edges, [0, 1, 0]) for k in range(size // 2 + 1)]
            bands.append(math.log(max(power @ weights, 2**-23)))
        frames.append(bands)
    return np.array(frames)


def waves(*lengths: int) -> tuple[list[np.ndarray], torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    rows = [rng.uniform(-1, 1, length) for length in lengths]
    padded = torch.full((len(rows), max(lengths)), torch.nan)  # what lies behind a row's end must not matter
    for row, samples in enumerate(rows):
        padded[row, : len(samples)] = torch.from_numpy(samples)
    return rows, padded, torch.tensor(lengths)


@pytest.mark.parametrize("lengths", [(1_000, 700, 279, 280, 200, 90, 1), (150, 20)])
def test_equals_the_reference_on_each_row_alone_and_is_zero_after_its_end(lengths):
    rows, padded, lengths = waves(*lengths)
    layer = Fbank(RATE, num_mels=20)
    result, num_frames = layer(padded, lengths), layer.frame_lengths(lengths)
    assert result.shape[1] == int(num_frames.max())
    for row, samples in enumerate(rows):
        expected = reference(samples, 20)
        assert int(num_frames[row]) == len(expected)
        np.testing.assert_allclose(result[row, : len(expected)], expected, **TOLERANCE)
        assert not result[row, len(expected) :].any()


@pytest.mark.parametrize(("rate", "num_mels"), [(16_000, 80), (16_000, 23), (8_000, 40), (22_050, 64)])
def test_equals_torchaudio(rate, num_mels):
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, rate // 2)).astype(np.float32))
    expected = torchaudio.compliance.kaldi.fbank(samples, num_mel_bins=num_mels, dither=0.0, sample_frequency=rate)
    result = Fbank(rate, num_mels=num_mels)(samples, torch.tensor([samples.shape[1]]))[0]
    torch.testing.assert_close(result, expected, **TOLERANCE)
    assert float((result - expected).abs().median()) < 1e-5


def test_frames_follow_other_windows_as_torchaudios_do():
    samples = torch.randn(1, 9_000, generator=torch.Generator().manual_seed(0))
    expected = torchaudio.compliance.kaldi.fbank(
        samples, num_mel_bins=30, dither=0.0, sample_frequency=16_000, frame_length=29.0, frame_shift=13.0
    )
    layer = Fbank(16_000, num_mels=30, window_seconds=0.029, hop_seconds=0.013)
    torch.testing.assert_close(layer(samples, torch.tensor([9_000]))[0], expected, **TOLERANCE)


def test_windows_of_whole_samples_do_not_lose_one_to_rounding():
    layer = Fbank(48_000, window_seconds=0.018, hop_seconds=0.009)
    assert (layer.window, layer.hop) == (864, 432)


def test_filters_end_at_their_limits():
    filters = Fbank(16_000, num_mels=10).filters
    hertz = np.arange(257) * 16_000 / 512
    assert not filters[(hertz < LOWEST) | (hertz >= 8_000)].any()
    assert filters[(hertz > 50) & (hertz < 7_900)].any(dim=1).all()
    assert (filters.sum(axis=0) > 0).all()


def test_an_absent_row_has_no_frame():
    assert Fbank(RATE).frame_lengths(torch.tensor([0, 1])).tolist() == [0, 1]


def test_silence_is_finite_and_has_a_finite_gradient():
    samples = torch.zeros(1, 800, requires_grad=True)
    result = Fbank(RATE)(samples, torch.tensor([800]))
    result.sum().backward()
    assert torch.isfinite(result).all()
    assert torch.isfinite(samples.grad).all()
