"""Differences between models: against closed forms, naive loops, and what must happen where nothing differs."""

import math

import numpy as np
import pytest

from polymodal.metrics.significance import Scored, corrected_t, difference, holm, resampled

ROWS = 400


def accuracy(hits):
    return lambda weights: {"accuracy": (weights * hits).sum(axis=1) / weights.sum(axis=1)}


def folds_of(hits, *, folds=4, repeats=1):
    """A model that is right where `hits` says so, in folds of interleaved rows."""
    rows = np.arange(len(hits))
    return [
        Scored(rows[of_fold], accuracy(hits[of_fold]), size=int(of_fold.sum()), repeat=repeat)
        for repeat in range(repeats)
        for of_fold in (rows % folds == k for k in range(folds))
    ]


def measured(hits, *, units=None, samples=4000, **how):
    units = np.arange(len(hits)) if units is None else units
    return resampled(folds_of(hits, **how), units, samples=samples, seed=0)["accuracy"]


def compared(first, second, *, trainings=False, **how):
    a, b = measured(first, **how), measured(second, **how)
    return difference(a, b, greater_is_better=True, test_share=1 / 3, trainings=trainings)


def test_of_a_mean_over_rows_folds_do_not_matter():
    hits = np.random.default_rng(0).random(ROWS) < 0.7
    found = measured(hits, folds=3)
    assert found.value == pytest.approx(hits.mean())
    assert len(found.folds) == 3
    whole = resampled(folds_of(hits, folds=1), np.arange(ROWS), samples=4000, seed=0)["accuracy"]
    np.testing.assert_allclose(found.drawn, whole.drawn)


def test_the_interval_of_a_difference_is_the_textbook_one_for_means():
    rng = np.random.default_rng(1)
    first, second = rng.random(ROWS) < 0.8, rng.random(ROWS) < 0.7
    gaps = first.astype(float) - second
    error = gaps.std() / math.sqrt(ROWS)
    found = compared(first, second).interval
    assert found.value == pytest.approx(gaps.mean())
    assert found.low == pytest.approx(gaps.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(gaps.mean() + 1.96 * error, abs=0.15 * error)


def test_p_is_that_of_the_normal_test_of_paired_means():
    from scipy.stats import norm

    rng = np.random.default_rng(2)
    first = rng.random(ROWS) < 0.75
    second = np.where(rng.random(ROWS) < 0.2, rng.random(ROWS) < 0.6, first)
    gaps = first.astype(float) - second
    expected = 2 * norm.sf(abs(gaps.mean()) / (gaps.std() / math.sqrt(ROWS)))
    assert compared(first, second).p == pytest.approx(expected, rel=0.3)


def test_large_differences_have_p_values_that_survive_a_hundred_comparisons():
    first, second = np.arange(ROWS) % 10 > 0, np.arange(ROWS) % 10 > 4
    assert compared(first, second, samples=500).p * 100 < 0.001


def test_equal_models_do_not_differ():
    hits = np.random.default_rng(3).random(ROWS) < 0.7
    found = compared(hits, hits.copy())
    assert (found.interval.value, found.interval.low, found.interval.high, found.p) == (0, 0, 0, 1)


def test_where_nothing_differs_five_in_a_hundred_seem_to():
    rng = np.random.default_rng(4)
    p = [compared(rng.random(200) < 0.7, rng.random(200) < 0.7, samples=300).p for _ in range(300)]
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09


def test_rows_of_a_group_are_drawn_together():
    """A row that stands there ten times tells no more than once."""
    once = np.random.default_rng(5).random(60) < 0.7
    ten = np.repeat(once, 10)
    together = measured(ten, units=np.repeat(np.arange(60), 10)).interval()
    apart = measured(ten).interval()
    assert together.high - together.low == pytest.approx(measured(once).interval().high - measured(once).interval().low)
    assert apart.high - apart.low < 0.5 * (together.high - together.low)


def test_repeats_are_averaged_and_their_rows_drawn_together():
    hits = np.random.default_rng(6).random(ROWS) < 0.7
    twice, once = measured(hits, repeats=2), measured(hits)
    assert len(twice.folds) == 8
    np.testing.assert_allclose(twice.drawn, once.drawn)


def test_a_metric_that_a_fold_lacks_is_the_mean_of_the_others():
    def undefined(weights):
        return {"accuracy": np.full(len(weights), np.nan)}

    rows = np.arange(20)
    folds = [Scored(rows[:10], accuracy(np.ones(10)), 10), Scored(rows[10:], undefined, 10)]
    found = resampled(folds, rows, samples=10)["accuracy"]
    assert found.value == 1.0
    assert np.isnan(found.folds[1])


def test_of_errors_the_smaller_is_the_better():
    first = resampled(folds_of(np.zeros(40)), np.arange(40), samples=50)["accuracy"]
    second = resampled(folds_of(np.ones(40)), np.arange(40), samples=50)["accuracy"]
    assert difference(first, second, greater_is_better=False, test_share=0.5, trainings=False).interval.value == 1.0


def test_the_corrected_t_test_is_that_of_nadeau_and_bengio():
    from scipy.stats import t

    gaps = np.array([0.03, 0.01, 0.05, 0.02, 0.04, 0.00])
    mean = sum(gaps) / 6
    variance = sum((gap - mean) ** 2 for gap in gaps) / 5
    expected = 2 * t.sf(mean / math.sqrt((1 / 6 + 1 / 4) * variance), 5)
    assert corrected_t(gaps, test_share=1 / 4) == pytest.approx(expected, rel=1e-12)
    assert corrected_t(gaps, test_share=1 / 4) > 2 * t.sf(mean / math.sqrt(variance / 6), 5)  # the plain test


def test_the_corrected_t_test_of_one_training_or_of_equal_ones():
    assert math.isnan(corrected_t(np.array([0.1]), test_share=0.5))
    assert corrected_t(np.zeros(4), test_share=0.5) == 1.0
    assert corrected_t(np.full(4, 0.1), test_share=0.5) == 0.0


def test_with_repeats_a_difference_must_show_between_trainings_too():
    """Clear over the rows, but some trainings say the opposite."""
    rows = np.arange(ROWS)
    first, second = np.where(rows % 2 == 0, rows % 10 < 9, rows % 10 < 5), np.where(rows % 2 == 0, False, rows % 10 < 9)
    alone = compared(first, second, folds=2, repeats=2)
    both = compared(first, second, folds=2, repeats=2, trainings=True)
    assert alone.p < 0.01 < 0.2 < both.p == both.p_trainings


def test_holms_correction_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
