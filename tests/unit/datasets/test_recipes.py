"""The recipes that unpack packages, each on a package of a few files that a fake client brings."""

import csv
import gzip
import io
import json
import math
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from packed import Clients, deb, tar, wheel
from PIL import Image

from polymodal import registry
from polymodal.datasets import _tables
from polymodal.datasets._cache import Recipe, cached
from polymodal.datasets.emoji import Emoji
from polymodal.datasets.movies import Movies, _in_time
from polymodal.datasets.prompts import Prompts
from polymodal.datasets.sprites import UNITS, Sprites
from polymodal.datasets.stamps import ROOT, Stamps
from polymodal.errors import DataError, DataWarning, MissingExtraError, UsageError

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='%dpt' height='10pt'><rect width='99' height='99' fill='red'/>"
SVG += b"</svg>"
NAMES = ("avdigits", "emoji", "movies", "prompts", "sprites", "stamps")
PACKAGED = {"emoji": Emoji, "movies": Movies, "prompts": Prompts, "sprites": Sprites, "stamps": Stamps}


def _png(size, colour, mode="RGBA"):
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, "PNG")
    return out.getvalue()


def _sound(rate=44_100, seconds=0.5, form="OGG", channels=2):
    out = io.BytesIO()
    wave = np.sin(2 * np.pi * 300 * np.arange(int(rate * seconds)) / rate)
    soundfile.write(out, np.column_stack([wave] * channels) / 2, rate, format=form)
    return out.getvalue()


def _stamps():
    files = {"usr/share/doc/tuxpaint-stamps-default/copyright": b"License: GPL-2"}
    for kind in ("animals", "space"):
        for number in range(8):
            stamp = f"{ROOT}/{kind}/thing{number}"
            files[f"{stamp}.txt"] = (
                f"A thing {'abcdefgh'[number]}.\nde.utf8=Ding\nfr.utf8=Une chose {number}.\n".encode()
            )
            files[f"{stamp}_desc_fr.ogg"] = _sound()
            picture = _png((300, 150), (0, 0, 255, 255)) if number else SVG % 10
            files[f"{stamp}.{'png' if number else 'svg'}"] = picture
    files[f"{ROOT}/animals/thing1.svg"] = SVG % 10
    files[f"{ROOT}/animals/thing2_mirror.png"] = _png((3, 3), (0, 0, 0, 0))
    files[f"{ROOT}/animals/thing1.ogg"] = files[f"{ROOT}/animals/thing1_desc.ogg"] = _sound()
    return {"tuxpaint-stamps-default_1_all.deb": deb(files)}


def _emoji():
    entries, codes = [], [f"1F60{number:X}" for number in range(12)]
    for number, code in enumerate(["2764-FE0F-200D-1F525", *codes]):
        entries.append({"hexcode": code, "label": f"name {number}", "tags": ["a", "b"], "group": number % 2,
                        "subgroup": 0, "version": 1})  # fmt: skip
    entries[-1]["version"] = 17  # newer than the table
    entries += [{"hexcode": "1F1E6", "label": "letter", "version": 1}]
    entries += [{"hexcode": "1F3FB", "label": "skin", "group": 2, "subgroup": 0, "version": 1}]
    entries += [{"hexcode": "1F9FF", "label": "not drawn", "group": 1, "subgroup": 0, "version": 1}]
    groups = {"groups": {"0": "smileys", "1": "people", "2": "component"}, "subgroups": {"0": "sub"}}
    named = {f"package/{language}/data.json": json.dumps(entries).encode() for language in ("en", "fr", "de", "es")}
    named |= {"package/meta/groups.json": json.dumps(groups).encode(), "package/LICENSE": b"MIT License"}
    drawn = {f"package/color/svg/{code}.svg": SVG % 10 for code in ["2764-200D-1F525", *codes, "1F3FB", "1F1E6"]}
    drawn["package/LICENSE.txt"] = b"CC BY-SA 4.0"
    return {"openmoji-17.0.0.tgz": tar(drawn), "emojibase-data-17.0.0.tgz": tar(named)}


