"""Several targets at once: one head, each target on its own scale, unknown cells without influence."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from polymodal.errors import DataError
from polymodal.layers.scores_head import ScoresHead
from polymodal.metrics.rows import RowStatistics
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Cells, Scores

VALUES = [{"a": 1.0, "b": 200.0}, {"a": 2.0, "b": None}, None, {"a": 3.0, "b": 400.0}, {"a": None, "b": 900.0}]
STATISTICS = Regress(RegressConfig()).fit(VALUES, column="a, b")
TASK = Regress(RegressConfig(), STATISTICS)


def head() -> ScoresHead:
    torch.manual_seed(0)
    return TASK.head({"": 3})


def scores(values: torch.Tensor) -> Scores:
    return Scores(values, torch.ones(len(values), dtype=torch.bool))


def encoded() -> Cells:
    return TASK.collate([TASK.encode(value) for value in VALUES])


def standardised(numbers: np.ndarray) -> Cells:
    """Numbers on the standardised scale, NaN where unknown."""
    known = ~np.isnan(numbers)
    values = np.stack([np.nan_to_num(numbers), known], axis=1)
    return Cells(torch.from_numpy(values), torch.from_numpy(known.any(axis=1)).long())


def test_each_target_has_its_own_scale() -> None:
    assert STATISTICS["column"] == ["a", "b"]
    assert STATISTICS["mean"] == pytest.approx([2.0, 500.0])
    assert STATISTICS["std"] == pytest.approx([np.std([1, 2, 3]), np.std([200, 400, 900])])


def test_the_target_is_one_row_of_numbers_and_comes_back_by_name() -> None:
    target = encoded()
    assert target.values[:, 1].bool().tolist() == [
        [True, True], [True, False], [False, False], [True, True], [False, True]
    ]  # fmt: skip
    assert target.present.tolist() == [True, True, False, True, True]
    found = TASK.decode(scores(target.values[:, 0]))
    assert list(found) == ["prediction_a", "prediction_b"]
    known = target.values[:, 1, 1].bool().numpy()
    np.testing.assert_allclose(found["prediction_b"][known], [200, 400, 900])
    rows = TASK.rows(scores(target.values[:, 0]), target)
    np.testing.assert_allclose(rows["target"][:, 1], [200, math.nan, math.nan, 400, 900])
    np.testing.assert_allclose(rows["target"][:, 0], [1, 2, math.nan, 3, math.nan])


def test_an_unknown_cell_has_no_loss_and_no_gradient() -> None:
    target = encoded()
    numbers, known = target.values.unbind(dim=1)
    values = torch.full((5, 2), 0.5, requires_grad=True)
    loss = head().loss(scores(values), target)
    np.testing.assert_allclose(loss.detach(), ((numbers - 0.5).square() * known).mean(dim=1), rtol=1e-6)
    loss.sum().backward()
    assert (values.grad == 0)[known == 0].all()
    assert (values.grad != 0)[known == 1].all()


def test_metrics_of_each_target_in_its_unit_and_their_means() -> None:
    rng = np.random.default_rng(0)
    weights = np.stack([np.ones(20), rng.integers(0, 3, 20).astype(float)])
    predicted, target = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    target[:6, 1] = math.nan
    found = RowStatistics.of(TASK, scores(torch.from_numpy(predicted)), standardised(target)).metrics(weights)
    for place, weight in enumerate(weights):
        for k, name in enumerate(["a", "b"]):
            known = ~np.isnan(target[:, k])
            both = [STATISTICS["mean"][k] + STATISTICS["std"][k] * x[known, k] for x in (target, predicted)]
            for metric, function in (
                ("r2", r2_score), ("rmse", root_mean_squared_error), ("mae", mean_absolute_error)
            ):  # fmt: skip
                expected = function(*both, sample_weight=weight[known])
                assert found[f"{metric}_{name}"][place] == pytest.approx(expected)
    for metric, units in (("r2", [1, 1]), ("rmse", STATISTICS["std"]), ("mae", STATISTICS["std"])):
        mean = (found[f"{metric}_a"] / units[0] + found[f"{metric}_b"] / units[1]) / 2
        np.testing.assert_allclose(found[metric], mean)


def test_a_weighting_without_a_target_leaves_that_one_out() -> None:
    target = np.array([[0.0, math.nan], [1.0, math.nan], [2.0, 5.0], [2.5, 6.0]])
    predicted = scores(torch.from_numpy(np.nan_to_num(target) + 1))
    rows = TASK.rows(predicted, standardised(target))
    found = TASK.metrics(rows, np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]))
    assert math.isnan(found["rmse_b"][0])
    assert found["rmse"] == pytest.approx([1.0, 1.0])


def test_columns_of_numbers_are_recognised() -> None:
    assert Regress.recognise(VALUES) is not None
    assert Regress.recognise([{"a": 1.0, "b": "x"}]) is None


def test_a_cell_that_is_no_number_names_its_column() -> None:
    with pytest.raises(DataError, match="column 'b' holds 'much'"):
        Regress(RegressConfig()).fit([*VALUES, {"a": 1.0, "b": "much"}], column="a, b")


def test_a_target_of_one_value() -> None:
    with pytest.raises(DataError, match="column 'b' holds one value only"):
        Regress(RegressConfig()).fit([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 2.0}], column="a, b")


def test_what_older_bundles_say_of_one_target_still_builds() -> None:
    task = Regress(RegressConfig(), {"column": "y", "count": 4, "mean": 30.0, "std": 2.0})
    assert task.decode(scores(torch.tensor([[1.0]])))["prediction"].tolist() == [32.0]


def test_outcomes_are_one_for_each_target_over_its_known_rows() -> None:
    target = encoded()
    first, second = TASK.outcomes(scores(target.values[:, 0]), target, np.arange(10, 15), name="a, b")
    assert (first.name, second.name) == ("a", "b")
    assert (first.rows.tolist(), second.rows.tolist()) == ([10, 11, 13], [10, 13, 14])
    assert first.target == pytest.approx([1, 2, 3])
    assert second.predicted == pytest.approx([200, 400, 900])
