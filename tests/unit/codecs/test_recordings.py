"""Recordings that do not say how long they are read as those that do; a part of one does not; long ones are whole."""

import contextlib
import io

import numpy as np
import pytest
import soundfile

from polymodal.errors import UnreadableCellError
from polymodal.modalities.audio import Audio, AudioConfig

TOTAL = slice(18, 26)


def encode(num_samples, rate=16_000, channels=1, seed=0):
    file = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, (num_samples, channels))
    soundfile.write(file, noise, rate, format="FLAC")
    return file.getvalue()


def without_length(content):
    """As the reference encoder leaves it when it cannot go back: no number of samples and no MD5."""
    fields = int.from_bytes(content[TOTAL], "big") & ~((1 << 36) - 1)
    return content[:18] + fields.to_bytes(8, "big") + bytes(16) + content[42:]


def read(content, **settings):
    return Audio(AudioConfig(**settings)).read(content)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 11_127, 44_100, 12_000])
@pytest.mark.parametrize("num_samples", [1, 17, 192, 300, 4_095, 4_096, 4_097, 70_000, 600_000])
def test_a_flac_without_a_length_gives_all_of_its_samples(num_samples, rate, channels):
    whole = encode(num_samples, rate, channels)
    np.testing.assert_array_equal(read(without_length(whole), sample_rate=rate), read(whole, sample_rate=rate))
    assert read(whole, sample_rate=rate).size == min(num_samples, 30 * rate)


def test_a_tag_behind_the_last_frame():
    content = encode(300)
    np.testing.assert_array_equal(read(without_length(content) + b"TAG" + bytes(125)), read(content))


def test_a_flac_without_a_length_is_refused_wherever_it_ends():
    """All but exactly between two frames, where nothing says that there were more."""
    content = without_length(encode(9_000))
    assert read(content).size == 9_000
    read_at = []
    for end in range(4, len(content)):
        with contextlib.suppress(UnreadableCellError):
            read_at.append(read(content[:end]).size)
    assert read_at == [4_096, 8_192]


@pytest.mark.parametrize("cut", [1, 2, 100, 3_000])
def test_cut_within_its_last_frame(cut):
    with pytest.raises(UnreadableCellError, match="does not end with a whole frame"):
        read(without_length(encode(70_000))[:-cut])


def test_a_changed_byte_in_the_last_frame():
    streamed = bytearray(without_length(encode(4_000)))
    streamed[-100] ^= 1
    with pytest.raises(UnreadableCellError, match="does not end with a whole frame"):
        read(bytes(streamed))


def test_its_length_is_limited_and_told():
    whole = encode(70_000, 44_100, 2)
    for settings in ({}, {"max_seconds": 1.0}):
        audio = Audio(AudioConfig(**settings))
        assert audio.note(without_length(whole)) == audio.note(whole)
    with pytest.raises(UnreadableCellError, match="too long"):
        read(without_length(whole), limit_seconds=1.0)


def test_a_long_mp3_is_decoded_as_in_one_piece():
    samples = np.zeros((1 << 20) + 30_000)  # silence, which leaves room, and noise that uses it where a block ends
    samples[-33_000:] = 0.3 * np.random.default_rng(0).standard_normal(33_000)
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8_000, 1, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5) as mp3:
        for start in range(0, len(samples), 1 << 14):
            mp3.write(samples[start : start + (1 << 14)])
    at_once, _ = soundfile.read(io.BytesIO(file.getvalue()))
    array = read(file.getvalue(), sample_rate=8_000, max_seconds=200.0)
    np.testing.assert_allclose(array / 32_767, np.clip(at_once, -1, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)],
)
def test_a_recording_is_refused_wherever_it_ends(kind, subtype):
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, 9_000), 8_000, format=kind, subtype=subtype)
    content = file.getvalue()
    assert read(content, sample_rate=8_000).size == 9_000
    for end in {*range(16, len(content), len(content) // 40), *range(len(content) - 20, len(content))}:
        with pytest.raises(UnreadableCellError):
            read(content[:end])
