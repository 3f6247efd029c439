"""Tables come in whole: nothing lost, nothing guessed, and errors that name the line."""

import csv as csv_module
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from polymodal.data.tables.table import Table, read_table
from polymodal.errors import ColumnError, TableError

TEXTS = ["nul \0 inside", "emoji 👩‍👩‍👧", "שלום عالم", "e\u0301 and é", 'a,b"c\nd']


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def csv(tmp_path):
    return lambda content, name="t.csv": read_table(write(tmp_path / name, content))


class TestDelimited:
    def test_types_of_columns(self, csv):
        table = csv("i,f,b,s,when\n1,1.5,true,x,2024-01-31\n-20,,False,,\n,1e3,,y,2024-02-01\n")
        assert table.num_rows == 3
        assert table.values("i") == [1, -20, None]
        assert table.values("f") == [1.5, None, 1000.0]
        assert table.values("b") == [True, False, None]
        assert table.values("s") == ["x", None, "y"]
        assert table.values("when") == ["2024-01-31", None, "2024-02-01"]

    @pytest.mark.parametrize(
        "cells",
        [["007", "12"], ["+4930", "1"], ["12345678901234567890", "1"], ["0.5", "9007199254740993"], ["1", "one"]],
    )
    def test_what_a_number_would_lose_stays_a_string(self, csv, cells):
        assert csv("a\n" + "\n".join(cells) + "\n").values("a") == cells

    def test_null_words_count_beside_numbers_only(self, csv):
        table = csv("n,country\n1,NA\nNA,DE\nNaN,null\n")
        assert table.values("n") == [1, None, None]
        assert table.values("country") == ["NA", "DE", "null"]

    def test_blanks_count_as_missing_beside_numbers_only(self, csv):
        table = csv("n,b,s\n 1,true, x\n  , ,  \n3,false,y\n")
        assert table.values("n") == [1, None, 3]
        assert table.values("b") == [True, None, False]
        assert table.values("s") == [" x", "  ", "y"]

    def test_inf_survives(self, csv):
        assert csv("a\n1.5\ninf\n-Infinity\n1e400\n").values("a") == [1.5, np.inf, -np.inf, np.inf]

    def test_tsv(self, csv):
        table = csv("a\tb\n1,5\tx\n", "t.tsv")
        assert (table.values("a"), table.values("b")) == (["1,5"], ["x"])

    def test_without_a_last_newline_and_with_crlf(self, csv):
        assert csv("a,b\r\n1,2\r\n3,4").values("b") == [2, 4]

    def test_bom_is_not_part_of_the_first_name(self, csv):
        assert csv(b"\xef\xbb\xbfa,b\n1,2\n").names == ("a", "b")

    def test_duplicate_columns(self, csv):
        with pytest.raises(TableError, match=r"two columns are called 'b'"):
            csv("a,b,b\n1,2,3\n")

    @pytest.mark.parametrize("bad", ["3", "3,4,5"])
    def test_ragged_line_is_named_past_newlines_in_cells_and_blank_lines(self, csv, bad):
        with pytest.raises(TableError, match=r"t\.csv, line 6: (1 cell|3 cells), .* names 2 columns"):
            csv(f'a,b\n"1\n2",2\n\n1,2\n{bad}\n1,2\n')

    def test_bad_utf8_is_named_by_line(self, csv):
        with pytest.raises(TableError, match=r"line 3: byte 3 is not UTF-8"):
            csv(b"a,b\n1,2\n3,\xff\n")

    def test_unclosed_quote_does_not_swallow_the_rest(self, csv):
        with pytest.raises(TableError, match=r"line 3: a quote .* never closes"):
            csv('a,b\n1,2\n3,"x\n5,6\n')

    @pytest.mark.parametrize("before", ["", '5" pipe,1\n', '"a"b,1\n', f"{'long ' * 40_000},1\n"])
    def test_unclosed_quote_in_a_long_file(self, csv, before):
        rest = "".join(f"{row},word\n" for row in range(20_000))  # more than the csv module takes for one cell
        line = 2 + before.count("\n")
        for opening in ('1,"x\n', '"1,x\n'):
            with pytest.raises(TableError, match=rf"line {line}: a quote .* never closes"):
                csv(f"a,b\n{before}{opening}{rest}")

    def test_stray_quotes_are_content(self, csv):
        assert csv('a,b\n5" pipe,x\n1,y\n').values("a") == ['5" pipe', "1"]

    @pytest.mark.parametrize(("content", "reason"), [("", "is empty"), ("a,b\n", "no rows"), ("a,b", "no rows")])
    def test_no_rows(self, csv, content, reason):
        with pytest.raises(TableError, match=reason):
            csv(content)

    def test_column_without_a_name(self, csv):
        assert csv(",a, b\n0,1,2\n").names == ("column_1", "a", "b")

    def test_lines_of_rows_follow_the_rows(self, csv):
        table = csv('a\n"1\n2"\n\n3\n4\n')
        assert [table.line(row) for row in range(3)] == [2, 5, 6]
        taken = table.take(np.array([2, 0]))
        assert [taken.line(0), taken.line(1), taken.take(np.array([1])).line(0)] == [6, 2, 2]
        assert taken.where(0).endswith("t.csv, row 2 (line 6)")
        assert table.where(1).endswith("t.csv, row 1 (line 5)")

    def test_blank_lines_before_the_header(self, csv):
        table = csv("\n\na,b\n1,2\n")
        assert (table.values("a"), table.line(0)) == ([1], 4)

    def test_a_very_long_cell(self, csv):
        long = "word " * 400_000
        table = csv(f"a,b\n1,{long}\n2,\n")
        assert table.values("b") == [long, None]
        assert [table.line(0), table.line(1)] == [2, 3]
        with pytest.raises(TableError, match="line 3: 3 cells"):
            csv(f"a,b\n1,{long}\n2,3,4\n")

    def test_the_csv_modules_own_limit_stays(self, csv):
        before = csv_module.field_size_limit()
        csv('a\n"1"\n').line(0)
        assert csv_module.field_size_limit() == before

    def test_text_round_trip(self, tmp_path):
        pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "t.csv", index=False)
        assert read_table(tmp_path / "t.csv").values("text") == TEXTS


