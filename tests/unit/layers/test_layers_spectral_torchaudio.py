"""The spectral features against torchaudio, to 1e-4 in the logarithm (both in float32).

torchaudio puts a window into the middle of its transform, and a frame where it begins; zeros around a waveform bring
its frames to where ours lie.
"""

import numpy as np
import pytest
import torch
import torchaudio
from torch.nn import functional

from polymodal.layers.spectral import POWER_FLOOR, LogSpectrogram, Mfcc, mel_filters

RATE, WINDOW, HOP, SIZE = 16_000, 400, 160, 512
SAMPLES = torch.from_numpy(np.random.default_rng(0).normal(0, 0.3, (3, 4_000)).astype(np.float32))
LENGTHS = torch.tensor([4_000, 2_500, 130])
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
SETTINGS = {"n_fft": SIZE, "win_length": WINDOW, "hop_length": HOP, "center": False}


def padded(samples: torch.Tensor) -> torch.Tensor:
    before = (WINDOW - HOP) // 2 + (SIZE - WINDOW) // 2
    return functional.pad(samples, (before, SIZE - 1 - before))


def compare(layer: torch.nn.Module, theirs: torch.nn.Module, *, logarithm: bool) -> None:
    """Each row of our batch with what torchaudio makes of that row alone."""
    result, num_frames = layer(SAMPLES, LENGTHS), layer.frame_lengths(LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        expected = theirs(padded(SAMPLES[row, :length])).T
        expected = expected.clamp(min=POWER_FLOOR).log() if logarithm else expected
        torch.testing.assert_close(result[row, : int(num_frames[row])], expected, **TOLERANCE)


def test_stft_equals_torchaudio():
    compare(LogSpectrogram(RATE), torchaudio.transforms.Spectrogram(power=2.0, **SETTINGS), logarithm=True)


@pytest.mark.parametrize(("scale", "norm"), [("htk", None), ("slaney", "slaney")])
def test_mel_filters_equal_torchaudio(scale, norm):
    theirs = torchaudio.functional.melscale_fbanks(SIZE // 2 + 1, 0.0, RATE / 2, 40, RATE, norm, scale)
    ours = torch.from_numpy(mel_filters(40, fft_size=SIZE, sample_rate=RATE, scale=scale)).float()
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


def test_log_mel_equals_torchaudio():
    theirs = torchaudio.transforms.MelSpectrogram(RATE, n_mels=40, **SETTINGS)
    compare(LogSpectrogram(RATE, num_mels=40), theirs, logarithm=True)


def test_mfcc_equals_torchaudio():
    theirs = torchaudio.transforms.MFCC(RATE, n_mfcc=13, log_mels=True, melkwargs={"n_mels": 40, **SETTINGS})
    compare(Mfcc(RATE, num_coefficients=13, num_mels=40), theirs, logarithm=False)


def test_other_windows_and_hops_move_the_frames():
    layer = Mfcc(RATE, num_mels=30, window_seconds=0.05, hop_seconds=0.02)
    assert layer.frame_lengths(torch.tensor([RATE])).tolist() == [50]
    assert LogSpectrogram(RATE, window_seconds=0.05).num_bands == 513
