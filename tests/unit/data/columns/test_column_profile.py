"""A column is looked at as Arrow holds it, or cell by cell: what is found is the same."""

import math

import numpy as np
import pyarrow as pa
import pytest

from polymodal.config.run_config import RunConfig
from polymodal.data.columns.profile import profile_column
from polymodal.data.tables.table import read_table

COLUMNS = {
    "floats": pa.chunked_array([[1.5, -0.0, 0.0, None, math.nan], [math.nan, 1.5, -math.inf]], pa.float64()),
    "short floats": pa.chunked_array([[0.1, None, 0.1]], pa.float32()),
    "whole": pa.chunked_array([[2**62, None, 2**62 + 1], [0]], pa.int64()),
    "switches": pa.chunked_array([[True, None, True]]),
    "texts": pa.chunked_array([["a", "", None, "a"], ["b", "é", "\0"]]),
    "long texts": pa.chunked_array([["", None, "no such file.png"]], pa.large_string()),
    "gaps": pa.chunked_array([[None, None]], pa.float64()),
    "blanks": pa.chunked_array([["", ""]]),
    "one empty chunk": pa.chunked_array([pa.array([], pa.string()), pa.array(["x"])]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_arrow_and_python_objects_are_profiled_alike(name):
    column, limits = COLUMNS[name], RunConfig().limits
    objects = np.fromiter(column.to_pylist(), dtype=object)
    fast = profile_column(read_table(pa.table({"a": column})), "a", limits)
    slow = profile_column(read_table({"a": objects}), "a", limits)
    assert fast == slow
    assert [type(value) for value in fast.values] == [type(value) for value in slow.values]


@pytest.mark.parametrize("name", COLUMNS)
def test_arrow_and_python_objects_have_the_same_cells(name):
    column = COLUMNS[name]
    objects = np.fromiter(column.to_pylist(), dtype=object)
    assert read_table(pa.table({"a": column})).values("a") == read_table({"a": objects}).values("a")


def test_rows_are_taken_of_a_slice_as_of_the_whole():
    column = pa.chunked_array([["a", "b", None, "", "c"], [None, "b"]]).slice(1, 5)
    seen = profile_column(read_table(pa.table({"a": column})), "a", RunConfig().limits)
    assert (list(seen.values), seen.present, seen.distinct) == (["b", "c"], 2, 2)
