import csv
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from sklearn.datasets import load_digits

from polymodal import registry
from polymodal.datasets import avdigits
from polymodal.datasets._speech import Utterance, speak
from polymodal.datasets.avdigits import Avdigits
from polymodal.errors import MissingExtraError

espeakng_loader = pytest.importorskip("espeakng_loader")
ROWS = 24


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return Avdigits(rows=ROWS).build(tmp_path_factory.mktemp("avdigits"))


@pytest.fixture(scope="module")
def rows(table):
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _hear(test: bool, count: int) -> set[str]:
    """Voices (without accent) of many utterances."""
    utterances = [avdigits._utterance(0, test, np.random.default_rng(seed)) for seed in range(count)]
    return {utterance.voice.partition("+")[2] for utterance in utterances}


def test_registry_finds_it_and_it_says_what_it_is():
    recipe = registry.load("datasets", "avdigits")()
    assert "avdigits" in registry.names("datasets")
    assert recipe.rows == len(load_digits().target)
    assert "CC BY 4.0" in recipe.licence
    assert "scikit-learn" in recipe.source
    assert recipe.synthetic.startswith("part synthetic")


def test_table_has_its_columns_and_rows(rows):
    assert list(rows[0]) == ["id", "image", "audio", "hint", "label", "split"]
    assert [int(row["id"]) for row in rows] == list(range(ROWS))
    assert [int(row["label"]) for row in rows] == load_digits().target[:ROWS].tolist()
    assert {row["split"] for row in rows} == {"train", "test"}


def test_media_have_their_form(table, rows):
    for row in rows:
        with Image.open(table.parent / row["image"]) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (32, 32))
            pixels = np.asarray(picture)
        blocks = pixels.reshape(8, 4, 8, 4, 3)
        assert (blocks == blocks[:, :1, :, :1, :1]).all()
        sound = soundfile.info(table.parent / row["audio"])
        assert (sound.samplerate, sound.channels, sound.frames) == (16_000, 1, 16_000)


def test_every_row_has_its_own_noise(table, rows):
    ends = {soundfile.read(table.parent / row["audio"])[0][-100:].tobytes() for row in rows}
    levels = {round(float(np.std(np.frombuffer(end))), 4) for end in ends}
    assert len(ends) == ROWS
    assert len(levels) > ROWS / 2
    assert len({row["hint"] for row in rows}) > 3


def test_hints_are_true(rows):
    truth = {
        "no hint": set(range(10)),
        "a digit": set(range(10)),
        "an even number": {0, 2, 4, 6, 8},
        "an odd number": {1, 3, 5, 7, 9},
        "less than five": {0, 1, 2, 3, 4},
        "more than four": {5, 6, 7, 8, 9},
    }
    assert all(int(row["label"]) in truth[row["hint"]] for row in rows)
    rng = np.random.default_rng(0)
    assert {avdigits._hint(label, rng) for label in range(10) for _ in range(20)} == set(truth)


def test_licence_lies_beside_the_table(table):
    text = (table.parent / "LICENCE.txt").read_text(encoding="utf-8")
    for word in ("part synthetic", "CC BY 4.0", "eSpeak NG", "GPL"):
        assert word in text


def test_same_seed_same_bytes_and_fewer_rows_are_the_first(table, tmp_path):
    again = Avdigits(rows=10).build(tmp_path)
    assert again.read_bytes().splitlines() == table.read_bytes().splitlines()[:11]
    for file in (tmp_path / "media").iterdir():
        assert file.read_bytes() == (table.parent / "media" / file.name).read_bytes()
    assert len(list((tmp_path / "media").iterdir())) == 20


def test_another_seed_gives_another_table(table, tmp_path):
    other = Avdigits(rows=ROWS).build(tmp_path, seed=1)
    assert other.read_bytes() != table.read_bytes()
    assert (tmp_path / "media/0.png").read_bytes() != (table.parent / "media/0.png").read_bytes()


def test_progress_counts_to_the_end(tmp_path):
    seen = []
    Avdigits(rows=3).build(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_quarter_of_each_label_is_test():
    labels = load_digits().target
    test = avdigits._test_rows(labels, np.random.default_rng(0))
    assert (int(test.sum()), int((~test).sum())) == (450, 1347)
    counts, held_out = np.bincount(labels), np.bincount(labels[test])
    assert np.abs(held_out - counts / 4).max() < 1
    assert (test != avdigits._test_rows(labels, np.random.default_rng(1))).any()


def test_voices_of_test_are_unseen_in_train():
    train, test = _hear(False, 400), _hear(True, 400)
    assert train == set(avdigits.TRAIN_VOICES)
    assert test == set(avdigits.TEST_VOICES)
    assert not train & test


def test_every_voice_exists_and_its_longest_word_fits():
    voices = avdigits.TRAIN_VOICES + avdigits.TEST_VOICES
    known = {file.name for file in Path(espeakng_loader.get_data_path(), "voices/!v").iterdir()}
    assert set(voices) <= known  # eSpeak NG would take its plain voice for an unknown variant
    slow = [
        Utterance(word, f"{accent}+{voice}", rate=140)
        for voice in voices
        for accent in avdigits.ACCENTS
        for word in avdigits.WORDS
    ]
    waves = list(speak(slow, sample_rate=avdigits.SAMPLE_RATE))
    assert max(map(len, waves)) <= (1 - avdigits.SPEECH_START) * avdigits.SAMPLE_RATE


def test_noise_of_a_black_picture_has_its_expected_mean():
    # E[max(0, N(0, s))] = s / sqrt(2 pi), times the share of pixels that are kept.
    rng = np.random.default_rng(0)
    grey = np.mean([avdigits._picture(np.zeros((8, 8)), rng).mean() for _ in range(2000)])
    expected = 255 * avdigits.PIXEL_NOISE / math.sqrt(2 * math.pi) * (1 - avdigits.PIXEL_LOSS)
    assert grey == pytest.approx(expected, rel=0.01)


def test_recording_is_the_word_in_noise():
    rng, word = np.random.default_rng(0), np.sin(np.arange(8_000) / 5).astype(np.float32) / 3
    for _ in range(20):
        recording = avdigits._recording(word, rng)
        level = recording[-2_000:].std()  # after the word there is noise alone
        assert 0.9 * 0.03 < level < 1.1 * 0.1
        power = (recording**2).sum() - level**2 * len(recording)
        assert power == pytest.approx(0.25 * (9 * word.astype(float) ** 2).sum(), rel=0.15)
        assert np.abs(recording).max() < 1


def test_missing_package_names_the_extra_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match=r"polymodal\[demo\]"):
        Avdigits(rows=2).build(tmp_path / "new")
    assert not (tmp_path / "new").exists()
