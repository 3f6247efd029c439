"""The examples run as they stand: on small stand-ins for the tables that they are about, in seconds."""

from __future__ import annotations

import csv
import io
import re
import runpy
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from cli_tables import make_rows, picture, write_csv

import polymodal as pm

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGES = EXAMPLES.parent / "docs/examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if "main(words" in path.read_text(encoding="utf-8"))


def sides(rows):
    return [{**row, "split": "test" if k % 5 == 0 else "train"} for k, row in enumerate(rows)]


def speech(folder):
    """Low and high tones for digits."""
    rows = [{"audio": row["sound"], "label": k % 2} for k, row in enumerate(make_rows(folder))]
    return write_csv(folder / "table.csv", sides(rows))


def drawings(folder):
    """Reddish and bluish pictures, with a name, and tags that say which."""
    rng, rows = np.random.default_rng(0), []
    for k in range(40):
        (folder / f"{k}.png").write_bytes(picture(k % 2, rng))
        tags = [("red", "blue")[k % 2], *(["round"] if k % 3 else [])]
        rows.append({"image": f"{k}.png", "name": f"a {tags[0]} thing", "tags": "|".join(tags)})
    return write_csv(folder / "table.csv", sides(rows))


def ratings(folder):
    """Kind people and strict ones."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(120):
        person, film = int(rng.integers(8)), int(rng.integers(12))
        rows.append({
            "user_id": person, "item_id": film, "rating": 1 + person % 3 + film % 3, "age": 20 + person,
            "gender": "MF"[person % 2], "occupation": "artist", "movie_title": f"Film {film}",
            "release_year": 1980 + film, "genres": ("Comedy Drama", "War")[film % 2],
        })  # fmt: skip
    return write_csv(folder / "table.csv", sides(rows))


def clips(folder):
    """A bright bar that stays or goes; one clip in every two."""
    rows = []
    for k in range(24):
        with av.open(str(folder / f"{k}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            for number in range(4):
                pixels = np.full((32, 32, 3), 20 + k, np.uint8)
                pixels[:, (start := 6 * number * (k % 2)) : start + 6] = 250
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
        rows.append({"video": f"{k}.mp4", "label": ("idle", "move")[k % 2]})
    return write_csv(folder / "table.csv", sides(rows))


TABLES = {
    "speech_commands": speech,
    "picture_tagging": drawings,
    "rating_prediction": ratings,
    "action_in_clips": clips,
    "sentiment": None,  # it builds its own
    "visual_questions": drawings,
    "dialogue_about_pictures": drawings,
    "word_times": drawings,
}
FROM_DRAWINGS = ("visual_questions", "dialogue_about_pictures", "word_times")  # they make rows of those of a table


@pytest.fixture
def example(monkeypatch, capsys):
    """Runs an example in this process; gives what it printed."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # progress

    def run(name, *words):
        runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]([*map(str, words)])
        return capsys.readouterr().out

    return run


def test_every_example_is_run_here_and_has_its_page():
    assert sorted(TABLES) == NAMES
    assert {path.stem for path in PAGES.glob("*.md")} - {"index"} == set(NAMES)


@pytest.mark.parametrize("name", TABLES)
def test_an_example_trains_measures_draws_and_saves(example, name, tmp_path):
    make = TABLES[name]
    words = ["--rows", 48] if make is None or name in FROM_DRAWINGS else []
    if make is not None:
        (tmp_path / "data").mkdir()
        words += ["--table", make(tmp_path / "data")]
    out = example(name, *words, "--epochs", 2, "--output", tmp_path / "output")
    assert re.search(r"^metric +model", out, re.MULTILINE) and re.search(r"\d\.\d{3} \[-?\d\.\d{3}, -?\d\.\d{3}]", out)
    assert f"Picture: {tmp_path / 'output' / name}" in out
    drawn = [Path(line.removeprefix("Picture: ")) for line in out.splitlines() if line.startswith("Picture: ")]
    assert drawn and all(path.stat().st_size > 5_000 for path in drawn)
    assert pm.load(tmp_path / "output" / name).bundle_.schema.target is not None


@pytest.mark.parametrize("name", TABLES)
def test_a_page_shows_its_script_and_its_picture_and_what_a_run_takes(name):
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert f'--8<-- "examples/{name}.py"' in text
    shown = re.findall(r"\]\((\.\./assets/examples/\w+\.\w+)\)", text)
    assert shown and all((PAGES / path).stat().st_size < 150_000 for path in shown)
    assert re.search(r"\d+ (seconds|minutes)", text)


def test_the_table_of_moods_is_the_same_each_time_and_misleads(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXAMPLES)
    build = runpy.run_path(str(EXAMPLES / "sentiment_table.py"))["build"]
    first, second = (build(tmp_path / name, rows=24) for name in ("first", "second"))
    files = sorted(path.relative_to(first.parent) for path in first.parent.rglob("*") if path.is_file())
    assert len(files) > 24
    assert all((first.parent / path).read_bytes() == (second.parent / path).read_bytes() for path in files)
    with build(tmp_path / "more", rows=120).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sad = ("awful", "boring", "terrible", "mess", "dreadful", "waste", "poor", "disappointing")
    ironic = [row for row in rows if row["mood"] == "positive" and any(word in row["sentence"] for word in sad)]
    assert ironic and len(ironic) < 40
    assert {bool(row["face"]) for row in rows} == {bool(row["voice"]) for row in rows} == {True, False}


def test_a_data_set_that_cannot_be_built_ends_an_example_with_its_reason(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file where a folder should be")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "speech_commands.py", "--output", tmp_path / "output"],
        env={"POLYMODAL_CACHE": str(taken), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Cannot build the data set avdigits" in done.stderr and "Traceback" not in done.stderr
