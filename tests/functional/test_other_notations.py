"""Numbers that are not written as the others of their column: read where that leaves no doubt, else named."""

import re

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


THREE = [f"{1 + row % 9}.{(row * 137 + 1) % 1000:03}" for row in range(200)]
WHOLE = [f"{(row * 137) % 900 + 100}" if row % 2 else f"{1 + row % 9}.{(row * 130) % 1000:03}" for row in range(200)]


def with_odd(cells, odd, every):
    return [odd if row % every == every - 1 else cell for row, cell in enumerate(cells)]


def doubted(table, name, **settings):
    """Warnings of thousands in doubt, which a training gives as an inspection does."""
    config = make({"train": {"epochs": 1}, "inputs": {"keep": "all"}, **settings})
    found = [
        one for one in inspect(table, config=config).findings if one.columns == (name,) and "--set" in one.advice
        and one.severity == "warning"
    ]  # fmt: skip
    alerts = train(table, config, baselines=False).bundle.metrics.alerts
    assert [str(one) for one in found] == [
        alert.text for alert in alerts if alert.columns == (name,) and alert.kind == "writing"
    ]
    return found


class TestThousandsInDoubt:
    @pytest.mark.parametrize("odd", ["1.234,5", "1.234.567", "12,5", "12,5 €"])
    @pytest.mark.parametrize("every", [200, 20])
    def test_few_cells_never_rescale_the_others(self, odd, every):
        cells = with_odd(THREE, odd, every)
        found = inspect({"it": cells, "other": [row / 7 for row in range(200)]})
        (rejects,) = [one for one in found.findings if one.check == "unreadable"]
        assert (rejects.columns, rejects.count, rejects.rows[0]) == (("it",), 200 // every, every - 1)
        assert Number(NumberConfig(**Number.suggest(cells, make({}).limits))).read("8.293")[0] == 8.293

    @pytest.mark.parametrize("odd", ["1.234.567", "12,5"])
    def test_nor_those_of_a_target(self, odd):
        cells = with_odd(THREE, odd, 200)
        table = {"it": cells, "x": [row / 7 for row in range(200)]}
        run = train(table, make({"target": "it", "train": {"epochs": 1}, "inputs": {"keep": "all"}}), baselines=False)
        assert run.bundle.schema.target.statistics["mean"] < 10
        assert [one.row for one in run.rejects] == [199]

    @pytest.mark.parametrize(("odd", "kept"), [("1.234,5", "comma"), ("12,5", "comma")])
    def test_nor_where_commas_stand_before_three_digits(self, odd, kept):
        kind, findings = inspected(with_odd([cell.replace(".", ",") for cell in THREE[:40]], odd, 40))
        assert (kind, unreadable(findings)) == ("number", [39])
        assert any(f"thousands={kept}" in one.advice and "decimal=comma" in one.advice for one in findings)

    def test_the_other_reading_is_named_and_works(self):
        table = {"it": with_odd(THREE, "1.234,5", 20), "z": [row * 0.37 for row in range(200)], "y": ["a", "b"] * 100}
        (found,) = doubted(table, "it", target="y")
        assert "10 of 200" in found.what
        typed = dict(
            re.findall(r"--set columns\.it\.modality\.(decimal|thousands)=(\w+)", found.advice.split(". If")[0])
        )
        again = inspect(table, config=make({"target": "y", "columns": {"it": {"modality": typed}}}))
        assert not [one for one in again.findings if one.columns == ("it",) and one.severity == "warning"]
        target = {"it": table["it"], "z": table["z"]}
        assert len(doubted(target, "it", target="it")) == 1
        assert doubted(target, "it", target="it", task=typed) == []

    def test_several_cells_that_tell_decide_where_none_tells_the_other_way(self):
        population = [f"{row * 37 % 900 + 1}.{row * 71 % 1000:03}" for row in range(40)]
        population[2], population[9], population[15] = "1.234.567", "2.050.100", "3.400.000"
        kind, findings = inspected(population)
        assert (kind, unreadable(findings)) == ("number", [])
        assert Number(NumberConfig(**Number.suggest(population, make({}).limits))).read("8.293")[0] == 8293
        assert not any(one.severity == "warning" for one in findings)
        population[30] = "3.25"  # which no thousands explain
        assert Number(NumberConfig(**Number.suggest(population, make({}).limits))).read("8.293")[0] == 8.293

    def test_enough_cells_decide(self):
        kind, findings = inspected(with_odd(THREE[:40], "1.234,5", 3))
        assert (kind, unreadable(findings)) == ("number", [])
        assert any("decimal comma" in one.what for one in findings)

    @pytest.mark.parametrize("mark", [".", ","])
    @pytest.mark.parametrize("target", [False, True])
    def test_whole_numbers_with_thousands_are_doubted_alike(self, mark, target, tmp_path):
        rows = [f"{row * 7 % 11}.5;{cell.replace('.', mark)};{'ab'[row // 3 % 2]}\n" for row, cell in enumerate(WHOLE)]
        (tmp_path / "t.csv").write_text(f"x;it;y\n{''.join(rows)}")
        config = {"target": "it", "drop": ["y"]} if target else {"target": "y"}
        found = [
            one
            for one in inspect(tmp_path / "t.csv", config=make(config)).findings
            if one.columns == ("it",) and one.check == "writing"
        ]
        assert len(found) == 1
        assert "thousands" in found[0].advice
        if mark == ".":
            assert len(doubted(tmp_path / "t.csv", "it", **config)) == 1
            place = {"decimal": "comma", "thousands": "point"} if target else {"thousands": "none"}
            said = {"task": place} if target else {"columns": {"it": {"modality": place}}}
            assert doubted(tmp_path / "t.csv", "it", **config, **said) == []

    @pytest.mark.parametrize(
        "cells",
        [THREE, [f"{row / 8:g}" for row in range(200)], [f"{row * 0.125:.3f}" for row in range(200)],
         [f"{row}.{row % 7}" if row % 2 else f"{row}" for row in range(200)]],
        ids=["three decimals", "eighths", "from zero", "ordinary"],
    )  # fmt: skip
    def test_ordinary_decimals_are_not(self, cells, tmp_path):
        (tmp_path / "t.csv").write_text("it,x\n" + "".join(f"{cell},{row}\n" for row, cell in enumerate(cells)))
        for source in (tmp_path / "t.csv", {"it": cells, "x": list(range(200))}):
            assert not [one for one in inspect(source).findings if one.check == "writing"]

    @pytest.mark.parametrize(
        ("cells", "told"),
        [
            (["4.567", "5.123", "1.230"], True),
            ([4567000, 5123000, 1230000], True),
            (["4567", "5123", "1230"], False),
            (["0.001", "0.002", "0.003"], False),
            ([4.567, 5123, 1230], False),
        ],
    )
    def test_a_later_table_of_a_thousandth_is_told(self, cells, told, tmp_path):
        bundle = learned([str(1000 + 210 * row) for row in ROWS], tmp_path)
        (tmp_path / "new.csv").write_text("it,other\n" + "".join(f"{cell},1.5\n" for cell in cells))
        said = []
        predict(bundle, tmp_path / "new.csv", on_message=said.append)
        assert any(one.startswith("it:") and "thousands" in one for one in said) == told


class TestUnitsThatDifferInCase:
    @pytest.mark.parametrize(
        ("unit", "cell", "value"),
        [
            ("MW", "2.3 mW", 2.3e-9), ("MW", "2.3 kw", 2.3e-3), ("kg", "5 Mg", None), ("kg", "5 KG", 5),
            ("kg", "5 Kg", 5), ("mg", "5 MG", None), ("MB", "5 Mb", None), ("cal", "5 Cal", None), ("g", "5 G", None),
            ("l", "5 L", 5),
            ("mg/l", "5 mg/L", 5), ("mhz", "5 MHz", 5), ("mhz", "5 mHz", 5e-9), ("kw", "5 kW", 5), ("KG", "5 kg", 5),
        ],
    )  # fmt: skip
    def test_they_are_one_only_where_that_is_sure(self, unit, cell, value):
        number = Number(NumberConfig(unit=unit))
        if value is None:
            with pytest.raises(ValueError, match=unit):
                number.read(cell)
        else:
            assert number.read(cell)[0] == pytest.approx(value)

    @pytest.mark.parametrize("units", [("Mb", "MB"), ("cal", "Cal"), ("kb", "kB")])
    def test_columns_of_two_are_named(self, units):
        kind, findings = inspected([f"{row}.5 {units[row % 2]}" for row in ROWS])
        assert kind != "number"
        assert any(units[0] in one.what and units[1] in one.what for one in findings if one.check == "writing")


HEALTHY = {
    "seats": [f"{1 + row % 30}{'ABCDEF'[row % 6]}" for row in ROWS],
    "classes": [f"{5 + row % 6}{'abcdg'[row % 5]}" for row in ROWS],
    "sizes": [f"{70 + 5 * (row % 4)}{'ABCD'[row % 4]}" for row in ROWS],
    "addresses": [f"{row} {['Main St', 'Oak Ave', 'Elm Road'][row % 3]}" for row in ROWS],
    "recipes": [f"{1 + row % 4} {['cups flour', 'eggs', 'onions'][row % 3]}" for row in ROWS],
    "titles": [f"{row} {['Samurai', 'Monkeys', 'Angry Men', 'Days'][row % 4]}" for row in ROWS],
    "ordinals": [f"{row}{['th', 'st', 'nd', 'rd'][row % 10 if row % 10 < 4 else 0]}" for row in ROWS],
    "dates": [f"2010年{1 + row % 12}月{1 + row % 28}日" for row in ROWS],
    "generations": [f"{3 + row % 3}G" for row in ROWS],
    "hexadecimal": [f"0x{row * 9973 % 65536:x}" for row in ROWS],
}


@pytest.mark.parametrize("case", HEALTHY)
def test_words_behind_numbers_are_no_units(case):
    kind, findings = inspected(HEALTHY[case])
    assert kind != "number"
    assert not [one for one in findings if one.check == "writing"]
    table = {"it": HEALTHY[case], "other": OTHER}
    found = inspect(table, config=make({"target": "it"})).findings
    assert not [one for one in found if one.columns == ("it",) and one.check == "writing"]


class TestScripts:
    @pytest.mark.parametrize(
        ("cells", "value"),
        [
            ([f"{row}٫5".translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")) for row in ROWS], 1.5),
            ([f"{row}".translate(str.maketrans("0123456789", "०१२३४५६७८९")) for row in ROWS], 1),
            ([f"{row}．５".translate(str.maketrans("0123456789", "０１２３４５６７８９")) for row in ROWS], 1.5),
            ([f"{row}\u2009234,5" for row in ROWS], 1234.5),
            ([f"{row}\u202f234,5" for row in ROWS], 1234.5),
            ([f"{row}\u00a0234,5" for row in ROWS], 1234.5),
            ([f"Rs. {row},234/-" for row in ROWS], 1234),
            ([f"{row},- €" for row in ROWS], 1),
            ([f"${row}.50/kg" for row in ROWS], 1.5),
        ],
        ids=["Arabic", "Devanagari", "full-width", "thin", "narrow", "no-break", "rupees", "whole euros", "per kilo"],
    )
    def test_numbers_are_read_and_said_to_be(self, cells, value):
        kind, findings = inspected(cells)
        assert (kind, unreadable(findings)) == ("number", [])
        assert [one for one in findings if one.check == "writing"]
        found = Number(NumberConfig(**Number.suggest(cells, make({}).limits)))
        assert found.read(cells[0])[0] == value
