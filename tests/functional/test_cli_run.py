"""The way of most users: train, predict, evaluate; and that a run repeats and a bundle travels."""

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from cli_tables import COLUMNS, SMALL, write_csv

from polymodal.config.run_config import read

INPUTS = [name for name in COLUMNS if name != "label"]


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def metrics_of(run):
    return json.loads((run / "bundle/metrics.json").read_text())


def test_train_leaves_a_run(run):
    names = {"run.yaml", "log.jsonl", "rejects.jsonl", "report.html", "bundle"}
    assert {path.name for path in run.iterdir()} == names
    assert (run / "rejects.jsonl").read_text() == ""
    phases = [(line["phase"], line["epoch"]) for line in read_lines(run / "log.jsonl")]
    best = metrics_of(run)["best_epoch"]
    assert phases == [("train", 1), ("train", 2), *(("refit", k) for k in range(1, max(1, round(best / 4)) + 1))]
    config = read(run / "run.yaml")
    assert (config.target, config.split.column, config.task.name) == ("label", "side", "classify")
    assert set(config.columns) == set(INPUTS)
    assert config.train.batch_size is not None  # what was chosen is written out


def test_metrics_have_the_promised_shape_and_rows_add_up(run):
    metrics = metrics_of(run)
    assert {"test", "validation", "baselines", "rows"} <= metrics.keys()
    for report in (metrics["test"], metrics["validation"], *(metrics["baselines"][k] for k in ("majority", "linear"))):
        interval = report["accuracy"]
        assert 0 <= interval["low"] <= interval["value"] <= interval["high"] <= 1
    rows = metrics["rows"]
    assert rows["test"] == 8
    assert rows["train"] + rows["validation"] + rows["test"] + rows["unlabelled"] + rows["dropped"] == 40


def test_what_train_prints(cli, table, tmp_path):
    done = cli("train", table, "--target", "label", "--split", "side", "-o", tmp_path / "run", settings=SMALL)
    assert (
        "model, test" in done.out
        and "majority" in done.out
        and "linear" in done.out
        and "gradient boosting" in done.out
    )
    accuracy = metrics_of(tmp_path / "run")["test"]["accuracy"]
    assert f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]" in done.out
    assert "Rows: 40 = 27 train + 5 validation + 8 test" in done.out
    assert "says which side of the split a row is on" in done.out  # why a column is left out
    assert f"polymodal predict {tmp_path}/run/bundle" in done.out


def test_the_written_configuration_repeats_the_run_to_the_same_numbers(cli, table, run, tmp_path):
    again = tmp_path / "again"
    assert cli("train", table, "-c", run / "run.yaml", "-o", again).code == 0
    for name in ("weights.safetensors", "metrics.json", "config.json"):
        assert (again / "bundle" / name).read_bytes() == (run / "bundle" / name).read_bytes(), name
    assert (again / "run.yaml").read_bytes() == (run / "run.yaml").read_bytes()


def test_another_seed_gives_another_model(cli, table, run, tmp_path):
    """Else the test above would prove nothing."""
    assert cli("train", table, "-c", run / "run.yaml", "--seed", "1", "-o", tmp_path / "run").code == 0
    weights = [(folder / "bundle/weights.safetensors").read_bytes() for folder in (run, tmp_path / "run")]
    assert weights[0] != weights[1]


def test_options_go_before_the_file_and_set_before_options(cli, table, run, tmp_path):
    words = ("-c", run / "run.yaml", "--seed", "3", "--drop", "note", "--set", "seed=4", "--set", "train.epochs=1")
    assert cli("train", table, *words, "-o", tmp_path / "run").code == 0
    config = read(tmp_path / "run/run.yaml")
    assert (config.seed, config.train.epochs, config.target) == (4, 1, "label")
    assert config.drop == ("note",)
    assert "note" not in config.columns


