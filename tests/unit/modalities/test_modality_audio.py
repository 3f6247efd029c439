from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from polymodal.config.run_config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.modalities.audio import Audio, AudioConfig
from polymodal.protocols import Sample

RATE = 16_000
STILL = {"noise": None, "gain": 0.0, "shift": 0.0}
FORMATS = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)]


def sine(seconds=1.0, rate=RATE, hertz=440.0, level=0.5):
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def encode(samples, rate=RATE, kind="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def read(cell, **settings):
    return Audio(AudioConfig(**settings)).read(cell)


def similarity(first, second):
    return np.corrcoef(first.astype(float), second.astype(float))[0, 1]


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE"])
def test_wav_gives_its_samples(subtype):
    tolerance = 260 if subtype == "PCM_U8" else 2
    expected = np.rint(sine() * 32_767)
    assert np.abs(read(encode(sine(), subtype=subtype)) - expected).max() <= tolerance


@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
def test_every_format_sounds_the_same(kind, subtype):
    array = read(encode(sine(), kind=kind, subtype=subtype))
    assert array.dtype == np.int16
    assert array.shape == (RATE,)
    assert similarity(array[800:-800], sine()[800:-800]) > 0.99


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_is_resampled(rate):
    array = read(encode(sine(rate=rate), rate))
    assert abs(len(array) - RATE) <= 1
    size = min(len(array), RATE)
    assert similarity(array[200 : size - 200], sine()[200 : size - 200]) > 0.9999


@pytest.mark.parametrize("num_channels", [2, 6, 24])
def test_channels_are_averaged(num_channels):
    weights = np.linspace(-0.5, 1, num_channels)
    array = read(encode(sine()[:, None] * weights, subtype="FLOAT"))
    assert np.abs(array / 32_767 - sine() * weights.mean()).max() < 1e-4


def test_what_is_too_loud_is_clipped():
    array = read(encode(sine(level=1.5), subtype="FLOAT"))
    assert array.max() == 32_767
    assert array.min() == -32_767


def test_a_long_recording_keeps_its_first_part_and_says_so():
    long, short = sine(2.0), sine(0.5)
    audio = Audio(AudioConfig(max_seconds=1.0))
    arrays = [audio.read(encode(long)), audio.read(encode(long, 8_000)), audio.read(encode(short))]
    assert [len(array) for array in arrays] == [RATE, RATE, RATE // 2]
    np.testing.assert_array_equal(arrays[0], read(encode(long))[:RATE])
    assert [audio.note(encode(cell)) for cell in (long, short)] == ["cut to 1 s", None]


@pytest.mark.parametrize(
    "cell", [sine(), sine().astype(np.float32), np.rint(sine() * 32_768).astype(np.int16), np.stack([sine()] * 2, 1)]
)
def test_arrays_are_at_the_columns_own_rate(cell):
    assert np.abs(read(cell) - sine() * 32_767).max() <= 2


def test_a_wav_of_unknown_length_ends_with_its_data():
    content = bytearray(encode(sine(), subtype="PCM_16"))
    place = content.index(b"data") + 4
    content[place : place + 4] = b"\xff" * 4
    assert len(read(bytes(content))) == RATE


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_audio_becomes_reject(kind, subtype, share):
    content = encode(sine(4.0) + 0.1 * np.random.default_rng(0).standard_normal(4 * RATE), kind=kind, subtype=subtype)
    with pytest.raises(UnreadableCellError, match=r"truncated|damaged"):
        read(content[: int(share * len(content))])


def test_the_part_that_is_not_kept_counts_too():
    content = encode(sine(4.0), kind="FLAC")
    with pytest.raises(UnreadableCellError, match=r"truncated|damaged"):
        read(content[: int(0.9 * len(content))], max_seconds=1.0)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_no_samples_become_reject(kind):
    with pytest.raises(UnreadableCellError):
        read(encode(np.zeros(0), kind=kind))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_become_reject(value):
    samples = sine()
    samples[100] = value
    for cell in (encode(samples, subtype="FLOAT"), samples):
        with pytest.raises(UnreadableCellError, match="NaN or infinite"):
            read(cell)


def test_a_flac_that_does_not_say_how_long_it_is_reads_the_same():
    whole = encode(sine(), kind="FLAC")
    content = bytearray(whole)
    content[21] &= 0xF0  # the number of samples, 36 bits; 0 is what a program writes that cannot go back
    content[22:26] = bytes(4)
    np.testing.assert_array_equal(read(bytes(content)), read(whole))
    with pytest.raises(UnreadableCellError, match="does not say how long it is"):
        read(bytes(content)[:-1])
    assert "max_seconds" not in Audio.suggest([bytes(content)], LimitsConfig())


def without_index(content):
    """An MP3 less its first frame, which holds the index."""
    return content[content.index(content[:2], 4) :]


def test_an_mp3_without_an_index_is_read_whole():
    samples = 0.1 * np.random.default_rng(0).standard_normal(6 * RATE)
    samples[RATE : 4 * RATE] *= 0.01
    file = {}
    for mode in ("VARIABLE", "CONSTANT"):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, RATE, format="MP3", bitrate_mode=mode, compression_level=0.5)
        file[mode] = buffer.getvalue()
        tag = b"ID3\4\0\0" + bytes([0, 0, 2, 0]) + file[mode][:256]
        assert len(read(tag + file[mode])) == len(read(file[mode])) == len(samples)
        bare = without_index(file[mode])
        assert len(read(bare)) == pytest.approx(len(samples), abs=2_400)  # with what the encoder put before and behind
        assert similarity(read(bare)[: 5 * RATE], read(bare + b"TAG" + bytes(125))[: 5 * RATE]) > 0.999
        for cut in (1, 3, 40):
            with pytest.raises(UnreadableCellError, match="truncated"):
                read(bare[:-cut])


@pytest.mark.parametrize("level", [2.5, 30_000, 3e38])
def test_float_samples_that_are_no_sound_become_reject(level):
    for cell in (sine(level=level), encode(sine(rate=44_100, level=level), 44_100, subtype="FLOAT")):
        with pytest.raises(UnreadableCellError, match=r"samples reach .* in \[-1, 1\]"):
            read(cell)


def test_a_long_recording_is_refused_by_its_header(monkeypatch):
    content = encode(sine(2.0))
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(UnreadableCellError, match=r"too long: 2 seconds, at most 1\.5"):
        read(content, limit_seconds=1.5)


def test_a_long_array_is_refused():
    with pytest.raises(UnreadableCellError, match="too long"):
        read(sine(2.0), limit_seconds=1.5)


@pytest.mark.parametrize("rate", [1, 999, 400_000, 2**31 - 1])
def test_absurd_rates_are_refused(rate):
    content = bytearray(encode(sine(), subtype="PCM_16"))
    struct.pack_into("<I", content, 24, rate)
    with pytest.raises(UnreadableCellError, match=f"sample rate of {rate}"):
        read(bytes(content))


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"", "no bytes"), (b"<html>", "HTML"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"PK\x03\x04", "ZIP"),
     (b"caff\0\1\0\0desc", "CAF.*ffmpeg"), (b"plain words", "plain text")],
)  # fmt: skip
def test_what_is_no_audio_is_named(content, name):
    with pytest.raises(UnreadableCellError, match=f"not audio: .*{name}"):
        read(content)


