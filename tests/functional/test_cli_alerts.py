"""What a newcomer must hear stands at the top: in the terminal, in the report and in the figures of the bundle."""

import json

import numpy as np
import pytest
from cli_tables import write_csv

QUICK = ["train.epochs=1", "train.final=best", "train.ensemble={members: []}"]


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    """150 rows of 15 people; the code of a row is its label."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(150):
        label = str(rng.choice(["cat", "dog"]))
        code = {"cat": 3, "dog": 8}[label] + round(float(rng.normal(0, 0.1)), 3)
        person = f"p{rng.integers(15)}"
        rows.append({"size": round(float(rng.normal()), 3), "code": code, "person": person, "label": label})
    return write_csv(tmp_path_factory.mktemp("leaking") / "table.csv", rows)


@pytest.fixture(scope="module")
def run(cli, leaking, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = cli("train", leaking, "--target", "label", "--group", "person", "-o", folder, settings=QUICK)
    assert done.code == 0
    return folder, done


def test_a_leak_is_the_first_line(run):
    folder, done = run
    assert done.out.startswith("Warning: code alone predicts label in 100.0 % of rows")
    assert done.out.count("code alone predicts") == 1
    (alert,) = json.loads((folder / "bundle/metrics.json").read_text())["alerts"]
    assert (alert["kind"], alert["columns"]) == ("target_leakage", ["code"])


def test_the_report_has_it_before_its_sections(run):
    page = (run[0] / "report.html").read_text()
    assert 0 < page.index("code alone predicts label") < page.index("<section")


def test_the_verdict_and_the_time_are_printed(run):
    folder, done = run
    verdict = json.loads((folder / "bundle/metrics.json").read_text())["verdict"]
    assert verdict["decision"] in ("better", "worse", "same")
    assert "best baseline" in done.out
    assert "CPU time" in done.out
    assert "CPU time" in (folder / "report.html").read_text()


def test_rows_of_a_group_stay_together(run):
    columns = run[1].out.splitlines()
    assert any(line.startswith("person ") and "the group by which rows are split" in line for line in columns)


def test_one_line_an_epoch_where_nobody_watches(cli, leaking, tmp_path):
    settings = ["train.epochs=2", "train.ensemble={members: []}"]
    done = cli("train", leaking, "--target", "label", "-o", tmp_path / "run", settings=settings)
    titles = [line.partition("  loss")[0] for line in done.progress]
    assert titles[:2] == ["1/2 search  epoch 1/2", "1/2 search  epoch 2/2"]
    assert titles[2].startswith("2/2 refit  epoch 1/")
    assert all(line.endswith(" left") for line in done.progress)
