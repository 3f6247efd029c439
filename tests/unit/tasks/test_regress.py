import math
from decimal import Decimal

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from polymodal.errors import DataError
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Head, Prediction, Tokens

VALUES = [10.0, 20.0, 40.0, 50.0]


def head(**settings: object) -> Regress:
    torch.manual_seed(0)
    statistics = Regress.fit_target(VALUES, column="price")
    return Regress(RegressConfig(**settings), width=5, statistics=statistics).eval()


def test_is_a_head() -> None:
    assert isinstance(head(), Head)


def test_the_target_is_standardised_and_comes_back() -> None:
    statistics = Regress.fit_target([*VALUES, None, math.nan, ""], column="price")
    assert (statistics["mean"], statistics["std"]) == pytest.approx((30, np.std(VALUES)))
    encoded = Regress.encode_target(VALUES, statistics)
    assert (encoded.mean(), encoded.std()) == pytest.approx((0, 1))
    np.testing.assert_allclose(head().decode(encoded[:, None])["prediction"], VALUES)


def test_statistics_are_json() -> None:
    statistics = Regress.fit_target([np.float32(1), np.int64(4)], column="y")
    assert TypeAdapter(dict).validate_json(TypeAdapter(dict).dump_json(statistics)) == statistics


def test_words_that_spell_numbers_are_numbers() -> None:
    statistics = {"column": "y", "mean": 0.0, "std": 1.0}
    encoded = Regress.encode_target(["1", 1, 1.0, " 2 ", "1e3", Decimal("0.5"), True], statistics)
    assert encoded.tolist() == [1, 1, 1, 2, 1000, 0.5, 1]


@pytest.mark.parametrize("bad", ["cheap", "nan", math.inf, -math.inf, 1e308, "1,5", [1, 2], 10**400])
def test_a_cell_that_is_no_number_names_column_and_value(bad: object) -> None:
    with pytest.raises(DataError, match="'price'") as caught:
        Regress.fit_target([1.0, bad, 2.0], column="price")
    assert repr(bad) in str(caught.value)
    with pytest.raises(DataError, match="'price'"):
        Regress.encode_target([bad], Regress.fit_target(VALUES, column="price"))


def test_fault_16_missing_numbers_are_left_out() -> None:
    statistics = Regress.fit_target([None, *VALUES], column="price")
    encoded = Regress.encode_target([None, 30.0, math.nan, ""], statistics)
    np.testing.assert_array_equal(encoded, [math.nan, 0, math.nan, math.nan])
    scores = torch.ones(4, 1, requires_grad=True)
    loss = head().loss(Prediction(scores, torch.ones(4, dtype=torch.bool)), torch.from_numpy(encoded))
    loss.sum().backward()
    assert loss.tolist() == [0, 1, 0, 0]
    assert scores.grad is not None and scores.grad.squeeze(1).tolist() == [0, 2, 0, 0]
    assert head().metrics(np.ones((4, 1)), encoded) == pytest.approx({"rmse": np.std(VALUES), "mae": np.std(VALUES)})


@pytest.mark.parametrize(
    ("values", "held"),
    [([0.1, 0.1, 0.1, None], "one value only, 0.1,"), ([1e-200, 2e-200], "one"), ([None], "no value")],
)
def test_fault_17_a_target_that_does_not_vary_is_an_error_before_training(values: list[object], held: str) -> None:
    with pytest.raises(DataError, match="'price'") as caught:
        Regress.fit_target(values, column="price")
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
    found = part(Tokens(values, mask))
    assert found.present.tolist() == [False, True]
    assert part.decode(found.scores.detach().numpy())["prediction"][0] == pytest.approx(30)
    part.loss(found, torch.tensor([0.5, 0.5])).sum().backward()
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
    scores = Prediction(torch.tensor([[0.5], [-3.0]]), torch.ones(2, dtype=torch.bool))
    torch.testing.assert_close(head(**settings).loss(scores, torch.zeros(2)), torch.tensor(expected))


def test_metrics_are_in_the_unit_of_the_target() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(30, 15, size=50)
    guess = truth + rng.normal(size=50)
    statistics = Regress.fit_target(VALUES, column="price")
    scores = Regress.encode_target(guess.tolist(), statistics)[:, None]
    measured = head().metrics(scores, Regress.encode_target(truth.tolist(), statistics))
    assert measured == pytest.approx(
        {
            "r2": r2_score(truth, guess),
            "rmse": root_mean_squared_error(truth, guess),
            "mae": mean_absolute_error(truth, guess),
        }
    )
    assert {Regress.metric, Regress.monitor} <= set(measured)


@pytest.mark.parametrize("settings", [{"loss": "bce"}, {"delta": 0}, {"dropout": 1.0}, {"hiden": 3}])
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(RegressConfig).validate_python(settings)
