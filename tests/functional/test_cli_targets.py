"""What the command line predicts beside one class or number: several columns, labels, classes in an order."""

from __future__ import annotations

import csv

import numpy as np
import pytest

SETTINGS = ["encoders.table.width=4", "fusion={name: concat, width: 4}", "train.epochs=1", "train.final=best"]
SIZE = np.random.default_rng(0).normal(size=60)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("targets") / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "weight", "height", "tags", "grade"])
        for row, x in enumerate(SIZE):
            tags = "|".join(["big"] * int(x > 0) + ["odd"] * (row % 2)) or "|"
            writer.writerow([x, 3 * x + 1.5, "" if row == 3 else 1000 * x, tags, ["low", "high"][int(x > 0)]])
    return path


def train_and_predict(cli, table, folder, *words, target, drop=()):
    drops = [word for name in drop for word in ("--drop", name)]
    targets = [word for name in target for word in ("--target", name)]
    done = cli("train", table, *targets, *drops, *words, "-o", folder / "run", settings=SETTINGS)
    assert (done.code, done.err) == (0, "")
    measured = cli("evaluate", folder / "run/bundle", table)
    assert measured.code == 0, measured.err
    assert cli("predict", folder / "run/bundle", table, "-o", folder / "out.csv").code == 0
    with (folder / "out.csv").open(newline="") as file:
        return measured.out, list(csv.DictReader(file))


def test_several_targets(cli, table, tmp_path):
    figures, rows = train_and_predict(
        cli, table, tmp_path, target=["weight", "height"], drop=["tags", "grade"]
    )  # fmt: skip
    assert list(rows[0]) == ["prediction_weight", "prediction_height", "status"]
    assert len(rows) == 60
    assert "rmse_height" in figures and "60 measured + 0 without a target" in figures


def test_labels(cli, table, tmp_path):
    figures, rows = train_and_predict(cli, table, tmp_path, target=["tags"], drop=["weight", "height", "grade"])
    assert list(rows[0]) == ["prediction", "p_big", "p_odd", "status"]
    assert "macro_average_precision" in figures and "60 measured + 0 without a target" in figures


def test_an_order(cli, table, tmp_path):
    task = ("--set", "task={name: ordinal, order: [low, high]}")
    figures, rows = train_and_predict(
        cli, table, tmp_path, *task, target=["grade"], drop=["weight", "height", "tags"]
    )  # fmt: skip
    assert list(rows[0]) == ["prediction", "p_low", "p_high", "status"]
    assert "quadratic_weighted_kappa" in figures


def test_cells_of_the_target_are_counted_apart_from_those_of_inputs(cli, tmp_path):
    rows = [f"{'bad' if row == 3 else row * 1.3},{'n.d.' if row in (5, 9) else row * 1.5 + 0.25}" for row in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y", *rows]))
    done = cli("train", tmp_path / "t.csv", "--target", "y", "--set", "train.epochs=1", "--output", tmp_path / "run")
    (line,) = [line for line in done.out.splitlines() if line.startswith("Rejects")]
    assert "1 cell could not be read, counted as missing" in line
    assert "2 cells could not be read, of the target" in line
    assert "2 with an unreadable target" in done.out
    assert "2 of the target" in (tmp_path / "run/report.html").read_text(encoding="utf-8")
