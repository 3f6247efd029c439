"""Several opinions become the weighted mean of their probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from polymodal.layers.unimodal_predictions import pool


def some(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet([1.0, 1.0, 1.0], size=5).T
    weights[:, 0] = [0.0, 1.0, 0.0]  # one source alone
    return rng.normal(0, 3, (3, 5, 4)), weights


def test_classes_are_pooled_as_the_mean_of_their_distributions():
    scores, weights = some()
    expected = (softmax(scores, axis=-1) * weights[..., None]).sum(axis=0)
    pooled = pool(torch.from_numpy(scores), torch.from_numpy(weights), "classes")
    np.testing.assert_allclose(softmax(pooled.numpy(), axis=-1), expected, rtol=1e-10)


def test_labels_are_pooled_each_by_itself():
    scores, weights = some()
    expected = (expit(scores) * weights[..., None]).sum(axis=0)
    pooled = pool(torch.from_numpy(scores), torch.from_numpy(weights), "labels")
    np.testing.assert_allclose(expit(pooled.numpy()), expected, rtol=1e-10)
    np.testing.assert_allclose(pooled[0], scores[1, 0], rtol=1e-10)


@pytest.mark.parametrize("meaning", ["classes", "labels"])
def test_extreme_scores_stay_finite(meaning):
    scores = torch.tensor([[[300.0, -300.0]], [[-300.0, 300.0]]])
    pooled = pool(scores, torch.tensor([[0.5], [0.5]]), meaning)
    torch.testing.assert_close(pooled[0, 0], pooled[0, 1])
    assert pooled.isfinite().all()


def test_numbers_are_pooled_as_their_mean():
    scores, weights = (torch.from_numpy(array) for array in some())
    expected = (scores.numpy() * weights.numpy()[..., None]).sum(axis=0)
    np.testing.assert_allclose(pool(scores, weights, "numbers"), expected)
