"""FLAC that was written into a pipe reads as the same file with its length; a part of it does not."""

import io

import numpy as np
import pytest
import soundfile

from polymodal.codecs.flac import with_length
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


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 11_127, 44_100, 12_000])
@pytest.mark.parametrize("num_samples", [1, 17, 192, 300, 4_095, 4_096, 4_097, 70_000, 600_000])
def test_the_length_is_found(num_samples, rate, channels):
    whole = encode(num_samples, rate, channels)
    mended = with_length(without_length(whole))
    assert mended[TOTAL] == whole[TOTAL]
    assert mended[:18] + mended[42:] == whole[:18] + whole[42:]


def test_a_tag_behind_the_last_frame():
    content = encode(300)
    assert with_length(without_length(content) + b"TAG" + bytes(125))[TOTAL] == content[TOTAL]


def test_whole_files_and_other_formats_are_left_alone():
    whole = encode(1_000)
    assert with_length(whole) is whole
    for content in (b"", b"fLaC", b"RIFF" + bytes(100)):
        assert with_length(content) is content


@pytest.mark.parametrize("cut", [1, 2, 100, 3_000])
def test_cut_within_its_last_frame(cut):
    streamed = without_length(encode(70_000))
    with pytest.raises(UnreadableCellError, match="does not end with a whole frame"):
        Audio(AudioConfig()).read(streamed[:-cut])


def test_a_changed_byte_in_the_last_frame():
    streamed = bytearray(without_length(encode(4_000)))
    streamed[-100] ^= 1
    with pytest.raises(UnreadableCellError, match="does not end with a whole frame"):
        with_length(bytes(streamed))


def test_the_modality_reads_it_and_says_what_it_does():
    whole = encode(70_000, 44_100, 2)
    audio = Audio(AudioConfig())
    np.testing.assert_array_equal(audio.read(without_length(whole)), audio.read(whole))
    assert audio.remark(without_length(whole)) == audio.remark(whole)
    with pytest.raises(UnreadableCellError, match="too long"):
        Audio(AudioConfig(limit_seconds=1.0)).read(without_length(whole))
