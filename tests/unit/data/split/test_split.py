"""Sides are disjoint, whole, seeded, and as large as they should be."""

import datetime as dt
import warnings
from collections import Counter

import numpy as np
import pytest

from polymodal.config.run_config import SplitConfig
from polymodal.data.split.split import split_rows
from polymodal.data.tables.table import read_table
from polymodal.errors import ColumnError, ConfigError, DataError, DataWarning


def split(columns, *, target=None, stratify=False, seed=0, **config):
    return split_rows(read_table(columns), SplitConfig(**config), target=target, stratify=stratify, seed=seed)


def sizes(found):
    return len(found.train), len(found.validation), len(found.test)


def check(found, rows):
    """Every row is on one side, and each side is sorted."""
    everything = np.concatenate([found.train, found.validation, found.test])
    assert sorted(everything.tolist()) == sorted(rows)
    for side in (found.train, found.validation, found.test):
        assert np.issubdtype(side.dtype, np.integer)
        assert (np.diff(side) > 0).all()


def equal(one, other):
    return all(np.array_equal(getattr(one, side), getattr(other, side)) for side in ("train", "validation", "test"))


NUMBERS = {"a": list(range(100))}


class TestRandom:
    def test_shares(self):
        found = split(NUMBERS)
        check(found, range(100))
        assert sizes(found) == (65, 15, 20)

    def test_seeded_and_by_position_alone(self):
        found = split(NUMBERS)
        assert equal(found, split({"b": ["x"] * 100}))
        assert not equal(found, split(NUMBERS, seed=1))

    def test_rows_are_mixed(self):
        assert 30 < np.mean(split(NUMBERS).test) < 70

    @pytest.mark.parametrize("stratify", [False, True])
    def test_rounding_does_not_empty_train(self, stratify):
        found = split({"a": list(range(11))}, target=["x"] * 11, stratify=stratify, test=0.45, validation=0.54)
        assert sizes(found) == (1, 5, 5)

    def test_zero_shares(self):
        found = split(NUMBERS, test=0, validation=0)
        check(found, range(100))
        assert sizes(found) == (100, 0, 0)

    def test_rows_without_a_target_are_on_no_side(self):
        target = [None if row % 2 else row for row in range(100)]
        found = split(NUMBERS, target=target)
        check(found, range(0, 100, 2))
        assert sizes(found) == (32, 8, 10)

    def test_every_side_gets_a_row(self):
        assert sizes(split({"a": [1, 2, 3]})) == (1, 1, 1)

    @pytest.mark.parametrize(("rows", "target"), [(1, None), (2, None), (5, [None] * 3 + [1, 2]), (2, [None, None])])
    def test_too_few_rows(self, rows, target):
        with pytest.raises(
            DataError, match=r"each of train, test, validation needs one\. Add rows, or set split\.test"
        ):
            split({"a": list(range(rows))}, target=target)

    def test_one_row_can_train_alone(self):
        assert sizes(split({"a": [1]}, test=0, validation=0)) == (1, 0, 0)

    def test_shares_that_leave_nothing(self):
        with pytest.raises(ConfigError, match="no rows to train on"):
            split(NUMBERS, test=0.5, validation=0.5)


