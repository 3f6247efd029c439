"""The picture of a recording in the report: what is loud where."""

from __future__ import annotations

import math

import numpy as np

from polymodal.report.alignment import spectrogram

RATE = 8_000


def test_a_tone_is_dark_at_its_frequency_while_it_sounds() -> None:
    times = np.arange(RATE) / RATE
    samples = np.where(times < 0.5, 0.3 * np.sin(2 * math.pi * 500 * times), 0.3 * np.sin(2 * math.pi * 2_000 * times))
    grey = spectrogram(samples.astype(np.float32), RATE)
    mels = 2595 * np.log10(1 + np.array([500, 2_000]) / 700)  # O'Shaughnessy 1987
    places = len(grey) - 1 - (mels / (2595 * math.log10(1 + 4_000 / 700)) * 65 - 1)  # 64 bands from below, 65 edges
    steps = grey.shape[1]
    assert abs(int(grey[:, steps // 4].argmin()) - places[0]) <= 1
    assert abs(int(grey[:, 3 * steps // 4].argmin()) - places[1]) <= 1
    assert grey.min() == 0 and grey[:, steps // 4].max() > 200


def test_silence_is_white_and_a_long_recording_small() -> None:
    assert (spectrogram(np.zeros(RATE, dtype=np.float32), RATE) == 255).all()
    noise = np.random.default_rng(0).normal(0, 0.1, 30 * RATE).astype(np.float32)
    assert spectrogram(noise, RATE).shape[1] <= 801
