"""Tables as databases, laboratories, maps and programs export them: what is not read is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymodal.config.run_config import make, override
from polymodal.data.tables.table import read_table
from polymodal.pipeline.inspection import inspect

LABELS = ["a", "b"]


def findings(path: Path, text: str, *settings: str) -> list:
    path.write_text(text, encoding="utf-8")
    return list(inspect(path, config=override(make({"target": "label"}), list(settings))).findings)


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ("{0}.5 K€", "money"),
        ("N 46.{0}", "angles"),
        ('43°{0}\'14""N', "angles"),
        ("{0}.2 ± 0.8", "error"),
        ("<PIL.PngImagePlugin.PngImageFile image mode=RGB size=24x24 at 0x7F{0}A>", "Python objects"),
        ("[[[  {0} 244 221]\n  [ 51 7 7]]]", "arrays"),
    ],
)
def test_columns_that_stay_words_are_named(tmp_path: Path, cell: str, word: str) -> None:
    rows = "".join(f'"{cell.format(row + 10)}",{LABELS[row // 3 % 2]}\n' for row in range(60))
    found = [one for one in findings(tmp_path / "t.csv", f"it,label\n{rows}") if one.columns == ("it",)]
    assert any(word in one.what for one in found)


@pytest.mark.parametrize(
    "name", ["N95 masks {0}", "5 ± maybe {0}", "size [{0}]", "<b>bold {0}</b> words", "{0} K of something"]
)
def test_ordinary_texts_are_not(tmp_path: Path, name: str) -> None:
    rows = "".join(f"{name.format(row)} and more of it,{LABELS[row // 3 % 2]}\n" for row in range(60))
    assert not [one for one in findings(tmp_path / "t.csv", f"it,label\n{rows}") if one.check == "writing"]


@pytest.mark.parametrize(
    ("classes", "word"),
    [
        (["in progress", "in-progress", "in_progress", "done"], "in_progress"),
        (["01", "1", "02", "2"], "'01'"),
        (["00", "0", "1"], "'00'"),
    ],
)
def test_classes_in_several_spellings_are_named(tmp_path: Path, classes: list[str], word: str) -> None:
    rows = "".join(f"{row * 0.37:.2f},{classes[row % len(classes)]}\n" for row in range(60))
    found = findings(tmp_path / "t.csv", f"x,label\n{rows}")
    assert any(word in one.what and "differ" in one.what for one in found)


def test_other_classes_are_not(tmp_path: Path) -> None:
    rows = "".join(f"{row * 0.37:.2f},{['A-1', 'A1', 'B-1', 'a+'][row % 4]}\n" for row in range(60))
    assert not [one for one in findings(tmp_path / "t.csv", f"x,label\n{rows}") if "differ" in one.what]


@pytest.mark.parametrize("settings", [[], ["table.escape=backslash"]])
def test_what_databases_write_for_missing_is_missing(tmp_path: Path, settings: list[str]) -> None:
    null = "\\N"
    lines = [
        f"{row * 0.37:.2f}\t{['Rome', null, null][row % 3]}\t{['paid', 'open', null][row % 3]}" for row in range(60)
    ]
    (tmp_path / "t.tsv").write_text("x\tcity\tlabel\n" + "\n".join(lines) + "\n")
    config = override(make({"target": "label"}), settings)
    table = read_table(tmp_path / "t.tsv", text=config.table)
    assert list(table.cells("city")) == ["Rome", None, None] * 20
    assert list(table.cells("label")) == ["paid", "open", None] * 20


def test_words_for_missing_cells_among_categories_are_named(tmp_path: Path) -> None:
    rows = "".join(f"{['x', 'y', 'z', '(null)'][row % 4]},{LABELS[row // 3 % 2]}\n" for row in range(60))
    found = findings(tmp_path / "t.csv", f"it,label\n{rows}")
    assert any(one.columns == ("it",) and "(null)" in one.what for one in found)
