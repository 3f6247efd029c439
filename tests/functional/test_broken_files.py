"""Hundreds of broken files between good ones: each is named or read, and nothing else suffers."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import broken_files
import pytest

MEMORY = 200e6  # bytes above what the program takes before it reads the first file


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """A table in which every second row is good, what came of it, and what the program said besides."""
    folder = tmp_path_factory.mktemp("broken")
    goods = broken_files.good_files()
    columns = list(dict.fromkeys(good.column for good in goods))
    broken = broken_files.broken_files(goods)
    rows = []
    for number, file in enumerate(broken):
        good = goods[number % len(goods)]
        for name, column, content, what in (
            (f"b{number} {file.name}", file.column, file.content, file.outcome),
            (f"g{number}.{good.ending}", good.column, good.content, "read"),
        ):
            (folder / name).write_bytes(content)
            rows.append({**dict.fromkeys(columns, ""), column: name, "what": what})
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = subprocess.run(
        [sys.executable, Path(broken_files.__file__), folder / "t.csv"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return folder, rows, columns, json.loads(done.stdout), done.stderr


def test_there_are_at_least_300(outcome):
    _, rows, *_ = outcome
    assert len([row for row in rows if row["what"] != "read"]) >= 300


def test_every_broken_file_is_a_reject_that_names_file_row_and_column(outcome):
    folder, rows, columns, found, _ = outcome
    rejected = {(row, column): (file, reason) for row, column, file, reason in found["rejects"]}
    wrong = []
    for number, row in enumerate(rows):
        (column,) = (column for column in columns if row[column])
        if (number, column) in rejected:
            file, reason = rejected[number, column]
            assert file == str(folder / row[column])
            assert reason and "0x" not in reason and str(folder) not in reason
            if row["what"] == "read":
                wrong.append(f"{row[column]}: rejected: {reason}")
        elif row["what"] == "reject":
            wrong.append(f"{row[column]}: was read")
    assert not wrong, "\n".join(wrong)


def test_kept_and_rejected_make_the_rows(outcome):
    _, rows, columns, found, _ = outcome
    for column in columns:
        expected = [number for number, row in enumerate(rows) if row[column]]
        rejected = [row for row, of, *_ in found["rejects"] if of == column]
        assert sorted(found["kept"][column] + rejected) == expected


def test_no_file_takes_long_or_much_memory_and_nothing_warns(outcome):
    _, _, _, found, words = outcome
    assert found["slowest"] < broken_files.SECONDS
    assert found["memory"] < MEMORY
    assert ".py" not in words  # Python's warnings; some C libraries speak up themselves