class TestJsonLines:
    def test_mixed_types_stay_what_they_are(self, tmp_path):
        cells = ["1", 1, 1.0, "one", True, None, "", [1, 2]]
        path = write(tmp_path / "t.jsonl", "\n".join(json.dumps({"a": cell}) for cell in cells))
        values = read_table(path).values("a")
        assert values == ["1", 1, 1.0, "one", True, None, None, [1, 2]]
        assert [type(value) for value in values[:5]] == [str, int, float, str, bool]

    def test_absent_keys_are_missing_and_lines_counted(self, tmp_path):
        table = read_table(write(tmp_path / "t.ndjson", '\n{"a": NaN}\n\n{"b": "\\ud800"}\n'))
        assert table.names == ("a", "b")
        assert (table.values("a"), table.values("b")) == ([None, None], [None, "\ud800"])
        assert [table.line(0), table.line(1)] == [2, 4]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ('{"a": 1', "not JSON"),
            ("[1]", "expected an object"),
            ('{"a": 1, "a": 2}', "key 'a' appears more than once"),
            (b'{"a": "\xff"}', "byte 8 is not UTF-8"),
            ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
        ],
    )
    def test_errors_name_the_line(self, tmp_path, line, reason):
        line = line if isinstance(line, bytes) else line.encode()
        with pytest.raises(TableError, match=rf"t\.jsonl, line 2.*{reason}"):
            read_table(write(tmp_path / "t.jsonl", b'{"a": 0}\n' + line + b"\n"))

    def test_no_rows(self, tmp_path):
        with pytest.raises(TableError, match="no rows"):
            read_table(write(tmp_path / "t.jsonl", "\n\n"))


