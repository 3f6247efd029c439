"""Bands of a spectrogram that are normalised: what an audio encoder hears of a microphone, and of a steady sound."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from polymodal.encoders.audio.cnn import Cnn
from polymodal.modalities.audio import Audio

RATE = 8_000
RNG = np.random.default_rng(0)


def encode(encoder, samples):
    modality = Audio(Audio.Config(sample_rate=RATE))
    with torch.no_grad():
        return encoder(modality.collate([(samples * 32_767).clip(-32_768, 32_767).astype(np.int16)])).values


def make(**settings):
    torch.manual_seed(0)
    return Cnn(Cnn.Config(channels=4, **settings), Audio(Audio.Config(sample_rate=RATE))).eval()


def word():
    """A sound whose bands rise and fall."""
    time = np.arange(RATE) / RATE
    sweep = np.sin(2 * np.pi * (300 + 900 * time) * time) * np.hanning(RATE)
    return 0.2 * sweep + 0.02 * RNG.normal(size=RATE)


def difference(encoder, one, other):
    first, second = encode(encoder, one), encode(encoder, other)
    return float((first - second).norm() / first.norm())


def test_another_microphone_sounds_alike_before_the_spectrum_beside_is_learned():
    clear = word()
    muffled = lfilter([0.5], [1, -0.5], clear)
    encoder, plain = make(), make(normalise_bands=False)
    assert difference(encoder, clear, muffled) < 0.3 * difference(plain, clear, muffled)


def test_steady_sounds_are_told_apart_by_the_spectrum_beside():
    noise = 0.05 * RNG.normal(size=RATE)
    encoder = make()
    torch.nn.init.normal_(encoder.spectrum[1].weight, std=0.2)  # as if it had learned
    assert difference(encoder, noise, lfilter([0.5], [1, -0.5], noise)) > 0.2


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.full(RATE, 0.5), np.full(50, 0.1), np.zeros(1)])
def test_silence_and_the_shortest_clips_give_numbers(samples):
    assert encode(make(), samples).isfinite().all()
