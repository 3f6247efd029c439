import math

import numpy as np
import pytest

from polymodal.metrics import classification, regression
from polymodal.metrics.bootstrap import intervals, point, repeated


def share(scores: np.ndarray, target: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    return {"accuracy": weights @ (scores == target) / weights.sum(axis=1)}


def test_interval_of_a_share_equals_the_normal_approximation() -> None:
    scores, target = np.ones(1000), np.repeat([1.0, 0.0], [700, 300])
    found = intervals(scores, target, share, samples=4000, seed=1)["accuracy"]
    half = 1.96 * math.sqrt(0.7 * 0.3 / 1000)
    assert found.value == 0.7
    assert found.low == pytest.approx(0.7 - half, abs=0.003)
    assert found.high == pytest.approx(0.7 + half, abs=0.003)


def test_interval_of_a_mean_error_narrows_with_the_root_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    error = rng.normal(size=4000)

    def width(rows: int) -> float:
        found = intervals(error[:rows], np.zeros(rows), regression.measure, samples=2000, seed=0)["rmse"]
        return found.high - found.low

    assert width(1000) / width(4000) == pytest.approx(2, rel=0.1)


def test_intervals_cover_the_true_value_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        hits = (rng.random(150) < 0.75).astype(float)
        found = intervals(np.ones(150), hits, share, samples=200, seed=seed, level=0.9)["accuracy"]
        covered += found.low <= 0.75 <= found.high
    assert covered / 300 == pytest.approx(0.9, abs=0.05)


def test_weights_give_what_repeating_rows_gives() -> None:
    rng = np.random.default_rng(3)
    target = rng.integers(3, size=40)
    scores = np.log(rng.dirichlet([1, 1, 1], size=40))

    def plain(scores: np.ndarray, target: np.ndarray) -> dict[str, float]:
        return point(scores, target, classification.measure)

    by_weight = intervals(scores, target, classification.measure, samples=50, seed=0)
    by_row = intervals(scores, target, repeated(plain), samples=50, seed=0)
    assert by_weight.keys() == by_row.keys()
    for name, found in by_weight.items():
        assert [found.value, found.low, found.high] == pytest.approx(
            [by_row[name].value, by_row[name].low, by_row[name].high]
        )


def test_same_seed_same_interval_also_in_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    target = np.repeat([1.0, 0.0], [30, 20])
    whole = intervals(np.ones(50), target, share, seed=5)
    assert intervals(np.ones(50), target, share, seed=5) == whole
    assert intervals(np.ones(50), target, share, seed=6) != whole
    monkeypatch.setattr("polymodal.metrics.bootstrap._CELLS", 64 * 50)
    pieces = intervals(np.ones(50), target, share, seed=5)["accuracy"]
    assert pieces.low == pytest.approx(whole["accuracy"].low, abs=0.03)


def test_samples_that_miss_a_class_do_not_count() -> None:
    target = np.array([0] * 19 + [1])
    positive = np.append(np.linspace(0.1, 0.5, 19), 0.4)
    scores = np.log(np.stack([1 - positive, positive], axis=1))
    found = intervals(scores, target, classification.measure, samples=200, seed=0)["roc_auc"]
    assert 0.4 < found.low < found.value < found.high < 1


def test_undefined_metrics_are_left_out_and_no_rows_give_nothing() -> None:
    scores = np.log(np.tile([0.7, 0.3], (5, 1)))
    found = intervals(scores, np.zeros(5), lambda s, t, w: classification.measure(s, t.astype(int), w), seed=0)
    assert "roc_auc" not in found and "accuracy" in found
    assert intervals(scores, np.full(5, np.nan), classification.measure, seed=0) == {}
    assert point(scores, np.full(5, np.nan), classification.measure) == {}


def test_rows_of_unknown_target_change_nothing() -> None:
    rng = np.random.default_rng(0)
    target, prediction = rng.normal(size=30), rng.normal(size=30)
    longer = np.append(target, [np.nan, np.nan]), np.append(prediction, [1e9, -1e9])
    expected = intervals(prediction, target, regression.measure, samples=50, seed=0)
    assert intervals(longer[1], longer[0], regression.measure, samples=50, seed=0) == expected


def test_an_interval_holds_its_value() -> None:
    # Four levels of confidence, all exactly right: resampling can only add calibration error.
    confidence = np.repeat([0.6, 0.7, 0.8, 0.9], 100)
    target = np.concatenate([np.repeat([0, 1], [hits, 100 - hits]) for hits in (60, 70, 80, 90)])
    scores = np.log(np.stack([confidence, 1 - confidence], axis=1))
    found = intervals(scores, target, classification.measure, samples=200, seed=0)["ece"]
    assert found.value == found.low == pytest.approx(0)
    assert found.high > 0.02