class TestArrow:
    def test_parquet(self, tmp_path):
        when = dt.datetime(2024, 1, 31, 12, tzinfo=dt.UTC)
        columns = {
            "text": pa.array([*TEXTS[:2], ""]),
            "blob": pa.array([b"\x00\xff", None, b""]),
            "wave": pa.array([[0.0, 1.0], None, [0.5]], pa.list_(pa.float32())),
            "picture": pa.array([[[1, 2], [3, 4]], [[1], [2, 3]], None], pa.list_(pa.list_(pa.uint8()))),
            "when": pa.array([when, None, when], pa.timestamp("ns", "UTC")),
            "price": pa.array([Decimal("1.10"), None, None]),
            "number": pa.array([1.0, np.nan, np.inf]),
            "none": pa.nulls(3),
        }
        pq.write_table(pa.table(columns), tmp_path / "t.parquet")
        table = read_table(tmp_path / "t.parquet")
        assert table.values("text") == [*TEXTS[:2], None]
        assert table.values("blob") == [b"\x00\xff", None, b""]  # no bytes: unreadable, not missing
        waves = table.values("wave")
        assert waves[0].dtype == np.float32 and waves[1] is None
        np.testing.assert_array_equal(waves[0], [0.0, 1.0])
        assert table.values("picture")[0].dtype == np.uint8
        assert table.values("picture")[1:] == [[[1], [2, 3]], None]
        assert table.values("when") == [when, None, when]
        assert table.values("price") == [Decimal("1.10"), None, None]
        assert table.values("number") == [1.0, None, np.inf]
        assert table.values("none") == [None] * 3
        assert table.line(0) is None

    def test_parquet_that_is_not(self, tmp_path):
        with pytest.raises(TableError, match=r"t\.parquet cannot be read"):
            read_table(write(tmp_path / "t.parquet", "a,b\n1,2\n"))

    def test_a_folder_that_looks_like_a_partition_adds_no_column(self, tmp_path):
        (tmp_path / "split=train").mkdir()
        pq.write_table(pa.table({"a": [1]}), tmp_path / "split=train" / "t.parquet")
        assert read_table(tmp_path / "split=train" / "t.parquet").names == ("a",)

    def test_polars(self):
        frame = pl.DataFrame({"s": ["x", None, "z"], "b": [b"1", b"2", None], "n": [["p"], None, []], "i": [1, 2, 3]})
        table = read_table(frame).take(np.array([2, 0]))
        assert [table.values(name) for name in table.names] == [["z", "x"], [None, b"1"], [[], ["p"]], [3, 1]]

    def test_polars_nested_text(self):
        cells = {"struct": [{"a": "x"}, {"a": "y"}], "array": [["x"], ["y"]]}
        frame = pl.DataFrame(cells, schema_overrides={"array": pl.Array(pl.String, 1)})
        table = read_table(frame).take(np.array([1, 0]))
        assert [table.values(name) for name in cells] == [[{"a": "y"}, {"a": "x"}], [["y"], ["x"]]]

    def test_polars_types_that_arrow_lacks(self):
        with pytest.raises(TableError, match="the DataFrame, column 'n': cells that Arrow cannot hold"):
            read_table(pl.DataFrame({"n": pl.Series([1], dtype=pl.Int128)}))

    def test_polars_objects_are_objects_not_addresses(self):
        cells = [{"any": 1}, None, "thing"]
        assert read_table(pl.DataFrame({"o": pl.Series(cells, dtype=pl.Object)})).values("o") == cells

    def test_duplicate_columns(self):
        with pytest.raises(TableError, match="two columns are called 'a'"):
            read_table(pa.table([[1], [2]], names=["a", "a"]))

    def test_an_array_is_not_a_table(self):
        with pytest.raises(TableError, match="not a table"):
            read_table(pa.array([1, 2]))


class TestPandas:
    def test_object_columns_hold_anything(self):
        picture, wave = np.zeros((2, 2, 3), np.uint8), np.ones(4, np.float32)
        cells = [picture, wave, b"bytes", "text", 1, 1.0, np.float32(0.5), None, np.nan, pd.NaT, pd.NA, ""]
        values = read_table(pd.DataFrame({"a": pd.Series(cells, dtype=object)})).values("a")
        assert values[0] is picture and values[1] is wave
        assert values[2:7] == [b"bytes", "text", 1, 1.0, 0.5]
        assert [type(value) for value in values[2:7]] == [bytes, str, int, float, float]
        assert values[7:] == [None] * 5

    def test_typed_columns(self):
        frame = pd.DataFrame(
            {
                "i": pd.Series([1, None], dtype="Int64"),
                "f": [1.5, np.nan],
                "b": pd.Series([True, None], dtype="boolean"),
                "s": ["x\0", None],
                "c": pd.Series(["u", None], dtype="category"),
                "mixed": pd.Series([1, "u"], dtype="category"),
                "t": pd.to_datetime(["2024-01-31", None]),
                7: [1, 2],
            }
        ).set_index(pd.Index([5, 5]))
        table = read_table(frame)
        expected = [
            [1, None], [1.5, None], [True, None], ["x\0", None], ["u", None], [1, "u"],
            [dt.datetime(2024, 1, 31), None], [1, 2],
        ]  # fmt: skip
        assert [table.values(name) for name in table.names] == expected
        assert table.names[-1] == "7"

    def test_duplicate_columns(self):
        with pytest.raises(TableError, match="two columns are called 'a'"):
            read_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))

    def test_any_text_round_trips(self):
        texts = [*TEXTS, "lone \ud800 surrogate"]
        assert read_table(pd.DataFrame({"t": pd.Series(texts, dtype=object)})).values("t") == texts
        assert read_table({"t": texts}).values("t") == texts
        assert read_table({"t": np.array(texts)}).values("t") == texts


