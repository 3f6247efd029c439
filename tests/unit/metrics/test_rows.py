"""Statistics of rows: those of known target, measured as often as a weighting says."""

import numpy as np
import pytest
import torch

from polymodal.metrics.rows import RowStatistics
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Cells, Scores

TASK = Regress(RegressConfig(), {"column": "y", "mean": 10.0, "std": 2.0})
TRUE = [9.0, None, 12.0, 11.0, None]


def statistics(rows: np.ndarray | None = None) -> RowStatistics:
    prediction = Scores(torch.tensor([[0.0], [1e9], [0.5], [1.0], [-1e9]]), torch.ones(5, dtype=torch.bool))
    return RowStatistics.of(TASK, prediction, TASK.collate([TASK.encode(value) for value in TRUE]), rows)


def test_rows_of_unknown_target_change_nothing() -> None:
    found = statistics()
    assert (len(found), found.rows.tolist()) == (3, [0, 2, 3])
    assert found.values()["mae"] == pytest.approx((1 + 1 + 1) / 3)
    assert found.values()["rmse"] == pytest.approx(1)


def test_rows_keep_their_numbers_in_the_table() -> None:
    assert statistics(np.array([40, 41, 42, 43, 44])).rows.tolist() == [40, 42, 43]


def test_weights_are_of_the_known_rows() -> None:
    weighted = statistics().metrics(np.array([[2.0, 0.0, 1.0], [1.0, 1.0, 1.0]]))
    assert weighted["r2"].shape == (2,)
    truth, predicted = np.array([9.0, 9.0, 11.0]), np.array([10.0, 10.0, 12.0])
    spread = ((truth - truth.mean()) ** 2).sum()
    assert weighted["r2"][0] == pytest.approx(1 - ((truth - predicted) ** 2).sum() / spread)


def test_size_is_that_of_the_largest_array() -> None:
    assert statistics().size == 3


def test_where_no_target_is_known_nothing_is_measured() -> None:
    unknown = Cells(torch.zeros(2, 2, 1, dtype=torch.float64), torch.zeros(2, dtype=torch.long))
    found = RowStatistics.of(TASK, Scores(torch.zeros(2, 1), torch.ones(2, dtype=torch.bool)), unknown)
    assert (len(found), found.values()) == (0, {})
