"""The temperature, against a grid, and against what it must not do."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from polymodal.calibration.temperature import Temperature
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.tasks.tag import Tag, TagConfig
from polymodal.types import Cells, Scores

RNG = np.random.default_rng(0)
TASK = Classify(ClassifyConfig(), Classify(ClassifyConfig()).fit(["a", "b", "c"], column="y"))


def drawn(rows, sharpness):
    """Scores, and classes drawn from the probabilities that these scores have when they are so much sharper."""
    scores = RNG.normal(size=(rows, 3)).astype(np.float32)
    shares = np.exp(log_softmax(scores * sharpness, axis=1))
    return scores, np.array([RNG.choice(3, p=of_row) for of_row in shares])


def predicted(values, present=None):
    values = torch.as_tensor(values)
    return Scores(values, torch.ones(len(values), dtype=torch.bool) if present is None else torch.tensor(present))


def known(values):
    values = torch.as_tensor(values)
    return Cells(values.reshape(len(values), -1), torch.ones(len(values), dtype=torch.long))


def best_temperature(task, scores, target):
    temperature = Temperature()
    temperature.fit(task, predicted(scores), known(target))
    return float(temperature.value)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_it_finds_the_one_that_the_rows_were_drawn_with(sharpness):
    scores, target = drawn(5_000, sharpness)
    found = best_temperature(TASK, scores, target)
    assert found == pytest.approx(1 / sharpness, rel=0.1)
    grid = np.geomspace(0.2, 4, 200)
    losses = [-log_softmax(scores / t, axis=1)[np.arange(5_000), target].mean() for t in grid]
    assert found == pytest.approx(grid[int(np.argmin(losses))], rel=0.02)


def test_of_labels_each_counts():
    logits = RNG.normal(size=(4_000, 3)).astype(np.float32)
    target = (RNG.random(logits.shape) < 1 / (1 + np.exp(-2 * logits))).astype(float)
    config = TagConfig(min_count=1)
    task = Tag(config, Tag(config).fit([["a", "b"], ["c"]], column="y"))
    assert best_temperature(task, logits, target) == pytest.approx(0.5, rel=0.1)


def test_few_rows_that_are_all_right_make_nobody_certain():
    target = np.arange(30) % 3
    scores = (2 * np.eye(3)[target]).astype(np.float32)
    found = best_temperature(TASK, scores, target)
    assert 0.15 < found < 1
    assert best_temperature(TASK, scores[:3], target[:3]) > found


def test_numbers_have_none():
    task = Regress(RegressConfig(), {"column": "y", "mean": 0.0, "std": 1.0})
    target = Cells(torch.from_numpy(RNG.normal(size=(50, 2, 1))), torch.ones(50, dtype=torch.long))
    temperature = Temperature()
    temperature.fit(task, predicted(RNG.normal(size=(50, 1))), target)
    assert temperature.value == 1


def test_scores_are_divided_and_absent_rows_keep_their_prior():
    temperature = Temperature()
    scores = predicted([[1.0, -2.0], [3.0, 0.5]], present=[True, False])
    assert torch.equal(temperature(scores).values, scores.values)
    temperature.value.fill_(4.0)
    assert temperature(scores).values.tolist() == [[0.25, -0.5], [3.0, 0.5]]
    assert temperature(scores).present.tolist() == [True, False]
    other = Temperature()
    other.load_state_dict(temperature.state_dict())
    assert torch.equal(other(scores).values, temperature(scores).values)