class TestMemory:
    def test_dict(self):
        images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
        table = read_table(
            {
                "image": images,
                "ragged": [np.zeros(2), np.zeros(3)],
                "n": np.array([1.0, np.nan]),
                "when": np.array(["2024-01-31", "NaT"], dtype="datetime64[ns]"),
                "object": [np.datetime64("2024-01-31"), np.int8(3)],
                "series": pd.Series([1, "one"]),
                "arrow": pa.array([1, None]),
            }
        )
        np.testing.assert_array_equal(table.values("image")[1], images[1])
        assert table.values("image")[1].dtype == np.uint8
        assert [len(cell) for cell in table.values("ragged")] == [2, 3]
        assert table.values("n") == [1.0, None]
        assert table.values("when") == [dt.datetime(2024, 1, 31), None]
        assert table.values("object") == [dt.datetime(2024, 1, 31), 3]
        assert table.values("series") == [1, "one"]
        assert table.values("arrow") == [1, None]

    def test_tensors(self):
        table = read_table({"label": torch.tensor([1, 0]), "image": torch.zeros(2, 4, 3)})
        assert table.values("label") == [1, 0]
        assert [type(cell) for cell in table.values("label")] == [int, int]
        assert [cell.shape for cell in table.values("image")] == [(4, 3), (4, 3)]
        assert all(isinstance(cell, np.ndarray) for cell in table.values("image"))

    def test_numpy(self):
        table = read_table(np.array([[1.0, np.nan], [3.0, np.inf]]))
        assert table.names == ("x0", "x1")
        assert (table.values("x0"), table.values("x1")) == ([1.0, 3.0], [None, np.inf])

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ({"a": [1], "b": [1, 2]}, r"differ in length: a 1, b 2"),
            ({"a": iter([1])}, "expected a sequence of cells, got list_iterator"),
            ({"a": np.array(1)}, "expected a sequence of cells, got ndarray"),
            ({}, "no rows"),
            ({"a": []}, "no rows"),
            (np.zeros(3), "two axes"),
            (np.zeros((0, 3)), "no rows"),
            (3, "the int is not a table"),
            ("nowhere.csv", "no such file"),
            ("table.docx", r"ends with one of \.csv"),
        ],
    )
    def test_what_is_no_table(self, source, reason):
        with pytest.raises(TableError, match=reason):
            read_table(source)

    def test_a_table_comes_back_as_it_is(self):
        table = read_table({"a": [1]})
        assert read_table(table) is table

    def test_folder(self, tmp_path):
        assert read_table({"a": [1]}).folder == Path.cwd()
        assert read_table({"a": [1]}, folder=tmp_path).folder == tmp_path
        assert read_table(write(tmp_path / "t.csv", "a\n1\n")).folder == tmp_path


class TestTable:
    table = read_table({"price": list(range(2500)), "name": [str(row) for row in range(2500)]})

    def test_take_and_without(self):
        taken = self.table.take(np.array([2400, 3])).without(["price", "absent"])
        assert isinstance(taken, Table)
        assert (taken.names, taken.num_rows, taken.values("name")) == (("name",), 2, ["2400", "3"])

    def test_all_cells_in_order(self):
        assert self.table.values("price") == list(range(2500))

    def test_typo_in_a_column_name(self):
        with pytest.raises(ColumnError, match=r"split\.by: the dict has no column 'prise'\. Did you mean 'price'\?"):
            self.table.require("name", "prise", role="split.by")
        with pytest.raises(ColumnError, match="Columns: price, name"):
            self.table.values("label")
