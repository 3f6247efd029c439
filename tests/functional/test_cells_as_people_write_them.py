"""What a column is, most of its cells decide: alike for CSV, JSON lines, Parquet and data frames."""

import json

import pandas as pd
import pytest

import polymodal as pm
from polymodal.bundles.bundle import load, save
from polymodal.config.run_config import make
from polymodal.data.cells.prepare import prepare
from polymodal.data.columns.infer import infer_columns, suggest_settings
from polymodal.data.tables.table import read_table
from polymodal.errors import DataError
from polymodal.evaluation.evaluate import truth_of
from polymodal.inference.predictor import predict
from polymodal.pipeline.inspection import inspect
from polymodal.pipeline.run import train

ROWS = 40
DOORS = ("csv", "jsonl", "parquet", "frame")


def through(door, columns, folder):
    """The same cells, all of them text, as a table of some kind."""
    frame = pd.DataFrame(columns)
    path = folder / f"t.{door}"
    if door == "frame":
        return frame
    if door == "csv":
        frame.to_csv(path, index=False)
    elif door == "jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_parquet(path)
    return path


def numbers(source, name="it"):
    """Kind, numbers by row (None: missing) and rows of rejects of a column."""
    config = make({"table": {}})
    table = read_table(source)
    (column,) = [c for c in infer_columns(table, config) if c.name == name]
    settings = suggest_settings(table, [column], config.limits).get(name, {})
    read = prepare(table, [column.model_copy(update={"settings": settings})], limits=config.limits, bad_cells="missing")
    values = [None if array is None else float(array[0]) for array in read.stores[name].arrays(range(table.num_rows))]
    return column.kind, values, [reject.row for reject in read.rejects], read.notes.get(name, {})


def with_odd(cells, *odd):
    cells = list(cells)
    for place, cell in enumerate(odd):
        cells[7 + 5 * place] = cell
    return cells


PLAIN = [f"{row * 1.25:.2f}" for row in range(ROWS)]

