"""`polymodal train --preset`: a first look, an ensemble of networks, and names that do not go together."""

from __future__ import annotations

import json

import pytest
import yaml
from cli_tables import SMALL


@pytest.fixture
def words(table, tmp_path):
    return ("train", table, "--target", "label", "--split", "side", "-o", tmp_path / "run")


def test_best_writes_what_it_chose_and_predicts(cli, table, words, tmp_path):
    done = cli(*words, "--preset", "best", "--preset", "scratch", settings=SMALL)
    assert (done.code, done.err) == (0, "")
    written = yaml.safe_load((tmp_path / "run/run.yaml").read_text())
    assert written["preset"] == ["best", "scratch"]
    assert written["stage"] == {"name": "deep_ensemble", "seeds": 3}
    phases = {json.loads(line)["phase"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()}
    assert {f"train:network {number}" for number in (1, 2, 3)} <= phases
    predicted = cli("predict", tmp_path / "run/bundle", table, "-o", tmp_path / "predictions.csv")
    assert (predicted.code, predicted.err) == (0, "")


def test_fast_keeps_the_best_epoch_and_fits_no_trees(cli, words, tmp_path):
    assert cli(*words, "--preset", "fast").code == 0
    train = yaml.safe_load((tmp_path / "run/run.yaml").read_text())["train"]
    assert (train["final"], train["epochs"]) == ("best", 10)
    assert train["ensemble"] == {"members": ["unimodal", "linear"]}


def test_presets_that_exclude_each_other_or_do_not_exist_are_refused(cli, words, tmp_path):
    done = cli(*words, "--preset", "fast,best")
    assert done.code == 2 and "preset: fast and best exclude each other" in done.err
    done = cli(*words, "--preset", "bets")
    assert done.code == 2 and "Did you mean 'best'?" in done.err
    assert not (tmp_path / "run").exists()
