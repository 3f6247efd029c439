"""Recordings that do not say how long they are read as those that do; a part of one does not; long ones are whole."""

import contextlib
import io

import numpy as np
import pytest
import soundfile

from polymodal.codecs import recordings
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


def tone(hertz, seconds=1.0, rate=16_000):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def ogg(samples, subtype, rate=16_000):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="OGG", subtype=subtype)
    return file.getvalue()


def contained(samples, codec, rate=16_000):
    """In Ogg as PyAV writes it."""
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as writer:
        stream = writer.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.rint(samples[None] * 32_767).astype(np.int16), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = rate, 0
        writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return file.getvalue()


class TestChainedOgg:
    @pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
    def test_all_links_are_read(self, subtype):
        links = [ogg(tone(hertz), subtype) for hertz in (300, 1_200, 600)]
        array = read(b"".join(links))
        np.testing.assert_array_equal(array, np.concatenate([read(link) for link in links]))
        assert array.size == 48_000
        audio = Audio(AudioConfig(max_seconds=2.5))
        assert audio.read(b"".join(links)).size == 40_000
        assert audio.note(b"".join(links)).endswith("cut to 2.5 s")

    def test_flac_in_ogg(self):
        links = [contained(tone(hertz), "flac") for hertz in (300, 1_200)]
        array = read(b"".join(links))
        np.testing.assert_allclose(array / 32_767, np.concatenate([tone(300), tone(1_200)]), atol=1e-3)

    def test_links_of_several_channels_and_codecs(self):
        stereo = ogg(np.stack([tone(300)] * 2, axis=1), "VORBIS")
        assert read(stereo + ogg(tone(600), "VORBIS")).size == 32_000

    def test_what_is_refused(self):
        first, second = ogg(tone(300), "VORBIS"), ogg(tone(600), "VORBIS")
        last_page = first.rfind(b"OggS")
        with pytest.raises(UnreadableCellError, match="part 1 of the stream"):
            read(first[:last_page] + second)
        with pytest.raises(UnreadableCellError, match="truncated"):
            read(first + second[:-10])
        with pytest.raises(UnreadableCellError, match="sample rate changes"):
            read(first + ogg(tone(300, rate=8_000), "VORBIS", 8_000))
        with pytest.raises(UnreadableCellError, match="too long"):
            read(first + second, limit_seconds=1.5)


def samples_of(content):
    return recordings.read_sound(content, max_seconds=60.0, limit_seconds=60.0)[0]


def mp3(samples, mode="CONSTANT"):
    """An MP3 less its first frame, which holds the index."""
    file = io.BytesIO()
    soundfile.write(file, samples, 44_100, format="MP3", bitrate_mode=mode, compression_level=0.5)
    content = file.getvalue()
    return content[content.index(content[:2], 4) :]


class TestMp3WithoutIndex:
    """libsndfile guesses the length by the first bit rate: too long, or too short, where the file is whole."""

    @pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
    @pytest.mark.parametrize("num_frames", [10, 21, 40])
    def test_it_is_as_long_as_its_frames(self, mode, num_frames):
        rng = np.random.default_rng(0)
        samples = np.repeat([0.3, 0.001, 0.2, 0.0], 12_000) * rng.standard_normal(48_000)
        content = mp3(samples, mode)
        starts = [0]
        while starts[-1] < len(content):
            starts.append(starts[-1] + frame_bytes(content, starts[-1]))
        for first in (0, 3):
            part = content[starts[first] : starts[first + num_frames]]
            array = Audio(AudioConfig(sample_rate=44_100)).read(part)
            assert array.size == 1_152 * num_frames
            longer = Audio(AudioConfig(sample_rate=44_100)).read(content[starts[first] :])
            np.testing.assert_array_equal(array[:-1_152], longer[: array.size - 1_152])
            with pytest.raises(UnreadableCellError, match="truncated"):
                read(part[:-1])

    @pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"APETAGEX" + bytes(24), bytes(300)])
    def test_tags_and_padding_behind_the_last_frame(self, tag):
        content = mp3(tone(440, rate=44_100))
        np.testing.assert_array_equal(read(content + tag), read(content))

    @pytest.mark.parametrize("tag", [b"", b"TAG".ljust(128, b" "), b"ID3\4\0\0\0\0\0\x0a" + bytes(10)])
    @pytest.mark.parametrize("seconds", [0.3, 1.0])
    @pytest.mark.parametrize("indexed", ["none", "first", "second", "both"])
    def test_a_second_file_behind_the_first_is_not_lost(self, tag, seconds, indexed):
        def made(number, whole):
            file = io.BytesIO()
            soundfile.write(file, tone(440 * number, 2 - number + seconds, 44_100), 44_100, format="MP3")
            return file.getvalue() if whole else file.getvalue()[frame_bytes(file.getvalue(), 0) :]

        first, second = made(1, indexed in ("first", "both")), made(2, indexed in ("second", "both"))
        alone = len(samples_of(first))
        assert alone == pytest.approx((1 + seconds) * 44_100, abs=3_000)
        if tag:
            assert len(samples_of(first + tag)) == alone
        try:
            assert len(samples_of(first + tag + second)) > alone + 0.8 * seconds * 44_100
        except UnreadableCellError as error:
            assert "joined" in str(error)

    def test_something_else_between_frames(self):
        content = mp3(tone(440, rate=44_100))
        second = frame_bytes(content, 0)
        with pytest.raises(UnreadableCellError, match="something else than a frame"):
            read(content[: 2 * second + 1] + b"noise" + content[2 * second + 1 :])

    def test_its_length_is_known_before_it_is_decoded(self):
        content = mp3(tone(440, seconds=5.0, rate=44_100), "VARIABLE")
        with pytest.raises(UnreadableCellError, match="too long"):
            read(content, limit_seconds=4.0)
        assert Audio(AudioConfig(max_seconds=4.0)).note(content).endswith("cut to 4 s")


def frame_bytes(content, place):
    """Of MPEG-1, layer III, at 44.1 kHz (ISO/IEC 11172-3, 2.4.3.1)."""
    bits = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[content[place + 2] >> 4]
    return 144_000 * bits // 44_100 + (content[place + 2] >> 1 & 1)


def test_channels_that_cancel_out_are_told():
    left = tone(440)
    for other, told in ((-left, True), (left, False), (0.5 * left, False), (np.zeros_like(left), False)):
        for kind, subtype in (("WAV", "PCM_16"), ("FLAC", None), ("OGG", "VORBIS")):
            file = io.BytesIO()
            soundfile.write(file, np.stack([left, other], axis=1), 16_000, format=kind, subtype=subtype)
            assert ("silent" in Audio(AudioConfig()).note(file.getvalue())) == told
        assert ("silent" in Audio(AudioConfig()).note(np.stack([left, other], axis=1))) == told
    silence = np.zeros((1_000, 2))
    assert "silent" not in Audio(AudioConfig()).note(silence)
