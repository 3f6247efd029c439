import sys

import numpy as np
import pytest

from polymodal.datasets._speech import Utterance, speak, speak_words
from polymodal.errors import MissingExtraError, PolymodalError

pytest.importorskip("espeakng_loader")
RATE = 16_000


def test_every_utterance_gives_a_wave_in_range():
    first, second = speak([Utterance("one", "en-us"), Utterance("seven", "en+f2")], sample_rate=RATE)
    for wave in (first, second):
        assert wave.dtype == np.float32
        assert wave.ndim == 1
        assert 0.1 < np.abs(wave).max() < 1.1
        assert 0.2 < len(wave) / RATE < 0.9


def test_the_same_utterances_sound_the_same_even_breathy_ones():
    utterances = [Utterance("three", f"en-us+{variant}") for variant in ("f1", "whisper", "klatt2", "f1")]
    for first, second in zip(speak(utterances, sample_rate=RATE), speak(utterances, sample_rate=RATE), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_beginning_does_not_depend_on_the_rest():
    utterances = [Utterance(word, "en-us+m1") for word in ("one", "two", "three")]
    whole = list(speak(utterances, sample_rate=RATE))
    for first, second in zip(speak(utterances[:2], sample_rate=RATE), whole[:2], strict=True):
        np.testing.assert_array_equal(first, second)


def test_speech_is_resampled():
    narrow, wide = (next(speak([Utterance("four", "en-us")], sample_rate=rate)) for rate in (8_000, 48_000))
    assert abs(6 * len(narrow) - len(wide)) <= 6


def test_rate_is_words_a_minute():
    slow, fast = speak([Utterance("nine", "en-us", rate=rate) for rate in (120, 240)], sample_rate=RATE)
    assert len(slow) > 1.4 * len(fast)


def test_words_begin_where_sound_begins_after_a_pause():
    text = "one, two"  # the comma is a pause
    ((wave, words),) = speak_words([Utterance(text, "en-us")], sample_rate=RATE)
    assert [text[word.place :][: word.length] for word in words] == ["one", "two"]
    assert words[0].start == 0
    begin = int(words[1].start * RATE)
    before, after = wave[begin - RATE // 20 : begin], wave[begin : begin + RATE // 10]
    assert np.abs(before).max() < 0.02 < np.abs(after).max()


def test_pitch_is_heard():
    low, high = speak([Utterance("nine", "en-us", pitch=pitch) for pitch in (10, 90)], sample_rate=RATE)
    assert _fundamental(high) > 1.4 * _fundamental(low)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match=r"'espeakng-loader'.*pip install 'polymodal\[demo\]'"):
        speak([Utterance("one", "en-us")], sample_rate=RATE)


def test_unknown_voice_is_named():
    with pytest.raises(PolymodalError, match="no voice is called 'nobody'"):
        speak([Utterance("one", "nobody")], sample_rate=RATE)


def test_missing_voices_do_not_end_this_process(monkeypatch, tmp_path):
    monkeypatch.setattr("espeakng_loader.get_data_path", lambda: str(tmp_path))
    with pytest.raises(PolymodalError, match=r"no voices in .*--force-reinstall espeakng-loader"):
        speak([Utterance("one", "en-us")], sample_rate=RATE)


def _fundamental(wave: np.ndarray) -> float:
    """Hz: the highest peak of the autocorrelation between 60 and 400 Hz, in the middle of the word."""
    middle = wave[len(wave) // 3 : 2 * len(wave) // 3]
    autocorrelation = np.correlate(middle, middle, mode="full")[len(middle) - 1 :]
    shortest, longest = RATE // 400, RATE // 60
    return RATE / (shortest + int(np.argmax(autocorrelation[shortest:longest])))
