"""Equal and nearly equal rows and cells; on both sides of a split they are a leak."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from polymodal.config.run_config import make
from polymodal.data.audit.inspection import inspect_table

RATE = 16_000
SIDES = ["train"] * 40 + ["test"] * 20


def findings(table, check, folder=None, **config):
    found = inspect_table(table, config=make({"target": "label", "split": {"column": "side"}, **config})).findings
    return [f for f in found if f.check == check]


def drawing(seed):
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return rough.resize((64, 64), Image.Resampling.BICUBIC)


def jpeg(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def song(seed):
    """Two seconds of ten tones that come and go."""
    rng = np.random.default_rng(seed)
    parts = [rng.uniform(0.02, 0.3) * np.sin(np.arange(RATE // 5) * rng.uniform(0.05, 2)) for _ in range(10)]
    return np.concatenate(parts)


def wav(samples):
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def numbers(rows=60):
    rng = np.random.default_rng(3)
    return {"a": rng.normal(size=rows).tolist(), "b": rng.normal(size=rows).tolist(),
            "label": ["x", "y"] * (rows // 2), "side": SIDES[:rows]}  # fmt: skip


def test_nothing_is_said_of_rows_that_differ():
    assert findings(numbers(), "duplicates") == []


def test_equal_rows_across_the_split_are_an_error():
    table = numbers()
    for name in ("a", "b", "label"):
        table[name][50] = table[name][4]
    leak, repeats = findings(table, "duplicates")
    assert (leak.severity, leak.rows, leak.count) == ("error", (50,), 1)
    assert (repeats.severity, repeats.rows) == ("warning", (50,))


def test_rows_with_equal_features_and_another_target_contradict():
    table = numbers()
    for name in ("a", "b"):
        table[name][5] = table[name][4]
    contradiction = findings(table, "duplicates")[0]
    assert contradiction.rows == (4, 5)
    assert "not in the target" in contradiction.what


def test_categories_repeat_by_nature():
    table = {"a": ["u", "v", "w"] * 20, "b": ["s"] * 30 + ["t"] * 30, "label": ["x", "y"] * 30, "side": SIDES}
    assert {f.severity for f in findings(table, "duplicates")} <= {"note", "warning"}


def test_near_equal_pictures_across_the_split():
    pictures = [jpeg(drawing(seed), 95) for seed in range(60)]
    pictures[45] = jpeg(drawing(7).point(lambda v: int(0.8 * v)), 60)  # coded anew, darker
    pictures[9] = jpeg(drawing(8).resize((48, 48)), 80)
    found = findings({"photo": pictures, **numbers()}, "near_duplicates")
    assert [(f.columns, f.severity, f.rows) for f in found] == [(("photo",), "warning", (45,))]
    assert "rows 7 and 45" in found[0].what


def test_near_equal_pictures_on_one_side_are_noted():
    pictures = [jpeg(drawing(seed), 95) for seed in range(60)]
    pictures[9] = jpeg(drawing(8).resize((48, 48)), 80)
    (found,) = findings({"photo": pictures, **numbers()}, "near_duplicates")
    assert (found.severity, found.rows) == ("note", (8, 9))


def test_near_equal_sounds_across_the_split():
    rng = np.random.default_rng(0)
    sounds = [wav(song(seed)) for seed in range(60)]
    sounds[45] = wav(0.5 * song(7) + rng.normal(0, 0.001, RATE * 2))
    (found,) = findings({"sound": sounds, **numbers()}, "near_duplicates")
    assert (found.severity, found.rows) == ("warning", (45,))


def test_silence_is_like_nothing():
    sounds = [wav(song(seed)) for seed in range(60)]
    sounds[3], sounds[50] = wav(np.zeros(20_000)), wav(np.zeros(24_000))
    assert findings({"sound": sounds, **numbers()}, "near_duplicates") == []


def test_near_equal_texts_across_the_split():
    rng = np.random.default_rng(1)
    words = ["sun", "rain", "wind", "snow", "hill", "lake", "road", "tree", "bird", "stone", "boat", "house"]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(60)]
    texts[45] = texts[7].capitalize() + "!"
    (found,) = findings({"note": texts, **numbers()}, "near_duplicates")
    assert (found.columns, found.severity, found.rows) == (("note",), "warning", (45,))


def test_equal_media_under_other_names_are_found():
    pictures = [jpeg(drawing(seed), 95) for seed in range(60)]
    pictures[45] = pictures[7]
    (found,) = [f for f in findings({"photo": pictures, **numbers()}, "duplicates") if f.columns == ("photo",)]
    assert (found.severity, found.rows) == ("warning", (45,))


@pytest.mark.parametrize("crossing", [True, False])
def test_equal_rows_across_groups(crossing):
    table = numbers()
    del table["side"]
    for name in ("a", "b", "label"):
        table[name][50] = table[name][4]
    table["who"] = [f"p{k // 10}" for k in range(60)]
    table["who"][4] = "p0" if crossing else "p5"
    found = findings(table, "duplicates", split={"method": "group", "by": "who"})
    assert [f.rows for f in found if f.severity == "error"] == ([(4, 50)] if crossing else [])
