"""What reading changes is counted, on the way through the cache too, and said in one sentence a change."""

import io

import numpy as np
import pytest
import soundfile
from fakes import Blob
from PIL import Image as Pillow

from polymodal.codecs import sniffing as formats
from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.notes import sentences, truncated, unseen
from polymodal.data.cells.prepare import fit_statistics, modality_of, prepare
from polymodal.data.tables.table import read_table
from polymodal.modalities.audio import Audio, AudioConfig
from polymodal.modalities.image import Image, ImageConfig
from polymodal.modalities.text import Text, TextConfig
from polymodal.schema import Column

PNG, GIF = b"\x89PNG\r\n\x1a\n", b"GIF89a"


def column(name, modality, **settings):
    return Column(name=name, kind=modality, modality=modality, reason="", settings=settings)


def read(table, *columns, cache=None):
    return prepare(table, columns, limits=LimitsConfig(), bad_cells="missing", cache=cache)


def picture(format_, *, frames=1):
    rng = np.random.default_rng(0)
    first, *others = (Pillow.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)) for _ in range(frames))
    file = io.BytesIO()
    first.save(file, format_, **({"save_all": True, "append_images": others} if others else {}))
    return file.getvalue()


def recording(seconds, rate, channels=1, kind="WAV"):
    file = io.BytesIO()
    tone = 0.5 * np.sin(np.arange(round(seconds * rate)) / 9)
    soundfile.write(file, np.stack([tone] * channels, axis=1), rate, format=kind)
    return file.getvalue()


# --- modalities ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (recording(1, 8_000), None),
        (recording(2, 8_000), None),
        (recording(1, 44_100), "resampled from 44100 Hz to 8000 Hz"),
        (recording(1, 8_000, channels=6), "mixed from 6 channels to one"),
        (recording(2.001, 8_000), "cut to 2 s"),
        (
            recording(3, 48_000, channels=2, kind="FLAC"),
            "resampled from 48000 Hz to 8000 Hz, mixed from 2 channels to one, cut to 2 s",
        ),
        (np.zeros(16_000), None),
        (np.zeros((16_001, 2)), "mixed from 2 channels to one, cut to 2 s"),
    ],
)
def test_a_recording_says_what_is_done_to_it(cell, said):
    audio = Audio(AudioConfig(sample_rate=8_000, max_seconds=2.0))
    assert audio.note(cell) == said
    assert len(audio.read(cell)) <= 16_000


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_says_that_one_frame_is_kept(format_):
    image = Image(ImageConfig())
    assert image.note(picture(format_, frames=3)) == "cut to the first frame"
    assert image.note(picture(format_)) is None


def test_damage_behind_the_first_frame_is_no_remark_and_no_failure():
    content = picture("GIF", frames=2)
    image = Image(ImageConfig())
    for end in range(len(picture("GIF")), len(content)):
        assert image.note(content[:end]) in {None, "cut to the first frame"}
    assert image.note(picture("JPEG")) is None
    assert image.note(np.zeros((9, 9), np.uint8)) is None


def test_a_text_says_that_it_is_cut():
    text = Text(TextConfig(max_characters=5))
    assert [text.note(cell) for cell in ("12345", "123456", 1234567)] == [None, "cut to 5 characters", None]
    assert len(text.read("123456")) == 5


# --- names of files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("a/cat.jpg", PNG, "read as PNG though named .jpg"),
        ("CAT.JPEG", GIF, "read as GIF though named .jpeg"),
        ("cat.png", b"ID3", "read as MP3 though named .png"),
        ("cat.png", PNG, None),
        ("cat.tiff", b"II*\0", None),
        ("cat", PNG, None),
        ("cat.dat", PNG, None),
        ("cat.jpg", b"<html>", None),  # a reject, which says so
        ("cat.jpg", b"\0\1\2\3", None),
    ],
)
def test_a_name_that_says_another_format(file, content, said):
    assert formats.misnamed(file, content) == said


