"""A CSV that can be read, but not as it was meant: what seems wrong is said, and healthy files are not accused."""

import subprocess

import pytest

from polymodal.config.table import TableConfig
from polymodal.data.audit.inspection import inspect_table
from polymodal.data.tables.table import read_table
from polymodal.errors import ColumnError, TableError

ROWS = [(f"{k / 7:.2f}", f"some film {k % 7} of many", "pn"[k % 2]) for k in range(40)]
NAMES = ("x", "review", "y")


@pytest.fixture
def table(tmp_path):
    def read(rows, name="t.csv", mark=",", **text):
        (tmp_path / name).write_text("".join(mark.join(row) + "\n" for row in rows), encoding="utf-8")
        return read_table(tmp_path / name, text=TableConfig(**text))

    return read


def stray(first, last, more=()):
    """The rows, of which two have a quote that is content."""
    rows = list(ROWS)
    rows[9], rows[9 + last] = ("1.00", first, "p"), ("2.00", more or 'awful"', "n")
    return [NAMES, *rows]


class TestSwallowedRows:
    @pytest.mark.parametrize(("name", "mark"), [("t.csv", ","), ("t.tsv", "\t"), ("t.csv", ";")])
    @pytest.mark.parametrize("last", [1, 2, 10, 28])
    @pytest.mark.parametrize("closing", ['awful"', '"awful'])
    def test_rows_inside_of_a_cell_are_counted_and_the_setting_reads_them(self, table, name, mark, last, closing):
        rows = stray('"great film', last, closing)
        found = table(rows, name, mark)
        assert found.num_rows == 40 - last
        (warning,) = found.warnings
        assert f"lines 11 to {11 + last}" in warning and f"{last + 1} rows" in warning and "table.quote=none" in warning
        whole = table(rows, name, mark, quote="none")
        assert whole.num_rows == 40 and not whole.warnings

    def test_inspect_warns(self, table):
        found = inspect_table(table(stray('"great film', 10))).findings
        assert ("writing", "warning") in {(one.check, one.severity) for one in found}

    @pytest.mark.parametrize(
        "text",
        [
            "1 Main St\nSpringfield, IL, 60000\nUSA",
            "I liked it, really\n5, maybe 6\nbye, all, of you",
            "a,b,c\nd,e,f\ng,h,i\nj,k,l",
            '{""a"": 1,\n""b"": 2,\n""c"": [3, 4]}',
        ],
    )
    @pytest.mark.parametrize("every", [1, 7])
    def test_cells_of_several_lines_are_no_rows(self, table, text, every):
        rows = [(x, f'"{text}{x}"' if k % every == 0 else words, y) for k, (x, words, y) in enumerate(ROWS)]
        assert not table([NAMES, *rows]).warnings

    @pytest.mark.parametrize("every", [1, 7])
    def test_numbered_lines_in_a_table_of_two_columns_are_no_rows(self, table, every):
        text = '"To bake\n1, flour\n2, egg\n3, milk\n4, sugar"'
        rows = [(str(k), text if k % every == 0 else f"a cake {k}") for k in range(40)]
        assert not table([("n", "recipe"), *rows]).warnings


