"""Against a second implementation: float64, one frame and one filter at a time, the Fourier sum written out."""

import math

import numpy as np
import pytest
import scipy.fft
import torch

from polymodal.layers.spectral import LogSpectrogram, Mfcc, mel_filters, power_spectrum

RATE = 8_000


def reference_power(samples: np.ndarray, window: int, hop: int, fft_size: int) -> np.ndarray:
    hann = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / window) for n in range(window)])
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(fft_size // 2 + 1), np.arange(window)) / fft_size)
    frames = []
    for centre in np.arange(0, len(samples), hop) + hop / 2:
        first = math.ceil(centre - window / 2)
        frame = [samples[n] if 0 <= n < len(samples) else 0.0 for n in range(first, first + window)]
        frames.append(np.abs(fourier @ (frame * hann)) ** 2)
    return np.array(frames)


def reference_filters(num_mels: int, fft_size: int, rate: int, scale: str) -> np.ndarray:
    def to_mel(f):
        if scale == "htk":
            return 1127.01048 * math.log(1 + f / 700)
        return f / (200 / 3) if f < 1000 else 15 + math.log(f / 1000) / (math.log(6.4) / 27)

    def to_hertz(m):
        if scale == "htk":
            return 700 * (math.exp(m / 1127.01048) - 1)
        return m * 200 / 3 if m < 15 else 1000 * math.exp((m - 15) * math.log(6.4) / 27)

    edges = [to_hertz(to_mel(rate / 2) * n / (num_mels + 1)) for n in range(num_mels + 2)]
    filters = np.zeros((fft_size // 2 + 1, num_mels))
    for band, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        height = 2 / (right - left) if scale == "slaney" else 1.0
        for k in range(fft_size // 2 + 1):
            filters[k, band] = np.interp(k * rate / fft_size, [left, centre, right], [0, height, 0])
    return filters


def waves(*lengths: int) -> tuple[list[np.ndarray], torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    rows = [rng.uniform(-1, 1, length) for length in lengths]
    padded = torch.full((len(rows), max(lengths)), torch.nan)  # what lies behind a row's end must not matter
    for row, samples in enumerate(rows):
        padded[row, : len(samples)] = torch.from_numpy(samples)
    return rows, padded, torch.tensor(lengths)


def test_power_spectrum_equals_the_reference_on_each_row_alone():
    rows, padded, lengths = waves(700, 200, 79, 80, 81, 1)
    power = power_spectrum(padded, lengths, window=torch.hann_window(200), hop=80, fft_size=256)
    frames = LogSpectrogram(RATE, hop_seconds=0.01).frame_lengths(lengths)
    assert power.shape[1] == int(frames.max())
    for row, samples in enumerate(rows):
        expected = reference_power(samples, 200, 80, 256)
        assert int(frames[row]) == len(expected)
        np.testing.assert_allclose(power[row, : len(expected)], expected, rtol=1e-4, atol=1e-4)
        assert not power[row, len(expected) :, 0].isnan().any()


def test_there_are_as_many_frames_as_hops_that_hold_a_sample():
    layer = LogSpectrogram(RATE, hop_seconds=0.01)
    assert layer.frame_lengths(torch.tensor([0, 1, 80, 81])).tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mel_filters_equal_the_reference(scale):
    filters = mel_filters(40, fft_size=512, sample_rate=16_000, scale=scale)
    np.testing.assert_allclose(filters, reference_filters(40, 512, 16_000, scale), atol=1e-6)


def test_mel_filters_have_no_weight_beyond_their_limit():
    filters = mel_filters(10, fft_size=512, sample_rate=16_000, high=3_400.0)
    hertz = np.arange(257) * 16_000 / 512
    assert not filters[hertz > 3_400].any()
    assert (filters.sum(axis=0) > 0).all()


def test_log_mel_equals_the_reference_and_is_zero_after_each_rows_end():
    rows, padded, lengths = waves(900, 300)
    layer = LogSpectrogram(RATE, num_mels=20)
    result = layer(padded, lengths)
    for row, samples in enumerate(rows):
        power = reference_power(samples, 200, 80, 256)
        expected = np.log(np.maximum(power @ reference_filters(20, 256, RATE, "htk"), 1e-6))
        np.testing.assert_allclose(result[row, : len(expected)], expected, rtol=1e-4, atol=1e-4)
        assert not result[row, len(expected) :].any()


def test_mfcc_is_the_orthonormal_cosine_transform_of_the_log_mel():
    _, padded, lengths = waves(900, 500)
    result = Mfcc(RATE, num_coefficients=13, num_mels=24)(padded, lengths)
    log_mel = LogSpectrogram(RATE, num_mels=24)(padded, lengths).double().numpy()
    expected = scipy.fft.dct(log_mel, type=2, norm="ortho", axis=-1)[..., :13]
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_a_tone_is_loudest_in_the_band_around_it():
    tone = torch.sin(2 * math.pi * 1_000 * torch.arange(4_000) / RATE).unsqueeze(0)
    layer = LogSpectrogram(RATE, num_mels=30)
    loudest = layer(tone, torch.tensor([4_000]))[0, 5].argmax()
    assert loudest == layer.filters[1_000 * 256 // RATE].argmax()


def test_silence_is_finite_and_has_a_finite_gradient():
    samples = torch.zeros(1, 800, requires_grad=True)
    result = LogSpectrogram(RATE, num_mels=64)(samples, torch.tensor([800]))
    result.sum().backward()
    assert torch.isfinite(result).all()
    assert torch.isfinite(samples.grad).all()


def test_exports_with_any_number_of_rows_and_samples():
    layer = LogSpectrogram(RATE, num_mels=20).eval()
    rows, steps = torch.export.Dim("rows"), torch.export.Dim("steps", min=layer.window)
    example = (torch.randn(3, 1_000), torch.tensor([1_000, 300, 500]))
    exported = torch.export.export(layer, example, dynamic_shapes=({0: rows, 1: steps}, {0: rows})).module()
    samples, lengths = torch.randn(2, 777), torch.tensor([777, 100])
    torch.testing.assert_close(exported(samples, lengths), layer(samples, lengths))
