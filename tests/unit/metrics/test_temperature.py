"""The temperature, against a grid, and against what it must not do."""

import numpy as np
import pytest
from scipy.special import log_softmax

from polymodal.metrics.temperature import best_temperature
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.regress import Regress, RegressConfig

RNG = np.random.default_rng(0)
HEAD = Classify(ClassifyConfig(), width=1, statistics=Classify.fit_target(["a", "b", "c"], column="y"))


def drawn(rows, sharpness):
    """Scores, and classes drawn from the probabilities that these scores have when they are so much sharper."""
    scores = RNG.normal(size=(rows, 3)).astype(np.float32)
    shares = np.exp(log_softmax(scores * sharpness, axis=1))
    return scores, np.array([RNG.choice(3, p=of_row) for of_row in shares], dtype=float)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_it_finds_the_one_that_the_rows_were_drawn_with(sharpness):
    scores, target = drawn(5_000, sharpness)
    found = best_temperature(HEAD, scores, target)
    assert found == pytest.approx(1 / sharpness, rel=0.1)
    grid = np.geomspace(0.2, 4, 200)
    losses = [-log_softmax(scores / t, axis=1)[np.arange(5_000), target.astype(int)].mean() for t in grid]
    assert found == pytest.approx(grid[int(np.argmin(losses))], rel=0.02)


def test_few_rows_that_are_all_right_make_nobody_certain():
    target = np.arange(30) % 3
    scores = (2 * np.eye(3)[target]).astype(np.float32)
    found = best_temperature(HEAD, scores, target.astype(float))
    assert 0.15 < found < 1
    assert best_temperature(HEAD, scores[:3], target[:3].astype(float)) > found


def test_numbers_have_none():
    head = Regress(RegressConfig(), width=1, statistics={"column": "y", "mean": 0.0, "std": 1.0})
    assert best_temperature(head, RNG.normal(size=(50, 1)), RNG.normal(size=50)) == 1
