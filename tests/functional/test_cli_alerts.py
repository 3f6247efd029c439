"""What a newcomer must hear stands at the top: in the terminal, in the report and in the figures of the bundle."""

import json
import re

import numpy as np
import pytest
from cli_tables import write_csv
from PIL import Image

import polymodal as pm

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


def test_inspect_says_it_in_the_same_words(cli, leaking, run):
    found = json.loads(cli("inspect", leaking, "--target", "label", "--group", "person", "--json").out)["findings"]
    (leak,) = [finding for finding in found if finding["check"] == "target_leakage"]
    (alert,) = json.loads((run[0] / "bundle/metrics.json").read_text())["alerts"]
    said = re.sub(r"[0-9]+\.[0-9]", "", f"code {leak['what']} {leak['advice']}")  # of other held-out rows
    assert said == re.sub(r"[0-9]+\.[0-9]", "", alert["text"])


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


ODD_COLUMNS = {
    "near to numbers": [f"{row * 1.25}" if row % 3 else ("lots", "more", "few")[row % 4 % 3] for row in range(60)],
    "units": [f"{row + 1} kg" if row % 2 else f"{row + 1} cm" for row in range(60)],
    "a total": [*(f"{row * 1.25}" for row in range(59)), "Total"],
    "absent pictures": [f"pictures/{row}.png" for row in range(60)],
}  # fmt: skip


@pytest.mark.parametrize("case", ODD_COLUMNS)
def test_what_inspect_warns_of_columns_is_told_by_a_run(cli, tmp_path, case):
    rows = [{"it": cell, "z": row / 7, "label": "ab"[row % 2]} for row, cell in enumerate(ODD_COLUMNS[case])]
    table = write_csv(tmp_path / "table.csv", rows)
    done = cli("train", table, "--target", "label", "-o", tmp_path / "run", settings=QUICK)
    kind = {"absent pictures": "unread_media", "a total": "summary_rows"}.get(case, "writing")
    told = json.loads((tmp_path / "run/bundle/metrics.json").read_text())["alerts"]
    (alert,) = [one for one in told if one["kind"] == kind]
    assert alert["columns"] == ["it"]
    assert f"Warning: {alert['text']}" in done.out
    found = json.loads(cli("inspect", table, "--target", "label", "--json").out)["findings"]
    assert ("warning", ["it"]) in [(one["severity"], one["columns"]) for one in found if one["check"] == kind]
    model = pm.Classifier(epochs=1).fit(table, y="label")
    assert any("it" in told and ("left out" in told or "number" in told or "sum" in told) for told in model.warnings_)


def test_a_column_that_is_said_to_be_text_is_not_doubted(cli, tmp_path):
    rows = [{"it": cell, "z": row / 7, "label": "ab"[row % 2]} for row, cell in enumerate(ODD_COLUMNS["units"])]
    table = write_csv(tmp_path / "table.csv", rows)
    settings = [*QUICK, "columns.it.modality=text"]
    assert cli("train", table, "--target", "label", "-o", tmp_path / "run", settings=settings).code == 0
    told = json.loads((tmp_path / "run/bundle/metrics.json").read_text())["alerts"]
    assert not [one for one in told if one["kind"] == "writing"]