def _prompts():
    found = {}
    for language in ("en", "es", "fr", "it", "ru"):
        name = f"asterisk-core-sounds-{language}"
        voice = f"usr/share/asterisk/sounds/{language}_XX_f_Voice"
        texts = "; Core sounds\n\nbeep: [a beep]\nlost: no recording\nempty:\ndigits/1: one: uno\ndigits/1: two\n"
        texts += "".join(f"p{number}: words {number}\n" for number in range(7))
        document = gzip.compress(texts.encode())
        found[f"{name}_1_all.deb"] = deb(
            {f"usr/share/doc/{name}/core-sounds-{language}.txt.gz": document, f"usr/share/doc/{name}/copyright": b"CC"}
        )
        names = ["beep", "empty", "unsaid", "digits/1", *(f"p{number}" for number in range(7))]
        wave = _sound(8_000, 0.25, "WAV", 1)
        found[f"{name}-wav_1_all.deb"] = deb({f"{voice}/{prompt}.wav": wave for prompt in names})
    return found


def _sprites():
    files = {"usr/share/doc/wesnoth-1.16-data/copyright": b"GPL"}
    for unit in range(6):
        for action, frames in (("se-attack", 4), ("die", 20), ("bob", 3), ("idle", 3), ("defend", 5), ("fly", 2)):
            for number in range(1, frames + 1):
                shade = (200, 0, 0, 255) if number % 2 else (0, 0, 200, 255)
                files[f"{UNITS}/elves/{'abcdef'[unit]}-{action}-{number}.png"] = _png((72, 72), shade)
    return {"wesnoth-1.16-data_1_all.deb": deb(files)}


def _movies(folder=Path("/nonexistent")):
    root = "recbole/dataset_example/ml-100k/ml-100k"
    ratings = "".join(f"{1 + row % 3}\t{1 + row % 2}\t{1 + row % 5}\t{100 + row // 2}\n" for row in range(40))
    people = "".join(f"{person}\t2{person}\tF\tother\t0\n" for person in (1, 2, 3))
    films = '1\tUsual "Suspects", The\t1995\tCrime\n2\tUnknown\t1990\tDrama\n'
    files = {f"{root}.inter": "a:token\tb\tc\td\n" + ratings, f"{root}.user": "a\tb\tc\td\te\n" + people,
             f"{root}.item": "a\tb\tc\td\n" + films}  # fmt: skip
    path = folder / "movies.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE omdb (Title, Year, Director, "Cast", Country, Language, imdbRating, Runtime)')
        row = ("The Usual Suspects", 1995, "Bryan Singer", "A, B", "US", "English", None, 106.0)
        connection.execute("INSERT INTO omdb VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO omdb VALUES ('Usual Suspects', 1996, 'no', 'no', 'no', 'no', NULL, 1.0)")
    connection.close()
    encoded = {name: text.encode() for name, text in files.items()}
    return {
        "recbole-1.2.1-py3-none-any.whl": wheel(encoded),
        "bokeh_sampledata-2026.1-py3-none-any.whl": wheel({"bokeh_sampledata/_data/movies.db": path.read_bytes()}),
    }


