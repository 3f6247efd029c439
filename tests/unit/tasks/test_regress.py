import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from polymodal.errors import DataError
from polymodal.layers.scores_head import ScoresHead
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Head, Task
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Cells, Scores, Tokens

VALUES = [10.0, 20.0, 40.0, 50.0]


def fit(values: Sequence[object], column: str = "price") -> dict[str, Any]:
    return Regress(RegressConfig()).fit(values, column=column)


def fitted(**settings: object) -> Regress:
    return Regress(RegressConfig(**settings), fit(VALUES))


def head(**settings: object) -> ScoresHead:
    torch.manual_seed(0)
    return fitted(**settings).head({"": 5}).eval()


def scores(values: torch.Tensor) -> Scores:
    return Scores(values, torch.ones(len(values), dtype=torch.bool))


def encode(task: Regress, values: Sequence[object]) -> Cells:
    return task.collate([task.encode(value) for value in values])


def standardised(numbers: Sequence[float]) -> Cells:
    """Known numbers on the standardised scale."""
    values = torch.tensor(numbers).double()
    return Cells(torch.stack([values, torch.ones_like(values)], dim=1).unsqueeze(2), torch.ones_like(values).long())


def test_keeps_the_protocols() -> None:
    assert isinstance(fitted(), Task)
    assert isinstance(head(), Head)


def test_the_target_is_standardised_and_comes_back() -> None:
    statistics = fit([*VALUES, None, math.nan, ""])
    assert (statistics["mean"], statistics["std"]) == pytest.approx((30, np.std(VALUES)))
    numbers, known = encode(Regress(RegressConfig(), statistics), VALUES).values[:, :, 0].T.numpy()
    assert (numbers.mean(), numbers.std()) == pytest.approx((0, 1))
    assert (known == 1).all()
    np.testing.assert_allclose(fitted().decode(scores(torch.from_numpy(numbers)[:, None]))["prediction"], VALUES)


def test_statistics_are_json() -> None:
    statistics = fit([np.float32(1), np.int64(4)])
    assert TypeAdapter(dict).validate_json(TypeAdapter(dict).dump_json(statistics)) == statistics


def test_words_that_spell_numbers_are_numbers() -> None:
    task = Regress(RegressConfig(), {"column": "y", "mean": 0.0, "std": 1.0})
    encoded = encode(task, ["1", 1, 1.0, " 2 ", "1e3", Decimal("0.5"), True])
    assert encoded.values[:, 0, 0].tolist() == [1, 1, 1, 2, 1000, 0.5, 1]


@pytest.mark.parametrize("bad", ["cheap", "nan", math.inf, -math.inf, 1e308, "1,5", [1, 2], 10**400])
def test_a_cell_that_is_no_number_names_column_and_value(bad: object) -> None:
    with pytest.raises(DataError, match="'price'") as caught:
        fit([1.0, bad, 2.0])
    assert repr(bad) in str(caught.value)
    with pytest.raises(DataError, match="'price'"):
        fitted().encode(bad)


def test_missing_numbers_are_left_out() -> None:
    task = Regress(RegressConfig(), fit([None, *VALUES]))
    target = encode(task, [None, 30.0, math.nan, ""])
    assert target.present.tolist() == [False, True, False, False]
    assert target.values[1].tolist() == [[0], [1]]
    values = torch.ones(4, 1, requires_grad=True)
    loss = head().loss(scores(values), target)
    loss.sum().backward()
    assert loss.tolist() == [0, 1, 0, 0]
    assert values.grad is not None and values.grad.squeeze(1).tolist() == [0, 2, 0, 0]
    measured = RowStatistics.of(task, scores(torch.ones(4, 1)), target).values()
    assert measured == pytest.approx({"rmse": np.std(VALUES), "mae": np.std(VALUES)})


@pytest.mark.parametrize(
    ("values", "held"),
    [([0.1, 0.1, 0.1, None], "one value only, 0.1,"), ([1e-200, 2e-200], "one"), ([None], "no value")],
)
def test_a_target_that_does_not_vary_is_an_error_before_training(values: list[object], held: str) -> None:
    with pytest.raises(DataError, match="'price'") as caught:
        fit(values)
    assert held in str(caught.value)


@pytest.mark.parametrize(
    ("values", "confidence"),
    [
        ([0.5, 1.25, None], 0.95),
        ([1, 2, 3, 40], 0.5),
        ([1.0, 2.0], 0.5),
        (["1.5", 2], 0.95),
        ([1.0, "one"], None),
        ([True, False], None),
        ([1.0, math.inf], None),
        ([None], None),
    ],
)
def test_recognises_targets_by_their_values(values: list[object], confidence: float | None) -> None:
    found = Regress.recognise(values)
    assert (found.confidence if found else None) == confidence


@pytest.mark.parametrize("hidden", [0, 7])
def test_rows_with_nothing_present_get_the_mean(hidden: int) -> None:
    part = head(hidden=hidden)
    values = torch.full((2, 3, 5), math.nan)
    values[1, 0] = 1.0
    mask = torch.tensor([[False] * 3, [True, False, False]])
    found = part({"": Tokens(values, mask)})
    assert found.present.tolist() == [False, True]
    decoded = fitted(hidden=hidden).decode(Scores(found.values.detach(), found.present))
    assert decoded["prediction"][0] == pytest.approx(30)
    part.loss(found, standardised([0.5, 0.5])).sum().backward()
    for parameter in part.parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"loss": "mse"}, [0.25, 9.0]),
        ({"loss": "mae"}, [0.5, 3.0]),
        ({"loss": "huber"}, [0.125, 2.5]),
        ({"loss": "huber", "delta": 2.0}, [0.125, 4.0]),
    ],
)
def test_losses_equal_their_definitions(settings: dict[str, object], expected: list[float]) -> None:
    found = scores(torch.tensor([[0.5], [-3.0]]))
    torch.testing.assert_close(head(**settings).loss(found, standardised([0.0, 0.0])), torch.tensor(expected))


def test_metrics_are_in_the_unit_of_the_target() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(30, 15, size=50)
    guess = truth + rng.normal(size=50)
    task = fitted()
    found = scores(encode(task, guess.tolist()).values[:, 0])
    measured = RowStatistics.of(task, found, encode(task, truth.tolist())).values()
    assert measured == pytest.approx(
        {
            "r2": r2_score(truth, guess),
            "rmse": root_mean_squared_error(truth, guess),
            "mae": mean_absolute_error(truth, guess),
        }
    )
    assert {Regress.metric, Regress.monitor} <= set(measured) == set(Regress.greater_is_better)


@pytest.mark.parametrize("settings", [{"loss": "bce"}, {"delta": 0}, {"dropout": 1.0}, {"hiden": 3}])
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(RegressConfig).validate_python(settings)
