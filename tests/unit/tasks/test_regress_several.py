"""Several targets at once: one head, each target on its own scale, unknown cells without influence."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from polymodal.errors import DataError
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Prediction

VALUES = [{"a": 1.0, "b": 200.0}, {"a": 2.0, "b": None}, None, {"a": 3.0, "b": 400.0}, {"a": None, "b": 900.0}]
STATISTICS = Regress.fit_target(VALUES, column="a, b")


def head(**settings: object) -> Regress:
    torch.manual_seed(0)
    return Regress(RegressConfig(**settings), width=3, statistics=STATISTICS)


def test_each_target_has_its_own_scale() -> None:
    assert STATISTICS["column"] == ["a", "b"]
    assert STATISTICS["mean"] == pytest.approx([2.0, 500.0])
    assert STATISTICS["std"] == pytest.approx([np.std([1, 2, 3]), np.std([200, 400, 900])])


def test_the_target_is_one_row_of_numbers_and_comes_back_by_name() -> None:
    encoded = Regress.encode_target(VALUES, STATISTICS)
    unknown = [[False, False], [False, True], [True, True], [False, False], [True, False]]
    assert np.isnan(encoded).tolist() == unknown
    found = head().decode(encoded)
    assert list(found) == ["prediction_a", "prediction_b"]
    np.testing.assert_allclose(found["prediction_b"], [200, math.nan, math.nan, 400, 900])


def test_an_unknown_cell_has_no_loss_and_no_gradient() -> None:
    target = torch.from_numpy(Regress.encode_target(VALUES, STATISTICS)).float()
    scores = torch.full((5, 2), 0.5, requires_grad=True)
    loss = head().loss(Prediction(scores, torch.ones(5, dtype=torch.bool)), target)
    np.testing.assert_allclose(loss.detach(), torch.nan_to_num(target - 0.5).square().mean(dim=1), rtol=1e-6)
    loss.sum().backward()
    assert (scores.grad == 0)[target.isnan()].all()
    assert (scores.grad != 0)[~target.isnan()].all()


def test_metrics_of_each_target_in_its_unit_and_their_means() -> None:
    rng = np.random.default_rng(0)
    model, weights = head(), np.stack([np.ones(20), rng.integers(0, 3, 20).astype(float)])
    scores, target = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    target[:6, 1] = math.nan
    found = model.weighted_metrics(scores, target, weights)
    for place, weight in enumerate(weights):
        for k, name in enumerate(["a", "b"]):
            known = ~np.isnan(target[:, k])
            both = [STATISTICS["mean"][k] + STATISTICS["std"][k] * x[known, k] for x in (target, scores)]
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
    found = head().weighted_metrics(target + 1, target, np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]))
    assert math.isnan(found["rmse_b"][0])
    assert found["rmse"] == pytest.approx([1.0, 1.0])


def test_columns_of_numbers_are_recognised() -> None:
    assert Regress.recognise(VALUES) is not None
    assert Regress.recognise([{"a": 1.0, "b": "x"}]) is None


def test_fault_20_a_cell_that_is_no_number_names_its_column() -> None:
    with pytest.raises(DataError, match="column 'b' holds 'much'"):
        Regress.fit_target([*VALUES, {"a": 1.0, "b": "much"}], column="a, b")


def test_fault_17_a_target_of_one_value() -> None:
    with pytest.raises(DataError, match="column 'b' holds one value only"):
        Regress.fit_target([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 2.0}], column="a, b")


def test_what_older_bundles_say_of_one_target_still_builds() -> None:
    model = Regress(RegressConfig(), width=3, statistics={"column": "y", "count": 4, "mean": 30.0, "std": 2.0})
    assert model.decode(np.array([[1.0]]))["prediction"].tolist() == [32.0]
