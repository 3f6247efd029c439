from __future__ import annotations

import datetime
import json
from decimal import Decimal

import numpy as np
import pytest

from polymodal.errors import UnreadableCellError
from polymodal.modalities.category import Category, CategoryConfig
from polymodal.protocols import Sample


def sample(values, *, distinct=None, present=None, heads=None):
    heads = heads or [None] * len(values)
    return Sample(values, heads, distinct or len(set(map(str, values))), present or len(values))


def fitted(cells, **settings):
    config = CategoryConfig(**settings)
    category = Category(config)
    statistics = category.fit([category.read(cell) for cell in cells])
    return Category(config, json.loads(json.dumps(statistics)))


def name(cell):
    return Category(CategoryConfig()).read(cell).tobytes().decode()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(1, "1"), (1.0, "1"), ("1", "1"), (np.float32(1), "1"), (Decimal("1.0"), "1"), (-0.0, "0"), (True, "true"),
     (np.bool_(False), "false"), (1.5, "1.5"), (np.float32(0.1), "0.1"), (Decimal("1.50"), "1.5"), ("007", "007"),
     (" a b ", "a b"), (datetime.date(2026, 1, 2), "2026-01-02"), (float("inf"), "inf")],
)  # fmt: skip
def test_one_category_has_one_name(cell, expected):
    assert name(cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        [1],
        {"a": 1},
        b"a",
        np.ones(2),
        object(),
        pytest.param("x" * 1_001, id="long"),
        pytest.param(10**5_000, id="digits"),
    ],
)
def test_what_is_no_category_becomes_reject(cell):
    with pytest.raises(UnreadableCellError, match="not a category"):
        Category(CategoryConfig()).read(cell)


def test_long_decimals_that_differ_stay_apart():
    numbers = ["12345678901234567891", "12345678901234567892", "0.12345678901234567891", "0.12345678901234567892"]
    assert [name(Decimal(number)) for number in numbers] == numbers
    assert name(Decimal(numbers[0])) == name(int(numbers[0]))
    assert len(name(Decimal("sNaN"))) > 0


def test_any_text_makes_a_name():
    assert name("e\u0301") == name("\u00e9")
    assert name("a\ud800b") == "a\ufffdb"
    assert name("\ud83d\ude00") == "😀"
    assert name("a\0b\u202e") == "a\0b\u202e"


def test_codes_by_frequency_then_name():
    category = fitted(["b", "c", "a", "c", 1, 1.0, "1", "b"])
    assert category.categories == ("1", "b", "c", "a")
    assert category.cardinality == 5


def test_unseen_category_gets_the_reserved_code():
    category = fitted(["a", "b", "b"])
    cells = category.collate([category.read(cell) for cell in ("a", "b", "new")] + [None])
    assert cells.values.tolist() == [[2], [1], [0], [0]]
    assert cells.lengths.tolist() == [1, 1, 1, 0]


def test_rare_categories_share_the_reserved_code():
    assert fitted(["a", "a", "b"], min_count=2).categories == ("a",)
    assert fitted(["a", "a", "b", "c"], max_categories=2).categories == ("a", "b")


def test_blank_is_missing():
    category = fitted(["a"])
    assert category.collate([category.read("  ")]).lengths.tolist() == [0]
    assert Category(CategoryConfig()).fit([category.read(" ")]) == {"categories": []}


def test_simple_features_are_one_hot():
    category = fitted(["a", "b", "b"])
    features = category.handcrafted_features([category.read("a"), None, category.read("z")])
    assert features.tolist() == [[0, 1], [0, 0], [0, 0]]


def test_no_category_at_all():
    category = fitted([])
    assert category.cardinality == 1
    assert category.handcrafted_features([None]).shape == (1, 0)


@pytest.mark.parametrize(
    ("values", "distinct", "present"),
    [(["less than five", "odd"] * 50, 6, 1_000), ([True, False], 2, 2), ([0, 1.0, "2"] * 10, 3, 500),
     (["x" + str(i) for i in range(100)], 100, 5_000)],
)  # fmt: skip
def test_recognises(values, distinct, present):
    found = Category.recognise(sample(values, distinct=distinct, present=present))
    assert found is not None
    assert found.confidence >= 0.6


@pytest.mark.parametrize(
    ("values", "distinct", "present"),
    [([1.5, 2.5] * 50, 100, 200), (["a", "b", "c"], 3, 3), (["one two three four five six"] * 20, 2, 20), ([], 0, 0),
     (list(range(100)), 100, 100), ([[1], [1]], 1, 100), (["x" + str(i) for i in range(100)], 100, 1_500)],
)  # fmt: skip
def test_does_not_recognise(values, distinct, present):
    assert Category.recognise(sample(values, distinct=distinct, present=present)) is None


def test_names_of_files_are_no_categories():
    values = ["flag.png", "sun.png"] * 20
    assert Category.recognise(sample(values, distinct=2, heads=[b"\x89PNG"] * 40)) is None


def test_a_missing_category_is_filled():
    config = CategoryConfig(missing="mode")
    arrays = [Category(config).read(name) for name in ("red", "green", "green")]
    category = Category(config, Category(config).fit(arrays))
    cells = category.collate([None, arrays[1], Category(config).read("  "), arrays[0]])
    assert cells.values[:, 0].tolist() == [1, 1, 1, 2]
    assert cells.present.all()
    assert category.repair(None) == ("fill", None, "green")
    assert category.repair(arrays[0]) is None


def test_a_constant_category_is_one_of_its_own():
    config = CategoryConfig(missing="constant", value="not said", max_categories=1)
    category = Category(config, Category(config).fit([Category(config).read(name) for name in ("red", "red", "blue")]))
    assert category.categories == ("red", "not said")
    assert category.collate([None]).values.tolist() == [[2]]
    assert category.handcrafted_features([None]).tolist() == [[0.0, 1.0]]


def test_nothing_fills_a_missing_category_unless_asked():
    category = Category(CategoryConfig(), {"categories": ["red"]})
    assert not category.collate([None]).present.any()
    assert category.repair(None) is None
