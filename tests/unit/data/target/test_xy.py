import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from polymodal.data.tables.table import read_table
from polymodal.data.target.xy import attach, checked, is_numeric, targets_of
from polymodal.errors import ColumnError, TableError

TABLE = read_table({"a": [1, 2, 3], "y": ["u", "v", "w"]})
NUMBERS = [[1.0, 2.0], [3.0, float("inf")]]


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor])
def test_array_likes_become_arrays(kind):
    array = checked(kind(NUMBERS))
    assert is_numeric(array)
    assert array.tolist() == NUMBERS


@pytest.mark.parametrize(
    "table", [{"a": [1]}, pd.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]}), pa.table({"a": [1]})]
)
def test_tables_stay_what_they_are(table):
    assert checked(table) is table
    assert not is_numeric(table)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (np.ones(3), ValueError, "Reshape your data"),
        (np.ones((2, 2, 2)), ValueError, "dim 3"),
        (np.ones((2, 0)), ValueError, "0 feature"),
        (np.ones((2, 2)) * 1j, ValueError, "Complex data"),
        (sparse.csr_array(np.eye(2)), TypeError, "[Ss]parse"),
    ],
)
def test_what_is_no_table(source, error, message):
    with pytest.raises(error, match=message):
        checked(source)


@pytest.mark.parametrize(
    "values", [[4, None, 6], (4, None, 6), pd.Series([4, None, 6]), pl.Series("", [4, None, 6]), pa.array([4, None, 6])]
)
def test_values_join_as_a_column_of_a_free_name(values):
    table, name = attach(TABLE, values, name=None, role="y")
    assert (name, table.names) == ("y_2", ("a", "y", "y_2"))
    assert table.values(name) == [4, None, 6]
    assert TABLE.names == ("a", "y")


def test_a_tensor_gives_numbers():
    assert list(map(repr, targets_of(TABLE, torch.tensor([4, 5, 6]), name="y"))) == ["4", "5", "6"]


def test_a_role_is_named_by_the_values_else_by_who_asks():
    assert attach(TABLE, pd.Series([1, 2, 3], name="label"), name="b", role="y")[1] == "label"
    assert attach(TABLE, [1, 2, 3], name="b", role="y")[1] == "b"
    assert attach(TABLE, "a", name="b", role="y") == (TABLE, "a")
    assert attach(TABLE, None, name="b", role="y") == (TABLE, "b")
    with pytest.raises(ColumnError, match="give the answer away"):
        attach(TABLE, pd.Series([1, 2, 3], name="a"), name=None, role="y")


def test_one_value_a_row():
    with pytest.warns(DataConversionWarning):
        assert targets_of(TABLE, np.array([[1], [2], [3]]), name="y") == [1, 2, 3]
    assert targets_of(TABLE, None, name="y") == ["u", "v", "w"]
    assert targets_of(TABLE, "a", name="y") == [1, 2, 3]
    for wrong in ([1, 2], np.ones((3, 2)), np.array(1.0)):
        with pytest.raises(ValueError, match=r"inconsistent|1d array"):
            targets_of(TABLE, wrong, name="y")
    with pytest.raises(TableError, match="extra has 2 cells, but the dict has 3 rows"):
        TABLE.with_column("extra", [1, 2])