@pytest.mark.parametrize(
    "content",
    [b"#EXTM3U\nfile:///etc/passwd", b"ffconcat version 1.0\nfile x", b"v=0\no=- 0 0 IN IP4 127.0.0.1",
     b"<svg/>", b"%!PS-Adobe-3.0"],
)  # fmt: skip
def test_playlists_are_refused_unopened(content, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("socket.socket", refuse)
    monkeypatch.setattr(soundfile, "SoundFile", refuse)
    with pytest.raises(UnreadableCellError, match="not audio"):
        read(content)


@pytest.mark.parametrize(
    "cell",
    [np.zeros(10, np.int64), np.zeros((2, 1_000)), np.zeros((2, 2, 2)), sine() * 30_000, "a.wav", None, 3, [0.0]],
)
def test_other_cells_become_rejects(cell):
    with pytest.raises(UnreadableCellError):
        read(cell)


def test_messages_are_the_same_every_time():
    content = encode(sine(), kind="OGG")[:300]
    messages = set()
    for _ in range(3):
        with pytest.raises(UnreadableCellError) as caught:
            read(content + b"OggS")
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_random_damage_is_a_reject_or_a_recording(capfd):
    damage = np.random.default_rng(1)
    for kind, subtype in FORMATS:
        whole = np.frombuffer(encode(sine(), kind=kind, subtype=subtype), np.uint8)
        for _ in range(30):
            broken = whole.copy()
            broken[damage.integers(12, 200, 3)] = damage.integers(0, 256, 3)
            try:
                assert read(broken.tobytes()).dtype == np.int16
            except UnreadableCellError as error:
                assert "0x" not in str(error)
    capfd.readouterr()  # the MP3 decoder itself comments on damage


# --- tensors, statistics, features -----------------------------------------------------------------------------------


def test_collate_pads_with_zeros():
    audio = Audio(AudioConfig())
    arrays = [np.full(3, 32_767, np.int16), None, np.array([-32_767, 0, 16_384, 1], np.int16)]
    cells = audio.collate(arrays)
    expected = [[1, 1, 1, 0], [0, 0, 0, 0], [-1, 0, 16_384 / 32_767, 1 / 32_767]]
    np.testing.assert_allclose(cells.values.numpy(), expected, rtol=1e-6)
    assert cells.lengths.tolist() == [3, 0, 4]


def test_a_batch_without_any_recording():
    assert Audio(AudioConfig()).collate([None]).values.shape == (1, 1)


def test_statistics():
    audio = Audio(AudioConfig())
    arrays = [audio.read(sine(seconds, level=level)) for seconds, level in ((1, 0.5), (2, 0.05), (4, 0.5))]
    statistics = audio.fit(iter(arrays))
    levels = 20 * np.log10(np.array([0.5, 0.05, 0.5]) / np.sqrt(2))  # of a sine of that height
    assert statistics["median_seconds"] == 2
    assert statistics["level_mean"] == pytest.approx(levels.mean(), abs=0.02)
    assert statistics["level_std"] == pytest.approx(levels.std(), abs=0.02)
    assert audio.fit([]) == {"median_seconds": 0.0, "level_mean": 0.0, "level_std": 1.0}
    assert audio.fit([np.zeros(10, np.int16)])["level_mean"] == pytest.approx(-100)


def mfcc(samples):
    """Float64 reference: HTK mel filters by loops, orthonormal DCT-II by SciPy."""
    from scipy.fft import dct

    window, hop, size, bands = 400, 160, 512, 40
    num_frames = -(-len(samples) // hop)
    padded = np.concatenate([np.zeros((window - hop) // 2), samples, np.zeros(window)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = [padded[hop * t : hop * t + window] * hann for t in range(num_frames)]
    power = np.abs(np.fft.rfft(frames, size)) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8_000 / 700), bands + 2) / 2595) - 1)
    mel = np.zeros((num_frames, bands))
    for band in range(bands):
        low, centre, high = edges[band : band + 3]
        for index, hertz in enumerate(np.arange(size // 2 + 1) * RATE / size):
            weight = min((hertz - low) / (centre - low), (high - hertz) / (high - centre))
            mel[:, band] += max(0.0, weight) * power[:, index]
    return dct(np.log(np.maximum(mel, 1e-6)), norm="ortho")[:, :20]


def test_simple_features_agree_with_float64_mfcc():
    audio = Audio(AudioConfig())
    array = audio.read(sine(0.3) * np.linspace(0.2, 1, 4_800) + 0.01 * np.random.default_rng(0).standard_normal(4_800))
    coefficients = mfcc(array / 32_767)
    changes = np.diff(coefficients, axis=0, prepend=coefficients[:1])
    expected = np.concatenate([coefficients.mean(axis=0), coefficients.std(axis=0), changes.std(axis=0)])
    features = audio.handcrafted_features([None, array])
    np.testing.assert_allclose(features[1], expected, rtol=1e-3, atol=1e-3)
    assert np.isnan(features[0]).all()


def test_simple_features_of_a_single_sample_are_finite():
    assert np.isfinite(Audio(AudioConfig()).handcrafted_features([np.ones(1, np.int16)])).all()


# --- augmentation ----------------------------------------------------------------------------------------------------


def test_no_strength_changes_nothing():
    array = read(sine())
    np.testing.assert_array_equal(Audio(AudioConfig(**STILL)).augment(array, np.random.default_rng(0)), array)


def test_noise_has_the_ratio_asked_for():
    array = read(sine())
    noisy = Audio(AudioConfig(**STILL | {"noise": (20.0, 20.0)})).augment(array, np.random.default_rng(0))
    noise = noisy.astype(float) - array
    ratio = 10 * np.log10(np.mean(array.astype(float) ** 2) / np.mean(noise**2))
    assert ratio == pytest.approx(20, abs=0.2)


def test_gain_stays_within_its_range_and_never_wraps():
    audio, array = Audio(AudioConfig(**STILL | {"gain": 6.0})), read(sine(level=0.9))
    gains = [np.abs(audio.augment(array, np.random.default_rng(seed))).max() / array.max() for seed in range(100)]
    assert 10 ** (-6 / 20) - 0.01 < min(gains) < 0.6
    assert max(gains) <= 32_767 / array.max()


def test_shift_moves_round_the_ends():
    audio, array = Audio(AudioConfig(**STILL | {"shift": 0.1})), np.arange(RATE // 2, dtype=np.int16)
    starts = [int(audio.augment(array, np.random.default_rng(seed))[0]) for seed in range(100)]
    moved = np.array([start if start < len(array) // 2 else start - len(array) for start in starts])
    assert np.abs(moved).max() <= 1_600
    assert np.abs(moved).max() > 1_000
    assert moved.min() < 0 < moved.max()


def test_augment_is_decided_by_its_generator_and_leaves_its_array():
    audio, array = Audio(AudioConfig()), read(sine())
    array.setflags(write=False)
    once, again, other = (audio.augment(array, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    assert once.dtype == np.int16


def test_silence_stays_silence():
    silence = np.zeros(100, np.int16)
    np.testing.assert_array_equal(Audio(AudioConfig()).augment(silence, np.random.default_rng(0)), silence)


# --- recognition -----------------------------------------------------------------------------------------------------


def sample(values, heads=None):
    return Sample(values, heads or [None] * len(values), len(values), len(values))


def test_recognises_files_bytes_and_arrays():
    heads = [encode(sine(0.1), kind=kind)[:64] for kind in ("WAV", "FLAC", "OGG", "MP3")]
    files = Audio.recognise(sample(["a", "b", "c", "d"], heads))
    arrays = Audio.recognise(sample([sine(), np.zeros(500, np.int16)]))
    assert files is not None
    assert arrays is not None
    assert files.reason == "4 of 4 sampled cells name files that start as FLAC or MP3 or Ogg or WAV"
    assert "hold bytes" in Audio.recognise(sample(heads, heads)).reason
    assert "arrays of samples" in arrays.reason


@pytest.mark.parametrize("values", [["a.wav"], [np.zeros(10)], [np.zeros((64, 64, 3), np.uint8)], [1.0], []])
def test_does_not_recognise(values):
    assert Audio.recognise(sample(values)) is None
