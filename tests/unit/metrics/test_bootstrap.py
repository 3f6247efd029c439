import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest

from polymodal.metrics import classification, regression
from polymodal.metrics.bootstrap import WeightedMetrics, intervals, point, repeated


def share(hits: np.ndarray) -> WeightedMetrics:
    return lambda weights: {"accuracy": weights @ hits / weights.sum(axis=1)}


def of_classes(log_probabilities: np.ndarray, target: np.ndarray) -> WeightedMetrics:
    return partial(classification.measure, log_probabilities, target)


def test_interval_of_a_share_equals_the_normal_approximation() -> None:
    hits = np.repeat([1.0, 0.0], [700, 300])
    found = intervals(share(hits), 1000, samples=4000, seed=1)["accuracy"]
    half = 1.96 * math.sqrt(0.7 * 0.3 / 1000)
    assert found.value == 0.7
    assert found.low == pytest.approx(0.7 - half, abs=0.003)
    assert found.high == pytest.approx(0.7 + half, abs=0.003)


def test_interval_of_a_mean_error_narrows_with_the_root_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    error = rng.normal(size=4000)

    def width(rows: int) -> float:
        of_rows = partial(regression.measure, error[:rows], np.zeros(rows))
        found = intervals(of_rows, rows, samples=2000, seed=0)["rmse"]
        return found.high - found.low

    assert width(1000) / width(4000) == pytest.approx(2, rel=0.1)


def test_intervals_cover_the_true_value_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        hits = (rng.random(150) < 0.75).astype(float)
        found = intervals(share(hits), 150, samples=200, seed=seed)["accuracy"]
        covered += found.low <= 0.75 <= found.high
    assert covered / 300 == pytest.approx(0.95, abs=0.03)


def test_weights_give_what_repeating_rows_gives() -> None:
    rng = np.random.default_rng(3)
    target = rng.integers(3, size=40)
    log_probabilities = np.log(rng.dirichlet([1, 1, 1], size=40))
    rows = {"log_probabilities": log_probabilities, "target": target}

    def plain(rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        return point(of_classes(rows["log_probabilities"], rows["target"]), len(rows["target"]))

    by_weight = intervals(of_classes(log_probabilities, target), 40, samples=50, seed=0)
    by_row = intervals(partial(repeated, plain, rows), 40, samples=50, seed=0)
    assert by_weight.keys() == by_row.keys()
    for name, found in by_weight.items():
        assert [found.value, found.low, found.high] == pytest.approx(
            [by_row[name].value, by_row[name].low, by_row[name].high]
        )


def test_same_seed_same_interval_also_in_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    function = share(np.repeat([1.0, 0.0], [30, 20]))
    whole = intervals(function, 50, seed=5)
    assert intervals(function, 50, seed=5) == whole
    assert intervals(function, 50, seed=6) != whole
    monkeypatch.setattr("polymodal.metrics.bootstrap._CELLS", 64 * 50)
    pieces = intervals(function, 50, seed=5)["accuracy"]
    assert pieces.low == pytest.approx(whole["accuracy"].low, abs=0.03)


def test_samples_that_miss_a_class_do_not_count() -> None:
    target = np.array([0] * 19 + [1])
    positive = np.append(np.linspace(0.1, 0.5, 19), 0.4)
    scores = np.log(np.stack([1 - positive, positive], axis=1))
    found = intervals(of_classes(scores, target), 20, samples=200, seed=0)["roc_auc"]
    assert 0.4 < found.low < found.value < found.high < 1


def test_undefined_metrics_are_left_out_and_no_rows_give_nothing() -> None:
    scores = np.log(np.tile([0.7, 0.3], (5, 1)))
    function = of_classes(scores, np.zeros(5, dtype=int))
    found = intervals(function, 5, seed=0)
    assert "roc_auc" not in found and "accuracy" in found
    assert "roc_auc" not in point(function, 5)
    none = of_classes(scores[:0], np.zeros(0, dtype=int))
    assert intervals(none, 0, seed=0) == {}
    assert point(none, 0) == {}


def test_metrics_that_know_no_weights_may_be_missing_for_some_weightings() -> None:
    def of_several(rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        values = rows["value"]
        return {"sum": float(values.sum())} | ({"spread": float(values.std())} if len(values) > 1 else {})

    rows = {"value": np.array([1.0, 5.0, 9.0])}
    found = repeated(of_several, rows, np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]]))
    assert found["sum"].tolist() == [1.0, 19.0]
    np.testing.assert_allclose(found["spread"], [np.nan, np.std([5, 5, 9])])


def test_an_interval_holds_its_value() -> None:
    # Four levels of confidence, all exactly right: resampling can only add calibration error.
    confidence = np.repeat([0.6, 0.7, 0.8, 0.9], 100)
    target = np.concatenate([np.repeat([0, 1], [hits, 100 - hits]) for hits in (60, 70, 80, 90)])
    scores = np.log(np.stack([confidence, 1 - confidence], axis=1))
    found = intervals(of_classes(scores, target), 400, samples=200, seed=0)["ece"]
    assert found.value == found.low == pytest.approx(0)
    assert found.high > 0.02
