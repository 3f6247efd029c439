"""Tables of other formats and encodings go all the way: train, evaluate, predict."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
from cli_tables import SMALL, make_rows

SETTINGS = [*SMALL, "table.encoding=cp1252", "table.decimal=comma"]
LEFT = ("--drop", "sound", "--drop", "photo")


def write_old(path, rows):
    """As a spreadsheet of Western Europe does."""
    lines = [";".join(rows[0])]
    for row in rows:
        cells = {
            **row,
            "size": str(row["size"]).replace(".", ","),
            "label": {"cat": "Kätzchen"}.get(row["label"], "Hund"),
        }
        lines.append(";".join(map(str, cells.values())))
    path.write_text("\r\n".join(lines) + "\r\n", encoding="cp1252")
    return path


def test_the_settings_of_training_reach_evaluate_and_predict(cli, tmp_path):
    path = write_old(tmp_path / "old.csv", make_rows(tmp_path, 24))
    done = cli("train", path, "--target", "label", *LEFT, "-o", tmp_path / "run", settings=SETTINGS)
    assert (done.code, done.err) == (0, "")
    schema = json.loads((tmp_path / "run/bundle/schema.json").read_text(encoding="utf-8"))
    assert {column["name"]: column["modality"] for column in schema["columns"]}["size"] == "number"
    assert cli("evaluate", tmp_path / "run/bundle", path).code == 0
    assert cli("predict", tmp_path / "run/bundle", path, "-o", tmp_path / "out.jsonl").code == 0
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 24
    assert {"p_Kätzchen", "p_Hund"} <= json.loads(lines[0]).keys()


def test_without_the_setting_the_error_says_what_to_set(cli, tmp_path):
    path = write_old(tmp_path / "old.csv", make_rows(tmp_path, 4))
    for words in (("inspect", path), ("train", path, "--target", "label", "-o", tmp_path / "run")):
        done = cli(*words)
        assert (done.code, done.out) == (2, "")
        assert "old.csv, line 2" in done.err and "table.encoding=cp1252" in done.err
    assert cli("inspect", path, "--set", "table.encoding=cp1252").code == 0


def test_media_beside_the_files_of_a_folder(cli, tmp_path):
    folder = tmp_path / "data"
    rows = make_rows(folder, 24)
    for side, some in (("train", rows[:18]), ("test", rows[18:])):
        (folder / f"side={side}").mkdir()
        pq.write_table(pa.Table.from_pylist(some), folder / f"side={side}" / "part.parquet")
    words = ("--target", "label", "--split", "side", "--drop", "sound", "--drop", "note")
    done = cli("train", folder, *words, "-o", tmp_path / "run", settings=SMALL)
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "run/rejects.jsonl").read_bytes() == b""
    counts = json.loads((tmp_path / "run/bundle/metrics.json").read_text())["rows"]
    assert counts["test"] == 6
    assert counts["train"] + counts["validation"] == 18