# --- counting --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    """PNG named .jpg twice (one content), a GIF of two frames named .png, a right one, HTML named .jpg, no file."""
    right, moving = picture("PNG"), picture("GIF", frames=2)
    for name, content in {"a.jpg": right, "b.jpg": right, "c.png": moving, "d.png": right, "e.jpg": b"<html>"}.items():
        (tmp_path / name).write_bytes(content)
    return read_table({"photo": ["a.jpg", "b.jpg", "c.png", "d.png", "e.jpg", "f.jpg", None]}, folder=tmp_path)


def test_cells_with_wrong_names_are_counted_and_read(pictures, tmp_path):
    expected = {
        "photo": {"read as PNG though named .jpg": 2, "read as GIF though named .png": 1, "cut to the first frame": 1}
    }
    cache = tmp_path / "cache"
    for prepared in (read(pictures, column("photo", "image", size=8), cache=where) for where in (None, cache, cache)):
        assert prepared.notes == expected
        assert prepared.stores["photo"].present.tolist() == [True] * 4 + [False] * 3
        assert len(prepared.rejects) == 2


def test_remarks_come_from_the_cache(fakes, tmp_path, monkeypatch):
    table = read_table({"blob": [b"BLOB12", b"BLOB12", b"BLOB3", b"BLOB56", b"too bad"]})
    first = read(table, column("blob", "blob"), cache=tmp_path)
    assert first.notes == {"blob": {"6 bytes long": 3}}
    monkeypatch.setattr(Blob, "note", lambda self, cell: 1 / 0)
    assert read(table, column("blob", "blob"), cache=tmp_path).notes == first.notes


def test_a_column_with_nothing_to_say_is_left_out():
    assert read(read_table({"size": [1.0, None, "x"]}), column("size", "number")).notes == {}


def test_long_texts_are_counted_by_characters_and_by_tokens():
    table = read_table({"note": ["short", "a b c d e f g h", "x" * 20, None]})
    note = column("note", "text", max_characters=15, max_tokens=6)
    prepared = read(table, note)
    assert prepared.notes == {"note": {"cut to 15 characters": 1}}
    (fitted,) = fit_statistics([note], prepared, np.arange(2))
    assert sentences(prepared.notes, truncated([fitted])) == (
        "note: 1 cell cut to 15 characters",
        "note: 1 cell of the training rows cut to the length that the model takes",
    )


def test_unseen_categories_are_counted_but_not_missing_ones():
    hint, size = column("hint", "category", min_count=2), column("size", "number")
    table = read_table({"hint": ["a", "a", "rare", "b", None, "a", "c", " ", "b"], "size": [0.0] * 9})
    prepared = read(table, hint, size)
    columns = fit_statistics([hint, size], prepared, np.arange(3))
    modalities = {fitted.name: modality_of(fitted) for fitted in columns}
    counts = {rows: sentences(unseen(prepared, modalities, np.arange(*rows))) for rows in [(3, 9), (0, 2), (2, 3)]}
    words = "of a category unseen, or too rare, in training"
    assert counts == {(3, 9): (f"hint: 3 cells {words}",), (0, 2): (), (2, 3): (f"hint: 1 cell {words}",)}


# --- saying ----------------------------------------------------------------------------------------------------------


def test_each_change_is_said_once_the_most_frequent_first():
    said = sentences({"a": {"x": 1, "y": 2}, "b": {"x": 0}}, {"a": {"x": 3}, "c": {"z": 1}})
    assert said == ("a: 4 cells x", "a: 2 cells y", "c: 1 cell z")
    assert sentences() == ()


def test_a_thousand_different_changes_stay_readable():
    *shown, last = sentences({"a": {f"x{count}": count for count in range(1, 1001)}})
    assert shown == [f"a: {count} cells x{count}" for count in range(1000, 995, -1)]
    assert last == f"a: {995 * 996 // 2} cells changed in 995 other ways"
