"""Columns are known by their content, and what is left out says why."""

import json
import uuid
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from polymodal.config.run_config import RunConfig, make
from polymodal.data.audit.inspection import inspect_table
from polymodal.data.columns.infer import infer_columns
from polymodal.data.columns.profile import SAMPLE, profile_column
from polymodal.data.tables.table import read_table
from polymodal.errors import ColumnError

ROWS = 40


def columns(source, *, folder=None, **config):
    found = infer_columns(read_table(source, folder=folder), RunConfig(**config))
    return {column.name: column for column in found}


def one(cells, **config):
    """What a column of these cells is, beside one that is always there."""
    return columns({"it": cells, "other": [float(row) / 7 for row in range(len(cells))]}, **config)["it"]


class TestRealModalities:
    """A light check against the modalities that Polymodal has."""

    def test_plain_columns(self):
        found = columns(
            {
                "price": [row * 1.5 for row in range(ROWS)],
                "kind": ["red", "blue"] * (ROWS // 2),
                "review": [f"this was visit number {row} and we liked every bit of it" for row in range(ROWS)],
                "yes": [True, False] * (ROWS // 2),
                "id": [f"row-{row}" for row in range(ROWS)],
                "number": list(range(100, 100 + ROWS)),
                "same": ["x"] * ROWS,
            }
        )
        assert {name: (column.kind, column.modality) for name, column in found.items()} == {
            "price": ("number", "number"),
            "kind": ("category", "category"),
            "review": ("text", "text"),
            "yes": ("boolean", "category"),
            "id": ("identifier", None),
            "number": ("identifier", None),
            "same": ("constant", None),
        }

    def test_images_by_content_though_some_are_missing_and_names_lie(self, tmp_path):
        from PIL import Image

        for row in range(ROWS):
            if row % 4:
                Image.new("RGB", (2, 2), (row, 0, 0)).save(tmp_path / f"{row}.dat", format="PNG")
        found = columns({"photo": [f"{row}.dat" for row in range(ROWS)]}, folder=tmp_path)["photo"]
        assert (found.kind, found.modality) == ("image", "image")
        assert "30 of 40" in found.reason

    def test_media_in_memory(self):
        from PIL import Image

        rng = np.random.default_rng(0)
        pictures = [rng.integers(0, 256, (4, 4, 3)).astype(np.uint8) for _ in range(3)]
        found = columns(
            {"array": pictures, "pil": [Image.fromarray(picture) for picture in pictures],
             "wave": [np.sin(np.arange(1000) / 9 + turn).astype(np.float32) for turn in range(3)]}
        )  # fmt: skip
        assert {name: column.modality for name, column in found.items()} == {
            "array": "image", "pil": "image", "wave": "audio",
        }  # fmt: skip

    def test_files_that_are_all_absent_do_not_make_a_text(self, tmp_path):
        found = columns({"photo": ["a.png", "b.png", "a.png"], "n": [1.5, 2.5, 2.5]}, folder=tmp_path)["photo"]
        assert found.modality is None
        assert str(tmp_path) in found.reason and "a.png" in found.reason


class TestSurest:
    def test_ties_go_to_the_first_by_name(self, fakes):
        assert one(["a b", "c d"]).modality == "category"

    def test_the_highest_confidence_wins(self, fakes):
        assert one([b"BLOB1", b"BLOB2"]).modality == "blob"

    def test_what_no_modality_reads_is_left_out(self, fakes):
        found = one([{"a": 1}, {"a": 2}])
        assert (found.kind, found.modality) == ("unknown", None)
        assert "no modality reads cells such as {'a': 1}" in found.reason

    def test_column_all_missing_is_kept(self, fakes):
        found = one([None, "", float("nan")])
        assert (found.kind, found.modality) == ("number", "number")
        assert found.reason == "no cell holds a value; kept as an always-missing number"

    def test_sample_is_spread_and_holds_no_missing_cell(self, fakes):
        table = read_table({"a": [None if row % 2 else row for row in range(10_000)]})
        seen = profile_column(table, "a", RunConfig().limits)
        assert len(seen.values) == SAMPLE
        assert (seen.values[0], seen.values[-1]) == (0, 9998)
        assert np.diff(seen.values).max() <= 2 * np.ceil(5000 / SAMPLE)
        assert (seen.distinct, seen.present) == (5000, 5000)


class TestIdentifier:
    @pytest.mark.parametrize(
        "cells",
        [
            list(range(ROWS)),
            list(range(2 * ROWS, 0, -2)),
            [f"{row:03d}" for row in range(ROWS)],
            [str(row) for row in range(ROWS)],
            [str(uuid.UUID(int=row * 7919)) for row in range(ROWS)],
            [f"user{row}@example.org" for row in range(ROWS)],
            [f"en__word_{row}" for row in range(ROWS - 1)] + [None],
        ],
    )
    def test_keys(self, fakes, cells):
        found = one(cells)
        assert (found.kind, found.modality) == ("identifier", None)
        assert found.reason.startswith("left out: ")

    @pytest.mark.parametrize(
        "cells",
        [
            [float(row) for row in range(ROWS)],
            [row * 1000 for row in range(ROWS)],
            [row // 2 for row in range(ROWS)],
            [f"{row}.5" for row in range(ROWS)],
            [f"word number {row}" for row in range(ROWS)],
            [f"{row},{row + 1}" for row in range(ROWS)],
            [chr(0x4E00 + row) * 5 for row in range(ROWS)],
            ["".join(chr(97 + (row // 26**i) % 26) for i in range(2)) for row in range(ROWS)],
            list(range(19)),
        ],
        ids=["floats", "sparse", "repeated", "numerals", "free text", "lists", "no blanks", "words", "few"],
    )
    def test_what_is_none(self, fakes, cells):
        assert one(cells).kind != "identifier"

    def test_media_is_none(self, fakes):
        assert one([b"BLOB" + bytes([row]) for row in range(ROWS)]).kind == "blob"


class TestConstant:
    def test_constant(self, fakes):
        found = one([5, 5])
        assert (found.kind, found.modality, found.reason) == ("constant", None, "left out: every row holds 5")

    def test_with_gaps_it_says_something(self, fakes):
        assert one([5, None]).modality == "number"

    def test_one_row_is_no_reason(self, fakes):
        assert one([5]).modality == "number"


class TestConfiguration:
    table: ClassVar = {
        "a": [1.5, 2.5],
        "b": ["x y", "z"],
        "y": [0, 1],
        "w": [1.0, 2.0],
        "s": ["train", "test"],
        "g": ["p", "q"],
    }

    def test_roles(self, fakes):
        found = columns(
            self.table, target="y", weight="w", drop=("b",), split={"column": "s", "method": "group", "by": "g"}
        )
        assert {name: (column.kind, column.modality) for name, column in found.items()} == {
            "a": ("number", "number"), "b": ("dropped", None), "y": ("target", None),
            "w": ("weight", None), "s": ("split", None), "g": ("group", None),
        }  # fmt: skip
        assert all(column.reason for column in found.values())

    def test_forced_modality_and_settings(self, fakes, monkeypatch):
        config = make({"columns": {"g": {"modality": {"name": "word", "step": 3}}, "a": {"modality": {"step": 4}}},
                       "modalities": {"word": {"step": 1}, "number": {"step": 2}}})  # fmt: skip
        found = {column.name: column for column in infer_columns(read_table(self.table), config)}
        assert (found["g"].kind, found["g"].modality, found["g"].settings) == ("word", "word", {"step": 3})
        assert found["g"].reason == "said by the configuration"
        assert (found["a"].modality, found["a"].settings) == ("number", {"step": 4})
        assert (found["y"].modality, found["y"].settings) == ("number", {"step": 2})

    def test_forced_though_constant(self, fakes):
        assert one([5, 5], columns={"it": {"modality": "number"}}).modality == "number"

    @pytest.mark.parametrize(
        ("config", "role"),
        [
            ({"target": "lable"}, "target"),
            ({"weight": "lable"}, "weight"),
            ({"drop": ("lable",)}, "drop"),
            ({"split": {"column": "lable"}}, r"split\.column"),
            ({"split": {"by": "lable", "method": "group"}}, r"split\.by"),
            ({"columns": {"lable": {}}}, "columns"),
        ],
    )
    def test_typo_in_a_column_name(self, fakes, config, role):
        with pytest.raises(ColumnError, match=rf"{role}: .* no column 'lable'\. Did you mean 'label'\?"):
            columns({"label": [1, 2], "a": [1.5, 2.5]}, **config)

    def test_target_absent(self, fakes):
        with pytest.raises(ColumnError, match=r"target: .* no column 'z'"):
            columns(self.table, target="z")

    def test_target_among_the_features(self, fakes):
        with pytest.raises(ColumnError, match=r"'y' .* target is among the features"):
            columns(self.table, target="y", columns={"y": {}})
        with pytest.raises(ColumnError, match="'y' is the target and in drop"):
            columns(self.table, target="y", drop=("y",))

    def test_two_roles(self, fakes):
        with pytest.raises(ColumnError, match=r"'y' is given as target and as split\.column"):
            columns(self.table, target="y", split={"column": "y"})
        with pytest.raises(ColumnError, match="'w' is given as weight and under columns"):
            columns(self.table, weight="w", columns={"w": {}})

    def test_nothing_remains(self, fakes):
        with pytest.raises(ColumnError, match=r"no column is left to learn from .*a: left out: every row holds 1"):
            columns({"a": [1, 1], "y": [0, 1]}, target="y")


class TestInspect:
    def test_plain_table(self, fakes):
        frame = pd.DataFrame({"n": [1.5, 2.5, None, 2.5], "odd\x1b[31m": ["a\nb", "\u202e", "x" * 50, "y"]})
        found = inspect_table(frame)
        number, odd = found.columns
        assert (number.missing, number.distinct, number.examples) == (0.25, 2, ("1.5", "2.5"))
        assert odd.examples == ("a\\nb", "\\u202e", "x" * 23 + "…")
        lines = str(found).splitlines()
        assert lines[0] == "the DataFrame: 4 rows, 2 columns"
        assert all(ord(character) >= 32 for line in lines for character in line)
        starts = [line.index(word) for line, word in zip(lines[2:4], ["missing", "25.0%"], strict=True)]
        assert starts[0] == starts[1]

    def test_bytes_and_arrays_by_size(self, fakes):
        found = inspect_table({"b": [b"BLOB", b"BLOB1"], "a": [np.zeros((2, 3)), np.zeros(4)]})
        assert found.columns[0].examples == ("<4 bytes>", "<5 bytes>")
        assert found.columns[1].examples == ("<2×3 float64>", "<4 float64>")

    def test_an_integer_too_long_to_print(self):
        (found,) = inspect_table({"n": [1.5, 10**5_000]}).columns
        assert found.examples == ("1.5", "0x" + hex(10**5_000)[2:23] + "…")

    def test_to_dict_is_json(self, fakes):
        found = inspect_table({"n": [1.5, 2.5], "y": [1, 2]}, config=RunConfig(target="y")).to_dict()
        assert json.loads(json.dumps(found)) == found
        assert found["columns"][1] == {
            "name": "y", "kind": "target", "modality": None, "reason": "what is predicted",
            "missing": 0.0, "unreadable": 0.0, "distinct": 2, "examples": ["1", "2"],
        }  # fmt: skip

    def test_tables_with_nothing_to_learn_from(self, fakes):
        assert inspect_table({"a": [1, 1]}).columns[0].column.kind == "constant"


@pytest.mark.parametrize("odd", [["x"] * 3, ["x", "y", "z"], ["17"], ["NA", "NA", "x"]])
def test_few_odd_cells_among_the_numbers_of_rows_leave_them_a_key(odd):
    cells = [str(row) for row in range(1, 61)]
    cells[10 : 10 + len(odd)] = odd
    assert one(cells).kind == "identifier"
