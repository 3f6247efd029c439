"""`evaluate` and `update` know the rows that a model learned from, and say so."""

import json

import numpy as np
import pytest
from cli_tables import SMALL, make_rows, write_csv

QUICK = [*SMALL, "train.epochs=1", "train.final=best", "train.ensemble={members: []}"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    return folder, [{**row, "side": "train" if k % 5 else "test"} for k, row in enumerate(make_rows(folder, 60))]


@pytest.fixture(scope="module")
def run(cli, rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    table = write_csv(rows[0] / "table.csv", rows[1])
    assert cli("train", table, "--target", "label", "--split", "side", "-o", folder, settings=QUICK).code == 0
    return folder


def evaluated(cli, run, table, tmp_path, *words):
    done = cli("evaluate", run / "bundle", table, "--json", tmp_path / "figures.json", *words)
    assert done.code == 0
    return done, json.loads((tmp_path / "figures.json").read_text())


def test_rows_of_the_training_are_told_and_the_others_shown_apart(cli, rows, run, tmp_path):
    done, figures = evaluated(cli, run, rows[0] / "table.csv", tmp_path, "--subsets")
    assert figures["seen"] == 48
    assert figures["metrics_not_seen"]["accuracy"]["value"] == pytest.approx(
        json.loads((run / "bundle/metrics.json").read_text())["test"]["accuracy"]["value"]
    )
    assert done.out.startswith("Warning: the model learned from 48 of 60 rows")
    assert "rows not seen" in done.out


def test_new_rows_are_measured_without_a_word(cli, rows, run, tmp_path):
    table = write_csv(rows[0] / "test.csv", [row for row in rows[1] if row["side"] == "test"])
    done, figures = evaluated(cli, run, table, tmp_path)
    assert figures["seen"] == 0
    assert "Warning" not in done.out and "rows not seen" not in done.out


def test_a_row_is_known_in_another_format_and_place_but_not_with_another_answer(cli, rows, run, tmp_path):
    import shutil

    import polars

    train = [dict(row) for row in rows[1] if row["side"] == "train"][:20]
    for number, row in enumerate(train):
        for name in ("photo", "sound"):
            there = tmp_path / f"{number}_{name}{row[name][-4:]}"
            shutil.copy(rows[0] / row[name], there)
            row[name] = there.name
    for row in train[:5]:
        row["label"] = {"cat": "dog", "dog": "cat"}[row["label"]]
    polars.DataFrame(train).write_parquet(tmp_path / "moved.parquet")
    _, figures = evaluated(cli, run, tmp_path / "moved.parquet", tmp_path)
    assert figures["seen"] == 15


def test_row_hashes_can_be_left_out(cli, rows, tmp_path):
    words = ["train", rows[0] / "table.csv", "--target", "label", "--split", "side", "-o", tmp_path / "run"]
    assert cli(*words, settings=[*QUICK, "bundle.row_hashes=false"]).code == 0
    assert not (tmp_path / "run/bundle/row_hashes").exists()
    done, figures = evaluated(cli, tmp_path / "run", rows[0] / "table.csv", tmp_path)
    assert (figures["seen"], "Warning" in done.out) == (0, False)


def test_two_runs_have_different_keys(cli, rows, run, tmp_path):
    words = ["train", rows[0] / "table.csv", "-c", run / "run.yaml", "-o", tmp_path / "run"]
    assert cli(*words).code == 0
    hashes = [(folder / "bundle/row_hashes/rows.safetensors").read_bytes() for folder in (run, tmp_path / "run")]
    assert hashes[0] != hashes[1]
    assert all(len(one) == len(hashes[0]) for one in hashes)


def test_update_names_rows_that_the_model_has_seen(cli, rows, run, tmp_path):
    rng = np.random.default_rng(1)
    new = [{**row, "size": round(float(rng.normal()), 3)} for row in rows[1][:20]]
    new[7] = rows[1][7]  # a training row
    table = write_csv(rows[0] / "new.csv", new)
    settings = ["update.epochs=1", "update.holdout=0"]
    done = cli("update", run / "bundle", table, "-o", tmp_path / "next", settings=settings)
    assert done.code == 0
    assert "learned before from 1 of the 20 new rows (rows 7)" in done.out
    done = cli("update", tmp_path / "next", table, "-o", tmp_path / "third", settings=settings)
    assert f"learned before from {sum(row['side'] == 'train' for row in new)} of the 20 new rows" in done.out


@pytest.mark.parametrize(
    ("cells", "unreadable"),
    [
        ([f"{row},{row % 10}5" for row in range(40)], 0),
        (["n.d." if row == 7 else f"${1000 + row:,}" for row in range(40)], 1),
    ],
    ids=["decimal comma", "money and a word"],
)
def test_a_target_is_read_as_in_training(cli, tmp_path, cells, unreadable):
    rows = [{"size": row + 0.5, "y": cell} for row, cell in enumerate(cells)]
    table = write_csv(tmp_path / "table.csv", rows)
    assert cli("train", table, "--target", "y", "-o", tmp_path / "run", settings=QUICK).code == 0
    _, figures = evaluated(cli, tmp_path / "run", table, tmp_path)
    assert figures["rows"]["measured"] == 40 - unreadable
    assert figures["rows"].get("unreadable_target", 0) == unreadable
    assert figures["seen"] > 20
