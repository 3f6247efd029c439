"""What a table of many columns costs: the looks at names are counted, not the time."""

import numpy as np
import pytest

from polymodal.data.tables.table import read_table
from polymodal.errors import ColumnError


class CountedName(str):
    """A column's name that counts how often it is compared or looked up."""

    uses = 0

    def __eq__(self, other):
        CountedName.uses += 1
        return str.__eq__(self, other)

    def __hash__(self):
        CountedName.uses += 1
        return str.__hash__(self)


class TestWideTables:
    """What a look at one column costs does not grow with the number of columns."""

    def table(self, columns):
        names = [CountedName(f"f{number}") for number in range(columns)]
        return read_table({name: [1, 2] for name in names}), names

    def test_leaving_out_a_list_of_columns_looks_at_each_name_a_few_times(self):
        table, names = self.table(200)
        CountedName.uses = 0
        assert table.without(names[1:]).names == ("f0",)
        assert CountedName.uses < 10 * len(names)

    def test_one_column_is_found_without_looking_at_the_others(self):
        table = self.table(200)[0]
        CountedName.uses = 0
        assert table.column("f7").names == ("f7",)
        assert CountedName.uses < 10

    def test_a_column_that_is_not_there_is_named(self):
        with pytest.raises(ColumnError, match="f201"):
            self.table(3)[0].column("f201")

    def test_rows_keep_their_numbers_in_the_table_of_one_column(self):
        table = read_table({"a": [1, 2, 3], "b": ["x", "y", "z"]}).take(np.array([2, 0])).column("b")
        assert (table.values("b"), table.where(0)) == (["z", "x"], "the dict, row 2")
