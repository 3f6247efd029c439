from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
import torch
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from polymodal.config.run_config import Part, part_settings
from polymodal.errors import UnreadableCellError
from polymodal.modalities.number import Number, NumberConfig
from polymodal.protocols import Sample


def sample(values, *, distinct=None, present=None):
    return Sample(values, [None] * len(values), distinct or len(set(map(str, values))), present or len(values))


def fitted(cells, **settings):
    config = NumberConfig(**settings)
    number = Number(config)
    return Number(config, number.fit([number.read(cell) for cell in cells]))


@pytest.mark.parametrize(
    ("cell", "value"),
    [(1, 1.0), (1.5, 1.5), (True, 1.0), (np.int16(-3), -3.0), (np.float32(0.5), 0.5), (Decimal("2.25"), 2.25),
     (np.bool_(False), 0.0), ("1", 1.0), ("1.0", 1.0), (" 2 ", 2.0), ("1e3", 1000.0), ("-.5", -0.5), ("007", 7.0)],
)  # fmt: skip
def test_declared_coercions(cell, value):
    array = Number(NumberConfig()).read(cell)
    assert array.dtype == np.float64
    assert array.tolist() == [value]


@pytest.mark.parametrize(
    "cell",
    ["one", "1,000", "1_000", "nan", "inf", "Infinity", "0x10", "1 2", "", "³", "٣ ٣", b"1", [1], {}, 1j, np.ones(1)],
)
def test_the_rest_becomes_reject(cell):
    with pytest.raises(UnreadableCellError, match="not a number"):
        Number(NumberConfig()).read(cell)


@pytest.mark.parametrize("cell", [math.inf, -math.inf, math.nan, 1e308, "1e308", "1e999", np.float32("inf")])
def test_infinite_or_huge_becomes_reject(cell):
    with pytest.raises(UnreadableCellError, match="larger than 1e"):
        Number(NumberConfig()).read(cell)


@pytest.mark.parametrize("cell", [10**400, pytest.param(10**5_000, id="digits"), Decimal("1e5000"), Decimal("sNaN")])
def test_beyond_float_becomes_reject(cell):
    with pytest.raises(UnreadableCellError):
        Number(NumberConfig()).read(cell)


def test_messages_stay_short():
    with pytest.raises(UnreadableCellError) as caught:
        Number(NumberConfig()).read("x" * 100_000)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("scaling", "reference"), [("z_score", StandardScaler), ("min_max", MinMaxScaler), ("robust", RobustScaler)]
)
def test_scaling_agrees_with_scikit_learn(scaling, reference):
    train = np.random.default_rng(0).gamma(2, 50, 200)
    other = np.random.default_rng(1).normal(0, 300, 50)
    number = fitted(train, scaling=scaling)
    ours = number.collate([number.read(value) for value in other]).values
    theirs = reference().fit(train[:, None]).transform(other[:, None])
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=1e-6)


def test_no_scaling_keeps_values():
    number = fitted([1.0, 5.0], scaling="none")
    assert number.collate([number.read(5e7)]).values.item() == 5e7


def test_robust_without_interquartile_range_takes_the_deviation():
    assert fitted([0.0] * 9 + [100.0], scaling="robust").spread == pytest.approx(30.0)


@pytest.mark.parametrize("scaling", ["z_score", "min_max", "robust", "none"])
@pytest.mark.parametrize("cells", [[], [0.1, 0.1, 0.1], [1e300, -1e300, 0.0], [5e-324, 0.0], [1e299]])
def test_any_training_column_gives_finite_values(scaling, cells):
    number = fitted(cells, scaling=scaling)
    arrays = [number.read(cell) for cell in (-1e300, 0, 1e300, 0.1, 1e-320)]
    assert number.collate([*arrays, None]).values.isfinite().all()
    assert np.isfinite(number.handcrafted_features(arrays)).all()
    network = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.LayerNorm(8)).eval()
    assert network(number.collate(arrays).values).isfinite().all()


def test_constant_column_is_zero_and_differences_stay():
    number = fitted([0.1, 0.1, 0.1])
    assert number.collate([number.read(0.1), number.read(1.1)]).values.tolist() == [[0.0], [1.0]]


def test_missing_cells():
    number = fitted([1.0, 3.0])
    cells = number.collate([None, number.read(3)])
    assert cells.values.tolist() == [[0.0], [1.0]]
    assert cells.lengths.tolist() == [0, 1]
    features = number.handcrafted_features([None, number.read(3)])
    assert np.isnan(features[0, 0])
    assert features[1, 0] == 1.0


def test_recognises_numbers_and_their_strings():
    found = Number.recognise(sample([1.5, "2", " 3e1 ", 4, Decimal("5")] * 20, distinct=80))
    assert found is not None
    assert found.confidence == 0.9
    assert "100 of 100" in found.reason


def test_whole_numbers_with_few_values_are_doubtful():
    found = Number.recognise(sample([0, 1, "2"] * 30, distinct=3, present=1_000))
    assert found is not None
    assert found.confidence == 0.5


@pytest.mark.parametrize("values", [["a", "b", 1], [True, False], ["007", "012"], [], [[1, 2]], [b"1"]])
def test_does_not_recognise(values):
    assert Number.recognise(sample(values)) is None


def test_half_numbers_are_a_last_resort():
    found = Number.recognise(sample([1, 2, "x", "y"], distinct=4))
    assert found is not None
    assert found.confidence < 0.5


def test_settings_are_checked():
    assert part_settings("modalities", Part(name="number")) == NumberConfig()
    with pytest.raises(Exception, match="Did you mean 'scaling'"):
        part_settings("modalities", Part.model_validate({"name": "number", "scalin": "robust"}))


@pytest.mark.parametrize(("policy", "fill"), [("mean", 4.0), ("median", 3.0), ("mode", 1.0), ("constant", 7.5)])
def test_a_missing_number_is_filled(policy, fill):
    number = fitted([1, 1, 3, 5, 10], missing=policy, value=7.5)
    cells = number.collate([None, np.array([fill])])
    assert cells.present.tolist() == [True, True]
    assert cells.values[0] == cells.values[1]
    assert number.handcrafted_features([None])[0, 0] == pytest.approx((fill - number.centre) / number.spread)
    assert number.repair(None) == ("fill", None, pytest.approx(fill))
    assert number.repair(np.array([3.0])) is None


def test_nothing_fills_a_missing_number_unless_asked():
    number = fitted([1, 2, 3])
    assert number.collate([None]).present.tolist() == [False]
    assert number.repair(None) is None
    assert fitted([], missing="mean").repair(None) is None  # there is nothing to learn it from


def test_numbers_are_clipped_to_the_fences_of_the_training_rows():
    values = [1.0, 2.0, 3.0, 4.0, 5.0]  # quartiles 2 and 4
    number = fitted([*values, 1e9], outliers="clip")
    first, third = np.percentile([*values, 1e9], [25, 75])
    high = third + 3 * (third - first)
    assert number.repair(np.array([1e9])) == ("clip", 1e9, pytest.approx(high))
    assert number.repair(np.array([high - 0.1])) is None
    clipped = StandardScaler().fit_transform(np.array([[*values, high]]).T)
    assert number.handcrafted_features([np.array([1e9])])[0, 0] == pytest.approx(clipped[-1, 0])


def test_huge_numbers_are_filled_without_overflow():
    assert fitted([9e299, 9e299, 9e299], missing="mean").repair(None) == ("fill", None, pytest.approx(9e299))