def test_decoded_media_are_kept_in_the_cache(cli, table, run, tmp_path):
    words = ("train", table, "-c", run / "run.yaml", "--cache", tmp_path / "cache", "--set", "train.epochs=1")
    assert cli(*words, "-o", tmp_path / "one").code == 0
    assert any(path.is_file() for path in (tmp_path / "cache").rglob("*"))
    assert cli(*words, "-o", tmp_path / "two").code == 0
    weights = [(tmp_path / name / "bundle/weights.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


def test_predict_writes_one_row_per_row_in_every_format(cli, table, run, tmp_path):
    columns = ["prediction", "p_cat", "p_dog", "status"]
    for name in ("out.csv", "out.parquet", "out.jsonl"):
        done = cli("predict", run / "bundle", table, "-o", tmp_path / name)
        assert (done.code, done.err) == (0, "")
        assert "40 rows (40 ok)" in done.out
    lines = read_lines(tmp_path / "out.jsonl")
    assert len(lines) == 40
    assert list(lines[0]) == columns
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == lines
    in_csv = read_csv(tmp_path / "out.csv")
    assert [{**row, "p_cat": float(row["p_cat"]), "p_dog": float(row["p_dog"])} for row in in_csv] == lines
    for line in lines:
        assert line["status"] == "ok"
        assert math.isclose(line["p_cat"] + line["p_dog"], 1)
        assert line["prediction"] == max(("cat", "dog"), key=lambda name: line[f"p_{name}"])


def test_predictions_keep_the_order_of_the_rows(cli, table, run, tmp_path):
    rows = read_csv(table)
    write_csv(table.parent / "reversed.csv", rows[::-1])
    cli("predict", run / "bundle", table, "-o", tmp_path / "forth.jsonl")
    cli("predict", run / "bundle", table.parent / "reversed.csv", "-o", tmp_path / "back.jsonl")
    forth, back = read_lines(tmp_path / "forth.jsonl"), read_lines(tmp_path / "back.jsonl")[::-1]
    assert [row["p_cat"] for row in forth] == pytest.approx([row["p_cat"] for row in back], abs=1e-5)


def test_a_new_process_predicts_the_same_bit_for_bit(cli, table, run, tmp_path):
    moved = shutil.copytree(run / "bundle", tmp_path / "elsewhere")
    assert cli("predict", run / "bundle", table, "-o", tmp_path / "here.csv").code == 0
    words = ["predict", str(moved), str(table), "-o", str(tmp_path / "there.csv")]
    done = subprocess.run(
        [sys.executable, "-m", "polymodal.cli.main", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # as many threads as here: their number changes sums
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


@pytest.mark.parametrize("gone", INPUTS)
def test_it_predicts_without_any_one_input(cli, table, run, tmp_path, gone):
    without = table.parent / f"without_{gone}.csv"
    write_csv(without, [{**row, gone: None} for row in read_csv(table)])
    assert cli("predict", run / "bundle", without, "-o", tmp_path / "out.jsonl").code == 0
    lines = read_lines(tmp_path / "out.jsonl")
    assert len(lines) == 40
    assert all(line["status"] == "ok" and math.isfinite(line["p_cat"]) for line in lines)


def test_without_all_inputs_it_gives_the_prior(cli, table, run, tmp_path):
    empty = table.parent / "empty.csv"
    write_csv(empty, [{**row, **dict.fromkeys(INPUTS)} for row in read_csv(table)])
    assert cli("predict", run / "bundle", empty, "-o", tmp_path / "out.jsonl").code == 0
    prior = json.loads((run / "bundle/schema.json").read_text())["target"]["statistics"]["prior"]
    for line in read_lines(tmp_path / "out.jsonl"):
        assert line["status"] == "prior: no input present"
        assert [line["p_cat"], line["p_dog"]] == pytest.approx(prior, abs=1e-6)


def test_evaluate_on_the_test_rows_gives_what_training_measured(cli, table, run, tmp_path):
    test_rows = [row for row in read_csv(table) if row["side"] == "test"]
    unlabelled, unknown = {**test_rows[0], "label": ""}, {**test_rows[0], "label": "bird"}
    path = write_csv(table.parent / "test.csv", [*test_rows, unlabelled, unknown])
    done = cli("evaluate", run / "bundle", path, "--json", tmp_path / "figures.json")
    assert (done.code, done.err) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())
    for name, interval in metrics_of(run)["test"].items():
        assert figures["metrics"][name] == pytest.approx(interval, abs=1e-5), name
    assert figures["rows"] == {"measured": 8, "unlabelled": 1, "unknown_class": 1}
    assert "Rows: 10 = 8 measured + 1 without a target + 1 of a class that training did not have" in done.out


def test_a_number_is_predicted_as_well(cli, table, tmp_path):
    words = ("--target", "size", "--split", "side", "--drop", "photo", "--drop", "sound")
    assert cli("train", table, *words, "-o", tmp_path / "run", settings=["train.epochs=1"]).code == 0
    assert {"r2", "rmse", "mae"} <= metrics_of(tmp_path / "run")["test"].keys()
    assert cli("predict", tmp_path / "run/bundle", table, "-o", tmp_path / "out.jsonl").code == 0
    assert all(list(line) == ["prediction", "status"] for line in read_lines(tmp_path / "out.jsonl"))


def test_an_older_run_is_replaced_only_when_asked(cli, table, run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    before = (folder / "bundle/weights.safetensors").read_bytes()
    words = ("train", table, "-c", run / "run.yaml", "--seed", "5", "--set", "train.epochs=1", "-o", folder)
    refused = cli(*words)
    assert refused.code == 2
    assert "older run" in refused.err and "--overwrite" in refused.err
    assert (folder / "bundle/weights.safetensors").read_bytes() == before
    assert cli(*words, "--overwrite").code == 0
    assert (folder / "bundle/weights.safetensors").read_bytes() != before
    assert {line["epoch"] for line in read_lines(folder / "log.jsonl")} == {1}


def test_inspect_says_what_columns_are(cli, table):
    done = cli("inspect", table, "--target", "label")
    assert done.code == 0
    for name, kind in {"photo": "image", "sound": "audio", "note": "text", "size": "number", "label": "target"}.items():
        assert any(line.split()[:2] == [name, kind] for line in done.out.splitlines()), name
    found = json.loads(cli("inspect", table, "--json").out)
    assert found["rows"] == 40
    assert {column["name"]: column["modality"] for column in found["columns"]}["sound"] == "audio"


def test_formats_of_tables_are_alike(cli, table, run, tmp_path):
    import pandas as pd

    frame = pd.read_csv(table)
    frame.to_parquet(table.parent / "same.parquet")
    frame.to_json(table.parent / "same.jsonl", orient="records", lines=True)
    for name in ("same.parquet", "same.jsonl"):
        assert cli("predict", run / "bundle", table.parent / name, "-o", tmp_path / f"{name[5:]}.csv").code == 0
    cli("predict", run / "bundle", table, "-o", tmp_path / "csv.csv")
    assert (tmp_path / "parquet.csv").read_bytes() == (tmp_path / "csv.csv").read_bytes()
    assert (tmp_path / "jsonl.csv").read_bytes() == (tmp_path / "csv.csv").read_bytes()


def test_ctrl_c_keeps_the_best_model(cli, table, run, tmp_path, monkeypatch):
    from polymodal.training.callbacks import JsonLog

    log = JsonLog.on_epoch

    def interrupt(self, record):
        log(self, record)
        if record.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(JsonLog, "on_epoch", interrupt)
    done = cli("train", table, "-c", run / "run.yaml", "--set", "train.epochs=9", "-o", tmp_path / "run")
    assert done.code == 130
    assert "Interrupted after 2 epochs" in done.out
    assert [line["phase"] for line in read_lines(tmp_path / "run/log.jsonl")] == ["train", "train"]
    monkeypatch.undo()
    assert cli("predict", tmp_path / "run/bundle", table, "-o", tmp_path / "out.csv").code == 0


def test_sigterm_ends_a_training_as_ctrl_c_does(cli, table, run, tmp_path, monkeypatch):
    from polymodal.training.callbacks import JsonLog

    monkeypatch.setattr(JsonLog, "on_epoch", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    done = cli("train", table, "-c", run / "run.yaml", "--set", "train.epochs=9", "-o", tmp_path / "run")
    assert done.code == 130
    assert "Interrupted after 1 epoch" in done.out
    assert (tmp_path / "run/bundle/manifest.json").is_file()
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_before_anything_was_learned_saves_nothing(cli, table, run, tmp_path, monkeypatch):
    from polymodal.training.loop import Loop

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Loop, "advance", interrupt)
    done = cli("train", table, "-c", run / "run.yaml", "-o", tmp_path / "run")
    assert done.code == 130
    assert not (tmp_path / "run/bundle").exists()
