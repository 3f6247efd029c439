"""Numbers that are not written as the others of their column: read where that leaves no doubt, else named."""

import pytest

from polymodal.bundles.bundle import load, save
from polymodal.config.run_config import make
from polymodal.inference.predictor import predict
from polymodal.modalities.number import Number, NumberConfig
from polymodal.pipeline.inspection import inspect
from polymodal.pipeline.run import train

ROWS = range(1, 41)
OTHER = [row * 0.37 for row in ROWS]
COMMAS = [f"{1 + row % 9},{(row * 137) % 1000:03}" for row in ROWS]
POINTS = [f"{cell.replace(',', '.')},50" for cell in COMMAS]


def inspected(cells, **settings):
    """Kind of a column, and what is found of it."""
    config = make({"columns": {"it": {"modality": {"name": "number", **settings}}}} if settings else {})
    found = inspect({"it": cells, "other": OTHER}, config=config)
    return found.columns[0].column.kind, [one for one in found.findings if one.columns == ("it",)]


def unreadable(findings):
    return [row for one in findings if one.check == "unreadable" for row in one.rows]


def learned(cells, folder):
    """A model of cells of a CSV file, from the disk."""
    lines = [
        f'"{cell}",{other:.2f},{"ab"[row % 2]}' for row, (cell, other) in enumerate(zip(cells, OTHER, strict=True))
    ]
    (folder / "t.csv").write_text("\n".join(["it,other,label", *lines]), encoding="utf-8")
    config = make({"target": "label", "train": {"epochs": 1}, "inputs": {"keep": "all"}})
    save(train(folder / "t.csv", config, baselines=False).bundle, folder / "bundle")
    return load(folder / "bundle")


def predicted(bundle, cell):
    """Its status, and what is said of a cell."""
    told = []
    (status,) = predict(bundle, {"it": [cell], "other": [1.5]}, on_message=told.append).status
    return status, " ".join(told)


class TestThousands:
    @pytest.mark.parametrize(("cells", "cell"), [(COMMAS, "5.000"), (POINTS, "5,000"), (POINTS, "-5,000")])
    def test_a_mark_that_may_stand_between_thousands_is_a_reject(self, cells, cell, tmp_path):
        status, _ = predicted(bundle := learned(cells, tmp_path), cell)
        assert status.startswith("partial: it unreadable")
        assert "5000" in status
        for sure in (cells[0], cell.replace("000", "25"), cell.replace("5", "0"), cell.replace("5", "1234")):
            assert predicted(bundle, sure)[0] == "ok"

    def test_it_is_one_among_the_cells_that_are_learned(self):
        kind, findings = inspected([*COMMAS[:-1], "5.000"])
        assert (kind, unreadable(findings)) == ("number", [39])
        assert unreadable(inspected([*COMMAS[:-1], "5.000"], doubtful="none")[1]) == []

    @pytest.mark.parametrize(
        "cells",
        [
            [f"{row * 77.123:,.3f}" for row in ROWS],
            [f"{row * 0.123:.3f}" for row in ROWS],
            [f"{row}.{100 + row}" for row in ROWS],
            [*(f"{row},{100 + row}" for row in ROWS[:20]), *(f"{row}.{100 + row}" for row in ROWS[20:])],
        ],
        ids=["three decimals", "below ten", "no other mark", "as many of both"],
    )
    def test_columns_of_three_decimals_are_read(self, cells):
        kind, findings = inspected(cells)
        assert (kind, unreadable(findings)) == ("number", [])


class TestUnits:
    @pytest.mark.parametrize(
        ("cell", "value"),
        [
            ("500 g", 0.5),
            ("1,500 mg", 0.0015),
            ("2 t", 2000),
            ("11 lb", 4.98951607),
            ("1 lb 8 oz", 0.680388555),
            ("0", 0),
        ],
    )
    def test_units_of_one_dimension_are_converted(self, cell, value):
        number = Number(NumberConfig(unit="kg", thousands="comma"))
        assert number.read(cell)[0] == pytest.approx(value)

    def test_a_later_table_in_another_unit(self, tmp_path):
        bundle = learned([f"{row}.5 kg" for row in ROWS], tmp_path)
        status, told = predicted(bundle, "500 g")
        assert status == "ok"
        assert "it: 1 cell converted from g to kg" in told
        for cell in ("1.2k", "5 cm", "5", 5.0, "5 €"):
            status, _ = predicted(bundle, cell)
            assert status.startswith("partial: it unreadable"), cell
        plain = learned([f"{row}.5" for row in ROWS], tmp_path)
        for cell in ("500 g", "1.2k", "5 %"):
            assert predicted(plain, cell)[0].startswith("partial: it unreadable"), cell

    @pytest.mark.parametrize(
        ("form", "other", "word"),
        [
            ("{} kg", "{} lb", "converted to it: lb (13)"),
            ("{} km", "{} miles", "mile (13)"),
            ("{} h", "{} s", "told in h"),
        ],
    )
    def test_a_column_of_several_is_one_of_numbers(self, form, other, word):
        kind, findings = inspected([(form if row % 3 else other).format(row) for row in ROWS])
        assert (kind, unreadable(findings)) == ("number", [])
        assert any(word in one.what for one in findings)

    def test_of_units_that_do_not_go_together_the_rows_at_stake_are_counted(self):
        kind, findings = inspected([f"{row} kg" if row % 2 else f"{row} €" for row in ROWS])
        (found,) = [one for one in findings if one.check == "writing"]
        assert kind == "text"
        assert "units" in found.what
        assert "only 20" in found.advice


