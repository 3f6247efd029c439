"""`polymodal inspect` says what is wrong with a table; `train` tells of leaks, and cleans where it is asked to."""

import io
import json
import re
import sys

import pytest
from cli_tables import SMALL, make_rows, write_csv

from polymodal.cli import main


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """60 rows, every fifth for test: a leak, a copy across the split, a broken picture, a number far off, a gap."""
    folder = tmp_path_factory.mktemp("spoilt")
    rows = [{**row, "side": "train" if k % 5 else "test"} for k, row in enumerate(make_rows(folder, 60))]
    for number, row in enumerate(rows):
        row["leak"] = f"{row['label']}/{number % 7}"
    rows[10] |= {name: rows[12][name] for name in rows[0] if name != "side"}
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:40])
    rows[21]["size"], rows[22]["size"] = 1e7, None
    return write_csv(folder / "table.csv", rows)


def test_inspect_names_leaks_copies_and_broken_cells(cli, spoilt):
    done = cli("inspect", spoilt, "--target", "label", "--split", "side", "--json")
    assert (done.code, done.err) == (0, "")
    found = {(f["check"], *f["columns"]): f for f in json.loads(done.out)["findings"]}
    assert found["target_leakage", "leak"]["severity"] == "error"
    assert found["duplicates",]["rows"] in ([10], [12])
    assert found["unreadable", "photo"]["rows"] == [3]
    assert found["outliers", "size"]["rows"] == [21]


def test_inspect_prints_findings_after_the_columns(cli, spoilt):
    lines = cli("inspect", spoilt, "--target", "label", "--split", "side").out.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("Findings: 2 errors"))
    assert lines[start + 1].startswith("  error    leak: alone predicts label")
    assert all(len(line) <= 120 for line in lines[start:])


def test_inspect_without_media_does_not_decode(cli, spoilt):
    done = cli("inspect", spoilt, "--target", "label", "--no-media", "--json")
    assert "unreadable" not in {f["check"] for f in json.loads(done.out)["findings"]}


def test_a_dropped_column_and_groups_are_heard(cli, spoilt):
    done = cli("inspect", spoilt, "--target", "label", "--drop", "leak", "--group", "colour", "--no-media", "--json")
    assert "target_leakage" not in {f["check"] for f in json.loads(done.out)["findings"]}
    kinds = {column["name"]: column["kind"] for column in json.loads(done.out)["columns"]}
    assert (kinds["leak"], kinds["colour"]) == ("dropped", "group")


def test_train_tells_of_leaks_and_writes_down_what_it_cleans(cli, spoilt, tmp_path):
    left_out = [word for name in ("photo", "sound", "note") for word in ("--drop", name)]
    words = ["train", spoilt, "--target", "label", "--split", "side", *left_out]
    done = cli(*words, "-o", tmp_path / "run", settings=SMALL)
    assert done.code == 0
    assert done.out.startswith("Warning: leak alone predicts label in 100.0 % of rows")
    assert "1 test row equal to" in done.out
    assert not (tmp_path / "run/clean.jsonl").exists()
    cleaning = ["clean={duplicates: drop, missing: median, outliers: clip}"]
    done = cli(*words, "--drop", "leak", "-o", tmp_path / "run", "--overwrite", settings=[*SMALL, *cleaning])
    assert "leak alone" not in done.out
    assert "1 test row" not in done.out
    assert "1 dropped by clean" in done.out
    lines = [json.loads(line) for line in (tmp_path / "run/clean.jsonl").read_text().splitlines()]
    assert [(line["row"], line["column"], line["action"]) for line in lines] == [
        (12, None, "drop"), (21, "size", "clip"), (22, "size", "fill"),
    ]  # fmt: skip
    assert lines[1]["old"] == 1e7
    done = cli(*words, "--drop", "leak", "-o", tmp_path / "run", "--overwrite", settings=SMALL)
    assert not (tmp_path / "run/clean.jsonl").exists()  # it would be of the older run


def test_names_of_files_are_no_words_that_drift(cli, tmp_path):
    """Each picture stands in six rows, and the test rows show other pictures."""
    files = make_rows(tmp_path, 40)
    rows = [
        {
            "photo": files[k % 20 + 20 * (k >= 120)]["photo"],
            "size": k * 37 % 160 / 7,
            "side": "train" if k < 120 else "test",
        }
        for k in range(160)
    ]
    for words in ([], ["--no-media"]):
        done = cli("inspect", write_csv(tmp_path / "table.csv", rows), "--split", "side", "--json", *words)
        assert [f["what"] for f in json.loads(done.out)["findings"] if "photo" in f["columns"]] == []


@pytest.mark.parametrize("width", [60, 100])
def test_inspect_fits_the_terminal(monkeypatch, spoilt, width):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    assert main.main(["inspect", str(spoilt), "--target", "label", "--split", "side", "--no-media"]) == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).splitlines()
    assert "alone predicts label" in " ".join(" ".join(lines).split())
    assert max(map(len, lines[1:])) <= width


@pytest.mark.parametrize("setting", ["fusion.wdith=3", "encoders.table.wdith=3", "nosuch=1"])
def test_settings_that_a_training_would_refuse_are_refused(cli, table, setting):
    words = ("inspect", table, "--target", "label", "--no-media", "--drop", "photo", "--drop", "sound")
    refused = cli(*words, "--set", setting)
    assert (refused.code, refused.out, refused.err[:7]) == (2, "", "Error: ")
    done = cli(*words, "--set", "stage=late", "--json")
    assert (done.code, "not tested" in done.out) == (0, False)
