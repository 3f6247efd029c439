"""Two tasks whose predictions are no scores - points of two sides, and texts - through every door."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

import polymodal as pm
from conftest import Cli

RATE = 8_000
TONES = {"a": 400.0, "o": 800.0, "e": 1_600.0}
SMALL = ["train.epochs=2", "train.batch_size=8"]


def _sound(text: str, path: Path, rng: np.random.Generator) -> None:
    """A tone for each letter, a little silence after each."""
    steps = np.arange(int(0.15 * RATE)) / RATE
    parts = [np.sin(2 * math.pi * TONES[letter] * steps) * 0.3 for letter in text]
    gap = np.zeros(int(0.05 * RATE))
    samples = np.concatenate([piece for part in parts for piece in (part, gap)])
    soundfile.write(path, samples + rng.normal(0, 0.01, len(samples)), RATE)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds of tones, and the letters that they stand for."""
    folder, rng = tmp_path_factory.mktemp("spoken"), np.random.default_rng(0)
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["voice", "said", "side"])
        for row in range(60):
            text = "".join(rng.choice(list(TONES), rng.integers(2, 5)))
            _sound(text, folder / f"{row}.wav", rng)
            writer.writerow(
                [f"{row}.wav" if row != 7 else "", text if row != 8 else "", "train" if row % 4 else "test"]
            )
    return folder / "table.csv"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two columns of numbers that go with two of words; some cells are missing."""
    rng, file = np.random.default_rng(0), tmp_path_factory.mktemp("pairs") / "table.csv"
    words = ["red", "green", "blue", "black", "white", "grey"]
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["size", "weight", "colour", "shape", "side"])
        for row in range(80):
            first, second = rng.integers(6, size=2)
            numbers = [f"{first + rng.normal(0, 0.1):.3f}", f"{second + rng.normal(0, 0.1):.3f}"]
            named = [words[first] + " thing", words[second] + " box"]
            if row % 11 == 5:
                numbers = ["", ""]
            writer.writerow([*numbers, *named, "train" if row % 4 else "test"])
    return file


MATCH = "task={name: match, sides: {numbers: [size, weight], words: [colour, shape]}}"
TEXTS = ["columns.colour.modality=text", "columns.shape.modality=text"]


def test_texts_are_learned_from_the_time_of_a_sound(cli: Cli, spoken: Path, tmp_path: Path) -> None:
    settings = ["task=transcribe", "train.epochs=40", "train.batch_size=8", "encoders.audio.width=32"]
    done = cli("train", spoken, "--target", "said", "--split", "side", "-o", tmp_path / "run", settings=settings)
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "run" / "bundle" / "metrics.json").read_text())
    error = metrics["test"]["cer"]
    assert error["low"] <= error["value"] <= error["high"]
    assert error["high"] < metrics["baselines"]["commonest"]["cer"]["low"]  # clearly better than the commonest text
    assert metrics["rows"]["unlabelled"] == 1

    out = tmp_path / "out.csv"
    done = cli("predict", tmp_path / "run" / "bundle", spoken, "-o", out)
    assert done.code == 0, done.err
    with out.open() as file:
        predicted = list(csv.DictReader(file))
    assert len(predicted) == 60
    assert predicted[7]["prediction"] == ""
    assert predicted[7]["status"].startswith("prior")
    assert set("".join(row["prediction"] for row in predicted)) <= set(TONES)

    done = cli("evaluate", tmp_path / "run" / "bundle", spoken)
    assert done.code == 0, done.err
    assert "59 measured + 1 without a target" in done.out


def test_sides_find_one_another(cli: Cli, pairs: Path, tmp_path: Path) -> None:
    settings = [MATCH, *TEXTS, "train.epochs=20", "train.batch_size=32"]
    done = cli("train", pairs, "--split", "side", "-o", tmp_path / "run", settings=settings)
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "run" / "bundle" / "metrics.json").read_text())
    found, chance = metrics["test"]["recall_at_5"], metrics["baselines"]["chance"]["recall_at_5"]
    assert found["low"] > chance["high"]
    assert "recall_at_5_numbers_to_words" in metrics["test"]

    out = tmp_path / "out.jsonl"
    done = cli("predict", tmp_path / "run" / "bundle", pairs, "-o", out)
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 80
    assert lines[5]["prediction"] == -1  # nothing to search with
    done = cli("evaluate", tmp_path / "run" / "bundle", pairs)
    assert "80 measured" in done.out


@pytest.mark.parametrize("task", ["transcribe", "match"])
def test_they_are_compared_and_cross_validated(cli: Cli, spoken: Path, pairs: Path, task: str, tmp_path: Path) -> None:
    table, words = (spoken, ["--target", "said"]) if task == "transcribe" else (pairs, [])
    settings = [*SMALL, *(["task=transcribe"] if task == "transcribe" else [MATCH, *TEXTS])]
    first = "cer" if task == "transcribe" else "recall_at_10"
    shared = [*words, "--drop", "side", "--folds", "2"]
    done = cli("cross-validate", table, *shared, "--json", tmp_path / "found.json", settings=settings)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["metric"] == first
    assert found["metrics"][first]["low"] <= found["metrics"][first]["value"]
    done = cli("compare", table, *shared, "-o", tmp_path / "compared", settings=settings)
    assert done.code == 0, done.err
    compared = json.loads((tmp_path / "compared" / "comparison.json").read_text())
    entries = {entry["kind"] for entry in compared["entries"]}
    assert {"baseline", "reference"} <= entries


def test_from_python_they_are_fitted_saved_and_loaded(spoken: Path, pairs: Path, tmp_path: Path) -> None:
    model = pm.Estimator(config={"task": "transcribe", "train": {"epochs": 1}, "drop": ["side"]}).fit(spoken, y="said")
    model.save(tmp_path / "one")
    again = pm.load(tmp_path / "one")
    assert again.predict(spoken).tolist() == model.predict(spoken).tolist()
    sides = {"numbers": ["size", "weight"], "words": ["colour", "shape"]}
    config = {"task": {"name": "match", "sides": sides}, "train": {"epochs": 1}, "drop": ["side"]}
    model = pm.Estimator(config=config).fit(pairs)
    assert 0 <= model.score(pairs) <= 1
    assert model.evaluate(pairs)["recall_at_10"]["low"] >= 0
    model.save(tmp_path / "two")
    assert pm.load(tmp_path / "two").predict(pairs).tolist() == model.predict(pairs).tolist()


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("task={name: match, sides: {numbers: [size], words: [colour, shape]}}", "'weight'"),
        ("task={name: match, sides: {numbers: [size, wieght], words: [colour, shape]}}", "'wieght'"),
        ("task=match", "task.sides"),
    ],
)
def test_wrong_sides_name_the_column(cli: Cli, pairs: Path, tmp_path: Path, setting: str, named: str) -> None:
    done = cli("train", pairs, "--split", "side", "-o", tmp_path / "run", settings=[setting])
    assert done.code == 2
    assert named in done.err


def test_a_task_of_time_without_a_sound_is_refused(cli: Cli, pairs: Path, tmp_path: Path) -> None:
    settings = ["task=transcribe"]
    done = cli("train", pairs, "--target", "colour", "--split", "side", "-o", tmp_path / "run", settings=settings)
    assert done.code == 2
    assert "time" in done.err


def test_rows_of_which_none_has_both_sides_are_an_error_that_says_where_to_look():
    rng = np.random.default_rng(0)
    numbers = [float(value) if row % 2 else None for row, value in enumerate(rng.normal(size=60))]
    words = [None if row % 2 else ["red", "blue", "green"][row % 3] for row in range(60)]
    sides = {"things": ["number"], "words": ["word"]}
    model = pm.Estimator(epochs=1, config={"task": {"name": "match", "sides": sides}})
    with pytest.raises(pm.PolymodalError, match=r"None of the \d+ validation rows can be measured.*missing"):
        model.fit({"number": numbers, "word": words})
