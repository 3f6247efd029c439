"""Settings that modalities suggest from a sample of cells, made here."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from PIL import Image as Pillow

from polymodal import registry
from polymodal.config.run_config import LimitsConfig
from polymodal.modalities.audio import Audio
from polymodal.modalities.image import Image

LIMITS = LimitsConfig(pixels=1_234, seconds=56.0)


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (width, height)).save(file, kind)
    return file.getvalue()


def recording(rate: int, seconds: float, kind: str = "WAV", channels: int = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((round(rate * seconds), channels), np.int16), rate, format=kind)
    return file.getvalue()


NO_PICTURES = [b"", b"<html>", picture(500, 500)[:20], recording(8_000, 0.1), "photo.png", None, np.zeros(9), 7]
NO_RECORDINGS = [b"", b"<html>", recording(44_100, 20)[:30], picture(9, 9), "voice.wav", None, np.zeros(90_000), 7]


@pytest.mark.parametrize(
    ("sides", "size"),
    [([(8, 8)], 16), ([(17, 9)], 32), ([(32, 20)], 32), ([(20, 33)], 48), ([(64, 63)], 64), ([(65, 1)], 80),
     ([(96, 96)], 96), ([(97, 97)], 96), ([(1, 4_000)], 96), ([(40, 1), (1, 50), (400, 400)], 64),
     ([(40, 40), (50, 50)], 48)],
)  # fmt: skip
def test_the_square_is_as_large_as_the_median_of_the_longer_sides(sides, size):
    for kind in ("PNG", "JPEG", "BMP"):
        cells = [picture(*side, kind) for side in sides]
        assert Image.suggest(cells, LIMITS) == {"size": size, "max_pixels": 1_234}


def test_pictures_as_arrays_count_and_what_is_no_picture_does_not():
    cells = [picture(40, 30), np.zeros((70, 50, 3), np.uint8), np.zeros((20, 66))]
    assert Image.suggest([*NO_PICTURES, *cells, *NO_PICTURES], LIMITS)["size"] == 80
    assert Image.suggest(NO_PICTURES, LIMITS) == {"max_pixels": 1_234}
    assert Image.suggest([], LIMITS) == {"max_pixels": 1_234}


@pytest.mark.parametrize(
    ("rates", "expected"),
    [([8_000], 8_000), ([4_000], 8_000), ([11_025], 16_000), ([44_100], 16_000), ([8_000, 8_000, 44_100], 8_000),
     ([8_000, 44_100, 44_100], 16_000)],
)  # fmt: skip
def test_the_rate_keeps_what_most_files_hold(rates, expected):
    cells = [recording(rate, 0.5) for rate in rates]
    assert Audio.suggest(cells, LIMITS) == {"sample_rate": expected, "max_seconds": 1.0, "limit_seconds": 56.0}


@pytest.mark.parametrize(("num_long", "expected"), [(1, 3.0), (2, 30.0)])
def test_ninety_five_of_a_hundred_recordings_stay_whole(num_long, expected):
    seconds = [2.5] * (21 - num_long) + [90.0] * num_long
    assert Audio.suggest([recording(1_000, length) for length in seconds], LIMITS)["max_seconds"] == expected


@pytest.mark.parametrize(("seconds", "expected"), [(0.01, 1.0), (2.0, 2.0), (2.001, 3.0), (29.5, 30.0), (300.0, 30.0)])
def test_whole_seconds_from_one_to_thirty(seconds, expected):
    for kind, channels in (("WAV", 1), ("FLAC", 2)):
        assert Audio.suggest([recording(1_000, seconds, kind, channels)], LIMITS)["max_seconds"] == expected


def test_what_is_no_recording_does_not_count():
    cells = [*NO_RECORDINGS, recording(8_000, 1.5), *NO_RECORDINGS]
    assert Audio.suggest(cells, LIMITS) == {"sample_rate": 8_000, "max_seconds": 2.0, "limit_seconds": 56.0}
    assert Audio.suggest(NO_RECORDINGS, LIMITS) == {"limit_seconds": 56.0}


@pytest.mark.parametrize("name", registry.names("modalities"))
def test_whatever_is_suggested_is_a_setting(name):
    modality = registry.load("modalities", name)
    for cells in ([], [picture(50, 50), recording(8_000, 1), "a", 1.5, None]):
        modality.Config(**modality.suggest(cells, LIMITS))