class TestFirstLine:
    def test_rows_in_quotes_are_refused_and_the_command_mends_them(self, table, tmp_path):
        def quoted(row):
            return ('"' + ",".join(row).replace('"', '""') + '"',)

        rows = [(x, f'"{words}, or so"', y) for x, words, y in ROWS]
        for head in (quoted(NAMES), NAMES):
            with pytest.raises(TableError, match="sed") as caught:
                table([head, *map(quoted, rows)])
            command = str(caught.value).partition("sed ")[2].rstrip(".").replace("OLD", "t").replace("NEW", "new")
            subprocess.run(f"sed {command}", shell=True, cwd=tmp_path, check=True)
            assert read_table(tmp_path / "new.csv").values("review")[0] == "some film 0 of many, or so"

    def test_one_column_of_texts_with_commas_is_read(self, table):
        assert table([('"text, free"',), ('"a, b"',), ('"c, d, e"',)]).num_rows == 2

    @pytest.mark.parametrize(
        "rows",
        [
            ROWS,
            [row[1:] for row in ROWS],
            [(f"{k % 9}.5", f"{k % 7}.25", f"{k % 3}.1", f"kind {k % 3}") for k in range(40)],
        ],
    )
    def test_a_file_without_names_is_told_also_where_a_column_is_asked_for(self, table, rows):
        found = table(rows)
        assert "names" in found.warnings[0]
        assert inspect_table(found).findings[0].severity == "warning"
        with pytest.raises(ColumnError, match="first line"):
            found.require("label", role="target")

    @pytest.mark.parametrize(
        "rows",
        [
            [("text", "spam"), *((f"some words here {k}", ["spam", "ham"][k % 2]) for k in range(40))],
            [("400.5", "401.0", "401.5"), *((f"{k}.1", f"{k}.2", f"{k}.3") for k in range(40))],
            [("2019", "2020", "y"), *((f"{k}", f"{k}", "pn"[k % 2]) for k in range(40))],
            [("0", "1", "2"), *((f"{k}", f"{k}", "pn"[k % 2]) for k in range(40))],
            [("", "a", ""), *ROWS],
            [NAMES, *ROWS],
        ],
    )
    def test_names_are_taken_for_names(self, table, rows):
        assert not table(rows).warnings

    @pytest.mark.parametrize("title", [[("Exported: 2024", "", "")], [("Sales", "", ""), ("", "", "")]])
    def test_a_title_filled_up_with_delimiters_names_the_setting_that_skips_it(self, table, title):
        (warning,) = table([*title, NAMES, *ROWS]).warnings
        assert f"table.skip_lines={len(title)}" in warning
        assert table([*title, NAMES, *ROWS], skip_lines=len(title)).names == NAMES


class TestDelimiters:
    @pytest.mark.parametrize("mark", ["^", "~"])
    def test_odd_ones_are_found_and_told(self, table, mark):
        found = table([NAMES, ("1", "a, b", "p"), ("2", "c", "n")], mark=mark)
        assert found.names == NAMES and found.num_rows == 2
        assert repr(mark) in " ".join(found.notes)

    def test_an_odd_one_is_named_where_a_later_row_is_ragged(self, table):
        with pytest.raises(TableError, match=r"table\.delimiter='\^'"):
            table([(*NAMES, "a,b"), *((*row, "c") for row in ROWS)], mark="^", delimiter="comma")

    @pytest.mark.parametrize("line", ["sep = ;", "sep= ;", "SEP =;"])
    def test_excels_line_may_hold_blanks(self, table, line):
        assert table([(line,), ("a;b",), ("1;2",)]).names == ("a", "b")


class TestMarksOfSpreadsheets:
    def test_formulas_that_give_a_text_are_read_as_it(self, table):
        found = table([NAMES, *((f'="{x}"', f'="00{k}"', y) for k, (x, _, y) in enumerate(ROWS))])
        assert found.values("x")[:3] == [0.0, 0.14, 0.29]
        assert found.values("review")[:2] == ["000", "001"]
        assert found.values("y") == [y for _, _, y in ROWS]
        assert [note.partition(":")[0] for note in found.notes] == ["x", "review"]
        again = table([NAMES, ('="1,5"', "a", "p")], verbatim=("x",), delimiter="tab")
        assert again.num_rows == 1

    def test_an_apostrophe_goes_from_before_numbers_alone(self, table):
        found = table([("a", "b", "c"), ("'2.14", "'tis", "'007"), ("3", "'2", "'08"), ("", "x", "")])
        assert found.values("a") == [2.14, 3.0, None]
        assert found.values("b") == ["'tis", "'2", "x"]
        assert found.values("c") == ["007", "08", None]
