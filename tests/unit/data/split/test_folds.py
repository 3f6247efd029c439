"""Folds: every row once, classes alike in each, groups whole; the same for the same seed."""

from collections import Counter

import numpy as np
import pytest

from polymodal.config.run_config import SplitConfig
from polymodal.data.split.folds import fold_of_rows
from polymodal.data.split.split import groups_of
from polymodal.data.tables.table import read_table
from polymodal.errors import ColumnError, ConfigError, DataError

ROWS = 50
LABELS = ["a"] * 29 + ["b"] * 14 + ["c"] * 7
TABLE = read_table({
    "x": list(range(ROWS)),
    "voice": [None if k < 2 else float(k % 7) for k in range(ROWS)],
})  # fmt: skip


def folds(number=5, *, seed=0, stratify=True, target=LABELS, **config):
    return fold_of_rows(TABLE, SplitConfig(**config), target=target, stratify=stratify, seed=seed, folds=number)


def test_folds_have_equal_sizes_and_the_classes_of_all():
    found = folds()
    assert sorted(Counter(found.tolist()).values()) == [10] * 5
    for label, count in Counter(LABELS).items():
        of_label = Counter(fold for fold, name in zip(found.tolist(), LABELS, strict=True) if name == label)
        assert set(of_label.values()) <= {count // 5, count // 5 + 1}


def test_the_seed_decides_which_rows_meet():
    assert np.array_equal(folds(seed=1), folds(seed=1))
    assert not np.array_equal(folds(seed=1), folds(seed=2))
    assert not np.array_equal(folds(), np.arange(ROWS) % 5)


@pytest.mark.parametrize("how", [{"stratify": False}, {"method": "random"}])
def test_without_classes_rows_are_dealt(how):
    assert sorted(Counter(folds(3, **how).tolist()).values()) == [16, 17, 17]


def test_a_group_is_in_one_fold_and_rows_without_one_are_a_group():
    found = folds(3, method="group", by="voice", stratify=False)
    of_group: dict = {}
    for voice, fold in zip(TABLE.values("voice"), found.tolist(), strict=True):
        assert of_group.setdefault(voice, fold) == fold
    sizes = Counter(found.tolist()).values()
    assert len(sizes) == 3 and max(sizes) - min(sizes) <= 8
    assert not np.array_equal(found, folds(3, method="group", by="voice", stratify=False, seed=3))


def test_units_are_groups_under_the_method_group_only():
    assert len(set(groups_of(TABLE, SplitConfig(method="group", by="voice")).tolist())) == 8
    assert groups_of(TABLE, SplitConfig()).tolist() == list(range(ROWS))


@pytest.mark.parametrize(
    ("number", "config", "error", "words"),
    [
        (8, {}, DataError, "8 folds need 8 rows of every class, but 'c' has 7. Use fewer folds"),
        (51, {"method": "random"}, DataError, "50 rows cannot be divided into 51 folds"),
        (9, {"method": "group", "by": "voice"}, DataError, "8 different groups in 'voice' cannot be divided into 9"),
        (3, {"method": "group"}, ConfigError, "needs split.by"),
        (3, {"method": "random", "by": "voice"}, ConfigError, "needs split.method group"),
        (3, {"method": "time", "by": "voice"}, ConfigError, "Use 1 fold"),
        (3, {"method": "stratified", "stratify": False}, ConfigError, "needs a target of classes"),
        (3, {"method": "group", "by": "vioce"}, ColumnError, "Did you mean 'voice'"),
    ],
)
def test_what_cannot_be_divided_says_why(number, config, error, words):
    with pytest.raises(error, match=words):
        folds(number, **config)