class TestStratified:
    def test_every_side_has_the_shares_of_the_whole(self):
        target = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
        found = split(NUMBERS, target=target, stratify=True)
        check(found, range(100))
        assert Counter(target[row] for row in found.test) == {"a": 12, "b": 6, "c": 2}
        validation = Counter(target[row] for row in found.validation)
        assert validation["a"] == 9 and validation["b"] in (4, 5) and validation["c"] in (1, 2)
        assert sizes(found) == (65, 15, 20)

    def test_seeded(self):
        target = ["a", "b"] * 50
        found = split(NUMBERS, target=target, stratify=True)
        assert equal(found, split(NUMBERS, target=target, stratify=True))
        assert not equal(found, split(NUMBERS, target=target, stratify=True, seed=1))

    def test_class_with_one_row_goes_to_train_with_a_warning(self):
        target = ["common"] * 99 + ["rare"]
        with pytest.warns(DataWarning, match="'rare'"):
            found = split(NUMBERS, target=target, stratify=True)
        check(found, range(100))
        assert 99 in found.train
        assert sizes(found) == (65, 15, 20)

    @pytest.mark.parametrize("members", [2, 3, 4])
    def test_small_classes_all_stay_in_train(self, members):
        target = [row // members for row in range(100 - 100 % members)]
        found = split({"a": target}, target=target, stratify=True, test=0.4, validation=0.4)
        check(found, range(len(target)))
        assert {target[row] for row in found.train} == set(target)
        assert len(found.test) > 0 and len(found.validation) > 0

    def test_remainders_do_not_prefer_the_first_classes(self):
        target = [row // 3 for row in range(300)]
        found = split({"a": target}, target=target, stratify=True, test=0.1, validation=0)
        assert len(found.test) == 30
        assert 100 < np.mean(found.test) < 200

    def test_equal_numbers_are_one_class(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            split({"a": [0] * 8}, target=[1, 1.0, "1", 1, 2, 2.0, "2", 2], stratify=True)

    def test_nothing_but_single_rows(self):
        with pytest.warns(DataWarning), pytest.raises(DataError, match="no class with a row to spare"):
            split({"a": list(range(10))}, target=list("abcdefghij"), stratify=True)

    def test_needs_classes(self):
        with pytest.raises(ConfigError, match="needs a target of classes"):
            split(NUMBERS, target=list(range(100)), method="stratified")

    def test_auto_is_random_without_classes(self):
        target = list(range(100))
        assert equal(split(NUMBERS, target=target), split(NUMBERS, target=target, method="random"))


class TestGroup:
    def test_no_group_on_two_sides(self):
        groups = [row % 17 for row in range(200)]
        found = split({"g": groups}, method="group", by="g")
        check(found, range(200))
        sides = [{groups[row] for row in side} for side in (found.train, found.validation, found.test)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert 30 <= len(found.test) <= 50 and 20 <= len(found.validation) <= 40

    def test_seeded(self):
        columns = {"g": [row % 17 for row in range(200)]}
        assert equal(split(columns, method="group", by="g"), split(columns, method="group", by="g"))
        assert not equal(split(columns, method="group", by="g"), split(columns, method="group", by="g", seed=1))

    @pytest.mark.parametrize("seed", range(5))
    def test_a_giant_group_does_not_fill_the_test(self, seed):
        groups = ["giant"] * 70 + [f"g{row}" for row in range(30)]
        found = split({"g": groups}, method="group", by="g", seed=seed)
        check(found, range(100))
        assert sizes(found) == (65, 15, 20) or len(found.train) >= 70

    def test_rows_without_a_group_and_equal_numbers_stay_together(self):
        groups = [None, 1, "1", 1.0, 2, None, 3, 4, 5, 6]
        for seed in range(5):
            found = split({"g": groups}, method="group", by="g", seed=seed)
            check(found, range(10))
            for together in ({0, 5}, {1, 2, 3}):
                assert sum(bool(together & set(side.tolist())) for side in vars(found).values()) == 1

    def test_too_few_groups(self):
        with pytest.raises(DataError, match="2 different cells in 'g'"):
            split({"g": ["a", "b"] * 50}, method="group", by="g")

    def test_three_groups_are_enough(self):
        found = split({"g": ["a"] * 98 + ["b", "c"]}, method="group", by="g")
        assert sizes(found) == (98, 1, 1)


class TestTime:
    def test_newest_in_test_then_validation(self):
        found = split({"t": list(range(100))[::-1]}, method="time", by="t")
        assert found.test.tolist() == list(range(20))
        assert found.validation.tolist() == list(range(20, 35))
        assert found.train.tolist() == list(range(35, 100))

    def test_ties_stay_together(self):
        times = [row // 7 for row in range(100)]
        found = split({"t": times}, method="time", by="t")
        check(found, range(100))
        newest = [[times[row] for row in side] for side in (found.train, found.validation, found.test)]
        assert max(newest[0]) < min(newest[1]) <= max(newest[1]) < min(newest[2])
        assert len(found.test) == 23  # 14 * 7 ... : 2 + 7 + 7 + 7 rows, the fewest whole times that reach 20

    def test_the_oldest_time_trains_whatever_its_size(self):
        found = split({"t": [1, 2, 3] + [1] * 97}, method="time", by="t")
        assert sizes(found) == (98, 1, 1)

    @pytest.mark.parametrize(
        "times",
        [
            ["2024-01-03", "2024-01-02", "2024-01-01T23:00"],
            [dt.datetime(2024, 1, 3), dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 1)],
            [dt.date(2024, 1, 3), dt.date(2024, 1, 2), dt.date(2024, 1, 1)],
            ["2024-01-01T03:00+00:00", "2024-01-01T02:00", "2024-01-01T03:30+02:00"],
            [3, 2.5, "1e0"],
            ["30", "20", "9"],
            [2**60 + 2, 2**60 + 1, 2**60],
        ],
    )
    def test_kinds_of_time(self, times):
        found = split({"t": times}, method="time", by="t")
        assert [side.tolist() for side in (found.test, found.validation, found.train)] == [[0], [1], [2]]

    @pytest.mark.parametrize(
        ("times", "reason"),
        [
            ([1, 2, 3, None], "row 3, column 't': an empty cell is no time"),
            (["9999-12-31T23:00:00-05:00", "2020-01-01", "2020-01-02"], "row 0, column 't': '9999.*is no time"),
            ([1, 2, 3, "soon"], "row 3, column 't': 'soon' is no time"),
            (["nan", "1", "2", "3"], "row 0, column 't': 'nan' is no time"),
            ([1, 2, "2024-01-01"], "mixes numbers and dates"),
            ([5] * 10, "1 different cells in 't'"),
        ],
    )
    def test_times_that_are_none(self, times, reason):
        with pytest.raises(DataError, match=reason):
            split({"t": times}, method="time", by="t")

    def test_rows_without_a_target_need_no_time(self):
        found = split({"t": [None, 1, 2, 3]}, target=[None, 1, 1, 1], method="time", by="t")
        check(found, [1, 2, 3])


class TestColumn:
    def test_all_spellings(self):
        words = ["train", " Validation", "VAL", "valid", "dev", "Test", "TRAIN "]
        found = split({"s": words}, column="s")
        assert (found.train.tolist(), found.validation.tolist(), found.test.tolist()) == ([0, 6], [1, 2, 3, 4], [5])

    def test_validation_is_taken_from_train(self):
        words = ["train"] * 80 + ["test"] * 20
        target = ["a", "b", "b", "b"] * 25
        found = split({"s": words}, target=target, stratify=True, column="s")
        check(found, range(100))
        assert found.test.tolist() == list(range(80, 100))
        assert Counter(target[row] for row in found.validation) == {"a": 3, "b": 9}
        assert equal(found, split({"s": words}, target=target, stratify=True, column="s"))

    def test_the_share_of_test_does_not_count(self):
        found = split({"s": ["train"] * 10 + ["test"]}, column="s", test=0.6, validation=0.5)
        assert sizes(found) == (5, 5, 1)

    def test_validation_of_zero_stays_empty_and_test_may_be(self):
        found = split({"s": ["train"] * 3}, column="s", validation=0)
        assert sizes(found) == (3, 0, 0)

    def test_validation_keeps_groups_whole(self):
        groups = [row // 5 for row in range(100)]
        found = split({"s": ["train"] * 90 + ["test"] * 10, "g": groups}, column="s", method="group", by="g")
        assert not {groups[row] for row in found.train} & {groups[row] for row in found.validation}
        assert len(found.validation) > 0

    def test_rows_without_a_target_are_on_no_side(self):
        found = split({"s": ["train", "train", "val", "test"]}, target=[1, None, None, 1], column="s", validation=0)
        assert (found.train.tolist(), found.validation.tolist(), found.test.tolist()) == ([0], [], [3])

    def test_other_words_are_named(self, tmp_path):
        (tmp_path / "t.csv").write_text("s,a\ntrain,1\nbus,2\n,3\n")
        config = SplitConfig(column="s")
        with pytest.raises(
            DataError, match=r"row 1 \(line 3\), split column 's': 2 cells .*'bus'; row 2: an empty cell"
        ):
            split_rows(read_table(tmp_path / "t.csv"), config, target=None, stratify=False, seed=0)

    def test_no_train_rows(self):
        with pytest.raises(DataError, match="no row with a target has 'train'"):
            split({"s": ["test", "val"]}, column="s")

    def test_one_train_row_has_none_to_spare(self):
        with pytest.raises(DataError, match=r"each of train, validation needs one.*split\.validation to 0"):
            split({"s": ["train", "test"]}, column="s")


@pytest.mark.parametrize(
    ("config", "error", "reason"),
    [
        ({"column": "x"}, ColumnError, "no column 'x'"),
        ({"method": "group"}, ConfigError, r"needs split\.by"),
        ({"method": "time"}, ConfigError, r"needs split\.by"),
        ({"by": "a"}, ConfigError, r"needs split\.method group or time"),
        ({"method": "group", "by": "x"}, ColumnError, "no column 'x'"),
    ],
)
def test_configurations_that_do_not_fit(config, error, reason):
    with pytest.raises(error, match=reason):
        split(NUMBERS, **config)
