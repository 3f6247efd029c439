"""The verdict of a run is that of the paired bootstrap: rows that both models get wrong do not count against it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polymodal.config.run_config import Part, part_settings
from polymodal.evaluation.verdict import judge
from polymodal.metrics.rows import RowStatistics
from polymodal.tasks.classify import Classify
from polymodal.types import Cells, Scores

ROWS = 200
SETTINGS = part_settings("tasks", Part(name="classify"))
TASK = Classify(SETTINGS, Classify(SETTINGS).fit(["a", "b"] * ROWS, column="label"))


def statistics(wrong) -> RowStatistics:
    """Of a model that gets these rows wrong; the class of every row is the first."""
    scores = torch.tensor([[2.0, 0.0]]).repeat(ROWS, 1)
    scores[list(wrong)] = torch.tensor([0.0, 2.0])
    target = Cells(torch.zeros(ROWS, 1, dtype=torch.int64), torch.ones(ROWS, dtype=torch.int64))
    return RowStatistics.of(TASK, Scores(scores, torch.ones(ROWS, dtype=torch.bool)), target)


def verdict(model, **baselines):
    found = {name: statistics(wrong) for name, wrong in baselines.items()}
    return judge(TASK, statistics(model), found, np.arange(ROWS), seed=0)


@pytest.mark.parametrize(
    ("model", "linear", "decision"),
    [
        (range(60), range(70), "better"),  # the intervals of .70 and .65 overlap: ten rows more are right
        (range(60), range(50), "worse"),
        (range(60), range(2, 64), "same"),
        (range(60), range(60), "same"),
        ((), (), "same"),
    ],
)
def test_the_same_rows_are_drawn_for_both(model, linear, decision):
    found = verdict(model, majority=range(150), linear=linear)
    assert found.decision == decision
    assert found.baselines == ("linear",)
    assert found.gain.value == pytest.approx((len(linear) - len(model)) / ROWS)
    assert found.metric in found.text and "linear" in found.text


def test_baselines_that_tie_are_all_named():
    found = verdict(range(50), majority=range(90), linear=range(60), gradient_boosting=range(20, 80))
    assert found.baselines == ("linear", "gradient_boosting")
    assert "linear and gradient boosting" in found.text


def test_without_baselines_there_is_no_verdict():
    assert verdict(range(5)) is None
