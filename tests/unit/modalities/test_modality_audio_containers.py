"""Sound inside of containers: the same rules as for other recordings."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from moving import RATE, clip, recording, sine

from polymodal.codecs import recordings
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import MissingExtraError, UnreadableCellError
from polymodal.modalities.audio import Audio, AudioConfig
from polymodal.modalities.video import Video
from polymodal.protocols import Sample

SOUNDS = [
    ("ipod", "aac"),
    ("mp4", "aac"),
    ("adts", "aac"),
    ("matroska", "libopus"),
    ("webm", "libopus"),
    ("avi", "mp3"),
]


def read(cell, **settings):
    return Audio(AudioConfig(**settings)).read(cell)


def alike(array, expected):
    """Correlation at the best shift of up to 0.1 s: coders delay."""
    array = array / np.linalg.norm(array.astype(float))
    best = np.correlate(np.pad(array, 1_600), expected[: len(array)] / np.linalg.norm(expected[: len(array)]), "valid")
    return best.max()


@pytest.mark.parametrize(("kind", "codec"), SOUNDS)
def test_every_container_gives_its_sound(kind, codec):
    array = read(recording(kind, codec, seconds=1.0))
    assert array.dtype == np.int16
    assert abs(len(array) - RATE) < 3_000  # coders work in blocks and pad the last
    assert alike(array, sine(1.0)) > 0.98
    assert np.abs(array[4_000:12_000]).max() == pytest.approx(0.4 * 32_767, rel=0.06)


def test_the_sound_of_a_video():
    array = read(clip(sound="aac"))
    assert alike(array, sine(0.5)) > 0.97


def test_channels_are_averaged_and_changes_told():
    audio = Audio(AudioConfig(sample_rate=8_000, max_seconds=0.25))
    file = recording(layout="stereo")
    assert len(audio.read(file)) == 2_000
    assert audio.note(file) == "resampled from 16000 Hz to 8000 Hz, mixed from 2 channels to one, cut to 0.25 s"
    assert Audio(AudioConfig()).note(recording()) is None
    array = read(recording(layout="stereo"))
    assert alike(array, sine(0.5)) > 0.97
    assert np.abs(array[2_000:6_000]).max() == pytest.approx(0.4 * 32_767, rel=0.06)


def test_suggestions_know_containers():
    suggested = Audio.suggest([recording(seconds=1.5)], LimitsConfig())
    assert (suggested["sample_rate"], suggested["max_seconds"]) == (16_000, 2.0)


@pytest.mark.parametrize(("kind", "codec"), SOUNDS)
def test_truncated_sound_is_refused(kind, codec):
    content = recording(kind, codec)
    for end in {*range(16, len(content), len(content) // 15), len(content) - 1}:
        with pytest.raises(UnreadableCellError):
            read(content[:end])


def test_too_long_is_refused_before_decoding(monkeypatch):
    monkeypatch.setattr(recordings.np, "concatenate", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnreadableCellError, match=r"too long: 1 seconds, at most 0\.5 are let in"):
        read(recording(seconds=1.0), limit_seconds=0.5)


def test_a_video_without_sound_is_no_recording():
    with pytest.raises(UnreadableCellError, match="holds no sound"):
        read(clip())


def test_without_the_extra_the_first_one_is_an_error(monkeypatch):
    content = recording()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"'polymodal\[video\]'"):
        read(content)


@pytest.mark.parametrize(("kind", "codec"), SOUNDS)
def test_a_column_of_sound_alone_is_audio_and_not_video(kind, codec):
    options = {"movflags": "frag_keyframe+empty_moov"} if kind == "mp4" else {}
    sample = Sample(["name"], [recording(kind, codec, options=options)[:1_024]], 1, 1)
    assert Audio.recognise(sample) is not None
    assert Video.recognise(sample) is None


def test_a_column_of_videos_with_sound_is_video():
    for file in (clip(sound="aac", options={"movflags": "frag_keyframe+empty_moov"}), clip("matroska", sound="aac")):
        sample = Sample(["name"], [file[:1_024]], 1, 1)
        assert Audio.recognise(sample) is None
        assert Video.recognise(sample) is not None
