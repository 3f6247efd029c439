"""`polymodal compare` and `polymodal cross-validate`, as a user runs them."""

from __future__ import annotations

import json

import pytest
from cli_tables import SMALL

FEW = ["--no-singles", "--no-ablations", "--folds", "2"]


@pytest.fixture(scope="module")
def compared(cli, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    (folder / "slow.yaml").write_text("train: {batch_size: 8}\n")
    done = cli(
        *("compare", table, "--target", "label", "--split", "side", "--drop", "photo", "--drop", "sound"),
        *("--folds", "2", "--fusion", "sum", "--fusion", "concat", "--entry", f"slow={folder / 'slow.yaml'}"),
        *("-o", folder / "out"),
        settings=SMALL,
    )
    assert done.code == 0, done.err
    return done, folder / "out"


def test_the_table_and_the_verdict_are_printed(compared):
    done, _ = compared
    lines = done.out.splitlines()
    assert [line.split("  ")[0] for line in lines[:10]] == [
        *("entry", "majority", "linear", "gradient boosting", "concat", "note only", "table only", "sum", "slow", ""),
    ]
    assert lines[10].startswith("32 rows, 2 folds, in ")
    assert "8 test rows of the column 'side' are left alone: the folds divide the others." in lines
    assert any(line.startswith("Fusing ") for line in lines)
    assert "concat: 2 of 2 trainings" in done.err


def test_figures_and_a_picture_are_left_in_the_folder(compared, cli, table):
    _, folder = compared
    found = json.loads((folder / "comparison.json").read_text())
    assert [entry["name"] for entry in found["entries"]][-2:] == ["sum", "slow"]
    assert found["entries"][-1]["config"]["train"]["batch_size"] == 8
    assert found["reference"] == "concat" and found["ended"] == "complete"
    picture = (folder / "comparison.svg").read_text()
    assert picture.startswith("<?xml") and all(entry["name"] in picture for entry in found["entries"])
    again = cli("compare", table, "--target", "label", "-o", folder)
    assert again.code == 2 and "holds an older comparison" in again.err


def test_other_folders_are_not_written_to(cli, table, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    done = cli("compare", table, "--target", "label", "-o", tmp_path, "--overwrite")
    assert done.code == 2 and "holds files that no comparison wrote, such as letter.txt" in done.err


def test_a_comparison_without_a_drawing_library_says_so(cli, table, tmp_path, monkeypatch):
    from polymodal.comparison import files
    from polymodal.errors import MissingExtraError

    def absent(*_, **__):
        raise MissingExtraError("matplotlib", "plots", "a picture")

    monkeypatch.setattr(files, "draw", absent)
    words = ("--target", "label", "--drop", "photo", "--drop", "sound", "--drop", "side", *FEW)
    done = cli("compare", table, *words, "-o", tmp_path / "out", settings=SMALL)
    assert done.code == 0, done.err
    assert "No picture: it needs pip install 'polymodal[plots]'." in done.out
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["comparison.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fusion", "gatd"], "No fusion is called 'gatd'. Did you mean 'gated'?"),
        (["--entry", "mine"], "--entry takes NAME=FILE"),
        (["--entry", "mine=absent.yaml"], "Cannot read the configuration absent.yaml"),
        (["--budget", "soon"], "'soon' is no time"),
        (["--folds", "30"], "30 folds need 30 rows of every class, but"),
        (["--group", "side", "--folds", "3"], "2 different groups in 'side' cannot be divided into 3 folds"),
    ],
)
def test_wrong_words_are_told_at_once(cli, table, words, said):
    done = cli("compare", table, "--target", "label", *words)
    assert done.code == 2
    assert said in done.err


def test_ctrl_c_shows_what_there_is(cli, table, monkeypatch):
    import polymodal.cli.compare as command

    def interrupt(text):
        if text.startswith("sum: 1 of 2"):
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "complain", interrupt)
    words = ("--target", "label", "--drop", "photo", "--drop", "sound", "--drop", "side", *FEW)
    done = cli("compare", table, *words, "--fusion", "concat", "--fusion", "sum", settings=SMALL)
    assert done.code == 130
    assert "Interrupted. What follows is of what was done by then." in done.out
    assert "sum stopped: after 1 of 2 trainings" in " ".join(done.out.split())


def test_cross_validation_prints_every_training(cli, table, tmp_path):
    words = ("--target", "label", "--split", "side", "--drop", "photo", "--drop", "sound", "--folds", "2")
    done = cli("cross-validate", table, *words, "--json", tmp_path / "out.json", settings=SMALL)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split() == ["metric", "mean", "spread", "each", "training"]
    assert "32 rows measured, in" in done.out
    found = json.loads((tmp_path / "out.json").read_text())
    accuracy = found["metrics"]["accuracy"]
    assert len(accuracy["folds"]) == 2 and accuracy["low"] <= accuracy["value"] <= accuracy["high"]
