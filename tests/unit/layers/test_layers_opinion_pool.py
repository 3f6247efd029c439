"""Several predictions become one: the weighted mean of their logarithms, computed by hand in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, logit, softmax

from polymodal.layers.opinion_pool import linear_pool, normalised, pool

M, B, K = 3, 6, 4
WEIGHTS = np.array([0.5, 0.2, 0.3])
PRESENT = np.array([[1, 1, 0, 0, 1, 0], [1, 0, 1, 0, 1, 0], [1, 1, 1, 1, 0, 0]], dtype=bool)


def some_scores(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (M, B, K))


def pooled(
    scores: np.ndarray, meaning: str, weights: np.ndarray = WEIGHTS, present: np.ndarray = PRESENT
) -> np.ndarray:
    values = normalised(torch.from_numpy(scores), meaning)
    return pool(values, torch.from_numpy(present), torch.from_numpy(weights)).numpy()


def shares_of(row: int) -> np.ndarray:
    """The weights of those that are present, adding up to one."""
    return PRESENT[:, row] * WEIGHTS / (PRESENT[:, row] * WEIGHTS).sum()


def test_the_distribution_of_classes_is_the_normalised_weighted_geometric_mean():
    scores = some_scores()
    found = softmax(pooled(scores, "classes"), axis=-1)
    for row in range(B - 1):
        product = np.prod(softmax(scores[:, row], axis=-1) ** shares_of(row)[:, None], axis=0)
        np.testing.assert_allclose(found[row], product / product.sum(), rtol=1e-10)


def test_logits_may_be_shifted_without_any_change():
    scores = some_scores()
    shifted = scores + np.random.default_rng(1).normal(0, 100, (M, B, 1))
    np.testing.assert_allclose(pooled(shifted, "classes"), pooled(scores, "classes"), rtol=1e-9, atol=1e-9)


def test_labels_are_pooled_each_by_itself_as_their_log_odds():
    scores = some_scores()
    expected = [(shares_of(row)[:, None] * logit(expit(scores[:, row]))).sum(axis=0) for row in range(B - 1)]
    np.testing.assert_allclose(pooled(scores, "labels")[:-1], expected, rtol=1e-7)


def test_numbers_are_pooled_as_their_weighted_mean():
    scores = some_scores()
    expected = [np.average(scores[:, row], axis=0, weights=PRESENT[:, row] * WEIGHTS) for row in range(B - 1)]
    np.testing.assert_allclose(pooled(scores, "numbers")[:-1], expected, rtol=1e-10)


@pytest.mark.parametrize("meaning", ["classes", "labels", "numbers"])
def test_those_that_are_absent_change_nothing_and_a_row_without_any_gets_zeros(meaning):
    scores = some_scores()
    other = np.where(PRESENT[..., None], scores, 1e6)
    found = pooled(other, meaning)
    np.testing.assert_array_equal(found, pooled(scores, meaning))
    np.testing.assert_array_equal(found[-1], np.zeros(K))
    alone = normalised(torch.from_numpy(scores[2, 3]), meaning).numpy()
    np.testing.assert_allclose(found[3], alone, rtol=1e-12)  # the third, which is the only one


def test_a_member_without_weight_gets_none_where_it_is_the_only_one():
    scores, present = some_scores(), np.array([[False], [True], [False]]).repeat(B, axis=1)
    found = pooled(scores, "numbers", weights=np.array([0.5, 0.0, 0.5]), present=present)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("meaning", ["classes", "labels"])
def test_extreme_scores_stay_finite(meaning):
    scores = np.array([[[300.0, -300.0]], [[-300.0, 300.0]]])
    found = pooled(scores, meaning, weights=np.array([0.5, 0.5]), present=np.ones((2, 1), dtype=bool))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, 0], found[0, 1])


def test_weights_get_the_gradient_of_finite_differences():
    values, present = torch.from_numpy(some_scores()), torch.from_numpy(PRESENT)
    weights = torch.tensor(WEIGHTS, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: pool(values, present, given), (weights,))


def mixed(scores: np.ndarray, meaning: str, weights: np.ndarray = WEIGHTS) -> np.ndarray:
    return linear_pool(torch.from_numpy(scores), torch.from_numpy(weights), meaning).numpy()


@pytest.mark.parametrize(
    ("meaning", "predicted"),
    [("classes", lambda scores: softmax(scores, axis=-1)), ("labels", expit), ("numbers", lambda scores: scores)],
)
def test_the_linear_pool_is_the_weighted_mean_of_what_is_predicted(meaning, predicted):
    scores = some_scores()
    expected = np.average(predicted(scores), axis=0, weights=WEIGHTS)
    np.testing.assert_allclose(predicted(mixed(scores, meaning)), expected, rtol=1e-9)


@pytest.mark.parametrize("meaning", ["classes", "labels", "numbers"])
def test_one_without_weight_changes_nothing_in_the_linear_pool_nor_its_gradient(meaning):
    scores = torch.from_numpy(some_scores()).requires_grad_()
    weights = torch.tensor([0.0, 0.4, 0.6], dtype=torch.float64)
    found = linear_pool(scores, weights, meaning)
    torch.testing.assert_close(found, linear_pool(scores[1:], weights[1:], meaning))
    found.square().sum().backward()
    assert scores.grad is not None and torch.isfinite(scores.grad).all()
    assert not scores.grad[0].any() and scores.grad[1].all()