CLIENT = {"emoji": "npm", "movies": "pip", "prompts": "apt-get", "sprites": "apt-get", "stamps": "apt-get"}
MAKE = {"emoji": _emoji, "prompts": _prompts, "sprites": _sprites, "stamps": _stamps}
ROWS = {"emoji": 12, "movies": 40, "prompts": 40, "sprites": 24, "stamps": 16}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Builds a recipe once: (folder, rows, progress, calls of the client)."""
    done = {}

    def get(name):
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            with pytest.MonkeyPatch.context() as patch:
                clients = Clients(folder, patch)
                files = _movies(folder) if name == "movies" else MAKE[name]()
                clients.add(CLIENT[name], files)
                seen = []
                with pytest.warns(DataWarning, match=f"{name} has {ROWS[name]} rows here, not"):
                    table = PACKAGED[name]().build(folder / "out/data", progress=lambda *step: seen.append(step))
            with table.open(encoding="utf-8", newline="") as file:
                done[name] = folder / "out/data", list(csv.DictReader(file)), seen, clients.calls
        return done[name]

    return get


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_says_what_it_is(name):
    recipe = registry.load("datasets", name)()
    assert isinstance(recipe, Recipe)
    assert recipe.rows > 500
    for text in (recipe.title, recipe.source, recipe.licence, recipe.synthetic):
        assert text
        assert "\n" not in text
    assert "LICENCE.txt" in recipe.licence


@pytest.mark.parametrize("name", PACKAGED)
def test_a_table_is_whole_its_media_exist_and_its_licence_lies_beside_it(name, built):
    folder, rows, seen, calls = built(name)
    assert len(rows) == ROWS[name]
    assert seen[-1] == (ROWS[name], ROWS[name])
    assert {row["split"] for row in rows} == {"train", "test"}
    media = {cell for row in rows for cell in row.values() if cell.startswith("media/")}
    assert {path.relative_to(folder).as_posix() for path in folder.glob("media/*")} == media
    text = (folder / "LICENCE.txt").read_text()
    assert text.startswith(f"{name}: ")
    assert text.count("sha256") == len(calls)
    assert [path.name for path in folder.parent.iterdir()] == ["data"]  # nothing of the packages stays
    assert len({row.get("id", str(number)) for number, row in enumerate(rows)}) == len(rows)


def test_stamps(built):
    folder, rows, _, _ = built("stamps")
    by = {row["id"]: row for row in rows}
    first, second = by["animals__thing0"], by["animals__thing1"]
    assert (first["name_en"], first["name_fr"]) == ("A thing a.", "Une chose 0.")
    assert (first["label"], by["space__thing3"]["label"]) == ("animals", "other")
    assert (first["group"], by["space__thing3"]["group"]) == ("animals:thinga", "space:thingd")
    assert [bool(second[column]) for column in ("spoken_fr", "spoken_en", "sound")] == [True, True, True]
    assert [bool(first[column]) for column in ("spoken_fr", "spoken_en", "sound")] == [True, False, False]
    with Image.open(folder / second["image"]) as picture:  # the PNG goes before the SVG of the same name
        assert (picture.size, picture.mode, picture.format) == ((128, 128), "RGB", "PNG")
        assert picture.getpixel((64, 64)) == (0, 0, 255)
        assert picture.getpixel((64, 10)) == (255, 255, 255)  # whole and in its proportions
    with Image.open(folder / first["image"]) as picture:
        assert picture.getpixel((64, 64)) == (255, 0, 0)
    info = soundfile.info(folder / second["sound"])
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (16_000, 1, 8_000, "VORBIS")
    samples, _ = soundfile.read(folder / second["sound"])
    assert np.abs(np.fft.rfft(samples)).argmax() == pytest.approx(150, abs=1)  # 300 Hz in half a second


def test_emoji(built):
    folder, rows, _, calls = built("emoji")
    assert rows[0]["id"] == "2764-200d-1f525"
    assert [rows[0][column] for column in ("name", "tags", "name_fr", "label", "subgroup")] == [
        *("name 0", "a|b", "name 0", "smileys", "sub"),
    ]
    assert not {"1f1e6", "1f3fb", "1f9ff", "1f60b"} & {row["id"] for row in rows}
    with Image.open(folder / rows[1]["image"]) as picture:
        assert (picture.size, picture.mode) == ((72, 72), "RGB")
        assert picture.getpixel((36, 36)) == (255, 0, 0)
    assert [call.split()[-1] for call in calls] == ["openmoji@17.0.0", "emojibase-data@17.0.0"]


def test_prompts(built):
    folder, rows, _, calls = built("prompts")
    assert len(calls) == 10
    by = {row["id"]: row for row in rows}
    assert by["es__digits/1"]["text"] == "one: uno"  # of two texts the first
    assert by["es__digits/1"]["audio"] == "media/es__digits__1.ogg"
    assert not {"en__beep", "en__empty", "en__lost", "en__unsaid"} & set(by)
    assert soundfile.info(folder / by["it__p3"]["audio"]).samplerate == 8_000
    assert by["it__p3"]["duration"] == "0.25"
    for number in range(7):
        assert len({by[f"{language}__p{number}"]["split"] for language in ("en", "es", "fr", "it", "ru")}) == 1


def test_sprites(built):
    av = pytest.importorskip("av")
    folder, rows, _, _ = built("sprites")
    by = {row["id"]: row for row in rows}
    assert [by[f"elves__a-{tail}"]["label"] for tail in ("se-attack", "die", "bob", "idle")] == [
        *("attack", "die", "move", "idle"),
    ]
    assert {row["unit"] for row in rows} == set("abcdef")
    assert by["elves__b-die"]["frames"] == "16"
    with av.open(str(folder / by["elves__c-se-attack"]["video"])) as clip:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in clip.decode(video=0)]
        assert clip.streams.video[0].average_rate == 10
    assert [frame.shape for frame in frames] == [(96, 96, 3)] * 4
    assert np.abs(frames[0][48, 48] - [200, 0, 0]).max() < 40
    assert np.abs(frames[1][48, 48] - [0, 0, 200]).max() < 40
    assert frames[0][2, 2].min() > 240
    for unit in "abcdef":
        assert len({row["split"] for row in rows if row["unit"] == unit}) == 1


def test_movies(built):
    folder, rows, _, calls = built("movies")
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
    assert [row["split"] for row in rows] == ["train"] * 32 + ["test"] * 8
    known = next(row for row in rows if row["item_id"] == "1")
    assert (known["movie_title"], known["Director"], known["Runtime"]) == (
        *('Usual "Suspects", The', "Bryan Singer", "106.0"),
    )
    assert next(row for row in rows if row["item_id"] == "2")["Director"] == ""
    assert {row["age"] for row in rows if row["user_id"] == "2"} == {"22"}
    for person in "123":
        ranks = [int(row["rank_from_last"]) for row in rows if row["user_id"] == person]
        assert ranks == list(range(len(ranks), 0, -1))
    assert len((folder / "users.csv").read_text().splitlines()) == 4
    assert len((folder / "items.csv").read_text().splitlines()) == 3
    assert [call.split()[-1] for call in calls] == ["recbole==1.2.1", "bokeh-sampledata==2026.1"]


def test_ratings_of_one_second_are_on_one_side():
    ratings = [(str(person), "1", "5", str(second)) for person, second in enumerate([1, 2, 3, 4, 4, 4, 4, 4, 4, 5])]
    assert [row[4] for row in _in_time(ratings)] == ["train"] * 9 + ["test"]


def test_groups_are_whole_and_the_share_is_right():
    rng = np.random.default_rng(0)
    groups = [f"g{number}" for number in rng.integers(0, 100, 400)]
    labels = [f"l{int(group[1:]) % 3}" for group in groups]
    split = _tables.sides(labels, groups, folds=4, seed=0)
    assert split == _tables.sides(labels, groups, folds=4, seed=0)
    assert split != _tables.sides(labels, groups, folds=4, seed=1)
    by = {}
    for group, side in zip(groups, split, strict=True):
        by.setdefault(group, set()).add(side)
    assert all(len(found) == 1 for found in by.values())
    assert math.isclose(split.count("test") / 400, 0.25, abs_tol=0.03)


@pytest.mark.parametrize(("name", "package"), [("emoji", "resvg_py"), ("sprites", "av")])
def test_a_missing_python_package_names_the_extra_and_keeps_the_downloads(name, package, tmp_path, monkeypatch):
    clients = Clients(tmp_path, monkeypatch)
    clients.add(CLIENT[name], MAKE[name]())
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"polymodal\[datasets\]"), pytest.warns(DataWarning):
        cached(name, tmp_path / "cache")
    assert not (tmp_path / f"cache/{name}-1").exists()
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))  # no client any more
    with pytest.warns(DataWarning):
        assert cached(name, tmp_path / "cache").exists()
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [f".{name}-1.lock", f"{name}-1"]


@pytest.mark.parametrize("name", ["emoji", "stamps"])
def test_a_missing_client_stops_before_anything_is_written(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="not on the PATH"):
        cached(name, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_package_without_what_the_recipe_knows_is_an_error(tmp_path, monkeypatch):
    Clients(tmp_path, monkeypatch).add("apt-get", {"wesnoth-1.16-data_1_all.deb": deb({"usr/other": b"1"})})
    with pytest.raises(DataError, match="hold nothing that the recipe knows"):
        Sprites().build(tmp_path / "out")


def test_a_drawing_or_recording_that_is_none_is_named(tmp_path):
    for name in ("x.svg", "x.ogg"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"x\.svg"):
        _tables.render(tmp_path / "x.svg", 9)
    with pytest.raises(DataError, match=r"x\.ogg"):
        _tables.write_ogg(tmp_path / "x.ogg", tmp_path / "y.ogg", sample_rate=8_000)
