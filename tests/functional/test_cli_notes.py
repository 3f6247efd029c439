"""Cells that are read, but not as they stand: each change is said once, with its count, and nothing is lost by it."""

import json

import numpy as np
import pytest
from cli_tables import SMALL, make_rows, picture, recording, write_csv

UNSEEN = "colour: {} of a category unseen, or too rare, in training"
REMARKS = [
    "photo: 2 cells read as PNG though named .jpg",
    "sound: 3 cells resampled from 44100 Hz to 8000 Hz, mixed from 2 channels to one",
    "note: 2 cells of the training rows cut to the length that the model takes",
    "note: 1 cell cut to 200 characters",
    UNSEEN.format("2 cells"),
]


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """40 rows, every fifth for test, with cells that reading changes; in test, two with unseen colours."""
    folder, rng = tmp_path_factory.mktemp("odd"), np.random.default_rng(1)
    rows = [{**row, "side": "train" if k % 5 else "test"} for k, row in enumerate(make_rows(folder))]
    for number in (1, 2):
        (folder / f"{number}.jpg").write_bytes(picture(number % 2, rng))
        rows[number]["photo"] = f"{number}.jpg"
    for number in (3, 4, 5):
        (folder / f"{number}.wav").write_bytes(recording(number % 2, rng, rate=44_100, channels=2))
    rows[1]["note"], rows[2]["note"] = "rain " * 30, "rain " * 1_000
    rows[0]["colour"], rows[10]["colour"] = "ultraviolet", "infrared"
    return write_csv(folder / "table.csv", rows)


@pytest.fixture(scope="module")
def trained(cli, odd, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = [*SMALL, "modalities.text={max_characters: 200, max_tokens: 100}", "split.validation=0"]
    done = cli("train", odd, "--target", "label", "--split", "side", "-o", folder, settings=settings)
    assert (done.code, done.err) == (0, "")
    return folder, done


def test_train_says_each_change_once(trained):
    folder, done = trained
    assert [line for line in done.out.splitlines() if line in REMARKS] == REMARKS
    assert json.loads((folder / "bundle/metrics.json").read_text())["notes"] == REMARKS
    assert (folder / "rejects.jsonl").read_text() == ""  # a note is no reject


def test_nothing_odd_is_nothing_to_say(run):
    assert json.loads((run / "bundle/metrics.json").read_text())["notes"] == []


def test_predict_says_how_many_categories_are_unseen(cli, trained, odd, tmp_path):
    done = cli("predict", trained[0] / "bundle", odd, "-o", tmp_path / "out.csv")
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.startswith("colour")] == [UNSEEN.format("2 cells")]
    assert REMARKS[0] in done.out and REMARKS[1] in done.out


def test_a_budget_is_spoken_of_in_output_figures_and_report(cli, odd, tmp_path):
    words = ("--target", "label", "--split", "side", "--budget", "10m", "--drop", "photo", "--drop", "sound")
    done = cli("train", odd, *words, "-o", tmp_path / "run", settings=[*SMALL, "inputs.keep=all"])
    assert done.code == 0, done.err
    (said,) = [line for line in done.out.splitlines() if line.startswith("Budget of 10 min: all of it ran, in")]
    assert said in json.loads((tmp_path / "run/bundle/metrics.json").read_text())["notes"]
    assert said in (tmp_path / "run/report.html").read_text()
    assert "budget: 10m\n" in (tmp_path / "run/run.yaml").read_text()
