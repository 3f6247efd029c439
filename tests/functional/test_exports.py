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


@pytest.mark.parametrize("others", [[], ["1234", "77"]])
def test_codes_with_an_e_among_digits_are_no_numbers(tmp_path: Path, others: list[str]) -> None:
    codes = [*(f"{100 + 7 * row}E{row % 4 + 1}" for row in range(40)), *others]
    path = tmp_path / "t.csv"
    path.write_text(
        "sku,size,label\n" + "".join(f"{code},{row},{LABELS[row // 3 % 2]}\n" for row, code in enumerate(codes))
    )
    for table in (read_table(path), read_table({"sku": codes, "size": [*range(len(codes))]})):
        column = inspect(table, config=make({})).columns[0].column
        assert column.modality != "number"
        assert table.values("sku") == codes


@pytest.mark.parametrize("cells", [["1e3", "2E5", "3e10"], ["1.5E3", "20E4", "3.25E1"], ["1e-05", "12e-3", "9e+10"]])
def test_numbers_with_exponents_are_numbers(tmp_path: Path, cells: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{cells[row % 3]},{row * 0.1:.1f}\n" for row in range(30)))
    assert read_table(path).values("x")[:3] == [float(cell) for cell in cells]


@pytest.mark.parametrize(
    ("train", "test"),
    [("Training", "Testdaten"), ("entraînement", "test"), ("Entrenamiento", "Prueba"), ("Trainingsmenge", "Testmenge")],
)
def test_a_split_column_in_other_languages_is_the_split(tmp_path: Path, train: str, test: str) -> None:
    rows = "".join(f"{row * 0.37:.2f},{test if row % 4 == 0 else train},{LABELS[row // 3 % 2]}\n" for row in range(60))
    path = tmp_path / "t.csv"
    path.write_text(f"x,Menge,label\n{rows}", encoding="utf-8")
    found = {one.column.name: one.column.kind for one in inspect(path, config=make({"target": "label"})).columns}
    assert found["Menge"] == "split"


def test_points_beside_decimal_commas_are_in_doubt(tmp_path: Path) -> None:
    rows = "".join(f"{row},{10 + row};{row % 9 + 1}.{100 + 13 * row};{LABELS[row // 3 % 2]}\n" for row in range(60))
    (found,) = [
        one for one in findings(tmp_path / "t.csv", f"a;b;label\n{rows}") if "table.decimal=comma" in one.advice
    ]
    assert found.severity == "warning" and found.what.startswith("b:")
    settings = override(make({"target": "label"}), ["table.decimal=comma"])
    read = inspect(tmp_path / "t.csv", config=settings)
    assert not [one for one in read.findings if one.columns == ("b",)]
    assert not [
        one
        for one in findings(tmp_path / "u.csv", f"a;b;label\n{rows.replace('.', '.1')}")
        if "decimal" in one.advice and one.columns != ("a",)
    ]


def test_texts_in_a_wrong_encoding_are_named(tmp_path: Path) -> None:
    towns = ["MÃ¼nchen", "KÃ¶ln", "ZÃ¼rich", "Bern"]
    rows = "".join(f"{towns[row % 4]},{row * 0.37:.2f},{LABELS[row // 3 % 2]}\n" for row in range(60))
    (found,) = [one for one in findings(tmp_path / "t.csv", f"town,x,label\n{rows}") if "München" in one.what]
    assert (found.columns, found.count) == (("town",), 45)
    right = rows.replace("Ã¼", "ü").replace("Ã¶", "ö").replace("Bern", "São José")
    assert not [one for one in findings(tmp_path / "u.csv", f"town,x,label\n{right}") if "UTF-8" in one.what]