KINDS = {
    "numbers": (PLAIN, "number"),
    "question mark": (with_odd(PLAIN, "?"), "number"),
    "words for missing": (with_odd(PLAIN, "N/A", "n.d.", "-"), "number"),
    "whole with a word": (with_odd([str(row * 37) for row in range(ROWS)], "x"), "number"),
    "counts rows": ([str(row) for row in range(ROWS)], "identifier"),
    "counts rows, then a total": ([*(str(row) for row in range(ROWS - 1)), "Total"], "identifier"),
    "codes": ([f"{row:05d}" for row in range(ROWS)], "identifier"),
    "codes of one length": ([f"{row:05d}" for row in range(9_980, 9_980 + ROWS)], "identifier"),
    "keys": ([f"k-{row}" for row in range(ROWS)], "identifier"),
    "titles": (with_odd([f"the film number {row}" for row in range(ROWS)], "1984", "300"), "text"),
    "sizes": (["S", "M", "38", "40"] * (ROWS // 4), "category"),
    "truth": (["true", "false"] * (ROWS // 2), "boolean"),
    "truth and a mark": (with_odd(["True", "False"] * (ROWS // 2), "?"), "category"),
    "thousands": ([f"{1000 + 37 * row:,}" for row in range(ROWS)], "number"),
    "decimal comma": ([f"{row},{row % 10}5" for row in range(ROWS)], "number"),
    "lists": ([f"{row % 3},{row % 5},{row % 7}" for row in range(ROWS)], "text"),
    "per cent": ([f"{row + .5}%" for row in range(ROWS)], "number"),
    "money": ([f"${row + .5}" for row in range(ROWS)], "number"),
    "dates": ([f"2024-01-{1 + row % 28:02d}" for row in range(ROWS)], "datetime"),
    "phones": ([f"612 345 {100 + row}" for row in range(ROWS)], "text"),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", KINDS)
def test_the_same_cells_are_the_same_kind(case, door, tmp_path):
    cells, kind = KINDS[case]
    source = through(door, {"it": cells, "other": [f"{row / 7:.4f}" for row in range(ROWS)]}, tmp_path)
    (found,) = [column.column for column in inspect(source).columns if column.column.name == "it"]
    assert found.kind == kind


@pytest.mark.parametrize("door", DOORS)
def test_odd_cells_are_rejects_and_words_for_missing_are_missing(door, tmp_path):
    cells = with_odd(PLAIN, "?", "N/A", "Total")
    kind, values, rejects, notes = numbers(through(door, {"it": cells, "z": PLAIN}, tmp_path))
    assert (kind, rejects) == ("number", [7, 17])
    assert values == [None if row in (7, 12, 17) else row * 1.25 for row in range(ROWS)]
    assert sum(notes.values()) == 1


def test_mixed_types_of_json_are_as_text_is(tmp_path):
    path = tmp_path / "t.jsonl"
    cells = [row * 1.25 for row in range(ROWS)]
    cells[7] = "?"
    path.write_text("".join(json.dumps({"it": cell, "z": 1.5}) + "\n" for cell in cells))
    assert numbers(path)[0::2] == ("number", [7])


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,000", "2,345.5", "12"], [1000, 2345.5, 12]),
        (["12,34,567", "1,000", "12"], [1234567, 1000, 12]),
        (["0,50", "1,75", "3"], [0.5, 1.75, 3]),
        (["1.234,5", "2.000", "7"], [1234.5, 2000, 7]),
        (["1 234,5", "12", "0,25"], [1234.5, 12, 0.25]),
        (["1'234.5", "12'000", "3"], [1234.5, 12000, 3]),
        (["45%", "0.5 %", "-3%"], [45, 0.5, -3]),
        (["$3.50", "-$1,200.00", "$0"], [3.5, -1200, 0]),
        (["3,50 €", "1.200,00 €", "€ 7"], [3.5, 1200, 7]),
        (["USD 5", "US$ 6.5", "$7"], [5, 6.5, 7]),
        (["(1,200.00)", "300.00", "15.50"], [-1200, 300, 15.5]),
        (["−5", "+3", "1.5"], [-5, 3, 1.5]),
        (['52"', '37.5"', "12 in."], [52, 37.5, 12]),
        (["1 lb. 8 oz.", "2 lbs", "4 oz"], [1.5, 2, 0.25]),
        (["5' 6\"", "6'", "5 ft 3 in"], [5.5, 6, 5.25]),
        (["1 h 30 min", "2h", "45 min"], [1.5, 2, 0.75]),
        (["3.5 kg", "500 g", "1 kg"], [3.5, 0.5, 1]),
        (["1.5K", "2M", "950"], [1500, 2e6, 950]),
        (["12 km/h", "7.5 km/h", "9 km/h"], [12, 7.5, 9]),
    ],
)
def test_numbers_are_read_as_people_write_them(cells, values):
    kind, read, rejects, _ = numbers({"it": cells * 10, "z": [1.5, 2.5, 3.5] * 10})
    assert (kind, rejects) == ("number", [])
    assert read == pytest.approx(values * 10)


@pytest.mark.parametrize(
    ("cells", "odd"),
    [
        (["3.5 kg"] * 19 + ["4 cm"], 19),
        (["45.5%"] * 19 + ["0.4"], 19),
        (["1,234.5"] * 19 + ["1.234,5"], 19),
        (["$3.50"] * 19 + ["€3.50"], 19),
        (["2,5"] * 19 + ["2.5"], 19),
    ],
)
def test_a_cell_that_is_written_otherwise_is_no_other_number(cells, odd):
    cells = [cell.replace("3", str(1 + row % 9), 1) for row, cell in enumerate(cells)]
    assert numbers({"it": cells, "z": [1.5, 2.5] * 10})[2] == [odd]


def test_numbers_of_mixed_units_are_named():
    cells = [f"{row} kg" if row % 2 else f"{row} cm" for row in range(ROWS)]
    findings = inspect({"weight": cells, "z": PLAIN}).findings
    assert any(finding.columns == ("weight",) and "units" in finding.what for finding in findings)


def test_a_total_in_the_last_row_is_named():
    found = inspect({"it": [*PLAIN[:-1], "Total"], "z": PLAIN})
    assert any(f.check == "summary_rows" and f.rows == (ROWS - 1,) for f in found.findings)


class TestLaterTables:
    """How a column is written is decided by the training, and stays so."""

    @staticmethod
    def run(folder, text, **settings):
        (folder / "train.csv").write_text(text)
        config = make({"target": "label", "train": {"epochs": 1}, "inputs": {"keep": "all"}, **settings})
        return train(folder / "train.csv", config, baselines=False).bundle

    def test_a_csv_written_the_other_way_is_a_reject(self, tmp_path):
        rows = "".join(f"{row};{row},5;{'ab'[row % 2]}\n" for row in range(1, 31))
        bundle = self.run(tmp_path, f"n;price;label\n{rows}", columns={"n": {"modality": "number"}})
        assert bundle.schema.column("price").settings["decimal"] == "comma"
        (tmp_path / "new.csv").write_text("n;price\n1;3,5\n2;4.5\n3;7\n")
        assert [status.partition(":")[0] for status in predict(bundle, tmp_path / "new.csv").status] == [
            "ok", "partial", "ok",
        ]  # fmt: skip
        (tmp_path / "points.csv").write_text("n;price\n1;3.5\n2;4.5\n")  # as a whole it would be numbers
        assert all("price" in status for status in predict(bundle, tmp_path / "points.csv").status)

    def test_truth_values_beside_a_mark_stay_the_same_categories(self, tmp_path):
        rows = "".join(f"{row * 1.5},{'?' if row == 4 else row % 2 == 0},{'ab'[row % 2]}\n" for row in range(30))
        bundle = self.run(tmp_path, f"n,flag,label\n{rows}")
        (tmp_path / "new.csv").write_text("n,flag\n1.5,True\n3.0,False\n")
        told = []
        predict(bundle, tmp_path / "new.csv", on_message=told.append)
        assert not any("unseen" in message for message in told)


class TestTargets:
    @staticmethod
    def run(cells, **settings):
        table = {"size": [row + 0.5 for row in range(len(cells))], "y": cells}
        return train(table, make({"target": "y", "train": {"epochs": 1}, **settings}), baselines=False)

    @pytest.mark.parametrize(
        "cells",
        [
            with_odd(PLAIN, "n.d."),
            [f"{row + .5}%" for row in range(ROWS)],
            [f"{2 + row // 8},{5 * (row % 2)}" for row in range(ROWS)],
            [f"${row + .25:,.2f}" for row in range(ROWS)],
            with_odd([str(row * 3) for row in range(ROWS)], "Total"),
            pd.to_timedelta([90 * row for row in range(ROWS)], unit="s"),
        ],
        ids=["one word", "per cent", "decimal comma", "money", "whole with a total", "durations"],
    )  # fmt: skip
    def test_numbers_are_regressed(self, cells):
        run = self.run(cells)
        assert run.bundle.schema.target.task == "regress"

    def test_an_unreadable_target_is_named_and_counted(self):
        run = self.run(with_odd(PLAIN, "n.d.", "NA"))
        assert [(reject.row, reject.column) for reject in run.rejects] == [(7, "y")]
        rows = run.bundle.metrics.rows
        assert (rows.unreadable_target, rows.unlabelled, rows.train + rows.validation + rows.test) == (1, 1, ROWS - 2)

    def test_a_mark_among_classes_of_numbers_is_none(self):
        run = self.run(with_odd(["0", "1"] * (ROWS // 2), "?"))
        assert run.bundle.schema.target.statistics["classes"] == ["0", "1"]
        assert run.bundle.metrics.rows.unreadable_target == 1

    def test_most_of_it_unreadable_is_an_error(self):
        with pytest.raises(DataError, match="'y', row 0"):
            self.run(["high", "low", "1.5", "mid"] * 10, task="regress")

    def test_spellings_of_a_class_are_one(self):
        run = self.run([" no", "yes", "no ", " yes"] * 10)
        assert run.bundle.schema.target.statistics["classes"] == ["no", "yes"]
        assert any("blanks" in note for note in run.notes)
        composed = self.run(["caf\u00e9", "th\u00e9", "cafe\u0301", "the\u0301"] * 10)
        assert composed.bundle.schema.target.statistics["classes"] == ["caf\u00e9", "th\u00e9"]

    def test_upper_and_lower_case_are_two_classes_and_named(self):
        run = self.run(["no", "yes", "No", "yes"] * 10)
        assert len(run.bundle.schema.target.statistics["classes"]) == 3
        assert any("'No'" in note and "'no'" in note for note in run.notes)

    def test_a_model_of_blanks_measures_a_table_without(self):
        model = pm.Classifier(epochs=1).fit({"x": [0.5, 3.5] * 20, "y": [" no", " yes"] * 20}, y="y")
        assert model.evaluate({"x": [0.5, 3.5], "y": ["no", "yes"]})["accuracy"]["value"] in (0.0, 0.5, 1.0)
        with pytest.raises(ValueError, match=r"'ja'.*'no', 'yes'"):
            model.evaluate({"x": [0.5], "y": ["ja"]})

    def test_a_bundle_of_written_numbers_measures_them(self, tmp_path):
        rows = "".join(f"{row}.5;{row},5\n" for row in range(30))
        (tmp_path / "t.csv").write_text(f"x;y\n{rows}")
        run = train(tmp_path / "t.csv", make({"target": "y", "train": {"epochs": 1}}), baselines=False)
        save(run.bundle, tmp_path / "b")
        again = load(tmp_path / "b")
        assert again.config.table.verbatim == ("y",)
        assert again.task.read("3,5") == 3.5

    def test_texts_that_csv_marks_are_known_before(self):
        run = self.run(["+1", "-1"] * (ROWS // 2))
        assert set(predict(run.bundle, {"size": [1.5]}).marked) < {"+1", "-1"}
        assert predict(run.bundle, {"size": [1.5]}).marked
        assert predict(self.run(["no", "yes"] * (ROWS // 2)).bundle, {"size": [1.5]}).marked == []

    def test_unreadable_targets_are_counted_and_named_where_a_model_is_measured(self):
        bundle = self.run([f"{row},5" for row in range(ROWS)]).bundle
        table = read_table({"size": [1.5, 2.5, 3.5], "y": ["3,5", "4.5", None]})
        truth = truth_of(bundle.task, bundle.schema.target, table, table.values("y"))
        assert truth.counts == {"measured": 1, "unlabelled": 1, "unknown_class": 0, "unreadable_target": 1}
        assert any("row 1" in note for note in truth.notes)


QUANTITIES = {
    "units": ([f"{row + 1} kg" if row % 2 else f"{row + 1} cm" for row in range(ROWS)], "units"),
    "a unit or none": ([f"{row + .5} °C" if row % 2 else f"{row + .5}" for row in range(ROWS)], "units"),
    "decimal marks": ([f"{row},{row % 9}1" if row % 2 else f"{row}.{row % 9}1" for row in range(ROWS)], "decimal"),
    "dates": ([f"{1 + row % 28:02d}.03.{1980 + row}" for row in range(ROWS)], "dates"),
    "durations": ([f"{row}:{10 + row}" for row in range(ROWS)], "durations"),
    "ranges": ([f"{row}-{2 * row + 1}" for row in range(ROWS)], "ranges"),
    "marks": ([f"~{row}.5" for row in range(ROWS)], "marks"),
    "words": ([["sold", "gone"][row % 2] if row % 3 == 0 else f"{row}.5" for row in range(ROWS)], "numbers"),
    "hours and minutes": ([f"{row % 5}h{10 + row % 3}" for row in range(2 * ROWS)], "durations"),
    "minutes and seconds": ([f"{row % 5}:{10 + row % 3}" for row in range(2 * ROWS)], "durations"),
    "feet and inches": ([f"{5 + row % 2}ft{row % 11}" for row in range(2 * ROWS)], "units"),
    "blood pressure": ([f"{110 + row % 4}/{70 + row % 5}" for row in range(2 * ROWS)], "pairs"),
    "underscores": ([f"{1 + row % 18}_234" for row in range(2 * ROWS)], "underscores"),
    "at least": ([f"{1 + row % 18}+" for row in range(2 * ROWS)], "marks"),
    "repeated ranges": ([f"{row % 30}-{2 * (row % 30) + 1}" for row in range(2 * ROWS)], "ranges"),
}  # fmt: skip


@pytest.mark.parametrize("case", QUANTITIES)
def test_a_target_of_quantities_that_would_be_classes_is_told(case):
    cells, cause = QUANTITIES[case]
    table = {"size": [row / 7 for row in range(len(cells))], "y": cells}
    config = make({"target": "y", "train": {"epochs": 1}})
    (found,) = [f for f in inspect(table, config=config).findings if f.check == "writing" and f.severity == "warning"]
    assert found.columns == ("y",)
    assert cause in found.what
    assert "task=regress" in found.advice
    try:
        told = [alert.text for alert in train(table, config, baselines=False).bundle.metrics.alerts]
    except DataError as error:
        told = [str(error)]
    assert any(found.what in text and found.advice in text for text in told)


@pytest.mark.parametrize(
    "cells",
    [
        ["18-25", "26-40", "41-60"] * 20,
        [f"{row:05d}" for row in range(20)] * 3,
        [f"k-{row}" for row in range(30)] * 2,
        ["S", "M", "38", "40"] * 15,
        ["2024-01-01", "2024-02-01"] * 30,
        ["4+", "9+", "12+", "16+", "18+"] * 12,
        [f"{row % 4}:{row % 3}" for row in range(60)],
        [f"{5 * (row % 12)}-{5 * (row % 12) + 4}" for row in range(60)],
    ],
    ids=["few ranges", "codes", "keys", "sizes", "few dates", "ages of games", "scores", "bands"],
)
def test_a_target_of_classes_is_not_doubted(cells):
    table = {"size": [row / 7 for row in range(60)], "y": cells}
    found = inspect(table, config=make({"target": "y"})).findings
    assert not [f for f in found if f.check == "writing" and f.severity == "warning"]


def test_a_task_that_was_named_is_not_doubted():
    cells, _ = QUANTITIES["repeated ranges"]
    table = {"size": [row / 7 for row in range(len(cells))], "y": cells}
    run = train(table, make({"target": "y", "task": "classify", "train": {"epochs": 1}}), baselines=False)
    assert not [alert for alert in run.bundle.metrics.alerts if alert.kind == "writing"]


def test_a_word_among_classes_that_are_numbers_is_told_alike():
    table = {"size": [row / 7 for row in range(60)], "y": with_odd([str(1 + row % 5) for row in range(60)], "five")}
    config = make({"target": "y", "train": {"epochs": 1}})
    found = [f for f in inspect(table, config=config).findings if f.check == "writing"]
    assert [(one.columns, one.rows, "class" in one.what) for one in found] == [(("y",), (7,), True)]
    run = train(table, config, baselines=False)
    assert "five" in run.bundle.schema.target.statistics["classes"]
    assert str(found[0]) in [alert.text for alert in run.bundle.metrics.alerts]


def test_a_word_among_counts_is_no_class_for_inspect_either():
    table = {"size": [row / 7 for row in range(99)], "y": with_odd([str(row % 40) for row in range(99)], "sold")}
    config = make({"target": "y", "train": {"epochs": 1}})
    found = [f for f in inspect(table, config=config).findings if f.columns == ("y",)]
    assert [(one.check, one.rows) for one in found] == [("writing", (7,))]
    run = train(table, config, baselines=False)
    assert [reject.row for reject in run.rejects] == [7]
    assert not [note for note in run.notes if "test row" in note]


def test_keys_that_may_be_contents_offer_text():
    found = inspect({"url": [f"http://x.org/{row}" for row in range(ROWS)], "z": PLAIN}).columns[0].column
    assert (found.kind, "columns.url.modality=text" in found.reason) == ("identifier", True)


def test_durations_are_numbers_of_seconds():
    cells = list(pd.to_timedelta([90 * row + 1 for row in range(ROWS)], unit="s"))
    kind, values, rejects, notes = numbers(pd.DataFrame({"it": cells, "z": PLAIN}))
    assert (kind, values[:2], rejects) == ("number", [1.0, 91.0], [])
    assert list(notes.values()) == [ROWS]


@pytest.mark.parametrize(
    "case", [case for case in QUANTITIES if QUANTITIES[case][1] in ("durations", "pairs", "marks")]
)
def test_amounts_that_are_read_as_words_are_noted(case):
    cells, cause = QUANTITIES[case]
    found = inspect({"it": cells, "z": [row / 7 for row in range(len(cells))]})
    assert found.columns[0].column.kind in ("category", "text", "identifier")
    (note,) = [one for one in found.findings if one.columns == ("it",) and one.check == "writing"]
    assert (note.severity, cause in note.what) == ("note", True)


def test_infinite_targets_are_told_as_a_training_leaves_them_out(tmp_path):
    cells = ["inf" if row % 20 == 7 else f"{row * 1.25}" for row in range(2 * ROWS)]
    rows = "".join(f"{row / 7},{cell}\n" for row, cell in enumerate(cells))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    for source in (
        tmp_path / "t.csv",
        {"x": [row / 7 for row in range(2 * ROWS)], "y": [float(cell) for cell in cells]},
    ):
        (found,) = [one for one in inspect(source, config=make({"target": "y"})).findings if one.columns == ("y",)]
        assert (found.severity, found.rows) == ("warning", (7, 27, 47, 67))


@pytest.mark.parametrize("door", ["csv", "jsonl"])
def test_a_decimal_comma_among_typed_numbers_is_a_reject(door, tmp_path):
    cells = ["12,5" if row % 20 == 7 else row * 1.25 + 0.5 for row in range(ROWS)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"it": cell, "z": 1.5}) + "\n" for cell in cells))
    (tmp_path / "t.csv").write_text("it;z\n" + "".join(f"{cell};1.5\n" for cell in cells))
    assert numbers(tmp_path / f"t.{door}")[0::2] == ("number", [7, 27])
