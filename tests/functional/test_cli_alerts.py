"""What a newcomer must hear stands at the top: in the terminal, in the report and in the figures of the bundle."""

import json

import numpy as np
import pytest
from cli_tables import write_csv
from PIL import Image

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


def test_pictures_on_both_sides_of_the_split_are_counted(cli, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(50):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "again.png").write_bytes((tmp_path / "0.png").read_bytes())  # another name, the same picture
    rows = [
        {"photo": f"{n}.png", "size": n % 7 + n / 64, "label": "ab"[n % 2], "part": "train" if n < 40 else "test"}
        for n in range(50)
    ]
    for row, name in zip(rows[-4:], ("again.png", "1.png", "2.png", "3.png"), strict=True):
        row["photo"] = name
    done = cli("train", write_csv(tmp_path / "t.csv", rows), "--target", "label", "-o", tmp_path / "r", settings=QUICK)
    assert done.code == 0
    alerts = json.loads((tmp_path / "r/bundle/metrics.json").read_text())["alerts"]
    (found,) = [alert for alert in alerts if alert["kind"] == "duplicates"]
    assert found["columns"] == ["photo"]
    assert "4 of 10 test rows" in found["text"]
    assert found["text"] in done.out
