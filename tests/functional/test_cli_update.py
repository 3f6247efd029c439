"""A model on the command line after its training: it learns from new rows, and is measured with inputs missing."""

import csv
import json
from xml.etree import ElementTree

import pytest
from cli_tables import write_csv


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def metrics_of(bundle):
    return json.loads((bundle / "metrics.json").read_text())


def test_an_update_shows_what_it_gained_and_forgot(cli, table, run, tmp_path):
    before = {path.name: path.read_bytes() for path in (run / "bundle").rglob("*.*")}
    words = ("update", run / "bundle", table, "--replay", table, "-o", tmp_path / "new")
    done = cli(*words, settings=["update.epochs=1"])
    assert (done.code, done.err) == (0, "")
    titles = [f"{side} rows, {when}" for side in ("new", "old") for when in ("before", "after")]
    rows = [
        "New rows: 40 = 32 learned from + 8 held out and measured",
        "Old rows: 32 learned from again, 8 held out and measured",
    ]
    for said in (*titles, "accuracy", *rows, f"Bundle: {tmp_path / 'new'}"):
        assert said in done.out
    assert {path.name: path.read_bytes() for path in (run / "bundle").rglob("*.*")} == before
    (entry,) = metrics_of(tmp_path / "new")["updates"]
    assert entry["settings"]["epochs"] == 1
    assert entry["old"]["before"]["accuracy"] == pytest.approx(metrics_of(run / "bundle")["test"]["accuracy"])
    assert "## Updates" in (tmp_path / "new/README.md").read_text()
    assert cli("predict", tmp_path / "new", table, "-o", tmp_path / "out.csv").code == 0


def test_without_old_rows_it_says_what_is_not_known(cli, table, run, tmp_path):
    done = cli("update", run / "bundle", table, "-o", tmp_path / "new", settings=["update.epochs=1"])
    assert done.code == 0 and "Add --replay with the table of the training." in done.err
    assert "old rows" not in done.out.lower()


def test_a_bundle_is_replaced_only_when_asked(cli, table, run, tmp_path):
    words = ("update", run / "bundle", table, "-o", tmp_path / "new")
    few = ["update.epochs=1"]
    assert cli(*words, settings=few).code == 0
    first = (tmp_path / "new/weights.safetensors").read_bytes()
    again = cli(*words, settings=few)
    assert again.code == 2 and "add --overwrite" in again.err
    assert (tmp_path / "new/weights.safetensors").read_bytes() == first
    own = ("update", tmp_path / "new", table, "-o", tmp_path / "new", "--overwrite")
    assert cli(*own, settings=few).code == 0
    assert len(metrics_of(tmp_path / "new")["updates"]) == 2
    foreign = cli("update", run / "bundle", table, "-o", table.parent, "--overwrite")
    assert foreign.code == 2 and "something else than a bundle" in foreign.err


def test_wrong_settings_and_rows_change_nothing(cli, table, run, tmp_path):
    words = ("update", run / "bundle", table, "-o", tmp_path / "new")
    wrong = cli(*words, settings=["train.epochs=1"])
    assert wrong.code == 2 and "takes settings of `update`" in wrong.err
    wrong = cli(*words, settings=["update.epoch=1"])
    assert wrong.code == 2 and "Did you mean 'epochs'" in wrong.err
    rows = read_rows(table)
    rows[3]["label"] = "bird"
    path = write_csv(table.parent / "birds.csv", rows)
    wrong = cli("update", run / "bundle", path, "-o", tmp_path / "new")
    assert wrong.code == 2 and "row 3 (line 5): 'bird'" in wrong.err and "train again" in wrong.err
    assert not (tmp_path / "new").exists()


def test_subsets_of_the_inputs(cli, table, run, tmp_path):
    path = write_csv(table.parent / "held.csv", [row for row in read_rows(table) if row["side"] == "test"])
    words = ("evaluate", run / "bundle", path, "--subsets")
    done = cli(*words, "--json", tmp_path / "figures.json", "--plot", tmp_path / "figures.svg")
    assert (done.code, done.err) == (0, "")
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["metrics"] == found["robustness"]["subsets"][0]["metrics"]
    plain = metrics_of(run / "bundle")["test"]
    assert found["metrics"]["accuracy"] == pytest.approx(plain["accuracy"])
    assert len(found["robustness"]["subsets"]) == 15 and len(found["robustness"]["masked"]) == 11
    for words in ("all inputs", "without photo", "inputs masked at random", "100%"):
        assert words in done.out
    picture = (tmp_path / "figures.svg").read_text()
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert "Hidden at random" in picture and "without photo" in picture and "#0a0b0" not in picture


def test_training_measures_subsets_too(run):
    found = metrics_of(run / "bundle")["subsets"]
    sizes = [len(line["inputs"]) for line in found["subsets"]]
    assert sizes == [4, 3, 3, 3, 3, 1, 1, 1, 1]
    assert found["subsets"][0]["metrics"]["accuracy"] == metrics_of(run / "bundle")["test"]["accuracy"]
    assert "Missing inputs" in (run / "report.html").read_text()


@pytest.mark.parametrize(("words", "reason"), [
    (["--plot", "x.svg"], "add --subsets"),
    (["--subsets", "--plot", "x.gif"], "an .svg file"),
    (["--subsets", "--plot", "no/where.svg"], "there is no folder no"),
])  # fmt: skip
def test_a_picture_that_cannot_be_drawn_is_refused_at_once(cli, table, run, words, reason):
    done = cli("evaluate", run / "bundle", table, *words)
    assert done.code == 2 and reason in done.err