class TestForms:
    @pytest.mark.parametrize(
        ("cell", "value"),
        [
            ("7.5-", -7.5), ("1234-", -1234), ("7.5\u2212", -7.5), ("$7.50-", -7.5), ("1.11 x 10^3", 1110),
            ("1.11×10³", 1110), ("1.11*10^-3", 0.00111), ("-1.11 × 10⁻³", -0.00111), ("2·10**4", 20000),
            ("2 x 10^(3)", None), ("1 1/2", 1.5), ("1½", 1.5), ("¾", 0.75), ("2 ⅓", 7 / 3), ("-1 1/2", -1.5),
            ("1 3/2", None), ("1/2", None), ("1 1/0", None), ("3 1/2024", None), ("-7.5-", None), ("1-", None),
            ("90-", None), ("5.-", None), ("2x10", None), ("7.5--", None), ("2 x 4", None), ("A1-", None),
        ],
    )  # fmt: skip
    def test_a_form_is_read_only_where_it_is_sure(self, cell, value):
        number = Number(NumberConfig(unit="$" if "$" in cell else None))
        if value is None:
            with pytest.raises(ValueError, match="not a number"):
                number.read(cell)
        else:
            assert number.read(cell)[0] == pytest.approx(value)

    @pytest.mark.parametrize(
        ("form", "word"),
        [("{0}.25-", "minus"), ("1.{0} x 10^3", "powers"), ("1.{0}×10³", "powers"), ("{0} 1/2", "fractions"),
         ("{0}½", "fractions"), ('{0} 1/2"', "unit in"), ("{0},5 × 10^-3", "decimal comma")],
    )  # fmt: skip
    def test_columns_of_them_are_numbers_and_said_to_be(self, form, word):
        kind, findings = inspected([form.format(row) for row in ROWS])
        assert kind == "number"
        assert unreadable(findings) == []
        assert any(word in one.what for one in findings)

    @pytest.mark.parametrize(
        "cells",
        [
            [["1", "1-", "2", "2-", "3"][row % 5] for row in ROWS],
            [f"{row}/{row + 1}" for row in ROWS],
            [f"{row} x {row + 1}" for row in ROWS],
        ],
        ids=["grades", "ratios", "sizes"],
    )
    def test_what_looks_alike_is_none(self, cells):
        assert inspected(cells)[0] != "number"


class TestDecimalMarks:
    @pytest.mark.parametrize("one", [".", ","])
    @pytest.mark.parametrize("share", [5, 10])
    def test_most_cells_decide_and_the_others_are_rejects(self, one, share):
        other = ",."[one == ","]
        odd = [row for row in range(len(ROWS)) if row % share == 3]
        cells = [f"{row}{other if row in odd else one}{1 + row % 9}7" for row in range(len(ROWS))]
        kind, findings = inspected(cells)
        (found,) = [f for f in findings if f.check == "unreadable"]
        assert (kind, found.count, found.rows) == ("number", len(odd), tuple(odd[:5]))

    def test_of_as_many_of_both_the_rows_at_stake_are_counted(self):
        kind, findings = inspected([f"{row}.5{row % 7}" if row % 2 else f"{row},5{row % 7}" for row in ROWS])
        (found,) = [one for one in findings if one.check == "writing"]
        assert kind == "text"
        assert "mark" in found.what
        assert "only 20" in found.advice

    @pytest.mark.parametrize(
        "cells",
        [
            ["1,2,3" if row == 5 else f"{row}.5" if row % 8 else f"{row},5" for row in ROWS],
            ["high" if row % 8 == 0 else f"{row},5" if row % 8 == 1 else f"{row}.5" for row in ROWS],
        ],
        ids=["a list", "words"],
    )
    def test_others_stay_words(self, cells):
        assert inspected(cells)[0] != "number"
